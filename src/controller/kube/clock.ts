/**
 * Time as an argument: everything in this folder that waits or measures takes a `Clock`, so that tests and the
 * simulator need no sleeps.
 */

/** Opaque; only good for `clearTimeout` of the clock that made it. */
export type TimerHandle = object;

export interface Clock {
  /** Wall-clock time in milliseconds since 1970. It can jump: only for time stamps that people or other processes read. */
  nowMs(): number;
  /** Milliseconds from an arbitrary start; never goes back. The only time that durations and deadlines are measured with. */
  monotonicMs(): number;
  /** Calls `run` once, `delayMs` from now. Negative delays count as zero. */
  setTimeout(run: () => void, delayMs: number): TimerHandle;
  clearTimeout(handle: TimerHandle): void;
}

// Node fires timers with longer delays at once.
const maxTimerMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimeout: (run, delayMs) => setTimeout(run, Math.min(Math.max(delayMs, 0), maxTimerMs)),
  clearTimeout: (handle) => clearTimeout(handle as NodeJS.Timeout),
};

/** Resolves after `delayMs`, or as soon as `signal` aborts: it never rejects, so the caller looks at the signal. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const wake = (): void => {
      clock.clearTimeout(timer);
      signal?.removeEventListener("abort", wake);
      resolve();
    };
    const timer = clock.setTimeout(wake, delayMs);
    signal?.addEventListener("abort", wake, { once: true });
  });
}
