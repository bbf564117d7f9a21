import { type Heaped, IndexedHeap } from "./heap.ts";
import type { QueueFacts, QueueRecord } from "./messages.ts";
import { QueueForest } from "./queue-forest.ts";

/** A queue as it was declared last, and what of it is in force. */
export interface Standing {
  readonly declared: QueueFacts;
  /** What was in force last. It may be what is declared. */
  readonly lastGood: QueueFacts | undefined;
  /** What was in force last is so now. */
  readonly inForce: boolean;
  /** Why what is declared is not in force. */
  readonly problem: string | undefined;
}

interface Entry extends Standing {
  /** It has been decided on before, and is not new any more. */
  readonly judged: boolean;
}

interface Candidate extends Heaped {
  readonly queue: QueueFacts;
  /** The youngest on its way up: a queue counts from when all above it was there. */
  readonly youngest: QueueFacts;
}

/**
 * Which of all declared queues are in force, so that they never contradict each other. What is in force stays so until
 * another declaration of the same queue can take its place; a contradiction is the fault of whoever comes later.
 *
 * 1. In force are those that were, and new ones, in the order of their creation, then name, each once its parent is. So of two
 *    creations at once that are too much together, the later one is refused, whichever is seen first. A queue is new until it
 *    is changed or has been refused, other than for want of a parent: who was refused before does not drive out by its age what
 *    came into force since.
 * 2. Then come those that were in force once and are not now, and then whatever is declared otherwise, if it contradicts
 *    nothing, in the same order, again and again until nothing more does: one change may make room for another.
 *
 * Nothing is decided for good before all that an earlier term has left is known.
 */
export class QueueRegister {
  readonly #entries = new Map<string, Entry>();
  readonly #standings = new Map<string, Standing>();
  #open = false;

  get(name: string): Standing | undefined {
    return this.#standings.get(name);
  }

  /** @param record what an earlier term has left in the queue's status; undefined: nothing, or it is known already */
  observe(declared: QueueFacts, record: QueueRecord | undefined): void {
    const known = this.#entries.get(declared.name);
    const lastGood = known === undefined ? record?.lastGood : known.lastGood;
    this.#entries.set(declared.name, {
      declared,
      lastGood,
      inForce: lastGood !== undefined && (known?.inForce ?? record?.inForce === true),
      judged: record !== undefined || (known !== undefined && (this.#open || known.judged)),
      problem: known?.problem,
    });
  }

  gone(name: string): void {
    this.#entries.delete(name);
    this.#standings.delete(name);
  }

  /** All queues that there are have been observed once. */
  open(): void {
    this.#open = true;
  }

  /** Decides on all anew. Returns the queues for which something has changed. */
  decide(): string[] {
    const entries = [...this.#entries.values()].sort((a, b) => (senior(a.declared, b.declared) ? -1 : 1));
    const forest = new QueueForest((name) => this.#entries.get(name)?.declared);
    keep(forest, entries);
    if (this.#open) admit(forest, entries);
    return entries.flatMap((entry) => {
      const { name } = entry.declared;
      const decided = decisionOn(entry, forest);
      const before = this.#standings.get(name);
      this.#standings.set(name, decided);
      if (this.#open) this.#entries.set(name, decided);
      return before !== undefined && sameStanding(before, decided) ? [] : [name];
    });
  }
}

/** The first step: what was in force, and what is new. */
function keep(forest: QueueForest, entries: readonly Entry[]): void {
  const waiting = new Map<string, QueueFacts[]>();
  const ready = new IndexedHeap<Candidate>((a, b) =>
    a.youngest === b.youngest ? senior(a.queue, b.queue) : senior(a.youngest, b.youngest),
  );
  for (const { declared, lastGood, inForce, judged } of entries) {
    const queue = inForce ? lastGood : judged ? undefined : declared;
    if (queue === undefined) continue;
    if (queue.parent === undefined) ready.push({ queue, youngest: queue, place: -1 });
    else waiting.set(queue.parent, [...(waiting.get(queue.parent) ?? []), queue]);
  }
  for (let top = ready.top; top !== undefined; top = ready.top) {
    ready.remove(top);
    const { queue, youngest } = top;
    if (forest.problemOf(queue) !== undefined) continue;
    forest.put(queue);
    for (const child of waiting.get(queue.name) ?? []) {
      ready.push({ queue: child, youngest: senior(youngest, child) ? child : youngest, place: -1 });
    }
    waiting.delete(queue.name);
  }
}

/** The second step: what was in force once, and what is declared otherwise. */
function admit(forest: QueueForest, entries: readonly Entry[]): void {
  while (
    improve(forest, entries, ({ lastGood }, current) => (current === undefined ? lastGood : undefined)) ||
    improve(forest, entries, ({ declared }) => declared)
  );
}

/** Puts in force what `next` says of each queue, if it is another and contradicts nothing. True if there was any. */
function improve(
  forest: QueueForest,
  entries: readonly Entry[],
  next: (entry: Entry, current: QueueFacts | undefined) => QueueFacts | undefined,
): boolean {
  let improved = false;
  for (const entry of entries) {
    const current = forest.get(entry.declared.name);
    const queue = next(entry, current);
    if (queue === undefined || queue === current || forest.problemOf(queue) !== undefined) continue;
    forest.put(queue);
    improved = true;
  }
  return improved;
}

function decisionOn({ declared, lastGood, judged }: Entry, forest: QueueForest): Entry {
  const current = forest.get(declared.name);
  const problem = current === declared ? undefined : forest.problemOf(declared);
  const inForce = current !== undefined;
  return {
    declared,
    lastGood: current ?? lastGood,
    inForce,
    problem,
    judged: judged || inForce || !forest.isMisplaced(declared),
  };
}

function sameStanding(a: Standing, b: Standing): boolean {
  return a.lastGood === b.lastGood && a.inForce === b.inForce && a.problem === b.problem;
}

function senior(a: QueueFacts, b: QueueFacts): boolean {
  const [x, y] = [a.createdAtMs ?? 0, b.createdAtMs ?? 0];
  return x === y ? a.name < b.name : x < y;
}
