import type { Clock } from "./clock.ts";
import { compareResourceVersions } from "./resource-version.ts";

interface Waiter {
  readonly resourceVersion: string;
  readonly finish: (passed: boolean) => void;
  gone: boolean;
}

/** Those who wait until a cache has passed a resourceVersion, sorted so that an event looks at the first one only. */
export class VersionWaiters {
  readonly #clock: Clock;
  /** Newest first: the next to finish is at the end. */
  #waiters: Waiter[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves true once `passed` was called with that version or a later one, false after `timeoutMs` or `giveUp`. */
  wait(resourceVersion: string, timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const waiter: Waiter = {
        resourceVersion,
        gone: false,
        finish: (passed) => {
          this.#clock.clearTimeout(timer);
          waiter.gone = true;
          resolve(passed);
        },
      };
      const timer = this.#clock.setTimeout(() => waiter.finish(false), timeoutMs);
      this.#waiters.splice(this.#positionOf(resourceVersion), 0, waiter);
    });
  }

  passed(resourceVersion: string): void {
    for (let next = this.#waiters.at(-1); next !== undefined; next = this.#waiters.at(-1)) {
      if (!next.gone && compareResourceVersions(next.resourceVersion, resourceVersion) > 0) return;
      this.#waiters.pop();
      if (!next.gone) next.finish(true);
    }
  }

  /** Nobody waits any longer: those versions will not come. */
  giveUp(): void {
    for (const waiter of this.#waiters) if (!waiter.gone) waiter.finish(false);
    this.#waiters = [];
  }

  #positionOf(resourceVersion: string): number {
    let low = 0;
    let high = this.#waiters.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareResourceVersions(this.#waiters[middle]!.resourceVersion, resourceVersion) > 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
