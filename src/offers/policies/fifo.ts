import { headBefore } from "../queues/heads.ts";
import type { Policy } from "./policy.ts";
import { priority } from "./priority.ts";

/**
 * The child with the first task in line of all: priority, then age, then name, as in Hadoop 1. So the tasks of all children
 * stand in one line, but for a task that fits nowhere, which is passed over for this round. Wishes stated ahead of any
 * task have no age and come last.
 */
export const fifo: Policy = {
  ...priority,
  // Not the usual ties: tasks of the same priority are served one after the other.
  before: (a, b) => headBefore(a.head, b.head),
};
