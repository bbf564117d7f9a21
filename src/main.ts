#!/usr/bin/env node
import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { hostname } from "node:os";
import { Command } from "commander";
import packageJson from "../package.json" with { type: "json" };
import { FIELD_MANAGER } from "./api/labels.ts";
import { type Config, ConfigError, configOf, withConfigOptions } from "./controller/config.ts";
import { KubeClient } from "./controller/kube/client.ts";
import { systemClock } from "./controller/kube/clock.ts";
import { type ClusterConfig, loadConfig } from "./controller/kube/config.ts";
import { EventRecorder } from "./controller/kube/events.ts";
import { LeaderElector, processIdentity } from "./controller/kube/leader-election.ts";
import { HttpTransport, type RequestRecord } from "./controller/kube/transport.ts";
import { troubleWith } from "./controller/kube/trouble.ts";
import { happeningOf } from "./controller/manifests/event.ts";
import { Operator } from "./controller/operator.ts";
import { preflight } from "./controller/preflight.ts";
import { releaseFinalizers } from "./controller/release-finalizers.ts";
import { SaidSeldom } from "./controller/said-seldom.ts";
import type { Logger } from "./controller/telemetry.ts";
import { World } from "./controller/world.ts";
import { binPack } from "./frameworks/placement/bin-pack.ts";
import { spread } from "./frameworks/placement/spread.ts";
import { Broker } from "./offers/broker.ts";
import { postOver, Reviews } from "./server/auth.ts";
import { createLogger } from "./server/logging.ts";
import { Metrics } from "./server/metrics.ts";
import { type RunningServer, startServer } from "./server/server.ts";

const clock = systemClock;
const random = Math.random;
const version = packageJson.version;

const placements = {
  BinPack: { score: binPack, rotate: false },
  Spread: { score: spread, rotate: true },
};

/** What everything that talks to the API server is made of. */
interface Connection {
  readonly cluster: ClusterConfig;
  readonly transport: HttpTransport;
  readonly client: KubeClient;
  readonly namespace: string;
  readonly identity: string;
}

async function connect(config: Config, onRequest?: (record: RequestRecord) => void): Promise<Connection> {
  const cluster = await loadConfig({
    env: process.env,
    clock,
    ...(config.kubeconfig !== undefined && { path: config.kubeconfig }),
    ...(config.context !== undefined && { context: config.context }),
  }).catch((error: Error) => {
    throw new ConfigError(`no way to the API server: ${error.message}; name a kubeconfig with --kubeconfig`);
  });
  const transport = new HttpTransport({
    config: cluster,
    clock,
    random,
    userAgent: `proffer/${version}`,
    connections: config.connections,
    timeoutMs: config.requestTimeoutSeconds * 1_000,
    ...(onRequest && { onRequest }),
  });
  return {
    cluster,
    transport,
    client: new KubeClient(transport, FIELD_MANAGER),
    namespace: config.namespace ?? process.env.POD_NAMESPACE ?? cluster.namespace,
    identity: processIdentity(process.env.POD_NAME ?? hostname(), randomUUID()),
  };
}

async function run(config: Config): Promise<void> {
  const log = createLogger({ level: config.logLevel, nowMs: clock.nowMs });
  let operator: Operator | undefined;
  let elector: LeaderElector | undefined;
  const metrics = new Metrics({
    version,
    nodeVersion: process.version,
    views: () => operator?.broker,
    nowMs: clock.nowMs,
  });
  const connection = await connect(config, (record) => metrics.apiRequest(record));
  const { transport, client, cluster } = connection;
  const stop = stopSignal(log);
  const server = await serve(config, connection, log, metrics, {
    standing: () => operator?.standing ?? { role: "starting" },
    holder: () => elector?.holder || undefined,
    broker: () => operator?.broker,
    taskUid: (key) => world.taskUid(key),
  });
  const world = new World({ transport, client, clock, random, log, nodes: { selector: config.nodeSelector } });
  log.info({ version, server: cluster.server, port: server.port, namespace: connection.namespace }, "proffer starts");
  if (await preflight({ transport, client, clock, log, server: cluster.server, signal: stop })) {
    const recorder = createRecorder(connection, () => elector?.isLeader() ?? false);
    operator = createOperator(config, connection, log, metrics, world, recorder);
    elector = createElector(config, connection, log, operator);
    const elections = elector.start();
    // What is listed after the lease was won is new enough to begin with: a second list of everything is saved.
    await Promise.race([elector.looked, elections, untilAborted(stop)]);
    const worldRuns = world.run();
    await Promise.race([untilAborted(stop), worldRuns, elections]);
    recorder.stop();
    await operator.close();
    await elector.stop();
    world.stop();
  }
  await server.close();
  await transport.close();
  log.info({}, "proffer has ended");
}

function createOperator(
  config: Config,
  { client, namespace }: Connection,
  log: Logger,
  telemetry: Metrics,
  world: World,
  recorder: EventRecorder,
): Operator {
  const inputs = config.recordFile === undefined ? undefined : createWriteStream(config.recordFile, { flags: "a" });
  return new Operator({
    world,
    client,
    clock,
    random,
    log,
    telemetry,
    createBroker: (term) =>
      new Broker({
        term,
        placements,
        roundMinIntervalMs: config.roundMinIntervalMs,
        holdAfterMs: config.holdAfterSeconds * 1_000,
        top: {
          order: config.topOrder,
          ...(config.topFairResource !== undefined && { fairResource: config.topFairResource }),
        },
        headroom: config.nodeHeadroom,
      }),
    tell: (event) => recorder.record(happeningOf(event)),
    settings: {
      namespace,
      requireAdmissionPolicy: config.requireAdmissionPolicy,
      nodeSettleMs: config.nodeSettleSeconds * 1_000,
      statusDebounceMs: config.statusDebounceMs,
      ...(inputs && { record: (line: string) => inputs.write(`${line}\n`) }),
    },
  });
}

