import { createHash } from "node:crypto";
import { isAlreadyExists } from "./api-error.ts";
import type { KubeClient } from "./client.ts";
import type { Clock, TimerHandle } from "./clock.ts";
import { Fifo } from "./fifo.ts";
import { microTime } from "./micro-time.ts";
import { TokenBucket } from "./token-bucket.ts";
import type { RequestOptions } from "./transport.ts";

/** Something to tell people about an object, in `kubectl describe` and `kubectl events`. */
export interface Happening {
  readonly regarding: {
    readonly apiVersion: string;
    readonly kind: string;
    /** Absent: a cluster-wide object, whose events stand in `default`. */
    readonly namespace?: string;
    readonly name: string;
    readonly uid: string;
  };
  readonly type: "Normal" | "Warning";
  /** Why, in one CamelCase word. */
  readonly reason: string;
  /** What was done or tried, in one CamelCase word. */
  readonly action: string;
  /** For people; cut off at 1,000 bytes. */
  readonly note: string;
}

export interface EventRecorderOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  /** Who we are to the reader, such as `proffer.dev/operator`. */
  readonly reportingController: string;
  /** Which of us, such as the pod's name. */
  readonly reportingInstance: string;
  /** Asked before each send; on false the event is dropped. */
  readonly fence?: () => boolean;
  /** The same happening within so long after the last one is counted, not written anew. Default 10 min. */
  readonly windowMs?: number;
  /** A count is written at most so often. Default 30 s. */
  readonly countEveryMs?: number;
  /** Writes, over all objects. Default 5 a second, 25 at once. */
  readonly rate?: { readonly perSecond: number; readonly burst: number };
  /** Events that wait to be written; more are dropped. Default 100. */
  readonly maxWaiting?: number;
  /** Happenings remembered to count their repetitions. Default 4,096. */
  readonly maxRemembered?: number;
  readonly onDropped?: () => void;
}

interface Series {
  readonly key: string;
  readonly happening: Happening;
  readonly name: string;
  readonly firstTime: string;
  lastMs: number;
  lastTime: string;
  count: number;
  /** The count that the server knows; 0 before the event is created. */
  written: number;
  waiting: boolean;
  timer: TimerHandle | undefined;
}

// The API server refuses more than 1,024 bytes; a character cut in two may add two.
const maxNoteBytes = 1_000;
const maxInFlight = 4;
const requestOptions: RequestOptions = { priority: "low", retries: 0, timeoutMs: 5_000 };

