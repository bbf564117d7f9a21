import type { Gang, Waiter } from "./gangs/gang.ts";
import { demandOf } from "./gangs/gathered.ts";
import type { Shape, ShapeTable } from "./nodes/shapes.ts";
import { type Head, headBefore } from "./queues/heads.ts";
import type { Claimant } from "./queues/queues.ts";
import type { Vector } from "./resources.ts";
import type { Heaped } from "./structures/heap.ts";
import type { Task } from "./tasks/task.ts";

/** Who is served first within a claimant: priority, age, name. Total. */
export function before(a: Task, b: Task): boolean {
  return headBefore(a.facts, b.facts);
}

/** Which line of a claimant is served first: the one whose head is. Total. */
export function lineBefore(a: Line, b: Line): boolean {
  if (a.head === undefined || b.head === undefined) {
    return a.head === b.head ? a.shape.id < b.shape.id : a.head !== undefined;
  }
  return before(a.head, b.head);
}

/**
 * The demand of one claimant for one shape: tasks with ready instances, in order, and wishes stated without tasks. A Task
 * whose instances start together has a line of its own until they have.
 */
export class Line implements Heaped, Waiter {
  readonly claimant: Claimant;
  readonly shape: Shape;
  /** What it is a part of, and starts with as a whole. */
  readonly gang: Gang | undefined;
  /** Ready instances of its tasks. */
  ready = 0;
  /** Instances stated by `Framework.spec.demand`. */
  stated = 0;
  /** Instances in open offers that were drafted for this line. */
  outstanding = 0;
  /** As many of those as are only shown (optimistic): nothing holds room for them. */
  shown = 0;
  /** Room is kept for it in so many places, and this many of them are whole: an instance each may start there. */
  holds = 0;
  held = 0;
  /** Nothing more for it in this round: why. */
  blocked: "no-node" | "over-limit" | "kept-back" | undefined;
  /** Among the lines of its claimant that may still get something in this pass. */
  place = -1;
  /** Where the search of this round goes on: nodes before it do not fit or are refused. */
  cursor = 0;
  /** The head it had when it was put in order among those that room is kept back for. */
  orderedBy: Task | undefined;
  waitingSinceMs: number | undefined;
  vainHolds = 0;
  readonly #tasks: Task[] = [];
  #head = 0;
  /** Where `next` was found last, and how many ready instances stand before it. None: tasks have changed since. */
  #next: { at: number; before: number } | undefined;

  constructor(claimant: Claimant, shape: Shape, gang?: Gang) {
    this.claimant = claimant;
    this.shape = shape;
    this.gang = gang;
  }

  get request(): Vector {
    return this.shape.request;
  }

  /** Instances that want to run. */
  get pending(): number {
    return this.ready + this.stated;
  }

  /** Instances that room is claimed for in open offers, though nobody wants them. */
  get pastDemand(): number {
    return Math.max(0, this.outstanding - this.shown - this.pending);
  }

  /** The first task with a ready instance. */
  get head(): Task | undefined {
    return this.#tasks[this.#head];
  }

  /** The task joins it, and has waited since before: so has the line. */
  goOnWaiting(task: Task): void {
    const { waitedSinceMs } = task;
    if (this.gang !== undefined || waitedSinceMs === undefined) return;
    this.waitingSinceMs = Math.min(this.waitingSinceMs ?? waitedSinceMs, waitedSinceMs);
    task.waitedSinceMs = undefined;
  }

  /** It got something: its wait is over. */
  served(): void {
    this.waitingSinceMs = undefined;
    this.vainHolds = 0;
  }

  /** Its turn is the turn of all it starts with, or of itself alone. */
  get leads(): boolean {
    return this.gang === undefined || this.gang.lead === this;
  }

