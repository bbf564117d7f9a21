import type { Reason } from "./explain/reasons.ts";
import type { QueueFacts } from "./queues/queue-facts.ts";
import type { Limits, Quantities } from "./resources.ts";

/** What the broker shows of its state: read-only values for status writers, explain and metrics. */

export type TaskState =
  | "Pending"
  | "Staging"
  | "Starting"
  | "Running"
  | "Finished"
  | "Failed"
  | "Killing"
  | "Killed"
  | "Lost"
  | "Unreachable"
  | "Error";

/** Instances by state. Staging: a pod is being created. Starting: it exists and no container runs yet. */
export interface InstanceCounts {
  readonly pending: number;
  readonly staging: number;
  readonly starting: number;
  readonly running: number;
  readonly unreachable: number;
  readonly finished: number;
  readonly failed: number;
  readonly killed: number;
  readonly lost: number;
}

export const NO_INSTANCES: InstanceCounts = {
  pending: 0,
  staging: 0,
  starting: 0,
  running: 0,
  unreachable: 0,
  finished: 0,
  failed: 0,
  killed: 0,
  lost: 0,
};

export interface FailureView {
  readonly index: number;
  readonly attempt: number;
  readonly node: string;
  readonly reason: Reason;
  readonly message: string;
  readonly exitCode?: number;
  readonly atMs: number;
}

/** Why something waits. `message` has numbers and absolute times only. */
export interface Explanation {
  readonly reason: Reason;
  readonly message: string;
}

/** One step of the way up the tree: how many stand before it among those with demand, itself included in `of`. */
export interface Level {
  /** The queue whose children are compared; "" for the root. */
  readonly queue: string;
  readonly before: number;
  readonly of: number;
}

/** Where a task stands in line. */
export interface Place {
  /** Tasks of its shape and claimant that are served before it. */
  readonly tasks: number;
  /** Instances of those that are ready to start. */
  readonly instances: number;
  /** The order of the tree as the next round finds it: its claimant within its queue first, the root last. */
  readonly levels: readonly Level[];
}

export interface When {
  /** Absent: it does not stand in line. */
  readonly place?: Place;
  /**
   * The earliest start that can be foreseen, wall-clock milliseconds: what runs ends as its Task states, and nobody else
   * takes the room. Absent: see `unknown`.
   */
  readonly estimateMs?: number;
  /** Why there is no estimate. */
  readonly unknown?: string;
}

/** One part of a change; amounts in canonical units. */
export type ChangePart =
  /** The node has so much more; with `orLess`, so much less asked for does as well. */
  | { readonly type: "node"; readonly node: string; readonly more: Quantities; readonly orLess: boolean }
  /** The queue's limit is higher by so much. */
  | { readonly type: "limit"; readonly queue: string; readonly more: Quantities }
  /** So much more is free, past what is kept back: on this node, or on any other that may be used. */
  | { readonly type: "free"; readonly node: string; readonly more: Quantities }
  /** The node is opened: it is cordoned. */
  | { readonly type: "uncordon"; readonly node: string }
  | { readonly type: "tolerate"; readonly node: string; readonly taint: string }
  /** The refusals of its framework are taken back (`spec.revive`), or end then. */
  | { readonly type: "revive"; readonly untilMs: number }
  /** The offer is answered. */
  | { readonly type: "answer"; readonly offer: string; readonly untilMs: number }
  | { readonly type: "parallelism"; readonly atLeast: number }
  | { readonly type: "unsuppress"; readonly framework: string }
  /** The framework's program is there again. */
  | { readonly type: "program"; readonly framework: string };

/** The least that would start the first task in line, as things are now: all parts together, and not a unit less. */
export interface Change {
  readonly parts: readonly ChangePart[];
  readonly text: string;
}

/** An answer to "when?". Numbers as of now, times absolute. */
export interface Outlook {
  readonly when: When;
  /** Absent: no single thing that Proffer could name. */
  readonly change?: Change;
}

export interface TaskView {
  /** Rises with every change; goes back in `task-recorded`. */
  readonly version: number;
  readonly state: TaskState;
  readonly instances: number;
  readonly counts: InstanceCounts;
  readonly succeededIndexes: string;
  readonly failedIndexes: string;
  readonly attempts: readonly { readonly indexes: string; readonly ended: number; readonly failed: number }[];
  readonly node?: string;
  /** Name of the pod, where there is one instance. */
  readonly pod?: { readonly attempt: number };
  /** Of instances that start together: whether they have. */
  readonly startedTogether?: boolean;
  readonly lastFailures: readonly FailureView[];
  readonly startedAtMs?: number;
  readonly finishedAtMs?: number;
  /** Why an instance that has its place does not start. */
  readonly stuck?: Explanation;
  /** Present while the Task cannot take part at all (unknown framework, queue, …). */
  readonly rejected?: Explanation;
}

