import { type BackoffLimits, backoffMs } from "./backoff.ts";
import type { Clock, TimerHandle } from "./clock.ts";
import { Fifo } from "./fifo.ts";
import { TokenBucket } from "./token-bucket.ts";

export interface LaneOptions<Lane extends string> {
  readonly name: Lane;
  /**
   * At most so many starts a second, `burst` at once. Default: no limit. With `whileBusy` the limit holds only while a
   * higher lane has begun something within `quietMs`, and nothing waits longer than `patienceMs`: what can wait does not
   * slow down what cannot, and still comes to an end.
   */
  readonly rate?: {
    readonly perSecond: number;
    readonly burst: number;
    readonly whileBusy?: { readonly quietMs: number; readonly patienceMs: number };
  };
  /** At most so many of the queue's workers. Default: all of them. */
  readonly concurrency?: number;
}

/** When to come back even if nothing happens. */
export type Result = { readonly requeueAfterMs: number } | undefined;

/** One finished run, for metrics. */
export interface RunRecord<Lane extends string> {
  readonly lane: Lane;
  readonly waitedMs: number;
  readonly ranMs: number;
  readonly failed: boolean;
}

export interface WorkqueueOptions<Lane extends string> {
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  /** Highest first: a lower lane runs only what higher ones leave (launches before status writes). */
  readonly lanes: readonly LaneOptions<Lane>[];
  /** Keys handled at a time. */
  readonly concurrency: number;
  /** Brings the world of `key` to what it should be, whatever that is by now. A rejection means: again, after backoff. */
  readonly handle: (key: string, lane: Lane) => Promise<Result>;
  /** Between failed runs of one key. Default 50 ms to 60 s. */
  readonly backoff?: BackoffLimits;
  readonly onRun?: (record: RunRecord<Lane>) => void;
  /** A run failed; it will be repeated. */
  readonly onError?: (key: string, error: unknown, failures: number) => void;
}

interface LaneState<Lane extends string> {
  readonly name: Lane;
  readonly rank: number;
  readonly queue: Fifo<Item>;
  readonly bucket: TokenBucket | undefined;
  readonly whileBusy: { readonly quietMs: number; readonly patienceMs: number } | undefined;
  readonly concurrency: number;
  /** Runs when the bucket has its next token. */
  rateTimer: TimerHandle | undefined;
  depth: number;
  running: number;
  lastStartMs: number;
}

interface Item {
  readonly key: string;
  /** The lane it waits in. Entries of lanes it has left since are skipped when their turn comes. */
  queuedIn: number | undefined;
  queuedAtMs: number;
  running: boolean;
  /** Added while it ran: it runs once more, in this lane. */
  dirtyIn: number | undefined;
  failures: number;
  timer: { readonly handle: TimerHandle; readonly dueMs: number; readonly rank: number } | undefined;
}

/**
 * Keys to reconcile: each at most once in the queue and never twice at a time; after the last `add` of a key, a run of it
 * begins. Follows client-go's workqueue, with lanes of priority. Two kinds of work on one object are two keys.
 */
export class Workqueue<Lane extends string> {
  readonly #options: WorkqueueOptions<Lane>;
  readonly #clock: Clock;
  readonly #lanes: readonly LaneState<Lane>[];
  readonly #items = new Map<string, Item>();
  #running = 0;
  #stopped = false;
  #idle: (() => void)[] = [];