  /** The task that the next grant is for: the first that has a ready instance which is not offered yet. */
  get next(): Head | undefined {
    if (this.outstanding === 0) return this.head?.facts;
    let { at, before } = this.#next ?? { at: this.#head, before: 0 };
    if (before > this.outstanding) [at, before] = [this.#head, 0];
    for (; at < this.#tasks.length; at++) {
      const { counted } = this.#tasks[at]!;
      if (before + counted > this.outstanding) break;
      before += counted;
    }
    this.#next = { at, before };
    return this.#tasks[at]?.facts;
  }

  /** What its tasks have ready, or which they are, has changed. */
  changed(): void {
    this.#next = undefined;
  }

  *tasks(): Generator<Task> {
    for (let i = this.#head; i < this.#tasks.length; i++) yield this.#tasks[i]!;
  }

  /** How many tasks stand before this one. */
  placeOf(task: Task): number {
    return this.#find(task) - this.#head;
  }

  add(task: Task): void {
    this.changed();
    this.#tasks.splice(this.#find(task), 0, task);
  }

  remove(task: Task): void {
    this.changed();
    const at = this.#find(task);
    if (this.#tasks[at] !== task) return;
    if (at > this.#head) {
      this.#tasks.splice(at, 1);
      return;
    }
    this.#head++;
    // Served tasks are cut off in large pieces, so that the next one costs nothing.
    if (this.#head >= 1024 && this.#head * 2 >= this.#tasks.length) {
      this.#tasks.splice(0, this.#head);
      this.#head = 0;
    }
  }

  /** Where the task stands, or would. New tasks mostly belong at the end. */
  #find(task: Task): number {
    let [low, high] = [this.#head, this.#tasks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (before(this.#tasks[middle]!, task)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** All lines of one claimant. */
export interface Own {
  readonly all: Set<Line>;
  /** Those that are not part of a gang. */
  readonly byShape: Map<Shape, Line>;
}

/** All lines, by claimant. */
export class Lines {
  /** Those of which, when their demand fell, more was offered than they want; some may be right again. */
  readonly overOffered = new Set<Line>();
  /** Those that have any. */
  readonly #claimants = new Set<Claimant>();
  readonly #shapes: ShapeTable;

  constructor(shapes: ShapeTable) {
    this.#shapes = shapes;
  }

  claimants(): Iterable<Claimant> {
    return this.#claimants;
  }

  of(claimant: Claimant): Iterable<Line> {
    return claimant.lines?.all ?? [];
  }

  /** The line of the claimant that is served first, of those that want something and may get it. */
  first(claimant: Claimant): Line | undefined {
    let first: Line | undefined;
    for (const line of this.of(claimant)) {
      if (line.blocked !== undefined || line.outstanding >= line.pending) continue;
      if (first === undefined || lineBefore(line, first)) first = line;
    }
    return first;
  }

  line(claimant: Claimant, shape: Shape): Line {
    const known = this.get(claimant, shape);
    if (known !== undefined) return known;
    const line = this.#add(new Line(claimant, shape));
    claimant.lines!.byShape.set(shape, line);
    return line;
  }

  get(claimant: Claimant, shape: Shape): Line | undefined {
    return claimant.lines?.byShape.get(shape);
  }

  /** What the task adds to its line's demand may have changed. True if it did. */
  update(task: Task, claimant: Claimant): boolean {
    const { shape, gang, line: before } = task;
    if (shape === undefined) return false;
    const own = gang?.state === "started" ? undefined : gang;
    const stays = before?.claimant === claimant && before.shape === shape && before.gang === own;
    const moved = before !== undefined && !stays;
    if (moved) this.withdraw(task);
    const demand = demandOf(task);
    if (demand === task.counted) return moved;
    const line = before !== undefined && stays ? before : this.#lineOf(task, claimant, shape, own);
    if (task.counted === 0) {
      line.add(task);
      line.goOnWaiting(task);
    } else if (demand === 0) line.remove(task);
    line.ready += demand - task.counted;
    task.counted = demand;
    task.line = demand === 0 ? undefined : line;
    line.changed();
    this.fell(line);
    return true;
  }

  /** Before what orders or groups the task changes: takes it out. Its wait goes on wherever it is put then. */
  withdraw(task: Task): void {
    const { line } = task;
    if (line === undefined) return;
    if (line.gang === undefined) task.waitedSinceMs = line.waitingSinceMs;
    line.remove(task);
    line.ready -= task.counted;
    task.counted = 0;
    task.line = undefined;
    line.changed();
    this.fell(line);
  }

  /** Its demand may be less than before. */
  fell(line: Line): void {
    if (line.pastDemand > 0) this.overOffered.add(line);
    this.dropIfEmpty(line);
  }

  dropIfEmpty(line: Line): void {
    if (line.pending > 0 || line.outstanding > 0 || line.holds > 0) return;
    const { claimant } = line;
    const own = claimant.lines;
    if (own?.all.delete(line) !== true) return;
    this.overOffered.delete(line);
    if (line.gang === undefined) own.byShape.delete(line.shape);
    line.shape.users--;
    this.#shapes.asked(line.shape, -1);
    if (own.all.size > 0) return;
    claimant.lines = undefined;
    this.#claimants.delete(claimant);
  }

  #lineOf(task: Task, claimant: Claimant, shape: Shape, gang: Gang | undefined): Line {
    if (gang === undefined) return this.line(claimant, shape);
    const known = task.ownLine;
    // What is offered or held for it stays its own while it is not startable for a moment.
    const stands = known?.claimant === claimant && known.shape === shape && known.gang === gang;
    if (known !== undefined && stands && claimant.lines?.all.has(known) === true) return known;
    task.ownLine = this.#add(new Line(claimant, shape, gang));
    return task.ownLine;
  }

  #add(line: Line): Line {
    const { claimant, shape } = line;
    claimant.lines ??= { all: new Set(), byShape: new Map() };
    claimant.lines.all.add(line);
    this.#claimants.add(claimant);
    shape.users++;
    this.#shapes.asked(shape, 1);
    return line;
  }
}