export interface OfferCounts {
  readonly open: number;
  readonly accepted: number;
  readonly declined: number;
  readonly expired: number;
  readonly rescinded: number;
  readonly refused: number;
}

export interface FrameworkView {
  readonly key: string;
  readonly queue: string;
  /** What it holds in its first queue: the largest part of any resource of the cluster, 0–1. */
  readonly dominantShare: number;
  readonly counts: InstanceCounts;
  readonly offers: OfferCounts;
  readonly allocated: Quantities;
  readonly offered: Quantities;
  /** Kept for what waits. */
  readonly held: Quantities;
  readonly demand: Quantities;
  /** Of those of its instances that wait: how often room was held in vain, at most. */
  readonly vainTurns: number;
  /** Weights that count for less than declared, for the queue's `maxFrameworkWeight`. */
  readonly lowered: readonly { readonly queue: string; readonly weight: number; readonly most: number }[];
  readonly rejected?: Explanation;
  /** Absent where nobody can tell whether its program is there. */
  readonly presence?: PresenceView;
  /** Why it gets nothing more now. */
  readonly why: Explanation;
}

/**
 * Whether a framework's program is there. `disconnected`: its tasks are kept for it; `abandoned`: no longer.
 * `message` has absolute times only.
 */
export interface PresenceView {
  readonly state: "connected" | "disconnected" | "abandoned";
  readonly message: string;
  /** Until when its tasks are kept for it, wall-clock milliseconds; Infinity for ever, or while it is there. */
  readonly keptUntilMs: number;
}

export interface QueueView {
  readonly name: string;
  /** Of the declaration that was decided on last. */
  readonly generation?: number;
  /** The last that was in force of it. What else is said here is of this, or of what is declared if there never was any. */
  readonly lastGood?: QueueFacts;
  readonly inForce: boolean;
  readonly parent?: string;
  readonly weight: number;
  readonly guarantee: Quantities;
  readonly limit: Limits;
  readonly allocated: Quantities;
  readonly offered: Quantities;
  /** Kept for what waits. */
  readonly held: Quantities;
  readonly demand: Quantities;
  readonly dominantShare: number;
  /** |dominantShare − its fair share among siblings with demand|, 0–1. */
  readonly fairnessError: number;
  /** How many list it or a queue below it. */
  readonly frameworks: number;
  /** How many are its children, and in force. */
  readonly queues: number;
  readonly counts: { readonly pending: number; readonly running: number };
  readonly rejected?: Explanation;
}

/** Inverse offers that have ended, by their last phase. */
export interface InverseOfferEnds {
  readonly accepted: number;
  readonly refused: number;
  readonly declined: number;
  readonly expired: number;
  readonly rescinded: number;
}

/** Counters since the term began, and gauges. Times in seconds. */
export interface ClusterView {
  readonly nodes: { readonly open: number; readonly closed: number; readonly overfull: number };
  readonly allocatable: Quantities;
  readonly foreign: Quantities;
  readonly allocated: Quantities;
  readonly offered: Quantities;
  /** Kept for what waits. */
  readonly held: Quantities;
  readonly free: Quantities;
  readonly openOffers: number;
  readonly rounds: number;
  readonly grants: number;
  readonly lostRaces: number;
  /** Times that room was held for somebody in vain, and passed on. */
  readonly passedHolds: number;
  /** Inverse offers made, what became of those that have ended, and instances ended to give their room back. */
  readonly inverseOffers: number;
  readonly inverseOfferEnds: InverseOfferEnds;
  readonly evictions: number;
  /** Claims that a check from scratch would count otherwise: always 0, or a bug. */
  readonly inconsistencies: number;
}

/** Who holds how much of which node. `id`: "offer/‹key›/‹slice›", "task/‹uid›/‹index›", "hold/‹number›" or "pod/‹uid›". */
export interface ClaimView {
  readonly id: string;
  readonly kind: "offer" | "task" | "hold" | "foreign";
  readonly node: string;
  readonly resources: Quantities;
}

/** An offer that ended, for histograms; drained by `Broker.drainEndedOffers`. Times in milliseconds. */
export interface EndedOffer {
  readonly framework: string;
  readonly phase: "Accepted" | "Refused" | "Declined" | "Rescinded" | "Expired";
  readonly openMs: number;
  readonly launched: number;
}
