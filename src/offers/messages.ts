import type { Reason } from "./explain/reasons.ts";
import type { Constraints, Taint } from "./nodes/constraints.ts";
import type { FailoverFacts, LeaseFacts } from "./program-facts.ts";
import type { QueueFacts, QueueRecord } from "./queues/queue-facts.ts";
import type { Quantities } from "./resources.ts";
import type { FailureView } from "./views.ts";

/**
 * The whole vocabulary between the broker and the world: an Input says what happened, an Effect says what to do.
 * All of it is plain JSON, so that a run can be recorded and replayed. Times are wall-clock milliseconds.
 */

/** "namespace/name" of a namespaced object, "name" of a cluster-scoped one. */
export type Key = string;

export interface NodeFacts {
  readonly name: string;
  readonly uid: string;
  readonly allocatable: Quantities;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  readonly ready: boolean;
  /** Cordoned, outside the operator's node selector, or still settling after it joined: nothing new goes there. */
  readonly closed?: "cordoned" | "not-selected" | "settling";
  /** For `settling`: when it ends. The broker opens the node by itself then. */
  readonly settledAtMs?: number;
}

/** A pod that is not ours but takes room on a node. */
export interface ForeignPodFacts {
  readonly uid: string;
  readonly node: string;
  readonly requests: Quantities;
  /** Pending and meant for the node (a DaemonSet's), not bound yet: it counts only while it fits. */
  readonly pinned?: boolean;
}

/** How an accept of an optimistic offer is settled: the four modes. */
export interface RaceRules {
  /** Lost is what does not fit any more (`ResourceFit`), or what lies on a node that others have claims on since it was shown (`Version`). */
  readonly conflict: "ResourceFit" | "Version";
  /** What does not lose is started (`Incremental`), or nothing is if anything loses (`AllOrNothing`). */
  readonly transaction: "Incremental" | "AllOrNothing";
}

export interface FrameworkFacts {
  readonly key: Key;
  readonly uid: string;
  readonly queues: readonly { readonly name: string; readonly weight: number }[];
  readonly scheduler: "Builtin" | "Offers";
  /** Name of a placement the broker was made with; Builtin only. */
  readonly placement: string;
  readonly concurrency: "Exclusive" | "Optimistic";
  /** How the races of its optimistic offers are settled. Absent: by `ResourceFit`, `Incremental`. */
  readonly optimistic?: RaceRules;
  readonly offerTimeoutMs: number;
  readonly maxOutstanding: number;
  readonly slack: number;
  readonly constraints?: Constraints;
  /** The least that a slice of an offer must hold to be worth offering. */
  readonly minimum: Quantities;
  readonly suppressed: boolean;
  /** Counter: a change clears the refusal filters. */
  readonly revive: number;
  /** Wishes stated ahead of any task. */
  readonly demand: readonly { readonly instances: number; readonly resources: Quantities }[];
  readonly answerers: readonly string[];
  readonly unreachableAfterMs: number;
  /** Offers only. Absent: the tasks of a program that stays away are kept for ever. */
  readonly failover?: FailoverFacts;
}

export interface RetryFacts {
  readonly limit: number;
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  readonly onNodeLost: "Never" | "Retry";
}

/** What the status of a Task says already: read once, when a term begins. Ranges like "0-41,57". */
export interface RecordedTask {
  readonly succeededIndexes: string;
  readonly failedIndexes: string;
  readonly attempts: readonly { readonly indexes: string; readonly ended: number; readonly failed: number }[];
  /** How the failed indexes ended. */
  readonly counts?: { readonly failed: number; readonly killed: number; readonly lost: number };
  readonly lastFailures?: readonly FailureView[];
  /** All that start together had started. */
  readonly startedTogether?: boolean;
  readonly startedAtMs?: number;
  readonly finishedAtMs?: number;
}

export interface TaskFacts {
  readonly key: Key;
  readonly uid: string;
  readonly framework: Key;
  readonly queue?: string;
  /** Equal for equal templates in one namespace: such pods are sized once. */
  readonly templateKey: string;
  /** What the template asks for, before the API server adds to it; includes pods: 1. */
  readonly requests: Quantities;
  /** The template broke a rule: the task can never run; a text for people. */
  readonly invalid?: string;
  readonly instances: number;
  readonly parallelism?: number;
  /** So many of its instances start together or not at all. */
  readonly gang?: { readonly minimum: number };
  /** Tasks of one framework and queue that start together: `size` of this name. */
  readonly group?: { readonly name: string; readonly size: number };
  readonly priority: number;
  readonly constraints?: Constraints;
  readonly retry: RetryFacts;
  readonly kill?: { readonly indexes?: string; readonly gracePeriodSeconds?: number };
  /** How long each instance is expected to run. Absent: not known. */
  readonly durationMs?: number;
  readonly ttlAfterFinishedMs?: number;
  readonly createdAtMs: number;
  /** deletionTimestamp is set. */
  readonly deleting: boolean;
  readonly recorded?: RecordedTask;
  /** Since when its status says that it waits for room: from an earlier term, if it is the first this one sees of it. */
  readonly waitingSinceMs?: number;
}

