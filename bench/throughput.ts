import {
  type BenchCluster,
  cpuOf,
  startBenchCluster,
  untilBound,
  untilPods,
  untilQuiet,
  writesOf,
} from "./bench-cluster.ts";
import { FRAMEWORKS, frameworkBody, PODS, podBody, TASKS, taskBody } from "./fast-client.ts";
import type { Figure } from "./figures.ts";
import { median } from "./statistics.ts";

const NODES = 1_000;
const PODS_A_RUN = 10_000;
/** Each way so many times, in turn; the middle value counts. Fewer for a quick look. */
const ROUNDS = Number(process.env.ROUNDS ?? 3);

/** Who gets the pods onto nodes. */
type Way = "limit" | "kube_scheduler" | "objects" | "objects_array";

interface Run {
  readonly perSecond: number;
  /** CPU seconds per 1,000 pods, until everything is written. */
  readonly cpu: { readonly apiserver: number; readonly etcd: number; readonly scheduler: number };
  /** Seconds from the last pod to the last write. */
  readonly backlogS: number;
  /** API writes a pod, by kind. */
  readonly writes: Readonly<Record<string, number>>;
}

/**
 * 10,000 pods onto 1,000 nodes in four ways, one after the other and three times over, each on a fresh control plane of
 * its own: bound already by the client (the limit), by kube-scheduler, as 10,000 Tasks, as ten Tasks of 1,000 instances.
 */
export async function throughputFigures(program: string, tell: (line: string) => void): Promise<Figure[]> {
  const runs: Record<Way, Run[]> = { limit: [], kube_scheduler: [], objects: [], objects_array: [] };
  for (let round = 1; round <= ROUNDS; round++) {
    for (const way of Object.keys(runs) as Way[]) {
      const run = await measure(way, program);
      runs[way].push(run);
      tell(`${way}, round ${round} of ${ROUNDS}: ${run.perSecond.toFixed(0)} pods/s`);
    }
  }
  return figures(runs);
}

async function measure(way: Way, program: string): Promise<Run> {
  const own = way.startsWith("objects");
  const bench = await startBenchCluster({
    nodes: NODES,
    scheduler: way === "kube_scheduler",
    ...(own ? { program } : {}),
  });
  try {
    const operator = own ? await bench.startOperator() : undefined;
    if (own) await bench.client.createAll(FRAMEWORKS, 1, () => frameworkBody("batch", {}));
    if (operator !== undefined) await untilQuiet(operator);
    const before = cpuOf(bench, way === "kube_scheduler");
    const written = operator === undefined ? new Map<string, number>() : await writesOf(operator);
    const startMs = performance.now();
    await send(way, bench);
    const placedMs = performance.now();
    if (operator !== undefined) await untilQuiet(operator);
    const quietMs = performance.now() - (operator === undefined ? 0 : 3_000);
    const after = cpuOf(bench, way === "kube_scheduler");
    const per1000 = (name: keyof typeof before) => ((after[name] - before[name]) / PODS_A_RUN) * 1_000;
    const writes = operator === undefined ? new Map<string, number>() : await writesOf(operator);
    return {
      perSecond: PODS_A_RUN / ((placedMs - startMs) / 1_000),
      cpu: { apiserver: per1000("apiserver"), etcd: per1000("etcd"), scheduler: per1000("scheduler") },
      backlogS: operator === undefined ? 0 : Math.max(0, quietMs - placedMs) / 1_000,
      writes: Object.fromEntries([...writes].map(([kind, n]) => [kind, (n - (written.get(kind) ?? 0)) / PODS_A_RUN])),
    };
  } finally {
    await bench.stop();
  }
}

async function send(way: Way, bench: BenchCluster): Promise<void> {
  const { client, nodes } = bench;
  switch (way) {
    case "limit":
      return client.createAll(PODS, PODS_A_RUN, (i) => podBody(i, nodes[i % nodes.length]));
    case "kube_scheduler":
      await client.createAll(PODS, PODS_A_RUN, (i) => podBody(i, undefined));
      return untilBound(bench);
    case "objects":
      await client.createAll(TASKS, PODS_A_RUN, (i) => taskBody(i, "batch", 1));
      return untilPods(bench, PODS_A_RUN);
    case "objects_array":
      await client.createAll(TASKS, 10, (i) => taskBody(i, "batch", PODS_A_RUN / 10));
      return untilPods(bench, PODS_A_RUN);
  }
}

function figures(runs: Record<Way, Run[]>): Figure[] {
  const rate = (way: Way) => median(runs[way].map(({ perSecond }) => perSecond));
  const cpu = (way: Way) => median(runs[way].map((run) => run.cpu.apiserver + run.cpu.etcd + run.cpu.scheduler));
  const reference = rate("kube_scheduler");
  const targets: Partial<Record<Way, string>> = {
    objects: "≥ 1.2 × kube-scheduler",
    objects_array: "≥ 2.5 × kube-scheduler",
  };
  const rates = (Object.keys(runs) as Way[]).map(
    (way): Figure => ({
      name: `${way}_tasks_per_s`,
      value: rate(way),
      unit: "pods/s",
      ...(targets[way] === undefined ? {} : { target: targets[way] }),
      reference,
      ratio: rate(way) / reference,
      details: {
        runs: runs[way].map(({ perSecond }) => Math.round(perSecond)),
        backlogS: median(runs[way].map(({ backlogS }) => backlogS)),
        writesAPod: runs[way].at(-1)!.writes,
        cpuS: {
          apiserver: median(runs[way].map((run) => run.cpu.apiserver)),
          etcd: median(runs[way].map((run) => run.cpu.etcd)),
          scheduler: median(runs[way].map((run) => run.cpu.scheduler)),
        },
      },
    }),
  );
  const cpus = (Object.keys(runs) as Way[]).map(
    (way): Figure => ({
      name: `${way}_cpu_s_per_1000`,
      value: cpu(way),
      unit: "CPU s per 1,000 pods",
      ...(way === "objects_array" ? { target: "≤ 0.4 × kube-scheduler" } : {}),
      reference: cpu("kube_scheduler"),
      ratio: cpu(way) / cpu("kube_scheduler"),
    }),
  );
  return [...rates, ...cpus];
}
