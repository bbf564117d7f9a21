/**
 * The referee: a fold over every pod event of the API server, that knows nothing of what the operator believes. It says
 * whether each instance ran exactly once, and whether a node ever held more than it has.
 */
import { INDEX_LABEL, QUEUE_LABEL } from "../../src/api/labels.ts";
import type { PodTemplate } from "../../src/api/pod-template.ts";
import { type Amounts, podNeed } from "../../src/frameworks/sdk/resources.ts";
import type { Json } from "../cluster/api-client.ts";

export interface PodEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly pod: SeenPod;
}

/** What counts of a pod. */
export interface SeenPod {
  readonly uid: string;
  /** `namespace/name`. */
  readonly key: string;
  /** Absent until it is bound. */
  readonly node?: string;
  readonly phase: string;
  /** Absent where it is no Task's. */
  readonly run?: { readonly task: string; readonly index: string };
  readonly queue?: string;
  /** Thousandths of each resource's unit. */
  readonly requests: Amounts;
}

export function seenPod({ metadata, spec, status }: Json): SeenPod {
  const owner = (metadata.ownerReferences ?? []).find(({ kind }: Json) => kind === "Task");
  const { [INDEX_LABEL]: index, [QUEUE_LABEL]: queue } = metadata.labels ?? {};
  return {
    uid: metadata.uid,
    key: `${metadata.namespace}/${metadata.name}`,
    phase: status?.phase ?? "Pending",
    requests: podNeed({ spec } as PodTemplate),
    ...(spec.nodeName === undefined ? {} : { node: spec.nodeName }),
    ...(owner === undefined || index === undefined ? {} : { run: { task: owner.uid, index } }),
    ...(queue === undefined ? {} : { queue }),
  };
}

/** A Task whose instances are all to run. */
export interface Expected {
  readonly uid: string;
  /** `namespace/name`. */
  readonly key: string;
  readonly instances: number;
}

export interface Verdict {
  /** Instances that ran exactly once. */
  readonly once: number;
  readonly expected: number;
  /** Pods that ended otherwise than by success, or were gone without having ended. */
  readonly unsuccessful: number;
  /** What must never be, as sentences; empty when all is well. */
  readonly violations: readonly string[];
}

interface Runs {
  readonly live: Set<string>;
  readonly succeeded: Set<string>;
}

const terminal = (phase: string): boolean => phase === "Succeeded" || phase === "Failed";
/** After so many, more of them say nothing new. */
const MAX_VIOLATIONS = 20;

export class Referee {
  readonly #allocatable: ReadonlyMap<string, Amounts>;
  readonly #total: Amounts;
  /** Pods that take room of their node, by UID. */
  readonly #live = new Map<string, SeenPod>();
  readonly #used = new Map<string, Map<string, number>>();
  readonly #queues = new Map<string, Map<string, number>>();
  /** By Task UID and index. */
  readonly #runs = new Map<string, Runs>();
  readonly #unsuccessful = new Set<string>();
  readonly #violations: string[] = [];
  events = 0;

  /** @param allocatable what each node has, in thousandths of each resource's unit */
  constructor(allocatable: ReadonlyMap<string, Amounts>) {
    this.#allocatable = allocatable;
    const total = new Map<string, number>();
    for (const amounts of allocatable.values()) add(total, amounts, 1);
    this.#total = total;
  }

  /** To be called with every event, in the API server's order. */
  apply({ type, pod }: PodEvent): void {
    this.events++;
    const lives = type !== "DELETED" && pod.node !== undefined && !terminal(pod.phase);
    this.#account(pod, lives);
    if (pod.run !== undefined) this.#follow(`${pod.run.task}/${pod.run.index}`, pod, type === "DELETED");
  }

