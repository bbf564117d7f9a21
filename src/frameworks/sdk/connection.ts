import { KubeClient } from "../../controller/kube/client.ts";
import { type Clock, systemClock } from "../../controller/kube/clock.ts";
import { loadConfig } from "../../controller/kube/config.ts";
import { HttpTransport, type Transport } from "../../controller/kube/transport.ts";
import { troubleWith } from "../../controller/kube/trouble.ts";

/** A way to the API server, and who we are to it. */
export interface Connection {
  /** Address of the API server. */
  readonly server: string;
  readonly transport: Transport;
  readonly client: KubeClient;
  readonly clock: Clock;
  /** Numbers in [0, 1), for the jitter of retries. */
  readonly random: () => number;
  /** The namespace of the kubeconfig's context or of the pod. */
  readonly namespace: string;
  /** Our user name: what `answer.by` must say. */
  readonly username: string;
  close(): Promise<void>;
}

export interface ConnectOptions {
  /** Name of the program, for the server's logs and the field manager. */
  readonly program: string;
  /** A kubeconfig file. Absent: as kubectl finds one, or the pod's own ServiceAccount. */
  readonly kubeconfig?: string | undefined;
  /** A context of the kubeconfig instead of its current one. */
  readonly context?: string | undefined;
}

/**
 * Connects as kubectl would, and asks the server for our user name.
 *
 * @throws Error that says what is missing
 */
export async function connect({ program, kubeconfig, context }: ConnectOptions): Promise<Connection> {
  const clock = systemClock;
  const config = await loadConfig({
    env: process.env,
    clock,
    ...(kubeconfig === undefined ? {} : { path: kubeconfig }),
    ...(context === undefined ? {} : { context }),
  });
  const transport = new HttpTransport({ config, clock, random: Math.random, userAgent: program, timeoutMs: 10_000 });
  const client = new KubeClient(transport, program);
  try {
    const username = await whoAmI(client);
    const { server, namespace } = config;
    const close = () => transport.close();
    return { server, transport, client, clock, random: Math.random, namespace, username, close };
  } catch (error) {
    await transport.close();
    throw inWords(config.server, error);
  }
}

/** Our user name, from the server itself: it is what admission compares `answer.by` with. */
async function whoAmI(client: KubeClient): Promise<string> {
  const type = { group: "authentication.k8s.io", version: "v1", plural: "selfsubjectreviews" };
  const question = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
  const review = await client.create(type, question, { idempotent: true });
  return (review as unknown as { status: { userInfo: { username: string } } }).status.userInfo.username;
}

/** What came between us and the API server as an Error with one sentence; any other error as it is. */
export function inWords(server: string, error: unknown): unknown {
  const trouble = troubleWith(server, error);
  return trouble === undefined ? error : new Error(trouble, { cause: error });
}
