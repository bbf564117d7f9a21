import type { Framework } from "./framework.ts";
import { add, type Claimant } from "./queues/queues.ts";
import type { Vector } from "./resources.ts";

/** By node: what open optimistic offers show the framework. */
export function shownTo(framework: Framework): Map<number, Vector> {
  const shown = new Map<number, Vector>();
  for (const offer of framework.offers) {
    if (offer.concurrency !== "Optimistic") continue;
    for (const { node, vector } of offer.slices.values()) {
      const sum = shown.get(node);
      if (sum === undefined) shown.set(node, vector.slice());
      else add(sum, vector, 1);
    }
  }
  return shown;
}

/** All that open optimistic offers show the claimant. */
export function shownInAll(framework: Framework, claimant: Claimant, width: number): Vector {
  const sum = new Float64Array(width);
  for (const offer of framework.offers) {
    if (offer.concurrency !== "Optimistic" || offer.claimant !== claimant) continue;
    for (const { vector } of offer.slices.values()) add(sum, vector, 1);
  }
  return sum;
}
