/** The frameworks as tenants: what each may do is what the chart's role for editors allows in its own namespace. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { API_VERSION } from "../../src/api/common.ts";
import { type BagDefaults, type BagLine, parseBag } from "../../src/frameworks/bag-of-tasks/bag.ts";
import { ApiClient, type Json } from "../cluster/api-client.ts";
import type { EmbeddedCluster } from "../cluster/embedded-cluster.ts";
import { logTail } from "../cluster/log-tail.ts";
import { RELEASE } from "../operator/install-chart.ts";
import { type DemoFramework, type DemoQueue, FRAMEWORKS } from "./cast.ts";
import { quantitiesOf, type Size } from "./shapes.ts";
import type { WorkTask } from "./workload.ts";

const PROFFER = `/apis/${API_VERSION}`;
const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const BAG_OF_TASKS = new URL("../../src/frameworks/bag-of-tasks/main.ts", import.meta.url).pathname;
const CREATES_AT_ONCE = 8;
const TOKEN_SECONDS = 24 * 3600;

/** The account that looks and changes nothing: the demo's own questions, and those of people. */
export const WATCHER = { namespace: "default", name: "watcher" } as const;

export async function declareQueues(api: ApiClient, queues: readonly DemoQueue[], cluster: Size): Promise<void> {
  for (const { name, weight, guaranteed } of queues) {
    const namespaces = FRAMEWORKS.filter(({ queue }) => queue === name).map((framework) => framework.name);
    const part = (amount: number) => Math.floor(amount * (guaranteed ?? 0));
    const { cpuMilli, memoryMib, gpuMilli } = cluster;
    const sure = { cpuMilli: part(cpuMilli), memoryMib: part(memoryMib), gpuMilli: part(gpuMilli) };
    const guarantee = guaranteed === undefined ? {} : { guarantee: quantitiesOf(sure) };
    await api.create(`${PROFFER}/queues`, {
      apiVersion: API_VERSION,
      kind: "Queue",
      metadata: { name },
      spec: { weight, namespaces, ...guarantee },
    });
  }
}

/** An account that may read everything of Proffer, and its metrics. */
export async function createWatcher(api: ApiClient): Promise<void> {
  const { namespace, name } = WATCHER;
  await api.create(`/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name } });
  for (const role of ["viewer", "metrics-reader"]) {
    await api.create(`${RBAC}/clusterrolebindings`, {
      metadata: { name: `${name}-${role}` },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: `${RELEASE.name}-${role}` },
      subjects: [{ kind: "ServiceAccount", namespace, name }],
    });
  }
}

/** A namespace, and in it an account with the chart's role for editors. */
export async function admit(api: ApiClient, name: string): Promise<void> {
  await api.create("/api/v1/namespaces", { metadata: { name } });
  await api.create(`/api/v1/namespaces/${name}/serviceaccounts`, { metadata: { name } });
  await api.create(`${RBAC}/namespaces/${name}/rolebindings`, {
    metadata: { name },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: `${RELEASE.name}-editor` },
    subjects: [{ kind: "ServiceAccount", namespace: name, name }],
  });
}

/** A task as a line of a bag; without `seconds` it runs until it is ended. */
export function lineOf({ name, instances, need, seconds }: Omit<WorkTask, "seconds"> & { seconds?: number }): BagLine {
  return {
    name,
    instances,
    resources: quantitiesOf(need),
    durationSeconds: seconds ?? 86_400,
    // Nothing runs in these pods: the fake kubelet ends them when this says so.
    ...(seconds === undefined ? {} : { annotations: { "fake-kubelet/duration": `${seconds}s` } }),
  };
}

const defaultsOf = (bag: string): BagDefaults => ({
  bag,
  image: "busybox:1.37",
  retryLimit: 0,
  queue: undefined,
  podAnnotations: {},
});

/** Creates a Builtin Framework, unless it is there, and Tasks, as its own ServiceAccount. */
export async function feedBuiltin(
  cluster: EmbeddedCluster,
  { name, queue }: DemoFramework,
  lines: readonly BagLine[],
): Promise<void> {
  const token = await cluster.requestToken(name, name);
  const api = new ApiClient({ url: cluster.url, ca: cluster.ca, token });
  const inNamespace = `${PROFFER}/namespaces/${name}`;
  try {
    if ((await api.find(`${inNamespace}/frameworks/${name}`)) === undefined) {
      const spec = { queues: [{ name: queue }], scheduler: { type: "Builtin" } };
      await api.create(`${inNamespace}/frameworks`, {
        apiVersion: API_VERSION,
        kind: "Framework",
        metadata: { name },
        spec,
      });
    }
    const entries = parseBag(lines.map((line) => JSON.stringify(line)).join("\n"), defaultsOf(name));
    for (let first = 0; first < entries.length; first += CREATES_AT_ONCE) {
      const batch = entries.slice(first, first + CREATES_AT_ONCE).map((entry) => ({
        apiVersion: API_VERSION,
        kind: "Task",
        metadata: { name: entry.name },
        spec: { ...entry.spec, framework: name },
      }));
      await Promise.all(batch.map((task) => api.create(`${inNamespace}/tasks`, task)));
    }
  } finally {
    await api.close();
  }
}

/**
 * Starts the reference Offers framework as a process of its own, which knows nothing but its ServiceAccount's kubeconfig and
 * the work. It creates Framework and Tasks, answers offers, and ends when all has ended.
 *
 * @param onEnd told why it failed, or undefined when all its tasks have finished
 */
export async function startProgram(
  cluster: EmbeddedCluster,
  { name, queue, kind }: DemoFramework,
  lines: readonly BagLine[],
  onEnd: (failure: string | undefined) => void,
): Promise<void> {
  const kubeconfig = await cluster.serviceAccountKubeconfig(name, name, { expirationSeconds: TOKEN_SECONDS });
  const file = join(cluster.dir, `${name}.jsonl`);
  const logFile = join(cluster.dir, `${name}.log`);
  writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const options = ["--name", name, "--namespace", name, "--queue", queue, "--file", file, "--kubeconfig", kubeconfig];
  const optimistic = kind === "Offers, optimistic" ? ["--optimistic"] : [];
  const spec = { name, command: process.execPath, args: [BAG_OF_TASKS, ...options, ...optimistic], logFile };
  await cluster.runProgram(spec, (how) =>
    onEnd(
      how === "exit code 0"
        ? undefined
        : `the framework ${name} ended with ${how}; its log ends so:\n${logTail(logFile)}`,
    ),
  );
}

/** How many Tasks a namespace has: one page of one costs the API server little. */
export async function countTasks(api: ApiClient, namespace: string): Promise<number> {
  const { items, metadata } = await api.get(`${PROFFER}/namespaces/${namespace}/tasks?limit=1`);
  return items.length + (metadata.remainingItemCount ?? 0);
}

/** The Tasks of a namespace, as the API server has them. */
export async function tasksOf(api: ApiClient, namespace: string): Promise<Json[]> {
  return (await api.get(`${PROFFER}/namespaces/${namespace}/tasks`)).items;
}
