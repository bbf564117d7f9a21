import { type Heaped, IndexedHeap } from "./heap.ts";
import type { QueueFacts, QueueRecord } from "./messages.ts";
import { QueueForest } from "./queue-forest.ts";

/** A queue as it was declared last, and what of it is in force. */
interface Declared {
  readonly declared: QueueFacts;
  /** What was in force last. It may be what is declared. */
  lastGood: QueueFacts | undefined;
  /** What was in force last is so now. */
  inForce: boolean;
  /** It has been decided on before, and is not new any more. */
  judged: boolean;
  /** Why what is declared is not in force. */
  problem: string | undefined;
}

export type Standing = Readonly<Declared>;

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
 * 2. Then whatever is declared otherwise comes into force if it contradicts nothing, in the same order, again and again
 *    until nothing more does: one change may make room for another.
 */
export class QueueRegister {
  readonly #queues = new Map<string, Declared>();

  get(name: string): Standing | undefined {
    return this.#queues.get(name);
  }

  /** @param record what an earlier term has left in the queue's status; undefined: nothing, or it is known already */
  observe(declared: QueueFacts, record: QueueRecord | undefined): void {
    const known = this.#queues.get(declared.name);
    const lastGood = known === undefined ? record?.lastGood : known.lastGood;
    this.#queues.set(declared.name, {
      declared,
      lastGood,
      inForce: lastGood !== undefined && (known?.inForce ?? record?.inForce === true),
      judged: known !== undefined || record !== undefined,
      problem: known?.problem,
    });
  }

  gone(name: string): void {
    this.#queues.delete(name);
  }

  /** Decides on all anew. Returns the queues for which something has changed. */
  decide(): string[] {
    const queues = [...this.#queues.values()].sort((a, b) => (senior(a.declared, b.declared) ? -1 : 1));
    const forest = new QueueForest((name) => this.#queues.get(name)?.declared);
    keep(forest, queues);
    admit(forest, queues);
    return queues.flatMap((queue) => (settle(queue, forest) ? [queue.declared.name] : []));
  }
}

/** The first step: what was in force, and what is new. */
function keep(forest: QueueForest, queues: readonly Declared[]): void {
  const waiting = new Map<string, QueueFacts[]>();
  const ready = new IndexedHeap<Candidate>((a, b) =>
    a.youngest === b.youngest ? senior(a.queue, b.queue) : senior(a.youngest, b.youngest),
  );
  for (const { declared, lastGood, inForce, judged } of queues) {
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

/** The second step: what is declared otherwise, or was in force once. */
function admit(forest: QueueForest, queues: readonly Declared[]): void {
  for (let changed = true; changed; ) {
    changed = false;
    for (const { declared, lastGood } of queues) {
      const current = forest.get(declared.name);
      if (current === declared) continue;
      const next = [declared, lastGood].find(
        (queue) => queue !== undefined && (queue === declared || current === undefined) && !forest.problemOf(queue),
      );
      if (next === undefined) continue;
      forest.put(next);
      changed = true;
    }
  }
}

/** Notes what was decided. True if it is not what was so before. */
function settle(queue: Declared, forest: QueueForest): boolean {
  const { declared } = queue;
  const current = forest.get(declared.name);
  const problem = current === declared ? undefined : forest.problemOf(declared);
  const inForce = current !== undefined;
  const changed =
    queue.problem !== problem || queue.inForce !== inForce || (current !== undefined && current !== queue.lastGood);
  queue.lastGood = current ?? queue.lastGood;
  const judged = queue.judged || inForce || !forest.isMisplaced(declared);
  Object.assign(queue, { inForce, problem, judged });
  return changed;
}

function senior(a: QueueFacts, b: QueueFacts): boolean {
  const [x, y] = [a.createdAtMs ?? 0, b.createdAtMs ?? 0];
  return x === y ? a.name < b.name : x < y;
}
