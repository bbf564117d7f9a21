/** What sits in an `IndexedHeap` carries its own place, so that a changed key is moved in O(log n). −1: not in it. */
export interface Heaped {
  place: number;
}

/** A binary min-heap whose members may change their keys. One member is in at most one heap at a time. */
export class IndexedHeap<T extends Heaped> {
  items: T[];
  readonly #less: (a: T, b: T) => boolean;

  constructor(less: (a: T, b: T) => boolean, items: T[] = []) {
    this.#less = less;
    this.items = items;
    this.#number();
    this.rebuild();
  }

  get top(): T | undefined {
    return this.items[0];
  }

  push(item: T): void {
    item.place = this.items.length;
    this.items.push(item);
    this.#up(item);
  }

  /** At the end, wherever it belongs: `rebuild` before the heap is read. */
  append(item: T): void {
    item.place = this.items.length;
    this.items.push(item);
  }

  remove(item: T): void {
    const place = item.place;
    const last = this.items.pop()!;
    item.place = -1;
    if (last === item) return;
    this.items[place] = last;
    last.place = place;
    this.update(last);
  }

  /** The key of `item` has changed. */
  update(item: T): void {
    this.#up(item);
    this.#down(item);
  }

  /** Only these stay, wherever they belong: `rebuild` before the heap is read. */
  retain(stays: (item: T) => boolean): void {
    const all = this.items;
    this.items = all.filter(stays);
    for (const item of all) item.place = -1;
    this.#number();
  }

  /** How many members come before this one. */
  countBefore(item: T): number {
    let count = 0;
    for (const other of this.items) if (this.#less(other, item)) count++;
    return count;
  }

  clear(): void {
    for (const item of this.items) item.place = -1;
    this.items.length = 0;
  }

  /** All keys may have changed. */
  rebuild(): void {
    for (let i = (this.items.length >> 1) - 1; i >= 0; i--) this.#down(this.items[i]!);
  }

  #number(): void {
    for (let place = 0; place < this.items.length; place++) this.items[place]!.place = place;
  }

  #up(item: T): void {
    let place = item.place;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const other = this.items[above]!;
      if (!this.#less(item, other)) break;
      this.#put(other, place);
      place = above;
    }
    this.#put(item, place);
  }

  #down(item: T): void {
    let place = item.place;
    for (;;) {
      let below = 2 * place + 1;
      if (below >= this.items.length) break;
      if (below + 1 < this.items.length && this.#less(this.items[below + 1]!, this.items[below]!)) below++;
      const other = this.items[below]!;
      if (!this.#less(other, item)) break;
      this.#put(other, place);
      place = below;
    }
    this.#put(item, place);
  }

  #put(item: T, place: number): void {
    this.items[place] = item;
    item.place = place;
  }
}
