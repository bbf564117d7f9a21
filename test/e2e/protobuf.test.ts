import { afterAll, beforeAll, expect, test } from "vitest";
import { parsePodTemplate } from "../../src/api/pod-template.ts";
import { KubeClient } from "../../src/controller/kube/client.ts";
import { systemClock } from "../../src/controller/kube/clock.ts";
import { loadConfig } from "../../src/controller/kube/config.ts";
import { nodeMessage, podMessage } from "../../src/controller/kube/core-v1.ts";
import { podToWrite } from "../../src/controller/kube/pod-to-write.ts";
import { Reflector, type ReflectorOptions } from "../../src/controller/kube/reflector.ts";
import { HttpTransport } from "../../src/controller/kube/transport.ts";
import { podBlueprint, podBody } from "../../src/controller/manifests/pod.ts";
import { projectNode } from "../../src/controller/observe/node.ts";
import { projectPod } from "../../src/controller/observe/pod.ts";
import type { Json } from "../../tools/cluster/api-client.ts";
import type { Cluster } from "../../tools/cluster/cluster.ts";
import { parseShape } from "../../tools/cluster/node-shapes.ts";
import { openCluster } from "../../tools/cluster/open-cluster.ts";
import { eventually } from "./support/eventually.ts";
import { needs } from "./support/site.ts";

// The API server tells the same in both of its formats: whatever the operator reads of pods and nodes.

const PODS = { group: "", version: "v1", plural: "pods" };
const NODES = { group: "", version: "v1", plural: "nodes" };

let cluster: Cluster;
let transport: HttpTransport;
let client: KubeClient;
beforeAll(async () => {
  cluster = await openCluster({ kwok: true });
  const config = await loadConfig({ env: process.env, clock: systemClock, path: cluster.kubeconfigPath });
  transport = new HttpTransport({
    config,
    clock: systemClock,
    random: Math.random,
    userAgent: "proffer/test",
    timeoutMs: 10_000,
  });
  client = new KubeClient(transport, "test");
});
afterAll(async () => {
  await transport?.close();
  await cluster?.stop();
});
needs(() => cluster, "fakeKubelets");

const resources = {
  requests: { cpu: "1500m", memory: "1Gi", "ephemeral-storage": "2G" },
  limits: { "nvidia.com/gpu": "2" },
};
const main = { name: "main", image: "busybox", resources };
const task = "3f1b7a52-0000-4000-8000-000000000001";

const pods: Record<string, Json> = {
  plain: { spec: { containers: [main] } },
  ours: {
    metadata: {
      labels: {
        "proffer.dev/task-uid": task,
        "proffer.dev/framework": "fw",
        "proffer.dev/queue": "default",
        "proffer.dev/index": "3",
        "proffer.dev/attempt": "0",
        "proffer.dev/offer": "uid.1",
        empty: "",
      },
      finalizers: ["proffer.dev/tracking"],
      ownerReferences: [{ apiVersion: "proffer.dev/v1alpha1", kind: "Task", name: "t", uid: task, controller: true }],
    },
    spec: { containers: [main] },
  },
  initialised: {
    spec: {
      initContainers: [
        { name: "first", image: "i", resources: { requests: { cpu: "3" } } },
        { name: "sidecar", image: "i", restartPolicy: "Always", resources: { requests: { memory: "64Mi" } } },
      ],
      containers: [main, { name: "other", image: "i" }],
    },
  },
  "pod-level": { spec: { resources: { requests: { cpu: "5" } }, containers: [main] } },
  // A list of more than 128 KiB comes packed.
  long: { metadata: { annotations: { note: "größer ".repeat(20_000) } }, spec: { containers: [main] } },
  failed: { metadata: { annotations: { "fake-kubelet/exit-code": "7" } }, spec: { containers: [main] } },
  killed: { metadata: { annotations: { "fake-kubelet/kill": "OOMKilled" } }, spec: { containers: [main] } },
  refused: { metadata: { annotations: { "fake-kubelet/reject": "OutOfcpu" } }, spec: { containers: [main] } },
  waiting: { metadata: { annotations: { "fake-kubelet/waiting": "ImagePullBackOff" } }, spec: { containers: [main] } },
  succeeded: { metadata: { annotations: { "fake-kubelet/duration": "100ms" } }, spec: { containers: [main] } },
  pinned: {
    metadata: {
      ownerReferences: [{ apiVersion: "apps/v1", kind: "DaemonSet", name: "d", uid: task, controller: true }],
    },
    spec: {
      nodeName: undefined,
      containers: [main],
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values: ["both-0000"] }] }],
          },
        },
      },
    },
  },
};
const fullContainer = {
  name: "main",
  image: "registry.invalid/größer:1",
  command: ["sh", "-c"],
  args: ["echo $(PROFFER_TASK_INDEX)", "", "x".repeat(5_000)],
  workingDir: "/w",
  env: [
    { name: "PLAIN", value: "größer" },
    { name: "EMPTY", value: "" },
    { name: "FIELD", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "metadata.name" } } },
    {
      name: "RESOURCE",
      valueFrom: { resourceFieldRef: { containerName: "main", resource: "limits.cpu", divisor: "1m" } },
    },
    { name: "KEY", valueFrom: { configMapKeyRef: { name: "c", key: "k", optional: true } } },
  ],
  envFrom: [{ prefix: "P_", configMapRef: { name: "c", optional: false } }],
  resources: { requests: { cpu: 1, memory: "1.5Gi" }, limits: { memory: "2Gi", "example.com/widgets": "3" } },
  ports: [
    { containerPort: 80, name: "http" },
    { containerPort: 53, protocol: "UDP" },
  ],
  volumeMounts: [
    { name: "empty", mountPath: "/e", readOnly: true },
    { name: "config", mountPath: "/c", subPath: "part" },
  ],
  imagePullPolicy: "IfNotPresent",
  terminationMessagePath: "/dev/end",
  terminationMessagePolicy: "FallbackToLogsOnError",
  securityContext: {
    runAsNonRoot: true,
    runAsUser: 1_000,
    runAsGroup: 2_147_483_647,
    readOnlyRootFilesystem: false,
    seccompProfile: { type: "Localhost", localhostProfile: "p.json" },
  },
};

