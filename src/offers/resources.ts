/**
 * Amounts of resources in whole canonical units: cpu in millicores, memory, ephemeral-storage and hugepages in KiB,
 * everything else in counts. A name that is absent means zero.
 */
export type Quantities = Readonly<Record<string, number>>;

/** Upper bounds in the same units. A name that is absent means unlimited: the opposite of Quantities, hence a type of its own. */
export type Limits = Readonly<Record<string, number>> & { readonly absentMeansUnlimited?: never };

/** Dense resource vector: index by `ResourceTable`, missing tail = zero. */
export type Vector = Float64Array;

/** cpu, memory and pods have fixed places, so that placement strategies can name the first two. */
export const CPU = 0;
export const MEMORY = 1;
export const PODS = 2;

/**
 * Interns resource names as dense indices. Vectors have `width` entries; the width doubles when names run out, and
 * whoever keeps vectors asks `onWiden` to be told.
 */
export class ResourceTable {
  readonly names: string[] = ["cpu", "memory", "pods"];
  readonly #index = new Map<string, number>([
    ["cpu", CPU],
    ["memory", MEMORY],
    ["pods", PODS],
  ]);
  readonly #listeners: ((width: number) => void)[] = [];
  width = 8;

  /** How many names are known; entries past it are zero in every vector. */
  get count(): number {
    return this.names.length;
  }

  onWiden(listener: (width: number) => void): void {
    this.#listeners.push(listener);
  }

  /** Dense index of a name, made on first sight. */
  index(name: string): number {
    const known = this.#index.get(name);
    if (known !== undefined) return known;
    const index = this.names.length;
    if (index === this.width) {
      this.width *= 2;
      for (const listener of this.#listeners) listener(this.width);
    }
    this.names.push(name);
    this.#index.set(name, index);
    return index;
  }

  /** Dense vector of quantities. */
  vector(quantities: Quantities): Vector {
    for (const name of Object.keys(quantities)) this.index(name);
    const vector = new Float64Array(this.width);
    for (const [name, amount] of Object.entries(quantities)) vector[this.index(name)] = amount;
    return vector;
  }

  /** Dense vector of limits; absent = Infinity. */
  limits(limits: Limits): Vector {
    for (const name of Object.keys(limits)) this.index(name);
    const vector = new Float64Array(this.width).fill(Number.POSITIVE_INFINITY);
    for (const [name, amount] of Object.entries(limits)) vector[this.index(name)] = amount as number;
    return vector;
  }

  /** Back to names; zero entries are left out. */
  quantities(vector: Vector, offset = 0): Quantities {
    const out: Record<string, number> = {};
    for (let r = 0; r < this.names.length; r++) {
      const amount = vector[offset + r] ?? 0;
      if (amount !== 0) out[this.names[r]!] = amount;
    }
    return out;
  }
}

/** A copy of `vector` with at least `width` entries, the new ones being `fill`. */
export function widened(vector: Vector, width: number, fill = 0): Vector {
  if (vector.length >= width) return vector;
  const out = new Float64Array(width).fill(fill);
  out.set(vector);
  return out;
}

/** Do two vectors say the same, whatever their widths? */
export function equalVectors(a: Vector, b: Vector): boolean {
  const n = Math.max(a.length, b.length);
  for (let r = 0; r < n; r++) if ((a[r] ?? 0) !== (b[r] ?? 0)) return false;
  return true;
}
