import { type Heaped, IndexedHeap } from "../structures/heap.ts";
import { headBefore } from "./heads.ts";
import type { Child } from "./queues.ts";

interface Entry extends Heaped {
  readonly child: Child;
}

/** Unblocked children of a queue by the heads of their lines, where the queue's own order is another one. */
export class HeadLine {
  readonly #heap = new IndexedHeap<Entry>((a, b) => before(a.child, b.child));
  readonly #entries = new Map<Child, Entry>();

  /** The child with the first head. */
  get first(): Child | undefined {
    return this.#heap.top?.child;
  }

  /** These, and no others. */
  fill(children: readonly Child[]): void {
    this.#heap.clear();
    // Queues and frameworks that are gone are not held on to.
    this.#entries.clear();
    for (const child of children) {
      const entry = { child, place: -1 };
      this.#entries.set(child, entry);
      this.#heap.append(entry);
    }
    this.#heap.rebuild();
  }

  update(child: Child): void {
    this.#heap.update(this.#entries.get(child)!);
  }

  remove(child: Child): void {
    this.#heap.remove(this.#entries.get(child)!);
    this.#entries.delete(child);
  }
}

/** Whoever is behind all others does not put its queue before others by its head either. Equal heads are as good as each other. */
function before(a: Child, b: Child): boolean {
  if (a.penalised !== b.penalised) return b.penalised;
  return headBefore(a.head, b.head);
}
