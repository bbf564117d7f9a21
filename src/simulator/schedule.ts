import { type Heaped, IndexedHeap } from "../offers/structures/heap.ts";

interface Planned extends Heaped {
  readonly atMs: number;
  readonly sequence: number;
  readonly run: () => void;
}

/** Virtual time: what is planned happens in the order of its time, equal times in the order they were planned. */
export class Schedule {
  nowMs: number;
  readonly #heap = new IndexedHeap<Planned>(
    (a, b) => a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence),
  );
  #sequence = 0;

  constructor(startMs: number) {
    this.nowMs = startMs;
  }

  get nextMs(): number {
    return this.#heap.top?.atMs ?? Number.POSITIVE_INFINITY;
  }

  /** Returns what cancels it. */
  at(atMs: number, run: () => void): () => void {
    const planned = { atMs: Math.max(atMs, this.nowMs), sequence: this.#sequence++, run, place: -1 };
    this.#heap.push(planned);
    return () => {
      if (planned.place >= 0) this.#heap.remove(planned);
    };
  }

  in(delayMs: number, run: () => void): () => void {
    return this.at(this.nowMs + delayMs, run);
  }

  /** Time goes on to what is planned next, and it happens. False: nothing is planned. */
  step(): boolean {
    const next = this.#heap.top;
    if (next === undefined) return false;
    this.#heap.remove(next);
    this.nowMs = next.atMs;
    next.run();
    return true;
  }
}
