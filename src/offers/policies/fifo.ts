import { headBefore } from "../queues/heads.ts";
import type { Policy } from "./policy.ts";

/**
 * The child with the first task in line of all: priority, then age, then name, as in Hadoop 1. So the tasks of all children
 * stand in one line, but for a task that fits nowhere, which is passed over for this round. Wishes stated ahead of any
 * task have no age and come last.
 */
export const fifo: Policy = {
  reads: "head",
  rescales: false,
  rank(child) {
    child.tier = child.head === undefined ? Number.MAX_SAFE_INTEGER : -child.head.priority;
    child.key = child.head?.createdAtMs ?? 0;
  },
  // Not the usual ties: tasks of the same second, too, are served one after the other.
  before: (a, b) => a.head !== undefined && b.head !== undefined && headBefore(a.head, b.head),
};
