import type { PodFacts } from "../messages.ts";

/** What pods show that earlier terms have carried out of answers: offer label -> indexes. */
export class Launched {
  readonly #indexes = new Map<string, number[]>();

  note({ offer, index }: PodFacts): void {
    if (offer === undefined) return;
    const indexes = this.#indexes.get(offer) ?? [];
    if (!indexes.includes(index)) this.#indexes.set(offer, [...indexes, index]);
  }

  /** Indexes of the pods that carry this offer label. */
  from(label: string): readonly number[] {
    return this.#indexes.get(label) ?? [];
  }
}
