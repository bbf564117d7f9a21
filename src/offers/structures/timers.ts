import { type Heaped, IndexedHeap } from "./heap.ts";

/** What is to happen at a time: plain data, looked up again when due, so that a stale timer is harmless. */
export type Alarm =
  | { readonly type: "offer-expires"; readonly key: string }
  | { readonly type: "penalty-ends"; readonly framework: string }
  | { readonly type: "program-missed"; readonly framework: string }
  | { readonly type: "back-off-ends"; readonly taskUid: string; readonly index: number }
  | { readonly type: "quota-tried"; readonly taskUid: string }
  | { readonly type: "reclaim" }
  | { readonly type: "template-retried"; readonly templateKey: string }
  | { readonly type: "node-settles"; readonly name: string }
  | { readonly type: "unreachable"; readonly node: string }
  | { readonly type: "task-expires"; readonly taskUid: string };

interface Timer extends Heaped {
  readonly atMs: number;
  readonly sequence: number;
  readonly alarm: Alarm;
}

/** Every time the broker waits for, earliest first; equal times in the order they were set. */
export class Timers {
  readonly #heap = new IndexedHeap<Timer>((a, b) => a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence));
  #sequence = 0;

  get nextMs(): number {
    return this.#heap.top?.atMs ?? Number.POSITIVE_INFINITY;
  }

  get size(): number {
    return this.#heap.items.length;
  }

  set(atMs: number, alarm: Alarm): void {
    this.#heap.push({ atMs, sequence: this.#sequence++, alarm, place: -1 });
  }

  /** Takes out the earliest alarm that is due, or undefined. */
  due(nowMs: number): Alarm | undefined {
    const top = this.#heap.top;
    if (top === undefined || top.atMs > nowMs) return undefined;
    this.#heap.remove(top);
    return top.alarm;
  }
}
