import type { Framework } from "../framework.ts";
import type { Hold } from "../holds.ts";
import type { Line } from "../lines.ts";
import { matchesLabels, untoleratedTaint } from "../nodes/constraints.ts";
import type { NodeEntry } from "../nodes/nodes.ts";
import type { Queue } from "../queues/queues.ts";
import type { Vector } from "../resources.ts";
import { shownTo } from "../shown.ts";
import type { State } from "../state.ts";
import { type Heaped, IndexedHeap } from "../structures/heap.ts";
import type { Assignment } from "../tasks/assignment.ts";
import type { Instance } from "../tasks/instance.ts";
import type { Task } from "../tasks/task.ts";
import type { When } from "../views.ts";
import { needOf } from "./node-survey.ts";
import { type Bound, boundsOf, isBroken } from "./room-survey.ts";

/** Places given to others first: more are not worth the time, nor likely to come true. */
const MOST_AHEAD = 2_000;

/** An instance ends, or (without a vector) a node opens: at `atMs` there is more room. */
interface Ending extends Heaped {
  readonly atMs: number;
  readonly node: number;
  readonly vector: Vector | undefined;
  /** The queues that it counts in until then. */
  readonly above: ReadonlySet<Queue>;
}

/** What runs on the nodes in question, by what is known of its end. */
interface InTheWay {
  known: number;
  /** Its Task states no duration, or it has not begun to run. */
  silent: number;
  /** It has run longer than its Task stated. */
  overdue: number;
  /** Other claims on its nodes. */
  foreign: number;
  offer: number;
  hold: number;
}

/** When an instance ends, wall-clock milliseconds; "silent" and "overdue": nobody knows. */
export function endOf(task: Task, { runsSinceMs }: Instance, nowMs: number): number | "silent" | "overdue" {
  const { durationMs } = task.facts;
  if (durationMs === undefined || runsSinceMs === undefined) return "silent";
  return runsSinceMs + durationMs > nowMs ? runsSinceMs + durationMs : "overdue";
}

/** What is to start at one time: instances of one shape. */
export interface Start {
  readonly count: number;
  /** What is held for it. */
  readonly held: readonly Hold[];
}

const ONE: Start = { count: 1, held: [] };

/**
 * The earliest time at which one more instance of the line is foreseen to fit, or all that start together, after `ahead`
 * (each with the duration of its Task) have been given their places. What runs ends as stated and nobody else takes the room: as the
 * shadow time of EASY backfilling (Lifka, "The ANL/IBM SP Scheduling System", 1995), with the limits of the queues above.
 */
export class StartEstimate {
  readonly #state: State;
  readonly #nowMs: number;
  readonly #need: Vector;
  readonly #start: Start;
  readonly #bounds: readonly Bound[];
  /** Nodes that it may use now or one day, and what is free there. */
  readonly #free = new Map<number, Vector>();
  /** Of those, the ones it may not use yet. */
  readonly #shut = new Set<number>();
  /** Of those, the ones where one more fits now, with how many do. */
  readonly #fitting = new Map<number, number>();
  /** The sum of these. */
  #fits = 0;
  /** What is left of each bound, in the order of `#bounds`. */
  readonly #left: number[];
  readonly #endings = new IndexedHeap<Ending>((a, b) => a.atMs < b.atMs);
  readonly #inTheWay: InTheWay = { known: 0, silent: 0, overdue: 0, foreign: 0, offer: 0, hold: 0 };

