/** Who takes part: two queues, three frameworks, each in a namespace of its own. */

export interface DemoQueue {
  readonly name: string;
  readonly weight: number;
  /** What it is sure of, as a part of the whole cluster; absent: nothing. */
  readonly guaranteed?: number;
}

export interface DemoFramework {
  /** Also the name of its namespace and of its ServiceAccount. */
  readonly name: string;
  readonly queue: string;
  /** Who places its tasks, and how it sees the cluster. */
  readonly kind: "Builtin" | "Offers, exclusive" | "Offers, optimistic";
  /** Its part of all the work. */
  readonly part: number;
  /** When its work arrives, as a part of the time that all of it takes. */
  readonly arrives: number;
}

export const QUEUES: readonly DemoQueue[] = [
  { name: "research", weight: 2 },
  { name: "production", weight: 1, guaranteed: 0.4 },
];

/** Production comes late, so that one sees its guarantee being filled while research has borrowed everything. */
export const FRAMEWORKS: readonly DemoFramework[] = [
  { name: "training", queue: "research", kind: "Builtin", part: 0.4, arrives: 0 },
  { name: "sweep", queue: "research", kind: "Offers, optimistic", part: 0.3, arrives: 0 },
  { name: "inference", queue: "production", kind: "Offers, exclusive", part: 0.3, arrives: 0.15 },
];
