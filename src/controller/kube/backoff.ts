export interface BackoffLimits {
  readonly baseMs: number;
  readonly maxMs: number;
}

/**
 * Exponential backoff with equal jitter: between half and all of `baseMs · 2^failures`, never above `maxMs`.
 * `failures` counts from 0; `random` yields numbers in [0, 1).
 */
export function backoffMs(failures: number, limits: BackoffLimits, random: () => number): number {
  // 2 ** 31 times any base is beyond every limit; larger exponents would end at Infinity.
  const fullMs = Math.min(limits.maxMs, limits.baseMs * 2 ** Math.min(failures, 31));
  return fullMs * (0.5 + random() / 2);
}
