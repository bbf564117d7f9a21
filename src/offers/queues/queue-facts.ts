import type { Order } from "../policies/registry.ts";
import type { Limits, Quantities } from "../resources.ts";

/** A queue as an administrator declares it. */
export interface QueueFacts {
  readonly name: string;
  readonly parent?: string;
  readonly weight: number;
  readonly guarantee: Quantities;
  readonly limit: Limits;
  /** How its children are put in order. Absent: by dominant share. */
  readonly order?: Order;
  /** Of order `Fair`: the resource to be fair about. */
  readonly fairResource?: string;
  /** Namespaces whose frameworks may use it; "*" = all. */
  readonly namespaces: readonly string[];
  readonly maxFrameworkWeight?: number;
  readonly maxPriority?: number;
  /** Unfinished tasks (not instances) it holds at most. */
  readonly maxTasks?: number;
  readonly reclaim?: ReclaimFacts;
  /** When the object was created: of queues that could come into force at the same time, the older comes first. Absent: first. */
  readonly createdAtMs?: number;
  /** Of the spec. */
  readonly generation?: number;
  /** It breaks a rule that admission did not see: a text for people. Only name, age and generation are to be trusted. */
  readonly invalid?: string;
}

/** What the status of a queue says that an earlier term decided on it. */
export interface QueueRecord {
  /** The last that was in force of it. */
  readonly lastGood: QueueFacts;
  /** It still was, at last. */
  readonly inForce: boolean;
}

/** How what a queue has borrowed is taken back. What is absent is as in the nearest queue above that says it. */
export interface ReclaimFacts {
  /** From an inverse offer until the broker chooses itself; 0: nobody is asked. */
  readonly graceMs?: number;
  /** So long each attempt may run before it can be taken. */
  readonly minimumRuntimeMs?: number;
}
