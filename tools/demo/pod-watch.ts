/** Every event of every pod, from one place in the API server's history on, without a hole. */
import { setTimeout as delay } from "node:timers/promises";
import { Agent } from "undici";
import { JsonLines } from "../../src/controller/kube/json-lines.ts";
import type { Json } from "../cluster/api-client.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { type PodEvent, seenPod } from "./watch.ts";

const PODS = "/api/v1/pods";
const RETRY_MS = 200;

export class PodWatch {
  readonly #cluster: Cluster;
  readonly #onEvent: (event: PodEvent) => void;
  readonly #agent: Agent;
  readonly #stop = new AbortController();
  #version = "";
  #hole: string | undefined;

  constructor(cluster: Cluster, onEvent: (event: PodEvent) => void) {
    this.#cluster = cluster;
    this.#onEvent = onEvent;
    this.#agent = new Agent({ allowH2: false, connect: { ca: cluster.ca }, headersTimeout: 0, bodyTimeout: 0 });
  }

  /** Why events may be missing; undefined as long as none is. */
  get hole(): string | undefined {
    return this.#hole;
  }

  /** Takes what is there, and from then on everything that happens. */
  async start(): Promise<void> {
    const list = await this.#cluster.api.get(PODS);
    this.#version = list.metadata.resourceVersion;
    for (const pod of list.items) this.#onEvent({ type: "ADDED", pod: seenPod(pod) });
    void this.#follow();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#agent.destroy();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted && this.#hole === undefined) {
      try {
        await this.#watchOnce(signal);
      } catch {
        // The connection broke. What happens meanwhile is in the history: we go on where we were.
      }
      if (!signal.aborted) await delay(RETRY_MS);
    }
  }

  async #watchOnce(signal: AbortSignal): Promise<void> {
    const { url, adminToken } = this.#cluster;
    const { body, statusCode } = await this.#agent.request({
      origin: url,
      path: `${PODS}?watch=1&allowWatchBookmarks=true&resourceVersion=${this.#version}`,
      method: "GET",
      headers: { authorization: `Bearer ${adminToken}`, accept: "application/json" },
      signal,
    });
    if (statusCode === 410) this.#hole = "the API server no longer has the history since the watch broke";
    const lines = new JsonLines((line) => this.#take(line));
    for await (const chunk of body) if (statusCode === 200) lines.push(chunk);
  }

  #take({ type, object }: Json): void {
    if (type === "ERROR") {
      if (object.code === 410) this.#hole = "the API server no longer has the history since the watch broke";
      throw new Error(object.message);
    }
    this.#version = object.metadata.resourceVersion;
    if (type !== "BOOKMARK") this.#onEvent({ type, pod: seenPod(object) });
  }
}
