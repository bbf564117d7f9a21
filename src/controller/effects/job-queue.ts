import { ApiError, TransportError } from "../kube/api-error.ts";
import type { Clock } from "../kube/clock.ts";
import { Fifo } from "../kube/fifo.ts";
import { type Result, Workqueue } from "../kube/workqueue.ts";
import type { Logger, Telemetry } from "../telemetry.ts";

/** Launches, kills and offers; then the ends of offers; then statuses and finalizers, which can wait. */
export type Lane = "launch" | "close" | "status";

/** One write that is repeated until the world is as it should be. */
export interface Job {
  /** Jobs of one key run one after the other, in the order they came. */
  readonly key: string;
  readonly lane: Lane;
  /** For metrics. */
  readonly type: string;
  /** Throws what should be tried again after a while. */
  readonly run: () => Promise<JobEnd>;
}

/** `refused`: the server refused for good, and the broker has been told. */
export type JobEnd = "done" | "refused" | { readonly againAfterMs: number };

export interface JobQueueOptions {
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly telemetry: Telemetry;
  readonly log: Logger;
  /** Jobs under way at a time. Default 64; at most 24 of them close offers, at most 12 write statuses. */
  readonly concurrency?: number;
  /** Nothing of the status lane begins before `releaseStatuses`. */
  readonly holdStatuses?: boolean;
}

interface WaitingJob {
  readonly job: Job;
  /** When it was decided on: monotonic. */
  readonly sinceMs: number;
}

/** While pods are being launched statuses trickle: enough for Tasks of many instances, little for the API server. */
const statusRate = { perSecond: 20, burst: 20, whileBusy: { quietMs: 300, patienceMs: 5_000 } };

const backoff = { baseMs: 250, maxMs: 30_000 };

/**
 * Carries out effects, each until it is done. It belongs to one term: `stop` drops what waits, and what is under way finds
 * its fence down.
 */
export class JobQueue {
  readonly #options: JobQueueOptions;
  readonly #jobs = new Map<string, Fifo<WaitingJob>>();
  readonly #queue: Workqueue<Lane>;
  /** Keys of the status lane that wait for `releaseStatuses`. */
  #held: string[] | undefined;

  constructor(options: JobQueueOptions) {
    const { clock, random, telemetry, concurrency = 64 } = options;
    this.#options = options;
    if (options.holdStatuses) this.#held = [];
    this.#queue = new Workqueue<Lane>({
      clock,
      random,
      concurrency,
      backoff,
      lanes: [
        { name: "launch" },
        { name: "close", concurrency: 24 },
        { name: "status", concurrency: 12, rate: statusRate },
      ],
      handle: (key) => this.#handle(key),
      onRun: ({ lane }) => telemetry.queueDepth(lane, this.#queue.depth(lane)),
      onError: (key, error, failures) => this.#failed(key, error, failures),
    });
  }

  add(job: Job): void {
    const added: WaitingJob = { job, sinceMs: this.#options.clock.monotonicMs() };
    const waiting = this.#jobs.get(job.key);
    if (waiting !== undefined) {
      waiting.push(added);
      return;
    }
    const jobs = new Fifo<WaitingJob>();
    jobs.push(added);
    this.#jobs.set(job.key, jobs);
    this.#begin(job);
  }

  /** From now on statuses are written, those that wait first. */
  releaseStatuses(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const key of held) this.#queue.add(key, "status");
  }

  /** Keys with jobs that wait or run. */
  get size(): number {
    return this.#jobs.size;
  }

  /** Begins nothing any more; resolves when what runs has ended. */
  async stop(): Promise<void> {
    await this.#queue.stop();
    this.#jobs.clear();
  }

  async #handle(key: string): Promise<Result> {
    const jobs = this.#jobs.get(key);
    const first = jobs?.peek();
    if (jobs === undefined || first === undefined) return undefined;
    const { telemetry, clock } = this.#options;
    const { job, sinceMs } = first;
    let end: JobEnd;
    try {
      end = await job.run();
    } catch (error) {
      if (!isOver(error)) throw error;
      // The leadership has gone: whoever has it now decides anew.
      telemetry.effect(job.type, "dropped");
      this.#jobs.delete(key);
      return undefined;
    }
    if (typeof end === "object") {
      telemetry.effect(job.type, "retried");
      return { requeueAfterMs: end.againAfterMs };
    }
    telemetry.effect(job.type, end);
    telemetry.effectEnded(job.lane, (clock.monotonicMs() - sinceMs) / 1_000);
    jobs.shift();
    const next = jobs.peek()?.job;
    if (next === undefined) this.#jobs.delete(key);
    else this.#begin(next);
    return undefined;
  }

  #begin({ key, lane }: Job): void {
    if (lane === "status" && this.#held !== undefined) this.#held.push(key);
    else this.#queue.add(key, lane);
  }

  #failed(key: string, error: unknown, failures: number): void {
    const { log, telemetry } = this.#options;
    const effect = this.#jobs.get(key)?.peek()?.job.type ?? "";
    telemetry.effect(effect, "retried");
    const fields = { key, effect, failures, err: error };
    const known = error instanceof ApiError || error instanceof TransportError;
    // What is no answer of the server is a mistake of ours: loud, but only this key waits for it.
    if (!known) log.error(fields, "an effect failed in a way nobody thought of; trying again");
    else if (failures === 1) log.debug(fields, "an effect failed; trying again");
    else log.warn(fields, "an effect fails again and again; trying again");
  }
}

function isOver(error: unknown): boolean {
  return error instanceof TransportError && (error.kind === "fenced" || error.kind === "aborted");
}
