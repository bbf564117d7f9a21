import { setTimeout as delay } from "node:timers/promises";

export interface WaitOptions {
  /** Give up after this long. Default 120 s: with both cores busy, what takes a second may take a minute. */
  readonly timeoutMs?: number;
  /** Look again after this long. Default 50 ms. */
  readonly everyMs?: number;
}

/**
 * Looks until `look` gives something other than undefined or false, and returns that.
 * Errors of `look` count as "not yet"; the last one is the cause of the error thrown when time is up.
 */
export async function waitFor<T>(
  what: string,
  look: () => T | Promise<T>,
  options: WaitOptions = {},
): Promise<Exclude<T, undefined | false>> {
  const timeoutMs = options.timeoutMs ?? 120_000;
  const giveUpAt = performance.now() + timeoutMs;
  for (;;) {
    let cause: unknown;
    try {
      const value = await look();
      if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > giveUpAt) throw new Error(`waited ${timeoutMs / 1000} s for ${what}`, { cause });
    await delay(options.everyMs ?? 50);
  }
}
