/** A growable set of small whole numbers (dense node or instance indices), 32 to a word. */
export class Bitset {
  words: Int32Array;

  constructor(capacity = 32) {
    this.words = new Int32Array(Math.max(1, (capacity + 31) >>> 5));
  }

  has(i: number): boolean {
    return ((this.words[i >>> 5] ?? 0) & (1 << (i & 31))) !== 0;
  }

  /** Adds `i`; true if it was not there. */
  add(i: number): boolean {
    const w = i >>> 5;
    if (w >= this.words.length) this.reserve(i + 1);
    const before = this.words[w]!;
    this.words[w] = before | (1 << (i & 31));
    return this.words[w] !== before;
  }

  /** Removes `i`; true if it was there. */
  delete(i: number): boolean {
    const w = i >>> 5;
    const before = this.words[w] ?? 0;
    if ((before & (1 << (i & 31))) === 0) return false;
    this.words[w] = before & ~(1 << (i & 31));
    return true;
  }

  /** Makes room for the numbers below `capacity`. */
  reserve(capacity: number): void {
    const needed = (capacity + 31) >>> 5;
    if (needed <= this.words.length) return;
    const grown = new Int32Array(Math.max(needed, this.words.length * 2));
    grown.set(this.words);
    this.words = grown;
  }

  /** Every number below `capacity`, and none above. */
  fill(capacity: number): void {
    this.reserve(capacity);
    this.words.fill(0);
    this.words.fill(-1, 0, capacity >>> 5);
    if ((capacity & 31) !== 0) this.words[capacity >>> 5] = (1 << (capacity & 31)) - 1;
  }

  clear(): void {
    this.words.fill(0);
  }

  /** The least member ≥ `from`, or −1. */
  next(from: number): number {
    let w = from >>> 5;
    if (w >= this.words.length) return -1;
    let word = this.words[w]! & (-1 << (from & 31));
    while (word === 0) {
      if (++w >= this.words.length) return -1;
      word = this.words[w]!;
    }
    return (w << 5) + lowestBit(word);
  }

  *[Symbol.iterator](): Generator<number> {
    for (let i = this.next(0); i !== -1; i = this.next(i + 1)) yield i;
  }
}

/**
 * A set whose empty stretches are skipped: `summary` has a bit for each word that is not zero. Only changed by the
 * methods below.
 */
export class SkippingBitset extends Bitset {
  readonly summary = new Bitset();

  override add(i: number): boolean {
    this.summary.add(i >>> 5);
    return super.add(i);
  }

  override delete(i: number): boolean {
    if (!super.delete(i)) return false;
    if (this.words[i >>> 5] === 0) this.summary.delete(i >>> 5);
    return true;
  }

  override fill(capacity: number): void {
    super.fill(capacity);
    this.summary.fill((capacity + 31) >>> 5);
  }

  override clear(): void {
    super.clear();
    this.summary.clear();
  }
}

/** Position of the lowest set bit of a word that is not zero. */
export function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}
