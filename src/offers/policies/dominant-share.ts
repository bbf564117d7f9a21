import { PODS, type Vector } from "../resources.ts";
import type { Policy, Pool } from "./policy.ts";

/**
 * Hierarchical DRF (Bhattacharya et al., "Hierarchical Scheduling for Diverse Datacenter Workloads", SoCC'13): the child
 * with the least dominant share, divided by its weight. An inner queue shows its parent the sum of its children, the
 * unblocked ones rescaled to the least share among them, the blocked ones as they are; a naive sum would starve a queue
 * whose one child has all of a resource that the other child has no use for.
 */
export const dominantShare: Policy = {
  reads: "shown",
  rescales: true,
  rank(child, pool) {
    child.key = dominantShareOf(child.shown, child.weight, pool);
  },
};

/** The largest share, over resources that are not saturated, at a weight; 0 for nothing. */
export function dominantShareOf(vector: Vector, weight: number, { total, saturated }: Pool): number {
  let share = 0;
  for (let r = 0; r < vector.length; r++) {
    if (r === PODS || saturated[r] === true || !(total[r]! > 0)) continue;
    share = Math.max(share, vector[r]! / (total[r]! * weight));
  }
  return share;
}
