/** Everything that must be there before the first task: control plane, nodes, operator, referee, tenants. */
import { supplyOf } from "../../src/frameworks/sdk/resources.ts";
import type { EmbeddedCluster } from "../cluster/embedded-cluster.ts";
import { logTail } from "../cluster/log-tail.ts";
import { isFree } from "../cluster/ports.ts";
import { duration, type Progress } from "../cluster/progress.ts";
import { startEmbedded } from "../cluster/start-cluster.ts";
import { waitFor } from "../cluster/wait.ts";
import { installChart } from "../operator/install-chart.ts";
import { operatorCommand } from "../operator/start-operator.ts";
import { type DemoFramework, FRAMEWORKS, QUEUES } from "./cast.ts";
import { PodWatch } from "./pod-watch.ts";
import { Readings } from "./readings.ts";
import { type Machine, nodeShapeOf, sumOf } from "./shapes.ts";
import { admit, createWatcher, declareQueues, WATCHER } from "./tenants.ts";
import { Referee } from "./watch.ts";

/** The cluster's name, for `npm run cluster`. */
export const NAME = "demo";

const TOKEN_SECONDS = 24 * 3600;
const READY_MS = 120_000;

export interface Stage {
  readonly cluster: EmbeddedCluster;
  readonly operatorUrl: string;
  readonly readings: Readings;
  readonly referee: Referee;
  readonly watch: PodWatch;
  /** What went wrong beside the show: programs that ended and should not have. */
  readonly failures: string[];
}

/** @throws Error when somebody listens there already */
export async function refuseTakenPort(port: number | undefined): Promise<void> {
  if (port === undefined || (await isFree(port))) return;
  throw new Error(`port ${port} is taken: name another with --port, or leave it out`);
}

/** Starts the control plane; the rest is `setStage`, so that whoever is interrupted can stop what is there. */
export async function startControlPlane(progress: Progress): Promise<EmbeddedCluster> {
  const startedAt = performance.now();
  const cluster = await startEmbedded({ name: NAME, kwok: true, progress });
  progress.done(`control plane ready after ${duration(performance.now() - startedAt)}: ${cluster.url}`);
  return cluster;
}

export async function setStage(
  cluster: EmbeddedCluster,
  machines: readonly Machine[],
  port: number | undefined,
  progress: Progress,
): Promise<Stage> {
  const { api } = cluster;
  progress.update("installing the chart with helm, creating nodes");
  await Promise.all([installChart(cluster), cluster.addNodes(machines.map(nodeShapeOf), { progress })]);
  progress.done("chart installed with helm: definitions, roles, admission policies");
  const failures: string[] = [];
  const operatorUrl = await runOperator(cluster, port, failures);
  await createWatcher(api);
  const token = await cluster.requestToken(WATCHER.namespace, WATCHER.name, { expirationSeconds: TOKEN_SECONDS });
  const nodes = (await api.get("/api/v1/nodes")).items;
  const referee = new Referee(
    new Map(nodes.map(({ metadata, status }: (typeof nodes)[0]) => [metadata.name, supplyOf(status.allocatable)])),
  );
  const watch = new PodWatch(cluster, (event) => referee.apply(event));
  await watch.start();
  await declareQueues(api, QUEUES, sumOf(machines));
  for (const { name } of FRAMEWORKS) await admit(api, name);
  progress.done(`operator leads: ${operatorUrl}`);
  progress.done(`queues ${QUEUES.map(({ name }) => name).join(", ")}; tenants ${FRAMEWORKS.map(describe).join(", ")}`);
  return { cluster, operatorUrl, readings: new Readings(operatorUrl, token), referee, watch, failures };
}

const describe = ({ name, kind }: DemoFramework): string => `${name} (${kind})`;

/** The operator is a program of the cluster's supervisor: it lives as long as the cluster, however this process ends. */
async function runOperator(cluster: EmbeddedCluster, port: number | undefined, failures: string[]): Promise<string> {
  // The nodes are there already, and no DaemonSet pods come.
  const settle = ["--node-settle-seconds", "0"];
  // There is no standby to take over: on a busy laptop a lease that is lost for a moment would only confuse.
  const lease = ["--lease-seconds", "30", "--renew-deadline-seconds", "20"];
  const args = [...settle, ...lease];
  const operator = await operatorCommand(cluster, { name: "operator", args, ...(port === undefined ? {} : { port }) });
  const { name, command, logFile, url } = operator;
  await cluster.runProgram({ name, command, args: operator.args, logFile }, (how) =>
    failures.push(`the operator ended with ${how}; its log ends so:\n${logTail(logFile)}`),
  );
  const ready = async () => {
    if (failures.length > 0) return true;
    const answer = await fetch(`${url}/readyz`, { headers: { accept: "application/json" } });
    return ((await answer.json()) as { status: string }).status === "leader";
  };
  await waitFor("the operator to lead", ready, { timeoutMs: READY_MS }).catch((error: Error) => {
    throw new Error(`${error.message}; its log ends so:\n${logTail(logFile)}`);
  });
  if (failures.length > 0) throw new Error(failures[0]);
  return url;
}
