import type { QueueOrder } from "./queues/queues.ts";

/** How a Builtin framework's instances find their node: the higher the score (0–1), the sooner a node is taken. */
export interface Placement {
  /** `free` and `total` are dense: `count` resources of the node from `offset` on; 0 is cpu, 1 is memory. */
  readonly score: (free: Float64Array, total: Float64Array, offset: number, count: number) => number;
  /** Equal nodes in turn, instead of the first again. */
  readonly rotate: boolean;
}

export interface BrokerOptions {
  /** The leader's term: part of every offer's name. Only [a-z0-9]. */
  readonly term: string;
  readonly placements: Readonly<Record<string, Placement>>;
  /** Least time between two rounds. Default 50. */
  readonly roundMinIntervalMs?: number;
  /** What waits so long for room has it held, one at a time. Default 300,000. */
  readonly holdAfterMs?: number;
  /** The order of the queues that have no parent. Default: by dominant share. */
  readonly top?: QueueOrder;
  /** Kept free on every node. */
  readonly headroom?: Readonly<Record<string, number>>;
}
