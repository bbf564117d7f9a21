import { ExpiringLru } from "./expiring-lru.ts";

export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** A token bucket: `burst` at once, `perSecond` in the long run. */
export class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #atMs: number;

  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#atMs = nowMs;
  }

  /** Takes one if there is one. `nowMs` is monotonic. */
  take(nowMs: number): boolean {
    const { perSecond, burst } = this.#rate;
    this.#tokens = Math.min(burst, this.#tokens + ((nowMs - this.#atMs) / 1_000) * perSecond);
    this.#atMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}

/** A token bucket for each caller; those not seen for long are forgotten. */
export class RateLimiter {
  readonly #rate: Rate;
  readonly #buckets: ExpiringLru<TokenBucket>;

  constructor(rate: Rate, callers = 1_000) {
    this.#rate = rate;
    this.#buckets = new ExpiringLru(callers);
  }

  take(caller: string, nowMs: number): boolean {
    const bucket = this.#buckets.get(caller, nowMs) ?? new TokenBucket(this.#rate, nowMs);
    // After this long it would be full again: forgetting it changes nothing.
    const fullMs = (this.#rate.burst / this.#rate.perSecond) * 1_000;
    this.#buckets.set(caller, bucket, nowMs + fullMs);
    return bucket.take(nowMs);
  }
}
