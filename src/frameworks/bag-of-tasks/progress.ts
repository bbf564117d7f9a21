import type { LaunchOutcome, Offer } from "../../api/offer.ts";
import type { Task, TaskState } from "../../api/task.ts";
import { isOpen, phaseOf } from "../sdk/answer.ts";
import { podNeed, supplyOf } from "../sdk/resources.ts";
import type { Launch, Offered, Wanted } from "./decide.ts";

const FINAL: ReadonlySet<TaskState> = new Set(["Finished", "Failed", "Killed", "Lost", "Error"]);

/** Whether nothing of a Task will run any more. */
export const isFinal = (task: Task) => FINAL.has(stateOf(task));

/** The state of a Task whose status may not have been written yet. */
export const stateOf = (task: Task): TaskState => task.status?.state ?? "Pending";

/** Instances of a Task that wait, as far as its status says; a Task without counts has not been looked at yet. */
export function pendingOf(task: Task): number {
  if (isFinal(task) || (task.spec.kill !== undefined && task.spec.kill.indexes === undefined)) return 0;
  const pending = task.status?.counts?.pending ?? task.spec.instances;
  if (task.spec.parallelism === undefined) return pending;
  const counts = task.status?.counts;
  const held = counts ? counts.staging + counts.starting + counts.running + counts.unreachable : 0;
  return Math.max(0, Math.min(pending, task.spec.parallelism - held));
}

/**
 * How long the launches of an ended offer may take to show in the status of their Tasks. After that they are launched
 * again if the status still says that they wait; what does not wait is then refused, which does no harm.
 */
const SETTLING_MS = 2_000;
const FIRST_PENALTY_MS = 1_000;
const LONGEST_PENALTY_MS = 60_000;

/** Refusals that say nothing against the Task: the next offer may do. */
const NO_FAULT = new Set(["lost-race", "offer-gone", "not-pending", "over-limit", "kept-back", "parallelism"]);

interface Settling {
  readonly task: string;
  readonly count: number;
  readonly untilMs: number;
}

interface Penalty {
  readonly strikes: number;
  readonly untilMs: number;
}

/**
 * What the objects do not say: launches whose offer has ended and whose Task does not show them yet, and Tasks whose
 * launches were refused. All of it may be forgotten: then some launches are refused once more.
 */
export class Memory {
  readonly #settling = new Map<string, Settling[]>();
  readonly #penalties = new Map<string, Penalty>();
  readonly #ended = new Set<string>();
  /** By offer and Task: how many instances waited when the answer was given. */
  readonly #before = new Map<string, ReadonlyMap<string, number>>();

  /** An answer is being given, while so many instances of each Task wait. */
  answerGiven(offerUid: string, pending: ReadonlyMap<string, number>): void {
    this.#before.set(offerUid, pending);
  }

  /**
   * An offer of ours was seen. Call with every state of it; only the first one after its end counts.
   *
   * @param pending how many instances of each Task wait now
   * @returns launches that were refused, if this is the first time that the offer's end is seen
   */
  offerSeen(offer: Offer, pending: ReadonlyMap<string, number>, nowMs: number): LaunchOutcome[] {
    const uid = offer.metadata.uid!;
    if (offer.answer === undefined || phaseOf(offer) === "Open" || this.#ended.has(uid)) return [];
    this.#ended.add(uid);
    const untilMs = nowMs + SETTLING_MS;
    const outcomes = offer.status?.launches ?? [];
    const before = this.#before.get(uid);
    const launched = outcomes
      .map(({ task, indexes }) => ({ task, count: countOf(indexes), untilMs }))
      // The Task's status may have been quicker than the offer's.
      .filter(({ task, count }) => (pending.get(task) ?? 0) > (before?.get(task) ?? 0) - count);
    if (launched.length > 0) this.#settling.set(uid, launched);
    for (const { task, refused } of outcomes) {
      if (!refused) this.#penalties.delete(task);
      else if (!NO_FAULT.has(refused.reason)) this.#penalize(task, nowMs);
    }
    return outcomes.filter(({ refused }) => refused);
  }

  offerGone(offer: Offer): void {
    this.#ended.delete(offer.metadata.uid!);
    this.#before.delete(offer.metadata.uid!);
  }

  /** A Task's status was seen: it shows the launches of the offers that ended before. */
  taskSeen(task: Task): void {
    for (const [uid, launches] of this.#settling) {
      const left = launches.filter((launch) => launch.task !== task.metadata.name);
      if (left.length === 0) this.#settling.delete(uid);
      else this.#settling.set(uid, left);
    }
  }

  settlingOf(task: string, nowMs: number): number {
    let sum = 0;
    for (const launches of this.#settling.values()) {
      for (const launch of launches) if (launch.task === task && nowMs < launch.untilMs) sum += launch.count;
    }
    return sum;
  }

  isPenalized(task: string, nowMs: number): boolean {
    return nowMs < (this.#penalties.get(task)?.untilMs ?? 0);
  }

  /** When the next settling launch or penalty ends, or undefined. */
  nextMs(nowMs: number): number | undefined {
    let next = Number.POSITIVE_INFINITY;
    for (const { untilMs } of [...[...this.#settling.values()].flat(), ...this.#penalties.values()]) {
      if (untilMs > nowMs) next = Math.min(next, untilMs);
    }
    return Number.isFinite(next) ? next : undefined;
  }

  #penalize(task: string, nowMs: number): void {
    const strikes = (this.#penalties.get(task)?.strikes ?? 0) + 1;
    const delayMs = Math.min(LONGEST_PENALTY_MS, FIRST_PENALTY_MS * 2 ** Math.min(strikes - 1, 20));
    this.#penalties.set(task, { strikes, untilMs: nowMs + delayMs });
  }
}

/** Launches of answers that stand and have not been settled by the operator yet. */
export function unsettledLaunches(offers: readonly Offer[]): Launch[] {
  return offers
    .filter((offer) => offer.answer !== undefined && phaseOf(offer) === "Open")
    .flatMap((offer) => offer.answer?.launches ?? []);
}

/** What is left to launch: pending instances less those that answers under way launch already. */
export function wantedOf(tasks: readonly Task[], underWay: readonly Launch[], memory: Memory, nowMs: number): Wanted[] {
  const answered = new Map<string, number>();
  for (const { task, count } of underWay) answered.set(task, (answered.get(task) ?? 0) + count);
  return tasks
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined && !memory.isPenalized(metadata.name, nowMs))
    .map((task) => {
      const name = task.metadata.name;
      return {
        task: name,
        count: pendingOf(task) - (answered.get(name) ?? 0) - memory.settlingOf(name, nowMs),
        need: podNeed(task.spec.template),
        priority: task.spec.priority ?? 0,
        nodeSelector: task.spec.constraints?.nodeSelector ?? {},
      };
    })
    .filter(({ count }) => count > 0);
}

/** Open offers as `decide` wants them. Whether one has expired is the operator's to say: our clock may be wrong. */
export function offeredOf(offers: readonly Offer[]): Offered[] {
  return offers.filter(isOpen).map((offer) => ({
    name: offer.metadata.name,
    slices: offer.spec.slices.map(({ name, resources, labels }) => ({
      name,
      // A slice that says nothing of pods does not limit them.
      free: new Map([["pods", Number.POSITIVE_INFINITY], ...supplyOf(resources)]),
      labels: labels ?? {},
    })),
  }));
}

/** How many indexes ranges such as `0-41,57` hold. */
function countOf(ranges: string): number {
  if (ranges === "") return 0;
  return ranges.split(",").reduce((sum, range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return sum + last - first + 1;
  }, 0);
}
