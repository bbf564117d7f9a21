import { headBefore } from "../heads.ts";
import type { Policy } from "./policy.ts";

/**
 * The child with the first task in line of all: priority, then age, then name, as in Hadoop 1. So the tasks of all children
 * stand in one line, but for a task that fits nowhere, which is passed over for this round. Wishes stated ahead of any
 * task have no age and come last.
 */
export const fifo: Policy = {
  reads: "head",
  rescales: false,
  rank() {},
  compare(a, b) {
    if (a.head === b.head) return 0;
    if (a.head === undefined || b.head === undefined) return a.head === undefined ? 1 : -1;
    return headBefore(a.head, b.head) ? -1 : 1;
  },
};