/** Whatever may be in a template. */
const fullTemplate = {
  metadata: { labels: { app: "x", empty: "" }, annotations: { note: "größer – 大", long: "y".repeat(10_000) } },
  spec: {
    containers: [fullContainer, { name: "bare", image: "i" }],
    initContainers: [
      { name: "side", image: "i", restartPolicy: "Always" },
      { name: "once", image: "i" },
    ],
    volumes: [
      { name: "empty", emptyDir: { medium: "Memory", sizeLimit: "1Gi" } },
      { name: "bare", emptyDir: {} },
      {
        name: "config",
        configMap: { name: "c", optional: true, defaultMode: 0o440, items: [{ key: "k", path: "p", mode: 0 }] },
      },
      {
        name: "down",
        downwardAPI: {
          defaultMode: 0o400,
          items: [
            { path: "name", fieldRef: { fieldPath: "metadata.name" }, mode: 0o444 },
            { path: "cpu", resourceFieldRef: { containerName: "main", resource: "requests.cpu", divisor: "1" } },
          ],
        },
      },
    ],
    restartPolicy: "OnFailure",
    terminationGracePeriodSeconds: 0,
    activeDeadlineSeconds: 31_536_000,
    imagePullSecrets: [{ name: "s" }],
    securityContext: {
      runAsUser: 1_000,
      runAsGroup: 0,
      fsGroup: 9,
      fsGroupChangePolicy: "OnRootMismatch",
      supplementalGroups: [1, 2_147_483_647],
      supplementalGroupsPolicy: "Strict",
      seccompProfile: { type: "RuntimeDefault" },
    },
  },
};

const ends: Record<string, string> = { failed: "Failed", killed: "Failed", refused: "Failed", succeeded: "Succeeded" };

/** All that a reflector sees, until its first list is there. */
async function listed<T>(
  options: Pick<ReflectorOptions<T>, "resource" | "project" | "as">,
): Promise<Map<string, unknown>> {
  const reflector = new Reflector<T>({
    ...options,
    transport,
    clock: systemClock,
    random: Math.random,
    onEvent: () => {},
  });
  const running = reflector.start();
  await reflector.synced;
  reflector.stop();
  await running;
  return new Map([...reflector.entries()].map(([key, { object }]) => [key, object]));
}

