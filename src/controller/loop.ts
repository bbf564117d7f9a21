import type { Effect, Input } from "../offers/messages.ts";
import type { BrokerContract } from "./broker-contract.ts";
import type { Clock, TimerHandle } from "./kube/clock.ts";
import { Fifo } from "./kube/fifo.ts";
import type { Logger, Telemetry } from "./telemetry.ts";

export interface LoopOptions {
  readonly broker: BrokerContract;
  readonly clock: Clock;
  /** Wall-clock milliseconds that never go back. */
  readonly nowMs: () => number;
  readonly execute: (effect: Effect) => void;
  /** After the effects of an input. */
  readonly applied?: (input: Input) => void;
  /** Gets every input with its time as one JSON line, to replay a run. */
  readonly record?: (line: string) => void;
  readonly telemetry: Telemetry;
  readonly log: Logger;
  /** The broker threw: what it knows may be wrong from now on. The loop has stopped. */
  readonly onBug: (error: unknown) => void;
}

/** Other work (the lease above all) gets its turn after so long. */
const sliceMs = 20;
/** Inputs are cheap; looking at the clock for each of them is not needed. */
const inputsPerLook = 32;

/** One queue of inputs → broker → effects, and one timer for the broker's next tick. */
export class Loop {
  readonly #options: LoopOptions;
  readonly #inputs = new Fifo<Input>();
  #timer: TimerHandle | undefined;
  #timerDueMs = Number.POSITIVE_INFINITY;
  #scheduled = false;
  #stopped = false;

  constructor(options: LoopOptions) {
    this.#options = options;
  }

  /** Inputs that wait. */
  get backlog(): number {
    return this.#inputs.length;
  }

  feed(input: Input): void {
    if (this.#stopped) return;
    this.#inputs.push(input);
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    this.#clearTimer();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // What comes with the same turn of the event loop is handled together.
    setImmediate(() => {
      this.#scheduled = false;
      this.#drain();
    });
  }

  #drain(): void {
    const { clock } = this.#options;
    const endMs = clock.monotonicMs() + sliceMs;
    for (let count = 1; !this.#stopped; count++) {
      const input = this.#inputs.shift();
      if (input === undefined) break;
      this.#apply(input);
      if (count % inputsPerLook === 0 && clock.monotonicMs() >= endMs) break;
    }
    if (this.#stopped) return;
    if (this.#inputs.length > 0) this.#schedule();
    else this.#tickIfDue();
  }

  #tickIfDue(): void {
    const nowMs = this.#options.nowMs();
    const dueMs = this.#options.broker.nextTickMs(nowMs);
    if (dueMs <= nowMs) {
      this.#clearTimer();
      const startMs = this.#options.clock.monotonicMs();
      this.#apply({ type: "tick" });
      this.#options.telemetry.roundFinished((this.#options.clock.monotonicMs() - startMs) / 1_000);
      if (!this.#stopped) this.#setTimer(this.#options.broker.nextTickMs(this.#options.nowMs()));
    } else {
      this.#setTimer(dueMs);
    }
  }

  #setTimer(dueMs: number): void {
    if (dueMs === this.#timerDueMs && this.#timer !== undefined) return;
    this.#clearTimer();
    if (dueMs === Number.POSITIVE_INFINITY) return;
    this.#timerDueMs = dueMs;
    this.#timer = this.#options.clock.setTimeout(() => {
      this.#timer = undefined;
      this.#drain();
    }, dueMs - this.#options.nowMs());
  }

  #clearTimer(): void {
    if (this.#timer !== undefined) this.#options.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerDueMs = Number.POSITIVE_INFINITY;
  }

  #apply(input: Input): void {
    const { broker, execute, applied, record, log } = this.#options;
    const nowMs = this.#options.nowMs();
    record?.(JSON.stringify({ atMs: nowMs, input }));
    try {
      for (const effect of broker.apply(input, nowMs)) execute(effect);
      applied?.(input);
    } catch (error) {
      this.stop();
      log.fatal({ err: error, input }, "the broker failed: this is a bug; its state is thrown away and rebuilt");
      this.#options.onBug(error);
    }
  }
}

/** Wall-clock time that goes on evenly from here: a clock that is set anew ends no offer too early or too late. */
export function steadyNow(clock: Clock): () => number {
  const offsetMs = clock.nowMs() - clock.monotonicMs();
  return () => Math.round(clock.monotonicMs() + offsetMs);
}