function createRecorder({ client, identity }: Connection, fence: () => boolean): EventRecorder {
  const reportingInstance = identity.slice(0, 128);
  return new EventRecorder({
    client,
    clock,
    random,
    reportingController: "proffer.dev/operator",
    reportingInstance,
    fence,
  });
}

function createElector(config: Config, connection: Connection, log: Logger, operator: Operator): LeaderElector {
  const seldom = new SaidSeldom(clock);
  const elector: LeaderElector = new LeaderElector({
    client: connection.client,
    clock,
    random,
    namespace: connection.namespace,
    name: config.leaseName,
    identity: connection.identity,
    leaseMs: config.leaseSeconds * 1_000,
    renewDeadlineMs: config.renewDeadlineSeconds * 1_000,
    retryMs: config.retrySeconds * 1_000,
    requestTimeoutMs: config.requestTimeoutSeconds * 1_000,
    onAcquired: (term) => operator.acquired(term, elector.fence()),
    onLost: (reason) => operator.lost(reason),
    onDoubt: (doubt) => operator.doubted(doubt),
    onError: (error) => {
      const trouble = troubleWith(connection.cluster.server, error);
      const line = `the lease could not be had or renewed${trouble === undefined ? "" : `: ${trouble}`}; trying again`;
      const fields = { lease: config.leaseName, ...(trouble === undefined && { err: error }) };
      if (seldom.isNews("lease", `${line}${error}`)) log.warn(fields, line);
    },
  });
  return elector;
}

interface ServedState {
  readonly standing: () => Operator["standing"];
  readonly holder: () => string | undefined;
  readonly broker: () => Operator["broker"];
  readonly taskUid: (key: string) => string | undefined;
}

function serve(
  config: Config,
  { transport }: Connection,
  log: Logger,
  metrics: Metrics,
  state: ServedState,
): Promise<RunningServer> {
  const auth = new Reviews({
    post: postOver(transport),
    monotonicMs: clock.monotonicMs,
    audience: config.audience,
    onFailure: (error) => log.warn({ err: error }, "a caller could not be checked"),
  });
  return startServer({
    host: config.httpHost,
    port: config.httpPort,
    log,
    auth,
    metrics,
    metricsAuth: config.metricsAuth,
    clock,
    standing: () => {
      const standing = state.standing();
      return standing.role === "standby" ? { role: "standby", leader: state.holder() } : standing;
    },
    explain: () => {
      const broker = state.broker();
      if (broker === undefined) return undefined;
      return {
        taskUid: state.taskUid,
        taskView: (uid) => broker.taskView(uid),
        explainTask: (uid) => broker.explainTask(uid),
        outlookOfTask: (uid, explanation, nowMs) => broker.outlookOfTask(uid, explanation, nowMs),
        frameworkView: (key) => broker.frameworkView(key),
        queueView: (name) => broker.queueView(name),
      };
    },
  }).catch((error: Error) => {
    throw new ConfigError(error.message);
  });
}

/** Aborts at the first SIGTERM or SIGINT; a second one ends the process at once. */
function stopSignal(log: Logger): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(1);
      log.info({ signal }, "ending");
      stop.abort();
    });
  }
  return stop.signal;
}

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

async function release(config: Config): Promise<void> {
  const log = createLogger({ level: config.logLevel, nowMs: clock.nowMs });
  const { client, cluster, namespace, identity, transport } = await connect(config);
  const { leaseName } = config;
  try {
    await releaseFinalizers({ client, clock, log, namespace, leaseName, identity: `release-finalizers_${identity}` });
  } catch (error) {
    const trouble = troubleWith(cluster.server, error);
    throw trouble === undefined ? error : new ConfigError(trouble);
  } finally {
    await transport.close();
  }
}

/** One line about what is wrong, for people; the stack only for what is our own mistake. */
function fail(error: unknown): never {
  const expected = error instanceof ConfigError || (error as Error).name === "ApiError";
  process.stderr.write(`proffer: ${expected ? (error as Error).message : ((error as Error).stack ?? String(error))}\n`);
  process.exit(1);
}

const program = new Command("proffer")
  .description("Two-level scheduling for Kubernetes: offers, answers, bound pods.")
  .version(version);
const command = (name: string, about: string, action: (config: Config) => Promise<void>): Command =>
  withConfigOptions(new Command(name).description(about))
    .showHelpAfterError("Run with --help to see every option.")
    .action((flags: Record<string, unknown>) => action(configOf(flags, process.env)));
const runCommand = command("run", "Run the operator (the default).", run);
program.addCommand(runCommand, { isDefault: true });
program.addCommand(
  command("release-finalizers", "Take Proffer's finalizer off all pods, before it is uninstalled.", release),
);
program.addHelpText("after", () => `\n${runCommand.helpInformation()}`);
process.on("unhandledRejection", fail);
await program.parseAsync().catch(fail);
