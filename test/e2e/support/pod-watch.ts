/** Every pod there ever was, in the order in which the API server tells of them. */
import { request } from "node:https";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { KubeConfig } from "@kubernetes/client-node";
import { parseRequests } from "../../../src/offers/quantity.ts";
import type { Json } from "../../../tools/cluster/api-client.ts";
import type { Cluster } from "../../../tools/cluster/cluster.ts";
import { waitFor } from "../../../tools/cluster/wait.ts";

/** One pod, as it was seen last, with what it was on its way. */
export interface SeenPod {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly node: string;
  /** Of the Task that it belongs to; empty for others. */
  readonly taskUid: string;
  readonly task: string;
  readonly index: number;
  readonly attempt: number;
  readonly queue: string;
  readonly framework: string;
  /** In canonical units, the pod itself as `pods: 1`. */
  readonly requests: Readonly<Record<string, number>>;
  /** Phases in the order in which they were seen. */
  readonly phases: string[];
  /** When it was first seen, by our clock. */
  readonly seenAtMs: number;
  /** The object as it was last. */
  object: Json;
  gone: boolean;
}

/** A step of history: from then on the pod takes room on its node (+1), or no more (−1). */
interface Step {
  readonly pod: SeenPod;
  readonly sign: 1 | -1;
}

const PODS = "/api/v1/pods";
const RECONNECT_MS = 50;

/**
 * Lists and watches all pods, also over an outage of the API server. Events of one watch come in the order of the
 * writes, so what is true after each of them was true in the cluster.
 */
export class PodWatch {
  readonly pods = new Map<string, SeenPod>();
  readonly #cluster: Cluster;
  readonly #config = new KubeConfig();
  readonly #steps: Step[] = [];
  readonly #stop = new AbortController();
  #resourceVersion = "";

  private constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#config.loadFromFile(cluster.kubeconfigPath);
  }

  static async start(cluster: Cluster): Promise<PodWatch> {
    const watch = new PodWatch(cluster);
    await watch.#list();
    void watch.#run();
    return watch;
  }

  stop(): void {
    this.#stop.abort();
  }

  /** Pods of a namespace that were ever there, first seen first; all that was written before the call is seen. */
  async in(namespace: string): Promise<SeenPod[]> {
    await this.caughtUp(namespace);
    return [...this.pods.values()].filter((pod) => pod.namespace === namespace);
  }

  /** Resolves when everything has been seen that is there now in a namespace. */
  async caughtUp(namespace: string): Promise<void> {
    const { items } = await this.#cluster.api.get(`/api/v1/namespaces/${namespace}/pods`);
    const has = ({ metadata }: Json) => {
      const known = this.pods.get(metadata.uid)?.object.metadata.resourceVersion;
      return known !== undefined && BigInt(known) >= BigInt(metadata.resourceVersion);
    };
    await waitFor("the watch to catch up", () => items.every(has));
  }

  /** The most that `weigh` ever came to, summed over the pods that held room at one time. */
  peak(weigh: (pod: SeenPod) => number): number {
    let [now, most] = [0, 0];
    for (const { pod, sign } of this.#steps) {
      now += sign * weigh(pod);
      most = Math.max(most, now);
    }
    return most;
  }

  /** The most that was ever requested on a node, of each resource. */
  peaksOn(node: string): Record<string, number> {
    const now: Record<string, number> = {};
    const most: Record<string, number> = {};
    for (const { pod, sign } of this.#steps) {
      if (pod.node !== node) continue;
      for (const [resource, amount] of Object.entries(pod.requests)) {
        now[resource] = (now[resource] ?? 0) + sign * amount;
        most[resource] = Math.max(most[resource] ?? 0, now[resource]);
      }
    }
    return most;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        if (this.#resourceVersion === "") await this.#list();
        await this.#watch();
      } catch {
        // The API server is away: it is asked again until it is back.
      }
      await delay(RECONNECT_MS);
    }
  }

  async #list(): Promise<void> {
    const list = await this.#cluster.api.get(PODS);
    const present = new Set<string>(list.items.map((pod: Json) => pod.metadata.uid));
    for (const pod of list.items) this.#observe(pod);
    for (const pod of this.pods.values()) if (!present.has(pod.uid)) this.#gone(pod);
    this.#resourceVersion = list.metadata.resourceVersion;
  }

  /** Until the connection ends. */
  async #watch(): Promise<void> {
    const options: Json = { headers: {} };
    await this.#config.applyToHTTPSOptions(options);
    const query = `watch=true&allowWatchBookmarks=true&resourceVersion=${this.#resourceVersion}`;
    const url = new URL(`${this.#config.getCurrentCluster()?.server}${PODS}?${query}`);
    await new Promise<void>((resolve, reject) => {
      const sent = request(url, { ...options, signal: this.#stop.signal }, (answer) => {
        const lines = createInterface(answer);
        lines.on("line", (line) => this.#event(JSON.parse(line)));
        lines.on("close", resolve);
        // A broken connection is told by both.
        lines.on("error", reject);
        answer.on("error", reject);
      });
      sent.on("error", reject);
      sent.end();
    });
  }

  #event({ type, object }: Json): void {
    if (type === "ERROR" || object.kind === "Status") {
      this.#resourceVersion = "";
      return;
    }
    this.#resourceVersion = object.metadata.resourceVersion;
    if (type === "BOOKMARK") return;
    const pod = this.#observe(object);
    if (type === "DELETED") this.#gone(pod);
  }

  #observe(object: Json): SeenPod {
    const { uid } = object.metadata;
    let pod = this.pods.get(uid);
    if (pod === undefined) {
      pod = seen(object);
      this.pods.set(uid, pod);
      this.#steps.push({ pod, sign: 1 });
    }
    const wasOver = isOver(pod.object);
    pod.object = object;
    const phase = object.status?.phase ?? "";
    if (pod.phases.at(-1) !== phase) pod.phases.push(phase);
    if (!wasOver && isOver(object) && !pod.gone) this.#steps.push({ pod, sign: -1 });
    return pod;
  }

  #gone(pod: SeenPod): void {
    if (pod.gone) return;
    pod.gone = true;
    if (!isOver(pod.object)) this.#steps.push({ pod, sign: -1 });
  }
}

function isOver(pod: Json): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

function seen(object: Json): SeenPod {
  const { uid, name, namespace, labels = {} } = object.metadata;
  const requests: Record<string, number> = { pods: 1 };
  for (const { resources } of object.spec.containers) {
    for (const [resource, amount] of Object.entries(parseRequests(resources?.requests))) {
      requests[resource] = (requests[resource] ?? 0) + amount;
    }
  }
  return {
    uid,
    name,
    namespace,
    node: object.spec.nodeName ?? "",
    taskUid: labels["proffer.dev/task-uid"] ?? "",
    task: labels["proffer.dev/task"] ?? "",
    index: Number(labels["proffer.dev/index"] ?? -1),
    attempt: Number(labels["proffer.dev/attempt"] ?? -1),
    queue: labels["proffer.dev/queue"] ?? "",
    framework: labels["proffer.dev/framework"] ?? "",
    requests,
    phases: [],
    seenAtMs: Date.now(),
    object: { status: {} },
    gone: false,
  };
}
