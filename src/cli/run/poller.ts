import { type Clock, sleep } from "../../controller/kube/clock.ts";
import { keyOf, listAll, type Selection, type WatchedObject } from "../../controller/kube/list-watch.ts";
import { type CacheEntry, ObjectCache } from "../../controller/kube/object-cache.ts";
import type { ReflectorEvent } from "../../controller/kube/reflector.ts";
import type { Transport } from "../../controller/kube/transport.ts";

export interface PollerOptions<T> extends Selection {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly everyMs: number;
  readonly project: (object: WatchedObject) => T | undefined;
  readonly onEvent: (event: ReflectorEvent<T>) => void;
}

/** What a Reflector does, for those who may list and not watch: lists again and again, and tells what is different. */
export class Poller<T> {
  readonly #options: PollerOptions<T>;
  readonly #cache: ObjectCache<T>;
  readonly #stop = new AbortController();

  constructor(options: PollerOptions<T>) {
    this.#options = options;
    this.#cache = new ObjectCache<T>(true, (change) => options.onEvent(change));
  }

  get(key: string): CacheEntry<T> | undefined {
    return this.#cache.get(key);
  }

  /** Runs until `stop`; what fails is told, and tried again. */
  async start(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#look();
      await sleep(this.#options.clock, this.#options.everyMs, this.#stop.signal);
    }
  }

  stop(): void {
    this.#stop.abort();
  }

  /** One list that begins now. Resolves false if it cannot be had. */
  resync(): Promise<boolean> {
    return this.#look();
  }

  async #look(): Promise<boolean> {
    const { transport, project, onEvent } = this.#options;
    const { signal } = this.#stop;
    const listed = new Map<string, CacheEntry<T>>();
    try {
      const resourceVersion = await listAll(transport, this.#options, signal, (items, isFirst) => {
        if (isFirst) listed.clear();
        for (const item of items) {
          const { uid, resourceVersion: version } = item.metadata;
          listed.set(keyOf(item), { uid, resourceVersion: version, object: project(item) });
        }
      });
      if (signal.aborted) return false;
      this.#cache.replaceAll(listed);
      onEvent({ type: "synced", resourceVersion });
      return true;
    } catch (error) {
      if (!signal.aborted) onEvent({ type: "error", error });
      return false;
    }
  }
}
