import type { Outlook } from "../offers/views.ts";

/** Of the time there is, so much goes into answers to "when?": the leader has better things to do. */
const PART = 0.2;

/**
 * An answer to "when?" looks at every node and all that runs: tens of milliseconds in a large cluster, in which nothing
 * else happens. Whoever asks for many, or many who ask, must not stop the leader: after each answer there is none for four
 * times as long as it took. In small clusters nobody notices.
 */
export class OutlookBudget {
  readonly #clock: { monotonicMs(): number };
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(clock: { monotonicMs(): number }) {
    this.#clock = clock;
  }

  /** What `work` finds, or that it has to be asked for again. */
  outlook(work: () => Outlook | undefined): Outlook | undefined {
    const beginMs = this.#clock.monotonicMs();
    if (beginMs < this.#nextMs) return { when: { unknown: "too much is asked at once, ask again in a moment" } };
    const outlook = work();
    const endMs = this.#clock.monotonicMs();
    this.#nextMs = endMs + (endMs - beginMs) * (1 / PART - 1);
    return outlook;
  }
}