/**
 * Writes Kubernetes Events (events.k8s.io/v1) without ever holding anything up: `record` returns at once, repetitions
 * become one counted series, and what exceeds the rate or what a slow API server leaves waiting is dropped. Events are
 * for people; nothing may depend on them.
 */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #bucket: TokenBucket;
  /** Least recently seen first. */
  readonly #series = new Map<string, Series>();
  readonly #waiting = new Fifo<Series>();
  #inFlight = 0;
  #timer: TimerHandle | undefined;
  #stopped = false;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    const rate = options.rate ?? { perSecond: 5, burst: 25 };
    this.#bucket = new TokenBucket(options.clock, rate.perSecond, rate.burst);
  }

  record(happening: Happening): void {
    if (this.#stopped) return;
    const { clock } = this.#options;
    const key = keyOf(happening);
    const known = this.#series.get(key);
    const nowMs = clock.monotonicMs();
    this.#series.delete(key);
    if (known === undefined || nowMs - known.lastMs >= (this.#options.windowMs ?? 600_000)) {
      if (known !== undefined) this.#forget(known);
      const series = this.#begin(key, happening);
      this.#remember(series);
      this.#enqueue(series);
      return;
    }
    known.count++;
    known.lastMs = nowMs;
    known.lastTime = microTime(clock.nowMs());
    this.#remember(known);
    this.#countLater(known);
  }

  /** Drops what waits. */
  stop(): void {
    this.#stopped = true;
    if (this.#timer !== undefined) this.#options.clock.clearTimeout(this.#timer);
    for (const series of this.#series.values()) this.#forget(series);
  }

  #begin(key: string, happening: Happening): Series {
    const { clock, random } = this.#options;
    const time = microTime(clock.nowMs());
    const suffix = `${Math.floor(clock.nowMs()).toString(16)}${Math.floor(random() * 2 ** 32).toString(16)}`;
    return {
      key,
      happening: { ...happening, note: Buffer.from(happening.note).subarray(0, maxNoteBytes).toString() },
      name: `${happening.regarding.name.slice(0, 230)}.${suffix}`,
      firstTime: time,
      lastMs: clock.monotonicMs(),
      lastTime: time,
      count: 1,
      written: 0,
      waiting: false,
      timer: undefined,
    };
  }

  #remember(series: Series): void {
    this.#series.set(series.key, series);
    if (this.#series.size <= (this.#options.maxRemembered ?? 4_096)) return;
    const [oldest] = this.#series.values();
    if (oldest !== undefined) this.#forget(oldest);
  }

  #forget(series: Series): void {
    if (series.timer !== undefined) this.#options.clock.clearTimeout(series.timer);
    series.timer = undefined;
    if (this.#series.get(series.key) === series) this.#series.delete(series.key);
  }

  #countLater(series: Series): void {
    if (series.written === 0 || series.waiting || series.timer !== undefined || this.#stopped) return;
    series.timer = this.#options.clock.setTimeout(() => {
      series.timer = undefined;
      this.#enqueue(series);
    }, this.#options.countEveryMs ?? 30_000);
  }

  #enqueue(series: Series): void {
    if (this.#waiting.length >= (this.#options.maxWaiting ?? 100)) {
      this.#drop(series);
      return;
    }
    series.waiting = true;
    this.#waiting.push(series);
    this.#pump();
  }

  #pump(): void {
    while (!this.#stopped && this.#inFlight < maxInFlight && this.#waiting.length > 0) {
      const waitMs = this.#bucket.take();
      if (waitMs > 0) {
        this.#timer ??= this.#options.clock.setTimeout(() => {
          this.#timer = undefined;
          this.#pump();
        }, waitMs);
        return;
      }
      const series = this.#waiting.shift();
      if (series !== undefined) void this.#send(series);
    }
  }

  async #send(series: Series): Promise<void> {
    this.#inFlight++;
    series.waiting = false;
    const { count } = series;
    try {
      if (series.written === 0) await this.#create(series);
      else await this.#count(series);
      series.written = count;
      if (series.count > count) this.#countLater(series);
    } catch {
      // Refused, expired (events live for an hour) or unanswered: the next of its kind begins anew.
      this.#drop(series);
    } finally {
      this.#inFlight--;
      this.#pump();
    }
  }

  async #create(series: Series): Promise<void> {
    const { client, reportingController, reportingInstance } = this.#options;
    const { regarding, type, reason, action, note } = series.happening;
    const namespace = regarding.namespace ?? "default";
    const event = {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { name: series.name, namespace },
      eventTime: series.firstTime,
      ...(series.count > 1 && { series: seriesOf(series) }),
      ...{ regarding, type, reason, action, note, reportingController, reportingInstance },
    };
    try {
      await client.create({ ...events, namespace }, event, this.#requestOptions());
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  }

  async #count(series: Series): Promise<void> {
    const { client } = this.#options;
    const namespace = series.happening.regarding.namespace ?? "default";
    await client.mergePatch(
      { ...events, namespace, name: series.name },
      { series: seriesOf(series) },
      this.#requestOptions(),
    );
  }

  #requestOptions(): RequestOptions {
    const { fence } = this.#options;
    return fence === undefined ? requestOptions : { ...requestOptions, fence };
  }

  #drop(series: Series): void {
    this.#forget(series);
    this.#options.onDropped?.();
  }
}

const events = { group: "events.k8s.io", version: "v1", plural: "events" };

function seriesOf({ count, lastTime }: Series): { count: number; lastObservedTime: string } {
  return { count, lastObservedTime: lastTime };
}

function keyOf({ regarding, type, reason, action, note }: Happening): string {
  const noteHash = createHash("sha256").update(note).digest("base64").slice(0, 16);
  return [regarding.uid, type, reason, action, noteHash].join("|");
}