  constructor(state: State, assignment: Assignment, framework: Framework, line: Line, nowMs: number, start = ONE) {
    this.#state = state;
    this.#nowMs = nowMs;
    this.#start = start;
    this.#need = needOf(state, framework, line.request);
    this.#bounds = boundsOf(state, framework, line.claimant, this.#lack());
    this.#left = this.#bounds.map(({ left }) => left);
    const shown = framework.optimisticIn(line.claimant.queueName) ? shownTo(framework) : undefined;
    for (const node of state.nodes.entries) {
      if (node?.facts === undefined || !this.#mayUse(line, node)) continue;
      this.#consider(node, state.refusals.untilMs(framework, node.index), shown?.get(node.index));
    }
    this.#foresee(assignment);
    this.#endings.rebuild();
  }

  /** `ahead`: durations of instances served before it, in order; Infinity where one is not known. */
  after(ahead: Iterable<number>): When {
    if (this.#free.size === 0) return { unknown: "no node that it may use is large enough, even when it is empty" };
    let nowMs = this.#nowMs;
    const line = ahead[Symbol.iterator]();
    let first = line.next();
    for (let placed = 0; placed <= MOST_AHEAD; ) {
      for (let next = this.#endings.top; next !== undefined && next.atMs <= nowMs; next = this.#endings.top) {
        this.#endings.remove(next);
        this.#end(next);
      }
      if (this.#fits >= (first.done === true ? this.#start.count : 1) && this.#passesBounds()) {
        if (first.done === true) return { estimateMs: nowMs };
        const [node] = this.#fitting.keys();
        this.#place(node!, nowMs + first.value);
        first = line.next();
        placed++;
        continue;
      }
      const next = this.#endings.top;
      if (next === undefined) return { unknown: this.#why() };
      nowMs = next.atMs;
    }
    return { unknown: `more than ${MOST_AHEAD} instances are served before it` };
  }

  /** Is it a node that could hold one, once it is open and empty? */
  #mayUse({ shape }: Line, node: NodeEntry): boolean {
    const { constraints } = shape.where;
    const { index, closed, facts } = node;
    if (closed !== undefined && opening(node) === undefined) return false;
    if (!matchesLabels(constraints, facts!.labels)) return false;
    if (untoleratedTaint(constraints.tolerations ?? [], facts!.taints) !== undefined) return false;
    if (shape.spread.some((group) => !group.allowed.has(index))) return false;
    const { total, width } = this.#state.nodes;
    return this.#need.every((asked, r) => asked <= (total[index * width + r] ?? 0));
  }

  /** What it asks for beyond what is held for it. */
  #lack(): Vector {
    const { count, held } = this.#start;
    return this.#need.map((asked, r) => {
      return Math.max(0, count * asked - held.reduce((sum, { claim }) => sum + (claim.vector[r] ?? 0), 0));
    });
  }

  #consider(node: NodeEntry, refusedUntilMs = 0, shown: Vector | undefined = undefined): void {
    const { index } = node;
    const free = this.#state.nodes.freeVector(index);
    for (const { claim } of this.#start.held) {
      if (claim.node === index) for (let r = 0; r < free.length; r++) free[r]! += claim.vector[r] ?? 0;
    }
    this.#free.set(index, free);
    const opensAtMs = Math.max(opening(node) ?? 0, refusedUntilMs);
    if (opensAtMs > this.#nowMs) {
      this.#shut.add(index);
      this.#endings.append({ atMs: opensAtMs, node: index, vector: undefined, above: nobody, place: -1 });
    }
    if (shown !== undefined) this.#give(index, shown, -1, nobody);
    this.#look(index);
  }

  /** The ends of all that runs and whose end would help. */
  #foresee(assignment: Assignment): void {
    const lacksNode = this.#fits < this.#start.count;
    const broken = this.#bounds.filter(isBroken).map(({ queue }) => queue);
    const paths = new Map<Queue | undefined, ReadonlySet<Queue>>();
    for (const task of this.#state.tasks.values()) {
      if (task.live.size === 0) continue;
      const { parent } = assignment.claimant(task);
      const above = paths.get(parent) ?? new Set(this.#state.tree.path(parent));
      paths.set(parent, above);
      const isBelow = broken.some((queue) => queue === undefined || above.has(queue));
      for (const instance of task.live.values()) {
        const isInTheWay = isBelow || (lacksNode && this.#free.has(instance.node));
        this.#foreseeEnd(endOf(task, instance, this.#nowMs), instance, above, isInTheWay);
      }
    }
    if (!lacksNode) return;
    this.#inTheWay.hold -= this.#start.held.filter(({ claim }) => this.#free.has(claim.node)).length;
    for (const node of this.#free.keys()) {
      for (const { kind } of this.#state.ledger.onNode(node)) {
        if (kind !== "task") this.#inTheWay[kind]++;
      }
    }
  }

  #foreseeEnd(
    atMs: number | "silent" | "overdue",
    { node, vector }: Instance,
    above: ReadonlySet<Queue>,
    isInTheWay: boolean,
  ): void {
    if (isInTheWay) this.#inTheWay[typeof atMs === "number" ? "known" : atMs]++;
    if (typeof atMs === "string") return;
    this.#endings.append({ atMs, node, vector, above, place: -1 });
  }

  #end({ node, vector, above }: Ending): void {
    if (vector !== undefined) {
      this.#give(node, vector, 1, above);
      return;
    }
    this.#shut.delete(node);
    this.#look(node);
  }

  /** One of those before it takes its place, until it ends. */
  #place(node: number, untilMs: number): void {
    const above = new Set(this.#bounds.flatMap(({ queue }) => queue ?? []));
    const need = this.#need;
    this.#give(node, need, -1, above);
    if (untilMs === Number.POSITIVE_INFINITY) this.#inTheWay.silent++;
    else this.#endings.push({ atMs: untilMs, node, vector: need, above, place: -1 });
  }

  #give(node: number, vector: Vector, sign: 1 | -1, above: ReadonlySet<Queue>): void {
    const free = this.#free.get(node);
    if (free !== undefined) {
      for (let r = 0; r < vector.length; r++) free[r]! += sign * vector[r]!;
      this.#look(node);
    }
    this.#bounds.forEach(({ queue, resource }, i) => {
      if (queue === undefined || above.has(queue)) this.#left[i]! += sign * (vector[resource] ?? 0);
    });
  }

  #look(node: number): void {
    const fit = this.#shut.has(node) ? 0 : this.#fitOn(this.#free.get(node)!);
    this.#fits += fit - (this.#fitting.get(node) ?? 0);
    if (fit > 0) this.#fitting.set(node, fit);
    else this.#fitting.delete(node);
  }

  /** How many fit there, up to all of them. */
  #fitOn(free: Vector): number {
    let fit = this.#start.count;
    for (let r = 0; r < free.length; r++) {
      const asked = this.#need[r] ?? 0;
      if (free[r]! < asked) return 0;
      if (asked > 0) fit = Math.min(fit, Math.floor(free[r]! / asked));
    }
    return fit;
  }

  #passesBounds(): boolean {
    return this.#bounds.every(({ needs }, i) => needs <= this.#left[i]!);
  }

  /** In the words of an answer that begins with "not known: ". */
  #why(): string {
    const { known, silent, overdue, foreign, offer, hold } = this.#inTheWay;
    const keeps = this.#bounds.some(({ kept, needs }, i) => kept.length > 0 && needs > this.#left[i]!);
    const all = known + silent + overdue;
    const parts = [
      silent > 0 ? `${silent} of the ${all} instances in its way state no duration or do not run yet` : "",
      overdue > 0 ? `${overdue} of the ${all} instances in its way run longer than they stated` : "",
      foreign > 0 ? `${foreign} pods that are not Proffer's are on its nodes` : "",
      offer > 0 ? `${offer} open offers hold room there` : "",
      hold > 0 ? `room is kept there for ${hold} that wait` : "",
      keeps ? "what is kept back for other queues stays so until their demand is met" : "",
    ].filter((part) => part !== "");
    return parts.join(", ") || "nothing that runs makes room for it by its end";
  }
}

const nobody: ReadonlySet<Queue> = new Set();

/** When a node opens by itself that is closed now. */
function opening({ closed, facts, distrustedUntilMs }: NodeEntry): number | undefined {
  if (closed === "settling") return facts?.settledAtMs;
  return closed === "refused a pod" ? distrustedUntilMs : undefined;
}
