import type { Clock, TimerHandle } from "./clock.ts";
import { Fifo } from "./fifo.ts";

/** `high` always goes first: launches before status writes. */
export type Priority = "high" | "normal" | "low";

interface Waiter {
  readonly enter: () => void;
  left: boolean;
}

/**
 * Bounds how many requests are under way, lets them in by priority (first come, first served within one), and holds
 * all of them back until a time that the server asked for.
 */
export class RequestGate {
  readonly #clock: Clock;
  #freeSlots: number;
  #holdUntilMs = Number.NEGATIVE_INFINITY;
  #timer: TimerHandle | undefined;
  readonly #lanes: Record<Priority, Fifo<Waiter>> = { high: new Fifo(), normal: new Fifo(), low: new Fifo() };

  constructor(clock: Clock, slots: number) {
    this.#clock = clock;
    this.#freeSlots = slots;
  }

  /** Nobody enters before `delayMs` have passed. A shorter hold never shortens a longer one. */
  hold(delayMs: number): void {
    this.#holdUntilMs = Math.max(this.#holdUntilMs, this.#clock.monotonicMs() + delayMs);
  }

  /** How long the hold lasts yet; 0 without one. */
  get holdMs(): number {
    return Math.max(0, this.#holdUntilMs - this.#clock.monotonicMs());
  }

  get isHeld(): boolean {
    return this.holdMs > 0;
  }

  /** Resolves true once a slot is taken (then `leave` must follow), or false if `signal` aborted first. */
  enter(priority: Priority, signal: AbortSignal | undefined): Promise<boolean> {
    if (signal?.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      const waiter: Waiter = {
        left: false,
        enter: () => {
          signal?.removeEventListener("abort", abort);
          resolve(true);
        },
      };
      const abort = (): void => {
        waiter.left = true;
        resolve(false);
      };
      signal?.addEventListener("abort", abort, { once: true });
      this.#lanes[priority].push(waiter);
      this.#admit();
    });
  }

  leave(): void {
    this.#freeSlots++;
    this.#admit();
  }

  #admit(): void {
    while (this.#freeSlots > 0 && !this.isHeld) {
      const waiter = this.#lanes.high.shift() ?? this.#lanes.normal.shift() ?? this.#lanes.low.shift();
      if (waiter === undefined) return;
      if (waiter.left) continue;
      this.#freeSlots--;
      waiter.enter();
    }
    const waiting = this.#lanes.high.length + this.#lanes.normal.length + this.#lanes.low.length;
    if (waiting > 0 && this.isHeld && this.#timer === undefined) this.#wakeAfterHold();
  }

  #wakeAfterHold(): void {
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined;
      this.#admit();
    }, this.holdMs);
  }
}
