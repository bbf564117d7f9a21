import type { Clock } from "./clock.ts";

/** `ratePerSecond` tokens a second, up to `burst` of them saved; full at the start. */
export class TokenBucket {
  readonly #clock: Clock;
  readonly #ratePerMs: number;
  readonly #burst: number;
  #tokens: number;
  #filledAtMs: number;

  constructor(clock: Clock, ratePerSecond: number, burst: number) {
    this.#clock = clock;
    this.#ratePerMs = ratePerSecond / 1_000;
    this.#burst = burst;
    this.#tokens = burst;
    this.#filledAtMs = clock.monotonicMs();
  }

  /** Takes a token and returns 0, or returns the milliseconds until there is one. */
  take(): number {
    const nowMs = this.#clock.monotonicMs();
    this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#filledAtMs) * this.#ratePerMs);
    this.#filledAtMs = nowMs;
    // A timer that fires a rounding error early must not wait for nothing once more.
    if (this.#tokens < 1 - 1e-9) return (1 - this.#tokens) / this.#ratePerMs;
    this.#tokens = Math.max(0, this.#tokens - 1);
    return 0;
  }
}
