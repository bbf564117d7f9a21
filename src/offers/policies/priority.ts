import type { Policy } from "./policy.ts";

/**
 * The child whose first task in line has the highest priority. Equal priorities are served in turn, by instances held; to
 * serve the older one to its end first is `Fifo`. Wishes stated ahead of any task have no priority and come last.
 */
export const priority: Policy = {
  reads: "head",
  rescales: false,
  rank(child) {
    child.key = child.head === undefined ? Number.MAX_SAFE_INTEGER : -child.head.priority;
  },
};
