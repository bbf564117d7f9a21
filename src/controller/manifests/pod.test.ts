import { describe, expect, test } from "vitest";
import { type PodTemplate, parsePodTemplate } from "../../api/pod-template.ts";
import { taskUid } from "../objects.test-support.ts";
import { podName, podNamePrefix } from "./names.ts";
import { type PodSource, podBlueprint, podBody } from "./pod.ts";

const template = (spec: object = {}, metadata?: object): PodTemplate => {
  const parsed = parsePodTemplate({
    ...(metadata && { metadata }),
    spec: { containers: [{ name: "main", image: "busybox" }], ...spec },
  });
  if (!parsed.ok) throw new Error(parsed.problems.join());
  return parsed.template;
};
const source = (over: Partial<PodSource> = {}): PodSource => ({
  namespace: "ns",
  task: "train",
  taskUid,
  framework: "fw",
  instances: 8,
  template: template(),
  tolerations: [],
  unreachableSeconds: 60,
  ...over,
});
const place = { index: 3, attempt: 1, node: "n1", queue: "research", offer: "uid.0" };
// biome-ignore lint/suspicious/noExplicitAny: looks into every corner of a pod
const body = (over: Partial<PodSource> = {}): any =>
  JSON.parse(JSON.stringify(podBody(podBlueprint(source(over)), place)));