test("pods and nodes are the same as protobuf and as JSON, one by one and as lists", async () => {
  const shape = parseShape("cpu=32,memory=64Gi,gpu=8");
  await cluster.addNodes([shape, shape], { prefix: "both", labels: { empty: "" } });
  await cluster.api.patch("/api/v1/nodes/both-0001", {
    spec: {
      unschedulable: true,
      taints: [
        { key: "k", value: "v", effect: "NoSchedule" },
        { key: "bare", effect: "NoExecute" },
      ],
    },
  });
  // A whole cluster's garbage collector takes what belongs to a DaemonSet that is not there.
  const collected = cluster.capabilities.controllerManager ? ["pinned"] : [];
  const names = Object.keys(pods).filter((name) => !collected.includes(name));
  for (const name of names) {
    const { metadata = {}, spec } = pods[name]!;
    const pod = { metadata: { name, ...metadata }, spec: { nodeName: "both-0000", ...spec } };
    await cluster.api.create("/api/v1/namespaces/default/pods", JSON.parse(JSON.stringify(pod)));
  }
  for (const name of names) {
    const read = () => cluster.api.get(`/api/v1/namespaces/default/pods/${name}`);
    const settled = ({ status }: Json) =>
      name === "pinned" ? true : status.phase === (ends[name] ?? (name === "waiting" ? "Pending" : "Running"));
    await eventually(`${name} is where it stays`, read, settled);
  }
  await cluster.api.delete("/api/v1/namespaces/default/pods/ours");
  await eventually(
    "ours is being deleted",
    () => cluster.api.get("/api/v1/namespaces/default/pods/ours"),
    ({ metadata, status }) => metadata.deletionTimestamp !== undefined && status.phase === "Failed",
  );
  for (const name of names) {
    const ref = { ...PODS, namespace: "default", name };
    const [json, protobuf] = [await client.get(ref), await client.get(ref, { as: podMessage })];
    expect(projectPod(protobuf), name).toEqual(projectPod(json));
    expect(protobuf.metadata.resourceVersion).toBe(json.metadata.resourceVersion);
  }
  const project = (pod: unknown) => projectPod(pod);
  const seen = await listed({ resource: PODS, project, as: podMessage });
  expect(seen).toEqual(await listed({ resource: PODS, project }));
  expect([...seen.keys()]).toEqual(expect.arrayContaining(names.map((name) => `default/${name}`)));
  const nodes = { resource: NODES, project: (node: unknown) => projectNode(node, { selector: {} }) };
  const asProtobuf = await listed({ ...nodes, as: nodeMessage });
  expect(asProtobuf).toEqual(await listed(nodes));
  expect(asProtobuf.get("both-0001")).toMatchObject({
    // A whole cluster's controllers add the taint of what is cordoned.
    facts: {
      closed: "cordoned",
      taints: expect.arrayContaining(["k", "bare"].map((key) => expect.objectContaining({ key }))),
    },
  });
});

test("what is sent as protobuf arrives as what is sent as JSON, whatever a template may hold", async () => {
  const parsed = parsePodTemplate(fullTemplate);
  if (!parsed.ok) throw new Error(parsed.problems.join());
  const blueprint = podBlueprint({
    namespace: "default",
    task: "t",
    taskUid: task,
    framework: "fw",
    instances: 10_000,
    template: parsed.template,
    tolerations: [{ key: "k", operator: "Equal", value: "v", effect: "NoSchedule" }],
    unreachableSeconds: 300,
  });
  const body = podBody(blueprint, { index: 9_999, attempt: 1, node: "both-0000", queue: "default", offer: "uid.0" });
  const made = async (send?: typeof podToWrite) => {
    const sent = await client.createDryRun({ ...PODS, namespace: "default" }, body, { send });
    const { uid, creationTimestamp, managedFields, ...metadata } = sent.metadata;
    return { ...sent, metadata };
  };
  const asJson = await made();
  expect(await made(podToWrite)).toEqual(asJson);
  expect(asJson).toMatchObject({
    metadata: { annotations: fullTemplate.metadata.annotations },
    spec: { nodeName: "both-0000" },
  });
});

test("a refusal says the same in both", async () => {
  const missing = { ...PODS, namespace: "default", name: "missing" };
  const said = async (as?: typeof podMessage) =>
    client.get(missing, { as }).then(
      () => "",
      (error) => [error.status, error.reason, error.text],
    );
  expect(await said(podMessage)).toEqual(await said());
  const empty = { apiVersion: "v1", kind: "Pod", metadata: { name: "empty" }, spec: {} };
  const refused = (as?: typeof podMessage) =>
    client.create({ ...PODS, namespace: "default" }, empty, { as }).then(
      () => "",
      ({ status, reason, text, causes }) => ({ status, reason, text, causes }),
    );
  expect(await refused(podMessage)).toEqual(await refused());
});