  constructor(options: WorkqueueOptions<Lane>) {
    this.#options = options;
    this.#clock = options.clock;
    this.#lanes = options.lanes.map(({ name, rate, concurrency }, rank) => ({
      name,
      rank,
      queue: new Fifo<Item>(),
      bucket: rate && new TokenBucket(options.clock, rate.perSecond, rate.burst),
      whileBusy: rate?.whileBusy,
      concurrency: concurrency ?? options.concurrency,
      rateTimer: undefined,
      depth: 0,
      running: 0,
      lastStartMs: Number.NEGATIVE_INFINITY,
    }));
  }

  /** Keys that wait in `lane`, those of `addAfter` aside. */
  depth(lane: Lane): number {
    return this.#lanes[this.#rankOf(lane)]?.depth ?? 0;
  }

  get running(): number {
    return this.#running;
  }

  /** A key in a lower lane moves up, one in a higher lane stays there. */
  add(key: string, lane: Lane): void {
    this.#add(key, this.#rankOf(lane));
    this.#pump();
  }

  /** `add`, but later. Of several for one key the earliest counts: its run will say when to come back. */
  addAfter(key: string, lane: Lane, delayMs: number): void {
    if (delayMs <= 0) this.add(key, lane);
    else this.#addAfter(key, this.#rankOf(lane), delayMs);
  }

  /** Resolves when nothing waits or runs, those of `addAfter` aside. */
  async drain(): Promise<void> {
    while (this.#running > 0 || (!this.#stopped && this.#lanes.some(({ depth }) => depth > 0))) {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
  }

  /** Starts nothing any more; resolves when what runs has ended. What waits is dropped, and so is what comes. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const { rateTimer } of this.#lanes) if (rateTimer !== undefined) this.#clock.clearTimeout(rateTimer);
    for (const { timer } of this.#items.values()) if (timer !== undefined) this.#clock.clearTimeout(timer.handle);
    await this.drain();
    this.#items.clear();
  }

  #rankOf(lane: Lane): number {
    return this.#options.lanes.findIndex(({ name }) => name === lane);
  }

  #add(key: string, rank: number): void {
    if (this.#stopped) return;
    const item = this.#item(key);
    if (item.running) {
      item.dirtyIn = Math.min(item.dirtyIn ?? rank, rank);
    } else if (item.queuedIn === undefined || rank < item.queuedIn) {
      if (item.queuedIn === undefined) item.queuedAtMs = this.#clock.monotonicMs();
      else this.#lanes[item.queuedIn]!.depth--;
      item.queuedIn = rank;
      this.#lanes[rank]!.depth++;
      this.#lanes[rank]!.queue.push(item);
    }
  }

  #addAfter(key: string, rank: number, delayMs: number): void {
    if (this.#stopped) return;
    const item = this.#item(key);
    const dueMs = this.#clock.monotonicMs() + delayMs;
    const earlier = item.timer;
    if (earlier !== undefined && earlier.dueMs <= dueMs && earlier.rank <= rank) return;
    if (earlier !== undefined) this.#clock.clearTimeout(earlier.handle);
    const due = { dueMs: Math.min(dueMs, earlier?.dueMs ?? dueMs), rank: Math.min(rank, earlier?.rank ?? rank) };
    const run = (): void => {
      item.timer = undefined;
      this.#add(key, due.rank);
      this.#pump();
    };
    item.timer = { ...due, handle: this.#clock.setTimeout(run, due.dueMs - this.#clock.monotonicMs()) };
  }

  #item(key: string): Item {
    let item = this.#items.get(key);
    if (item === undefined) {
      item = {
        key,
        queuedIn: undefined,
        queuedAtMs: 0,
        running: false,
        dirtyIn: undefined,
        failures: 0,
        timer: undefined,
      };
      this.#items.set(key, item);
    }
    return item;
  }

  #pump(): void {
    for (const lane of this.#lanes) {
      for (let item = this.#next(lane); item !== undefined; item = this.#next(lane)) {
        if (this.#stopped || this.#running >= this.#options.concurrency) return;
        if (lane.running >= lane.concurrency) break;
        const waitMs = this.#waitMs(lane, item);
        if (waitMs > 0) {
          lane.rateTimer ??= this.#clock.setTimeout(() => {
            lane.rateTimer = undefined;
            this.#pump();
          }, waitMs);
          break;
        }
        lane.queue.shift();
        void this.#run(item, lane);
      }
    }
  }

  /** How long the lane's rate keeps its next item back. */
  #waitMs(lane: LaneState<Lane>, item: Item): number {
    if (lane.bucket === undefined) return 0;
    if (lane.whileBusy === undefined) return lane.bucket.take();
    const nowMs = this.#clock.monotonicMs();
    const busySinceMs = Math.max(...this.#lanes.slice(0, lane.rank).map(({ lastStartMs }) => lastStartMs));
    const freeInMs =
      Math.min(busySinceMs + lane.whileBusy.quietMs, item.queuedAtMs + lane.whileBusy.patienceMs) - nowMs;
    return freeInMs <= 0 ? 0 : Math.min(lane.bucket.take(), freeInMs);
  }

  #next(lane: LaneState<Lane>): Item | undefined {
    for (let item = lane.queue.peek(); item !== undefined; item = lane.queue.peek()) {
      if (item.queuedIn === lane.rank) return item;
      lane.queue.shift();
    }
    return undefined;
  }

  async #run(item: Item, lane: LaneState<Lane>): Promise<void> {
    const startMs = this.#clock.monotonicMs();
    item.queuedIn = undefined;
    item.running = true;
    lane.depth--;
    lane.running++;
    lane.lastStartMs = startMs;
    this.#running++;
    let result: Result;
    let failed = false;
    try {
      // Not within the caller's `add`.
      await undefined;
      result = await this.#options.handle(item.key, lane.name);
      item.failures = 0;
    } catch (error) {
      failed = true;
      result = {
        requeueAfterMs: backoffMs(item.failures++, this.#options.backoff ?? defaultBackoff, this.#options.random),
      };
      this.#options.onError?.(item.key, error, item.failures);
    }
    item.running = false;
    lane.running--;
    this.#running--;
    const endMs = this.#clock.monotonicMs();
    this.#options.onRun?.({ lane: lane.name, waitedMs: startMs - item.queuedAtMs, ranMs: endMs - startMs, failed });
    this.#afterRun(item, lane.rank, result);
  }

  #afterRun(item: Item, rank: number, result: Result): void {
    const { dirtyIn } = item;
    item.dirtyIn = undefined;
    if (dirtyIn !== undefined) this.#add(item.key, dirtyIn);
    if (result !== undefined) this.#addAfter(item.key, rank, result.requeueAfterMs);
    if (item.queuedIn === undefined && item.timer === undefined && item.failures === 0) this.#items.delete(item.key);
    this.#pump();
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

const defaultBackoff = { baseMs: 50, maxMs: 60_000 };
