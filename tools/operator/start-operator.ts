import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { NODE_FLAGS } from "../build.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { freePorts } from "../cluster/ports.ts";
import { cpuSeconds, rssBytes } from "../cluster/process-info.ts";
import { spawnTied } from "../cluster/tie-to-life.ts";
import { waitFor } from "../cluster/wait.ts";
import { RELEASE } from "./install-chart.ts";

const MAIN = new URL("../../src/main.ts", import.meta.url).pathname;

export interface OperatorOptions {
  /** Added to the command line, after what the fixture sets itself. */
  readonly args?: readonly string[];
  /** Part of the log file's name. */
  readonly name?: string;
  /** The program to run with Node.js; the sources by default. */
  readonly program?: string;
}

/** An operator that runs as a process of its own, as the chart's ServiceAccount. */
export interface OperatorProcess {
  readonly pid: number;
  /** Of its HTTP server, on the loopback address. */
  readonly url: string;
  readonly logFile: string;
  /** True until it has ended. */
  running(): boolean;
  /** The log so far: one object a line. */
  log(): Record<string, unknown>[];
  /** SIGTERM, and waits for the end. Returns the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL, and waits for the end. */
  kill(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  cpuSeconds(): number;
  rssBytes(): number;
}

// A cluster that is left running is looked at for a day.
const TOKEN_SECONDS = 24 * 3600;

let started = 0;

/** How to run an operator on a cluster, and where it will be found. */
export interface OperatorCommand {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Of its HTTP server, on the loopback address. */
  readonly url: string;
  readonly logFile: string;
}

/** The command line of an operator with the rights of the chart's ServiceAccount; `port` is any free one unless given. */
export async function operatorCommand(
  cluster: Cluster,
  options: OperatorOptions & { readonly port?: number } = {},
): Promise<OperatorCommand> {
  const name = options.name ?? `operator-${started++}`;
  const kubeconfig = await cluster.serviceAccountKubeconfig(RELEASE.namespace, RELEASE.name, {
    expirationSeconds: TOKEN_SECONDS,
  });
  const port = options.port ?? (await freePorts(1))[0];
  const own = [
    "--kubeconfig",
    kubeconfig,
    "--namespace",
    RELEASE.namespace,
    "--http-host",
    "127.0.0.1",
    "--http-port",
    `${port}`,
  ];
  return {
    name,
    command: process.execPath,
    args: [...NODE_FLAGS, options.program ?? MAIN, "run", ...own, ...(options.args ?? [])],
    url: `http://127.0.0.1:${port}`,
    logFile: join(cluster.dir, `${name}.log`),
  };
}

/** Starts an operator and waits until it serves `/healthz`. Throws, with the end of its log, when it ends before. */
export async function startOperator(cluster: Cluster, options: OperatorOptions = {}): Promise<OperatorProcess> {
  const { command, args, url, logFile } = await operatorCommand(cluster, options);
  const out = openSync(logFile, "a");
  const child = spawnTied(command, args, { stdio: ["ignore", out, out] });
  closeSync(out);
  const operator = handle(child, url, logFile);
  const state = await waitFor("the operator serves /healthz", async () => {
    if (!operator.running()) return "ended";
    return fetch(`${operator.url}/healthz`).then(
      (answer) => answer.ok,
      () => false,
    );
  });
  if (state === "ended") throw new Error(`the operator ended:\n${readFileSync(logFile, "utf8").slice(-2000)}`);
  return operator;
}

function handle(child: ChildProcess, url: string, logFile: string): OperatorProcess {
  const pid = child.pid!;
  const running = () => child.exitCode === null && child.signalCode === null;
  const end = async (signal: NodeJS.Signals) => {
    if (!running()) return child.exitCode;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
    return child.exitCode;
  };
  return {
    pid,
    url,
    logFile,
    running,
    log: () =>
      readFileSync(logFile, "utf8")
        .split("\n")
        .filter((line) => line.startsWith("{"))
        .map((line) => JSON.parse(line)),
    stop: () => end("SIGTERM"),
    kill: async () => void (await end("SIGKILL")),
    signal: (signal) => void child.kill(signal),
    cpuSeconds: () => cpuSeconds(pid),
    rssBytes: () => rssBytes(pid),
  };
}
