import { add, type Queue, type QueueTree } from "../queues/queues.ts";
import type { Vector } from "../resources.ts";

/** What each queue will use once all that is under way has come about: those who leave are gone, holds are filled. */
export class UsageAhead {
  readonly #tree: QueueTree;
  readonly #usage: Map<Queue, Vector>;
  /** Changes whenever anything here does. */
  version = 0;

  constructor(tree: QueueTree, usage: Map<Queue, Vector> = new Map()) {
    this.#tree = tree;
    this.#usage = usage;
  }

  copy(): UsageAhead {
    return new UsageAhead(this.#tree, new Map([...this.#usage].map(([queue, usage]) => [queue, usage.slice()])));
  }

  usage(queue: Queue): Vector {
    return this.#usage.get(queue) ?? queue.usage;
  }

  /** `vector` comes (sign 1) into the queue and all above it, or goes (−1). */
  shift(from: Queue | undefined, vector: Vector, sign: 1 | -1): void {
    this.version++;
    for (const queue of this.#tree.path(from)) {
      let usage = this.#usage.get(queue);
      if (usage === undefined) {
        usage = queue.usage.slice();
        this.#usage.set(queue, usage);
      }
      add(usage, vector, sign);
    }
  }
}