describe("the pod of an attempt", () => {
  test("is exactly this", () => {
    expect(body()).toEqual({
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name: podName(podNamePrefix("train", taskUid), 3, 1),
        namespace: "ns",
        labels: {
          "proffer.dev/task": "train",
          "proffer.dev/task-uid": taskUid,
          "proffer.dev/framework": "fw",
          "proffer.dev/index": "3",
          "proffer.dev/attempt": "1",
          "proffer.dev/queue": "research",
          "proffer.dev/offer": "uid.0",
        },
        finalizers: ["proffer.dev/tracking"],
        ownerReferences: [
          {
            apiVersion: "proffer.dev/v1alpha1",
            kind: "Task",
            name: "train",
            uid: taskUid,
            controller: true,
            blockOwnerDeletion: true,
          },
        ],
      },
      spec: {
        nodeName: "n1",
        restartPolicy: "Never",
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
        tolerations: [
          { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute", tolerationSeconds: 60 },
          { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute", tolerationSeconds: 60 },
        ],
        containers: [
          {
            name: "main",
            image: "busybox",
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
            env: [
              { name: "PROFFER_TASK_INDEX", value: "3" },
              { name: "PROFFER_TASK_INSTANCES", value: "8" },
            ],
          },
        ],
      },
    });
  });

  test("carries what the template may say", () => {
    const spec = {
      containers: [
        {
          name: "main",
          image: "i",
          command: ["sh"],
          args: ["-c", "echo $(PROFFER_TASK_INDEX)"],
          workingDir: "/w",
          env: [
            { name: "A", value: "1" },
            { name: "B", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
          ],
          envFrom: [{ configMapRef: { name: "c" } }],
          resources: { requests: { cpu: "1" }, limits: { memory: "1Gi" } },
          ports: [{ containerPort: 80 }],
          volumeMounts: [{ name: "v", mountPath: "/v", readOnly: true }],
          imagePullPolicy: "IfNotPresent",
          terminationMessagePolicy: "FallbackToLogsOnError",
          securityContext: { runAsUser: 5, readOnlyRootFilesystem: true },
        },
      ],
      initContainers: [{ name: "side", image: "s", restartPolicy: "Always" }],
      volumes: [{ name: "v", emptyDir: { sizeLimit: "1Gi" } }],
      restartPolicy: "OnFailure",
      terminationGracePeriodSeconds: 5,
      activeDeadlineSeconds: 60,
      imagePullSecrets: [{ name: "s" }],
      securityContext: { fsGroup: 9, seccompProfile: { type: "Localhost", localhostProfile: "p.json" } },
    };
    const pod = body({ template: template(spec, { labels: { app: "x" }, annotations: { note: "y" } }) });
    expect(pod.metadata).toMatchObject({ labels: { app: "x" }, annotations: { note: "y" } });
    const [main] = pod.spec.containers;
    expect(main).toMatchObject({ ...spec.containers[0], env: expect.arrayContaining(spec.containers[0]!.env) });
    expect(main.env.map(({ name }: { name: string }) => name)).toEqual([
      "PROFFER_TASK_INDEX",
      "PROFFER_TASK_INSTANCES",
      "A",
      "B",
    ]);
    expect(pod.spec.initContainers[0]).toMatchObject({ name: "side", restartPolicy: "Always" });
    expect(pod.spec.initContainers[0].env).toContainEqual({ name: "PROFFER_TASK_INDEX", value: "3" });
    const { containers, initContainers, securityContext, ...rest } = spec;
    expect(pod.spec).toMatchObject({ ...rest, securityContext: { ...securityContext, runAsNonRoot: true } });
  });

  const own = { "proffer.dev/task-uid": "stolen", "proffer.dev/queue": "rich" };
  test("cannot be given marks of ours by its template (guards: our labels are set last)", () => {
    const forged = { ...template(), metadata: { labels: own } };
    expect(body({ template: forged }).metadata.labels).toMatchObject({
      "proffer.dev/task-uid": taskUid,
      "proffer.dev/queue": "research",
    });
  });

  const forbiddenOfPods = {
    hostNetwork: true,
    hostPID: true,
    hostIPC: true,
    hostUsers: true,
    nodeName: "n9",
    serviceAccountName: "admin",
    automountServiceAccountToken: true,
    priorityClassName: "system-node-critical",
    runtimeClassName: "r",
    schedulerName: "s",
    ephemeralContainers: [{ name: "e" }],
    shareProcessNamespace: true,
    resourceClaims: [{ name: "c" }],
    tolerations: [{ operator: "Exists" }],
    affinity: {},
    dnsConfig: {},
    hostAliases: [],
    overhead: { cpu: "0" },
    enableServiceLinks: true,
  };
  test.each(Object.entries(forbiddenOfPods))(
    "never has %s from its template, even past the parser (T7; guards: the builder names each field)",
    (field, value) => {
      const parsed = template();
      const forged = { ...parsed, spec: { ...parsed.spec, [field]: value } } as PodTemplate;
      expect(body({ template: forged })).toEqual(body());
    },
  );

  const forbiddenOfContainers = {
    lifecycle: {},
    livenessProbe: {},
    stdin: true,
    tty: true,
    volumeDevices: [{ name: "v" }],
    resizePolicy: [],
  };
  test.each(Object.entries(forbiddenOfContainers))(
    "no container has %s from its template, even past the parser (T7)",
    (field, value) => {
      const forged = { ...template() } as PodTemplate;
      const container = { name: "main", image: "busybox", [field]: value };
      for (const kind of ["containers", "initContainers"]) {
        const pod = body({ template: { ...forged, spec: { ...forged.spec, [kind]: [container] } } as PodTemplate });
        expect(pod.spec[kind][0]).not.toHaveProperty(field);
      }
    },
  );

  test.each([
    ["privileged", { privileged: true }],
    ["allowPrivilegeEscalation", { allowPrivilegeEscalation: true }],
    ["capabilities", { capabilities: { add: ["SYS_ADMIN"], drop: [] } }],
    ["procMount", { procMount: "Unmasked" }],
    ["windowsOptions", { windowsOptions: { hostProcess: true } }],
    ["seLinuxOptions", { seLinuxOptions: { type: "spc_t" } }],
  ])("no container gets %s by its security context, even past the parser (T7)", (_, securityContext) => {
    const forged = template();
    const containers = [{ name: "main", image: "busybox", securityContext }];
    const pod = body({ template: { ...forged, spec: { ...forged.spec, containers } } as unknown as PodTemplate });
    expect(pod.spec.containers[0].securityContext).toEqual({
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
    });
  });

  test.each([
    ["hostPath", { hostPath: { path: "/" } }],
    ["secret", { secret: { secretName: "s" } }],
    ["projected", { projected: { sources: [] } }],
    ["persistentVolumeClaim", { persistentVolumeClaim: { claimName: "c" } }],
  ])("no volume is a %s, even past the parser (T7)", (type, volume) => {
    const forged = template();
    const volumes = [{ name: "v", ...volume }];
    const pod = body({ template: { ...forged, spec: { ...forged.spec, volumes } } as unknown as PodTemplate });
    expect(pod.spec.volumes[0]).not.toHaveProperty(type);
  });

  test("tolerates what its constraints name, and no longer than the framework waits for a node", () => {
    const tolerations = [{ key: "gpu", operator: "Exists" as const }];
    expect(body({ tolerations, unreachableSeconds: 7 }).spec.tolerations).toEqual([
      { key: "gpu", operator: "Exists" },
      expect.objectContaining({ key: "node.kubernetes.io/not-ready", tolerationSeconds: 7 }),
      expect.objectContaining({ key: "node.kubernetes.io/unreachable", tolerationSeconds: 7 }),
    ]);
  });

  test("is the same whenever it is made", () => {
    const [a, b] = [podBlueprint(source()), podBlueprint(source())];
    expect(JSON.stringify(podBody(a, place))).toBe(JSON.stringify(podBody(b, place)));
  });
});

describe("a pod's name", () => {
  test("is a host name, however long the Task's is, and differs by Task, index and attempt", () => {
    const long = podName(podNamePrefix("a".repeat(63), taskUid), 9_999, 1_000_000);
    expect(long).toMatch(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);
    expect(long.length).toBeLessThanOrEqual(63);
    const prefix = podNamePrefix("train", taskUid);
    const names = [
      podName(prefix, 1, 0),
      podName(prefix, 0, 1),
      podName(prefix, 11, 0),
      podName(podNamePrefix("train", "another uid"), 1, 0),
    ];
    expect(new Set(names).size).toBe(names.length);
  });
});
