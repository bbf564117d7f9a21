import type { LogSource } from "./log-follower.ts";
import type { AttemptPod } from "./pods.ts";

/** An attempt as its watch tells of it, and those who wait for news. */
export class Attempt implements LogSource {
  #pod: AttemptPod;
  #gone = false;
  #news = Promise.withResolvers<void>();

  constructor(pod: AttemptPod) {
    this.#pod = pod;
  }

  get pod(): AttemptPod {
    return this.#pod;
  }

  update(pod: AttemptPod): void {
    this.#pod = pod;
    this.#tell();
  }

  /** The pod is there no more; what was last known of it stays. */
  vanish(): void {
    this.#gone = true;
    this.#tell();
  }

  over(): boolean {
    return this.#pod.over || this.#gone;
  }

  gone(): boolean {
    return this.#gone;
  }

  changed(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
      void this.#news.promise.then(resolve);
    });
  }

  /** Resolves true when there is a log to read, false when there will be none. */
  async started(signal: AbortSignal): Promise<boolean> {
    while (!this.#pod.started && !this.over() && !signal.aborted) await this.changed(signal);
    return this.#pod.started && !this.#gone && !signal.aborted;
  }

  #tell(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers<void>();
  }
}