export type PodPhase = "Pending" | "Running" | "Succeeded" | "Failed";

/** A pod of ours, as the API server shows it. */
export interface PodFacts {
  readonly uid: string;
  /** "namespace/name" */
  readonly key: Key;
  readonly taskUid: string;
  readonly index: number;
  readonly attempt: number;
  readonly node: string;
  /** Queue label: used for the claim when the Task is gone. */
  readonly queue: string;
  readonly framework: Key;
  /** "‹offer uid›.‹launch›" of the offer it came from. */
  readonly offer?: string;
  readonly phase: PodPhase;
  readonly deleting: boolean;
  /** Deleted with no grace: nobody waits for the end of its containers any more. */
  readonly forced?: boolean;
  /** The tracking finalizer is still there. */
  readonly tracked: boolean;
  readonly requests: Quantities;
  /** A container ever started. */
  readonly started: boolean;
  readonly reason?: string;
  readonly message?: string;
  readonly exitCode?: number;
  readonly createdAtMs?: number;
  readonly startedAtMs?: number;
  readonly finishedAtMs?: number;
  /** It is deleted to give its room back to this queue. */
  readonly reclaimedFor?: string;
}

export interface Slice {
  readonly name: string;
  readonly node: string;
  readonly nodeUid: string;
  readonly resources: Quantities;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Launch {
  /** Name of a Task in the offer's namespace. */
  readonly task: string;
  readonly slice: string;
  readonly count: number;
}

/** Instances of one Task that are given back. */
export interface Release {
  /** Name of a Task in the offer's namespace. */
  readonly task: string;
  /** As ranges. */
  readonly indexes: string;
}

export interface Answer {
  readonly by: string;
  readonly decision: "Accept" | "Decline";
  readonly launches: readonly Launch[];
  /** What to give back, to an inverse offer. */
  readonly release?: readonly Release[];
  readonly refuseMs: number;
  readonly reason?: string;
}

export type OfferPhase = "Open" | "Accepted" | "Refused" | "Declined" | "Rescinded" | "Expired";

/** What became of one launch of an answer. */
export interface LaunchOutcome {
  readonly task: string;
  readonly slice: string;
  /** Indexes started, as ranges. */
  readonly indexes: string;
  readonly refused?: { readonly reason: Reason; readonly message: string };
}

/** What an inverse offer asks for: that `each` becomes free on so many nodes. */
export interface Inverse {
  /** The queue that has less than its guarantee. */
  readonly queue: string;
  readonly each: Quantities;
  readonly instances: number;
  /** What is taken in the end, as things stood when it was made. */
  readonly candidates: readonly (Release & { readonly slice: string })[];
  readonly message: string;
}

/** An Offer object as the API server shows it. */
export interface OfferFacts {
  /** "namespace/name": the name holds the term. */
  readonly key: Key;
  readonly uid: string;
  readonly framework: Key;
  readonly queue: string;
  readonly term: string;
  /** Absent: `Exclusive`. */
  readonly concurrency?: "Exclusive" | "Optimistic";
  readonly phase: OfferPhase;
  readonly slices: readonly Slice[];
  readonly answer?: Answer;
  /** Present: this asks for room, and offers none. */
  readonly inverse?: Inverse & { readonly expiresAtMs: number };
}

export interface OfferDraft {
  readonly key: Key;
  readonly framework: Key;
  readonly frameworkUid: string;
  readonly queue: string;
  readonly term: string;
  readonly concurrency: "Exclusive" | "Optimistic";
  readonly slices: readonly Slice[];
  readonly expiresAtMs: number;
  readonly answerers: readonly string[];
  readonly inverse?: Inverse;
}

/** Identity of one attempt to run one instance. */
export interface AttemptRef {
  readonly taskUid: string;
  readonly index: number;
  readonly attempt: number;
}

export type Input =
  // Facts: the state of an object as it is now. A second observation of the same state changes nothing.
  | { readonly type: "node-observed"; readonly node: NodeFacts }
  | { readonly type: "node-gone"; readonly name: string }
  | { readonly type: "foreign-pod-observed"; readonly pod: ForeignPodFacts }
  | { readonly type: "foreign-pod-gone"; readonly uid: string }
  /** `recorded`: only what stands in the status when the term first sees the queue; absent: no term has decided on it. */
  | { readonly type: "queue-observed"; readonly queue: QueueFacts; readonly recorded?: QueueRecord }
  | { readonly type: "queue-gone"; readonly name: string }
  | { readonly type: "framework-observed"; readonly framework: FrameworkFacts }
  | { readonly type: "framework-gone"; readonly key: Key }
  | { readonly type: "lease-observed"; readonly lease: LeaseFacts }
  | { readonly type: "lease-gone"; readonly key: Key }
  /** The pod that we started for the framework's program runs, or has not since then. */
  | { readonly type: "program-observed"; readonly framework: Key; readonly awaySinceMs?: number }
  /** We start none for it. */
  | { readonly type: "program-gone"; readonly framework: Key }
  | { readonly type: "task-observed"; readonly task: TaskFacts }
  | { readonly type: "task-gone"; readonly uid: string }
  | { readonly type: "pod-observed"; readonly pod: PodFacts }
  | { readonly type: "pod-gone"; readonly pod: PodFacts }
  /** Also carries the answer: an answer is a fact of the Offer object. */
  | { readonly type: "offer-observed"; readonly offer: OfferFacts }
  | { readonly type: "offer-gone"; readonly key: Key }
  // What became of effects.
  | { readonly type: "template-sized"; readonly templateKey: string; readonly requests: Quantities }
  | {
      readonly type: "template-refused";
      readonly templateKey: string;
      readonly message: string;
      /** The Task it was asked for is gone: ask again with another. */
      readonly gone?: boolean;
    }
  /** The pod exists: created now, or found with our owner UID. `requests` and `node` as the API server has them. */
  | { readonly type: "pod-created"; readonly pod: PodFacts }
  /** The API server refused the create: no such pod exists nor will. */
  | {
      readonly type: "pod-refused";
      readonly attempt: AttemptRef;
      readonly message: string;
      /** A ResourceQuota is spent: the same pod may be let in later. */
      readonly byQuota?: boolean;
    }
  | { readonly type: "offer-published"; readonly key: Key; readonly uid: string }
  /** The Offer could not be created and never will be. */
  | { readonly type: "offer-unpublished"; readonly key: Key; readonly message: string }
  /** The closing phase stands in the Offer's status. On a conflict the shell reports `offer-observed` with the answer instead. */
  | { readonly type: "offer-closed"; readonly key: Key }
  /** The Task's status was written as `Broker.taskStatus` gave it at `version`. */
  | { readonly type: "task-recorded"; readonly uid: string; readonly version: number }
  /** The Leases of this framework were read from the API server itself, and told of where they were news. */
  | { readonly type: "absence-confirmed"; readonly framework: Key }
  // The flow of a term.
  /** Offers may (not) be published: without the admission policies nobody could trust an answer. Allowed at first. */
  | { readonly type: "publishing"; readonly allowed: boolean }
  /** All facts of the initial lists are in: settle old offers, then start making offers. */
  | { readonly type: "opened" }
  /** Timers that are due, and a round when something changed. Due at `Broker.nextTickMs`. */
  | { readonly type: "tick" };

export type Effect =
  /** Dry-run create of one pod of this template, to learn what the API server makes of it. */
  | { readonly type: "size-template"; readonly templateKey: string; readonly taskUid: string }
  | { readonly type: "publish-offer"; readonly offer: OfferDraft }
  /** Write the final phase into the Offer's status (with the resourceVersion), later delete it. */
  | {
      readonly type: "close-offer";
      readonly key: Key;
      readonly phase: Exclude<OfferPhase, "Open">;
      readonly launches: readonly LaunchOutcome[];
      /** What an inverse offer has ended. */
      readonly released?: readonly Release[];
      readonly reason?: Reason;
      readonly message?: string;
    }
  /** Create the pod of this attempt on this node; the same body again until the outcome is known. */
  | {
      readonly type: "create-pod";
      readonly attempt: AttemptRef;
      readonly node: string;
      readonly queue: string;
      readonly framework: Key;
      /** "‹offer uid›.‹launch›" */
      readonly offer?: string;
    }
  /** Delete with a UID precondition. `reclaimedFor`: mark the pod with it first, for whoever leads when the pod ends. */
  | {
      readonly type: "delete-pod";
      readonly key: Key;
      readonly uid: string;
      readonly gracePeriodSeconds?: number;
      readonly reclaimedFor?: string;
    }
  /** The end of this pod stands in the Task's status (or the Task is gone): remove the tracking finalizer. */
  | { readonly type: "release-pod"; readonly key: Key; readonly uid: string }
  /** Its time is over: read the framework's Leases from the API server itself, not from a cache, before that costs tasks. */
  | { readonly type: "confirm-absence"; readonly framework: Key }
  /** The status of this object is to be written, some time soon; ask the broker for it then. */
  | { readonly type: "task-changed"; readonly uid: string; readonly urgent: boolean }
  | { readonly type: "framework-changed"; readonly key: Key }
  | { readonly type: "queue-changed"; readonly name: string; readonly urgent: boolean }
  /** ttlSecondsAfterFinished has passed. */
  | { readonly type: "delete-task"; readonly key: Key; readonly uid: string }
  /** Tell people: becomes a Kubernetes event on the object. */
  | {
      readonly type: "event";
      readonly about: { readonly kind: "Framework" | "Task" | "Queue"; readonly key: Key; readonly uid: string };
      readonly severity: "Normal" | "Warning";
      readonly reason: string;
      readonly note: string;
    };
