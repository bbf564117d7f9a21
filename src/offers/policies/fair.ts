import type { Policy } from "./policy.ts";

/**
 * The child with the least share of one resource, divided by its weight, whatever it holds of others: weighted max-min
 * fairness, as in YARN's Fair scheduler. Shares of one resource add up, so that nothing is rescaled, and what a child
 * holds goes on counting when nobody can get more of it.
 *
 * @param resource index of the resource
 */
export function fair(resource: number): Policy {
  return {
    reads: "usage",
    rescales: false,
    rank(child, { total }) {
      const all = total[resource] ?? 0;
      child.key = all > 0 ? (child.usage[resource] ?? 0) / (all * child.weight) : 0;
    },
  };
}
