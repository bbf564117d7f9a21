import type { Cluster, ProcessName } from "../tools/cluster/cluster.ts";
import { parseShape, repeatShapes } from "../tools/cluster/node-shapes.ts";
import { startCluster } from "../tools/cluster/start-cluster.ts";
import { waitFor } from "../tools/cluster/wait.ts";
import { installChart } from "../tools/operator/install-chart.ts";
import { type OperatorProcess, startOperator } from "../tools/operator/start-operator.ts";
import { FastClient, PODS } from "./fast-client.ts";

/** A control plane with nodes and no kubelets: pods stay where they are bound and nobody else writes. */
export interface BenchCluster {
  readonly cluster: Cluster;
  readonly client: FastClient;
  readonly nodes: readonly string[];
  readonly operators: OperatorProcess[];
  startOperator(): Promise<OperatorProcess>;
  stop(): Promise<void>;
}

export interface BenchClusterOptions {
  readonly nodes: number;
  readonly scheduler?: boolean;
  /** The operator's program, built once; the chart is installed where it is given. */
  readonly program?: string;
}

export async function startBenchCluster({
  nodes,
  scheduler = false,
  program,
}: BenchClusterOptions): Promise<BenchCluster> {
  const cluster = await startCluster({
    kwok: false,
    ...(scheduler ? { scheduler: { qps: 5000, burst: 10_000 } } : {}),
  });
  const names = await cluster.addNodes(repeatShapes([parseShape("cpu=32,memory=128Gi,pods=250")], nodes));
  const client = new FastClient(cluster);
  const operators: OperatorProcess[] = [];
  if (program !== undefined) await installChart(cluster);
  return {
    cluster,
    client,
    nodes: names,
    operators,
    async startOperator() {
      const args = ["--metrics-auth", "false", "--node-settle-seconds", "0"];
      const operator = await startOperator(cluster, { program: program!, args });
      operators.push(operator);
      return operator;
    },
    async stop() {
      await client.close();
      for (const operator of operators) await operator.kill();
      await cluster.stop();
    },
  };
}

/** How many pods there are; the count of one page costs the API server little. */
export async function podCount({ cluster }: BenchCluster): Promise<number> {
  const list = await cluster.api.get(`${PODS}?limit=1`);
  return list.items.length + (list.metadata.remainingItemCount ?? 0);
}

export async function untilPods(bench: BenchCluster, count: number, timeoutMs = 600_000): Promise<void> {
  await waitFor(`${count} pods`, async () => (await podCount(bench)) >= count, { everyMs: 100, timeoutMs });
}

/** Until no pod is without a node. */
export async function untilBound({ cluster }: BenchCluster, timeoutMs = 600_000): Promise<void> {
  const unbound = `${PODS}?limit=1&fieldSelector=spec.nodeName%3D`;
  const none = async () => (await cluster.api.get(unbound)).items.length === 0;
  await waitFor("every pod is bound", none, { everyMs: 200, timeoutMs });
}

/** Writes that an operator has sent so far, by its own count; the lease's renewals left out. */
export async function writesOf(operator: OperatorProcess): Promise<Map<string, number>> {
  const text = await (await fetch(`${operator.url}/metrics`)).text();
  const writes = new Map<string, number>();
  for (const [, labels, value] of text.matchAll(/^proffer_api_requests_total\{(.*)\} (\S+)$/gm)) {
    const label = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(labels!)?.[1] ?? "";
    if (!["create", "update", "patch", "delete", "POST", "PUT", "PATCH", "DELETE"].includes(label("verb"))) continue;
    if (label("resource").startsWith("leases")) continue;
    const kind = `${label("verb").toLowerCase()} ${label("resource")}`;
    writes.set(kind, (writes.get(kind) ?? 0) + Number(value));
  }
  return writes;
}

export const sumOf = (counts: Map<string, number>): number => [...counts.values()].reduce((a, b) => a + b, 0);

/** Waits until an operator has written nothing for so long. */
export async function untilQuiet(operator: OperatorProcess, quietMs = 3_000, timeoutMs = 300_000): Promise<void> {
  let last = -1;
  let since = performance.now();
  const quiet = async () => {
    const now = sumOf(await writesOf(operator));
    if (now !== last) since = performance.now();
    last = now;
    return performance.now() - since >= quietMs;
  };
  await waitFor("the operator is quiet", quiet, { everyMs: 250, timeoutMs });
}

/** CPU seconds used so far by each process of a scheduling system. */
export function cpuOf(
  { cluster, operators }: BenchCluster,
  scheduler: boolean,
): { apiserver: number; etcd: number; scheduler: number } {
  const seconds = (name: ProcessName) => cluster.cpuSeconds(name);
  const own = operators
    .filter((operator) => operator.running())
    .reduce((sum, operator) => sum + operator.cpuSeconds(), 0);
  return {
    apiserver: seconds("kube-apiserver"),
    etcd: seconds("etcd"),
    scheduler: scheduler ? seconds("kube-scheduler") : own,
  };
}