  /** The part of the whole cluster that each queue's live pods hold, in the resource that they hold most of: 0 to 1. */
  shares(): Map<string, number> {
    return new Map([...this.#queues].map(([queue, held]) => [queue, this.#partOf(held)]));
  }

  /** The part of a resource that all live pods hold. */
  utilisation(resource: string): number {
    let held = 0;
    for (const used of this.#used.values()) held += used.get(resource) ?? 0;
    return held / Math.max(1, this.#total.get(resource) ?? 0);
  }

  /** Instances of a Task that have succeeded. */
  succeeded({ uid, instances }: Expected): number {
    let count = 0;
    for (let index = 0; index < instances; index++) {
      if ((this.#runs.get(`${uid}/${index}`)?.succeeded.size ?? 0) > 0) count++;
    }
    return count;
  }

  verdict(expected: readonly Expected[]): Verdict {
    const violations = [...this.#violations];
    const complain = (text: string) => violations.length < 2 * MAX_VIOLATIONS && violations.push(text);
    const known = new Set<string>();
    let once = 0;
    for (const { uid, key, instances } of expected) {
      for (let index = 0; index < instances; index++) {
        known.add(`${uid}/${index}`);
        const times = this.#runs.get(`${uid}/${index}`)?.succeeded.size ?? 0;
        if (times === 1) once++;
        else complain(`${key}, index ${index}: ${times} pods succeeded instead of one`);
      }
    }
    for (const run of this.#runs.keys()) {
      if (!known.has(run)) complain(`a pod ran for ${run}, which nobody asked for`);
    }
    const total = expected.reduce((sum, { instances }) => sum + instances, 0);
    return { once, expected: total, unsuccessful: this.#unsuccessful.size, violations };
  }

  #account(pod: SeenPod, lives: boolean): void {
    const before = this.#live.get(pod.uid);
    if (before !== undefined) {
      this.#live.delete(pod.uid);
      add(entry(this.#used, before.node!), before.requests, -1);
      if (before.queue !== undefined) add(entry(this.#queues, before.queue), before.requests, -1);
    }
    if (!lives) return;
    this.#live.set(pod.uid, pod);
    add(entry(this.#used, pod.node!), pod.requests, 1);
    if (pod.queue !== undefined) add(entry(this.#queues, pod.queue), pod.requests, 1);
    // Only what is new, or larger than it was, can have been one too many.
    const grew = [...pod.requests].some(([name, amount]) => amount > (before?.requests.get(name) ?? 0));
    if (grew || before?.node !== pod.node) this.#checkRoom(pod);
  }

  #checkRoom({ node = "", key }: SeenPod): void {
    const allocatable = this.#allocatable.get(node);
    if (allocatable === undefined) this.#violation(`${key} is on ${node}, which is no node`);
    for (const [name, amount] of entry(this.#used, node)) {
      const has = allocatable?.get(name) ?? 0;
      if (amount > has) {
        this.#violation(`node ${node} is over-committed by ${key}: ${name} ${amount / 1000} of ${has / 1000}`);
      }
    }
  }

  #follow(key: string, pod: SeenPod, gone: boolean): void {
    let runs = this.#runs.get(key);
    if (runs === undefined) {
      runs = { live: new Set(), succeeded: new Set() };
      this.#runs.set(key, runs);
    }
    if (pod.phase === "Succeeded") {
      runs.succeeded.add(pod.uid);
      if (runs.live.delete(pod.uid) && runs.succeeded.size > 1) this.#violation(`${pod.key}: ${key} succeeded again`);
    } else if (gone || pod.phase === "Failed") {
      runs.live.delete(pod.uid);
      if (!runs.succeeded.has(pod.uid)) this.#unsuccessful.add(pod.uid);
    } else if (!runs.live.has(pod.uid)) {
      runs.live.add(pod.uid);
      if (runs.live.size > 1) this.#violation(`${pod.key}: ${runs.live.size} pods of ${key} at once`);
      if (runs.succeeded.size > 0) this.#violation(`${pod.key}: ${key} was started again after its success`);
    }
  }

  #partOf(held: Amounts): number {
    let part = 0;
    for (const [name, amount] of held) part = Math.max(part, amount / Math.max(1, this.#total.get(name) ?? 0));
    return part;
  }

  #violation(text: string): void {
    if (this.#violations.length < MAX_VIOLATIONS) this.#violations.push(text);
  }
}

function entry(map: Map<string, Map<string, number>>, key: string): Map<string, number> {
  let found = map.get(key);
  if (found === undefined) {
    found = new Map();
    map.set(key, found);
  }
  return found;
}

function add(sum: Map<string, number>, amounts: Amounts, times: number): void {
  for (const [name, amount] of amounts) sum.set(name, (sum.get(name) ?? 0) + times * amount);
}
