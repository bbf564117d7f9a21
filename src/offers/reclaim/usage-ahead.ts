import { add, type Queue, type QueueTree } from "../queues/queues.ts";
import type { Vector } from "../resources.ts";

interface Shift {
  readonly from: Queue | undefined;
  readonly vector: Vector;
  readonly sign: 1 | -1;
}

/**
 * What each queue will use once all that is under way has come about: those who leave are gone, holds are filled. Begins
 * with what is used when it is made; what happens to claims later is not seen here.
 */
export class UsageAhead {
  readonly #tree: QueueTree;
  readonly #usage = new Map<Queue, Vector>();
  /** What is to be undone if the attempt under way comes to nothing. */
  #attempted: Shift[] | undefined;
  /** Changes whenever anything here does. */
  version = 0;

  constructor(tree: QueueTree) {
    this.#tree = tree;
    for (const queue of tree.queues.values()) this.#usage.set(queue, queue.usage.slice());
  }

  usage(queue: Queue): Vector {
    return this.#usage.get(queue)!;
  }

  /** `vector` comes (sign 1) into the queue and all above it, or goes (−1). */
  shift(from: Queue | undefined, vector: Vector, sign: 1 | -1): void {
    this.version++;
    this.#attempted?.push({ from, vector, sign });
    for (const queue of this.#tree.path(from)) add(this.usage(queue), vector, sign);
  }

  /** What `change` shifts stands if it returns true; else all is as it was before. Not one within another. */
  attempt(change: () => boolean): boolean {
    const shifts: Shift[] = [];
    this.#attempted = shifts;
    const stands = change();
    this.#attempted = undefined;
    if (!stands) for (const { from, vector, sign } of shifts) this.shift(from, vector, sign === 1 ? -1 : 1);
    return stands;
  }
}
