import type { Head } from "../queues/heads.ts";
import type { Vector } from "../resources.ts";

/**
 * One of the children of a queue, an inner queue or a framework in this queue, as a policy sees it. Vectors are in
 * canonical units, by resource.
 */
export interface Contender {
  readonly weight: number;
  /** U of the allocation rules: tasks and exclusive offers of the subtree. */
  readonly usage: Vector;
  /** G, of a queue that states none the sum of its children's. Frameworks have none: all zero, or shorter than `usage`. */
  readonly guarantee: Vector;
  /** What it counts for in shares: see `Policy.rescales`. Only for policies that read "shown". */
  readonly shown: Vector;
  /** The first task in line below it, if there is one. Only for policies that read "head". */
  readonly head: Head | undefined;
  /** The key, written by `rank`: the lowest tier is served first, */
  tier: number;
  /** within it the lowest of these. Neither is ever NaN. */
  key: number;
}

/** What all contend for. */
export interface Pool {
  /** What the open nodes have, by resource. */
  readonly total: Vector;
  /** Resources of which nobody can get more in this round. */
  readonly saturated: readonly boolean[];
}

/**
 * How a queue's children are put in order: the child with the least key that can still get something is served next,
 * with one instance. Keys are compared among siblings only, so each queue may have its own policy. In front of every key
 * stands the penalty of those who turn offers down, behind it the number of instances held, then the name: no policy has
 * to care about ties.
 */
export interface Policy {
  /**
   * What keys are made of, besides weight, usage and guarantee. It is kept up to date only for policies that read it.
   * `rank` is called for each change of what is read.
   */
  readonly reads: "usage" | "shown" | "head";
  /**
   * What the queue itself shows to the level above, if shares are compared there. False: the sum of what its children show.
   * True, as hierarchical DRF has it: those that can get more are scaled to the least key among them first. Keys must be
   * shares of `shown` then.
   */
  readonly rescales: boolean;
  /** Writes the key of a child: `key`, and `tier` if it has tiers. */
  rank(child: Contender, pool: Pool): void;
  /** Is `a` served before `b`, though their keys are equal? Where neither is before the other, the usual ties decide. */
  before?(a: Contender, b: Contender): boolean;
}
