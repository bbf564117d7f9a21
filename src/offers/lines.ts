import { type Head, headBefore } from "./heads.ts";
import type { Heaped } from "./heap.ts";
import type { Claimant } from "./queues.ts";
import type { Vector } from "./resources.ts";
import type { Shape, ShapeTable } from "./shapes.ts";
import type { Task } from "./task.ts";

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

/** The demand of one claimant for one shape: tasks with ready instances, in order, and wishes stated without tasks. */
export class Line implements Heaped {
  readonly claimant: Claimant;
  readonly shape: Shape;
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
  readonly #tasks: Task[] = [];
  #head = 0;
  /** Where `next` was found last, and how many ready instances stand before it. None: tasks have changed since. */
  #next: { at: number; before: number } | undefined;

  constructor(claimant: Claimant, shape: Shape) {
    this.claimant = claimant;
    this.shape = shape;
  }

  get request(): Vector {
    return this.shape.request;
  }

  /** Instances that want to run. */
  get pending(): number {
    return this.ready + this.stated;
  }

  /** The first task with a ready instance. */
  get head(): Task | undefined {
    return this.#tasks[this.#head];
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

/** All lines, by claimant. */
export class Lines {
  readonly #byClaimant = new Map<Claimant, Map<Shape, Line>>();
  readonly #shapes: ShapeTable;

  constructor(shapes: ShapeTable) {
    this.#shapes = shapes;
  }

  claimants(): Iterable<Claimant> {
    return this.#byClaimant.keys();
  }

  of(claimant: Claimant): Iterable<Line> {
    return this.#byClaimant.get(claimant)?.values() ?? [];
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
    let own = this.#byClaimant.get(claimant);
    if (own === undefined) {
      own = new Map();
      this.#byClaimant.set(claimant, own);
    }
    let line = own.get(shape);
    if (line === undefined) {
      line = new Line(claimant, shape);
      own.set(shape, line);
      shape.users++;
      this.#shapes.asked(shape, 1);
    }
    return line;
  }

  get(claimant: Claimant, shape: Shape): Line | undefined {
    return this.#byClaimant.get(claimant)?.get(shape);
  }

  /** What the task adds to its line's demand may have changed. True if it did. */
  update(task: Task, claimant: Claimant): boolean {
    if (task.shape === undefined) return false;
    const ready = task.ready;
    if (ready === task.counted) return false;
    const line = this.line(claimant, task.shape);
    if (task.counted === 0) line.add(task);
    else if (ready === 0) line.remove(task);
    line.ready += ready - task.counted;
    task.counted = ready;
    line.changed();
    this.dropIfEmpty(line);
    return true;
  }

  /** Before what orders or groups the task changes: takes it out. */
  withdraw(task: Task, claimant: Claimant): void {
    if (task.counted === 0 || task.shape === undefined) return;
    const line = this.line(claimant, task.shape);
    line.remove(task);
    line.ready -= task.counted;
    task.counted = 0;
    this.dropIfEmpty(line);
  }

  dropIfEmpty(line: Line): void {
    if (line.pending > 0 || line.outstanding > 0 || line.holds > 0) return;
    const own = this.#byClaimant.get(line.claimant);
    if (own?.get(line.shape) !== line) return;
    own.delete(line.shape);
    line.shape.users--;
    this.#shapes.asked(line.shape, -1);
    if (own.size === 0) this.#byClaimant.delete(line.claimant);
  }
}
