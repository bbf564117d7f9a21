import type { Clock } from "./kube/clock.ts";

/** What goes on and on is said once in so long. */
const repeatMs = 60_000;

/** Keeps a log readable while something fails again and again: the same words are said once a minute. */
export class SaidSeldom {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #said = new Map<string, { readonly text: string; readonly atMs: number }>();

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /**
   * True if something else was said last about this, or nothing for a minute: then it is to be said now.
   *
   * @param about one of few things, such as a kind of object
   */
  isNews(about: string, text: string): boolean {
    const nowMs = this.#clock.monotonicMs();
    const last = this.#said.get(about);
    if (last?.text === text && nowMs - last.atMs < repeatMs) return false;
    this.#said.set(about, { text, atMs: nowMs });
    return true;
  }
}
