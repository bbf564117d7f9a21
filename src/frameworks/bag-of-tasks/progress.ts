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
 * How long the status of a Task may take to show launches that its offers told of before: while the operator launches much,
 * statuses have to wait. After that they are launched again if the status still says that they wait; what does not wait is
 * then refused, which does no harm.
 */
const SETTLING_MS = 60_000;
/** The same for answers given before this program was started: how much of them the status shows already is not known. */
const INHERITED_MS = 2_000;
const FIRST_PENALTY_MS = 1_000;
const LONGEST_PENALTY_MS = 60_000;

/** Refusals that say nothing against the Task: the next offer may do. */
const NO_FAULT = new Set(["lost-race", "offer-gone", "not-pending", "over-limit", "kept-back", "parallelism"]);

/** Of one Task: what we know to be launched, and how much of that its status has shown. */
interface Lag {
  /** Instances that ended offers have launched. */
  launched: number;
  /** Starts that have come to show in the status since. */
  shown: number;
  untilMs: number;
}

/** Of one Task: launches of answers that an earlier run of the program gave, which its status may not show yet. */
interface Inherited {
  count: number;
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
  readonly #lags = new Map<string, Lag>();
  /** Kept apart: what the status showed of these before we began would be missed among our own for as long as those settle. */
  readonly #inherited = new Map<string, Inherited>();
  readonly #penalties = new Map<string, Penalty>();
  readonly #ended = new Set<string>();
  /** Offers that this program has answered. */
  readonly #answered = new Set<string>();
  /** By Task: the starts that its status showed last. */
  readonly #starts = new Map<string, number>();

  /** An answer is being given. */
  answerGiven(offerUid: string, launches: readonly Launch[], nowMs: number): void {
    this.#answered.add(offerUid);
    for (const { task } of launches) {
      const lag = this.#lags.get(task);
      if (lag === undefined || nowMs >= lag.untilMs) {
        this.#lags.set(task, { launched: 0, shown: 0, untilMs: nowMs + SETTLING_MS });
      }
    }
  }

  /**
   * An offer of ours was seen. Call with every state of it; only the first one after its end counts.
   *
   * @returns launches that were refused, if this is the first time that the offer's end is seen
   */
  offerSeen(offer: Offer, nowMs: number): LaunchOutcome[] {
    const uid = offer.metadata.uid!;
    if (offer.answer === undefined || phaseOf(offer) === "Open" || this.#ended.has(uid)) return [];
    this.#ended.add(uid);
    const outcomes = offer.status?.launches ?? [];
    for (const { task, indexes, refused } of outcomes) {
      const launched = countOf(indexes);
      if (launched > 0) this.#launched(task, launched, this.#answered.has(uid), nowMs);
      if (!refused) this.#penalties.delete(task);
      else if (!NO_FAULT.has(refused.reason)) this.#penalize(task, nowMs);
    }
    return outcomes.filter(({ refused }) => refused);
  }

  offerGone(offer: Offer): void {
    this.#ended.delete(offer.metadata.uid!);
    this.#answered.delete(offer.metadata.uid!);
  }

  /** A Task's status was seen. To be called with every change, in order. */
  taskSeen(task: Task): void {
    const { name } = task.metadata;
    const starts = startsOf(task);
    const before = this.#starts.get(name) ?? starts;
    const lag = this.#lags.get(name);
    const inherited = this.#inherited.get(name);
    const more = Math.max(0, starts - before);
    if (lag) lag.shown += more;
    else if (inherited) inherited.count = Math.max(0, inherited.count - more);
    this.#starts.set(name, starts);
  }

  /**
   * Instances that are launched, or will be by answers under way, and that the Task's status still counts as waiting.
   *
   * @param underWay how many instances the answers under way launch
   */
  unshownOf(task: string, underWay: number, nowMs: number): number {
    const lag = this.#lags.get(task);
    const inherited = this.#inherited.get(task);
    const before = inherited && nowMs < inherited.untilMs ? inherited.count : 0;
    // The status may also be quicker than the offers: then it shows launches that are still under way.
    const own = lag && nowMs < lag.untilMs ? Math.max(0, underWay + lag.launched - lag.shown) : underWay;
    return own + before;
  }

  isPenalized(task: string, nowMs: number): boolean {
    return nowMs < (this.#penalties.get(task)?.untilMs ?? 0);
  }

  /** When what is not shown is forgotten next, or a penalty ends, or undefined. */
  nextMs(nowMs: number): number | undefined {
    let next = Number.POSITIVE_INFINITY;
    const lagging = [...this.#lags.values()].filter(({ launched, shown }) => launched > shown);
    for (const { untilMs } of [...lagging, ...this.#inherited.values(), ...this.#penalties.values()]) {
      if (untilMs > nowMs) next = Math.min(next, untilMs);
    }
    return Number.isFinite(next) ? next : undefined;
  }

  #launched(task: string, count: number, own: boolean, nowMs: number): void {
    if (!own) {
      const before = this.#inherited.get(task)?.count ?? 0;
      this.#inherited.set(task, { count: before + count, untilMs: nowMs + INHERITED_MS });
      return;
    }
    const lag = this.#lags.get(task) ?? { launched: 0, shown: 0, untilMs: 0 };
    lag.launched += count;
    lag.untilMs = Math.max(lag.untilMs, nowMs + SETTLING_MS);
    this.#lags.set(task, lag);
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

/** How many attempts have begun, as far as the Task's status says. */
function startsOf({ status }: Task): number {
  const { staging = 0, starting = 0, running = 0, unreachable = 0, finished = 0 } = status?.counts ?? {};
  const unsuccessful = (status?.attempts ?? []).reduce((sum, { indexes, ended }) => sum + countOf(indexes) * ended, 0);
  return staging + starting + running + unreachable + finished + unsuccessful;
}

/** What waits by the Tasks' statuses, whether or not it is launched already. */
export function waitingOf(tasks: readonly Task[], memory: Memory, nowMs: number): Wanted[] {
  return tasks
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined && !memory.isPenalized(metadata.name, nowMs))
    .map((task) => ({
      task: task.metadata.name,
      count: pendingOf(task),
      need: podNeed(task.spec.template),
      priority: task.spec.priority ?? 0,
      nodeSelector: task.spec.constraints?.nodeSelector ?? {},
    }))
    .filter(({ count }) => count > 0);
}

/** What is left to launch: what waits less what has been launched, or will be by answers under way. */
export function wantedOf(
  waiting: readonly Wanted[],
  underWay: readonly Launch[],
  memory: Memory,
  nowMs: number,
): Wanted[] {
  const answered = new Map<string, number>();
  for (const { task, count } of underWay) answered.set(task, (answered.get(task) ?? 0) + count);
  return waiting
    .map((each) => ({
      ...each,
      count: each.count - memory.unshownOf(each.task, answered.get(each.task) ?? 0, nowMs),
    }))
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
