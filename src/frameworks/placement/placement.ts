/**
 * How much a node is wanted for the next instance, from dense arrays that hold all nodes one after the other.
 *
 * @param free what is free, in whole canonical units
 * @param total what there is at all, in the same order
 * @param offset where the node's resources begin in both
 * @param count how many resources a node has; 0 is cpu, 1 is memory
 * @returns the score: the node with the highest is tried first
 */
export type Placement = (free: Float64Array, total: Float64Array, offset: number, count: number) => number;

/** Scores look at cpu and memory alone: other resources are absent from most nodes. */
const SCORED_RESOURCES = 2;

/** The mean free fraction of cpu and memory, from 0 to 1; of a node that has neither, 0. */
export const meanFreeFraction: Placement = (free, total, offset, count) => {
  let sum = 0;
  let present = 0;
  for (let index = 0; index < count && index < SCORED_RESOURCES; index++) {
    const whole = total[offset + index]!;
    if (whole <= 0) continue;
    // A node may be over-full, when foreign pods came or it shrank.
    sum += Math.min(1, Math.max(0, free[offset + index]! / whole));
    present++;
  }
  return present === 0 ? 0 : sum / present;
};
