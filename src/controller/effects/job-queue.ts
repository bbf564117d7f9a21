import { ApiError, TransportError } from "../kube/api-error.ts";
import { backoffMs } from "../kube/backoff.ts";
import type { Clock, TimerHandle } from "../kube/clock.ts";
import { Fifo } from "../kube/fifo.ts";
import type { EffectOutcome, Logger, Telemetry } from "../telemetry.ts";

/** 0: launches, kills, offers; 1: ends of offers; 2: statuses and finalizers, which can wait. */
export type Lane = 0 | 1 | 2;

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

export type JobEnd = "done" | "refused" | { readonly againAfterMs: number };

export interface JobQueueOptions {
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly telemetry: Telemetry;
  readonly log: Logger;
  /** Jobs under way at a time, of each lane. Default 48, 24, 12. */
  readonly concurrency?: readonly [number, number, number];
}

interface Chain {
  readonly jobs: Fifo<Job>;
  current: Job;
  failures: number;
}

const lanes: readonly Lane[] = [0, 1, 2];
const retryLimits = { baseMs: 500, maxMs: 30_000 };

/**
 * Carries out effects: by lanes, in order within a key, each until it is done. It belongs to one term: `stop` drops what
 * waits, and what is under way finds its fence down.
 */
export class JobQueue {
  readonly #options: JobQueueOptions;
  readonly #chains = new Map<string, Chain>();
  readonly #ready: readonly Fifo<Chain>[] = lanes.map(() => new Fifo<Chain>());
  readonly #active = [0, 0, 0];
  readonly #limits: readonly number[];
  readonly #timers = new Set<TimerHandle>();
  #stopped = false;
  #idle: (() => void)[] = [];

  constructor(options: JobQueueOptions) {
    this.#options = options;
    this.#limits = options.concurrency ?? [48, 24, 12];
  }

  /** Jobs that wait or are under way. */
  get size(): number {
    return this.#chains.size;
  }

  depth(lane: Lane): number {
    return this.#ready[lane]!.length;
  }

  has(key: string): boolean {
    return this.#chains.has(key);
  }

  add(job: Job): void {
    if (this.#stopped) return;
    const chain = this.#chains.get(job.key);
    if (chain !== undefined) {
      chain.jobs.push(job);
      return;
    }
    this.#enqueue({ jobs: new Fifo(), current: job, failures: 0 });
  }

  /** Nothing new is begun. */
  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) this.#options.clock.clearTimeout(timer);
    this.#timers.clear();
    this.#chains.clear();
  }

  /** Resolves when nothing is under way any more. */
  idle(): Promise<void> {
    if (this.#active.every((count) => count === 0)) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #enqueue(chain: Chain): void {
    this.#chains.set(chain.current.key, chain);
    this.#ready[chain.current.lane]!.push(chain);
    this.#admit();
  }

  #admit(): void {
    if (this.#stopped) return;
    for (const lane of lanes) {
      const ready = this.#ready[lane]!;
      while (this.#active[lane]! < this.#limits[lane]! && ready.length > 0) void this.#run(lane, ready.shift()!);
    }
  }

  async #run(lane: Lane, chain: Chain): Promise<void> {
    this.#active[lane]!++;
    const job = chain.current;
    let end: JobEnd | undefined;
    let error: unknown;
    try {
      end = await job.run();
    } catch (thrown) {
      error = thrown;
    }
    this.#active[lane]!--;
    if (this.#active.every((count) => count === 0)) for (const resolve of this.#idle.splice(0)) resolve();
    this.#afterRun(chain, end, error);
    this.#admit();
  }

  #afterRun(chain: Chain, end: JobEnd | undefined, error: unknown): void {
    const { current: job } = chain;
    const { telemetry } = this.#options;
    if (this.#stopped || isOver(error)) {
      telemetry.effect(job.type, "dropped");
      if (!this.#stopped) this.#chains.delete(job.key);
      return;
    }
    if (end === "done" || end === "refused") {
      telemetry.effect(job.type, end satisfies EffectOutcome);
      chain.failures = 0;
      const next = chain.jobs.shift();
      this.#chains.delete(job.key);
      if (next !== undefined) this.#enqueue({ ...chain, current: next });
      return;
    }
    telemetry.effect(job.type, "retried");
    this.#again(chain, end === undefined ? this.#delayMs(chain, job, error) : end.againAfterMs);
  }

  #again(chain: Chain, delayMs: number): void {
    const timer = this.#options.clock.setTimeout(() => {
      this.#timers.delete(timer);
      this.#ready[chain.current.lane]!.push(chain);
      this.#admit();
    }, delayMs);
    this.#timers.add(timer);
  }

  #delayMs(chain: Chain, job: Job, error: unknown): number {
    const failures = chain.failures++;
    const known = error instanceof ApiError || error instanceof TransportError;
    const fields = { key: job.key, effect: job.type, failures: failures + 1, err: error };
    // What is no answer of the server is a mistake of ours: loud, but only this key waits for it.
    if (!known) this.#options.log.error(fields, "an effect failed in a way nobody thought of; trying again");
    else if (failures === 0) this.#options.log.debug(fields, "an effect failed; trying again");
    else this.#options.log.warn(fields, "an effect fails again and again; trying again");
    const retryAfterMs = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
    return Math.max(retryAfterMs, backoffMs(failures, retryLimits, this.#options.random));
  }
}

/** The leadership has gone, or the process ends. */
function isOver(error: unknown): boolean {
  return error instanceof TransportError && (error.kind === "fenced" || error.kind === "aborted");
}
