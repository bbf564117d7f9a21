import type { Effect, Input } from "./messages.ts";
import type { ClusterView, EndedOffer, Explanation, FrameworkView, QueueView, TaskView } from "./views.ts";

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
  /** Kept free on every node. */
  readonly headroom?: Readonly<Record<string, number>>;
}

/** The interface that the shell is written against; the implementation follows. */
export interface BrokerContract {
  apply(input: Input, nowMs: number): Effect[];
  /** When the next `tick` is due, Infinity for never. */
  nextTickMs(nowMs: number): number;
  taskView(uid: string): TaskView | undefined;
  explainTask(uid: string, nowMs: number): Explanation | undefined;
  frameworkView(key: string, nowMs: number): FrameworkView | undefined;
  queueView(name: string): QueueView | undefined;
  /** Names of all frameworks and queues known. */
  frameworks(): string[];
  queues(): string[];
  clusterView(): ClusterView;
  drainEndedOffers(): EndedOffer[];
}
