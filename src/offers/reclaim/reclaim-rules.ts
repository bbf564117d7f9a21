import type { Line } from "../lines.ts";
import type { ReclaimFacts } from "../queues/queue-facts.ts";
import type { Queue } from "../queues/queues.ts";
import type { Bidder } from "../round.ts";

const DEFAULT_GRACE_MS = 30_000;

/** How long those who borrow in this queue have from an inverse offer until the broker chooses. */
export function graceMs(queue: Queue): number {
  return nearest(queue, "graceMs") ?? DEFAULT_GRACE_MS;
}

/** How long an attempt in this queue runs before it can be taken. */
export function minimumRuntimeMs(queue: Queue): number {
  return nearest(queue, "minimumRuntimeMs") ?? 0;
}

/** Instances of the line that wait for room. A gang wants all of its own until it starts, also those that have room. */
export function waiting(bidder: Bidder, line: Line): number {
  return Math.max(0, bidder.wanted(line, 1) - (line.gang === undefined ? 0 : line.held));
}

/** As the queue says, or the nearest above it that says anything. */
function nearest(from: Queue, rule: keyof ReclaimFacts): number | undefined {
  for (let queue: Queue | undefined = from; queue !== undefined; queue = queue.parent) {
    const said = queue.facts?.reclaim?.[rule];
    if (said !== undefined) return said;
  }
  return undefined;
}
