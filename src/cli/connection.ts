import { KubeClient } from "../controller/kube/client.ts";
import { type Clock, systemClock } from "../controller/kube/clock.ts";
import { type ClusterConfig, loadConfig } from "../controller/kube/config.ts";
import type { KubeconfigOverrides } from "../controller/kube/overrides.ts";
import { HttpTransport } from "../controller/kube/transport.ts";
import { CliError } from "./errors.ts";
import type { Terminal } from "./terminal.ts";

/** The flags that say which cluster is meant, and as whom; named as kubectl's. */
export interface ConnectionFlags extends KubeconfigOverrides {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
}

/** All that a command works with. */
export interface Session {
  readonly transport: HttpTransport;
  readonly client: KubeClient;
  readonly cluster: ClusterConfig;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  /** The namespace that is meant. */
  readonly namespace: string;
  readonly terminal: Terminal;
}

/** The field manager of the program's writes. */
const PROGRAM = "kubectl-proffer";

/**
 * Finds the cluster as kubectl would, or from within a pod by its ServiceAccount.
 *
 * @throws CliError that says what is missing
 */
export async function connect(flags: ConnectionFlags, terminal: Terminal): Promise<Session> {
  const { kubeconfig, context, namespace, ...overrides } = flags;
  const cluster = await loadConfig({
    env: process.env,
    clock: systemClock,
    overrides,
    ...(kubeconfig !== undefined && { path: kubeconfig }),
    ...(context !== undefined && { context }),
  }).catch((error: Error) => {
    throw new CliError(`no way to a cluster: ${error.message}`);
  });
  const transport = new HttpTransport({
    config: cluster,
    clock: systemClock,
    random: Math.random,
    userAgent: PROGRAM,
    timeoutMs: 30_000,
  });
  return {
    transport,
    client: new KubeClient(transport, PROGRAM),
    cluster,
    clock: systemClock,
    random: Math.random,
    namespace: namespace ?? cluster.namespace,
    terminal,
  };
}
