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
const CPU = 0;
const MEMORY = 1;
export const PODS = 2;
/** Stands for every resource that no node has: whoever asks for one fits nowhere. */
export const UNKNOWN = 3;

/** No cluster has so many kinds of resources; a node that lies does not widen every vector without end. */
const MAX_NAMES = 128;
/** Names that pods may bring, which tenants write. */
const MAX_NAMES_OF_PODS = 32;

/**
 * Interns resource names as dense indices. Only what nodes have, and what administrators name in queues, gets an index:
 * tenants choose the names that they ask for, and must not widen everybody's vectors. Vectors have `width` entries; the
 * width doubles when names run out, and whoever keeps vectors asks `onWiden` to be told.
 */
export class ResourceTable {
  readonly names: string[] = ["cpu", "memory", "pods", "a resource that no node has"];
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

  /** Dense index of a name; `UNKNOWN` for one that no node has. */
  index(name: string): number {
    return this.#index.get(name) ?? UNKNOWN;
  }

  /** Dense vector of what is asked for. */
  vector(quantities: Quantities): Vector {
    const vector = new Float64Array(this.width);
    for (const [name, amount] of Object.entries(quantities)) vector[this.index(name)]! += amount;
    return vector;
  }

  /**
   * Dense vector of what a pod takes of its node. A node that had the resource may come back, so its name is learned,
   * as long as there are few; past that, what no node has is not taken from anyone.
   */
  taken(quantities: Quantities): Vector {
    this.#learn(Object.keys(quantities), MAX_NAMES_OF_PODS);
    const vector = this.vector(quantities);
    vector[UNKNOWN] = 0;
    return vector;
  }

  /** Dense vector of what a node has or a queue is granted: its names are known from now on. */
  known(quantities: Quantities): Vector {
    this.#learn(Object.keys(quantities), MAX_NAMES);
    return this.taken(quantities);
  }

  /** Dense vector of limits; absent = Infinity. */
  limits(limits: Limits): Vector {
    this.#learn(Object.keys(limits), MAX_NAMES);
    const vector = new Float64Array(this.width).fill(Number.POSITIVE_INFINITY);
    for (const [name, amount] of Object.entries(limits)) vector[this.index(name)] = amount as number;
    vector[UNKNOWN] = Number.POSITIVE_INFINITY;
    return vector;
  }

  #learn(names: readonly string[], most: number): void {
    for (const name of names) {
      if (this.#index.has(name) || this.names.length >= most) continue;
      if (this.names.length === this.width) {
        this.width *= 2;
        for (const listener of this.#listeners) listener(this.width);
      }
      this.#index.set(name, this.names.length);
      this.names.push(name);
    }
  }

  /** Back to names; zero entries are left out. */
  quantities(vector: Vector, offset = 0): Quantities {
    const out: Record<string, number> = {};
    for (let r = 0; r < this.names.length; r++) {
      const amount = vector[offset + r] ?? 0;
      if (amount !== 0 && r !== UNKNOWN) out[this.names[r]!] = amount;
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

/** The larger of the two in each resource, as wide as `least`. */
export function atLeast(vector: Vector, least: Vector): Vector {
  return least.map((amount, r) => Math.max(amount, vector[r] ?? 0));
}

/** Do two vectors say the same, whatever their widths? */
export function equalVectors(a: Vector, b: Vector): boolean {
  const n = Math.max(a.length, b.length);
  for (let r = 0; r < n; r++) if ((a[r] ?? 0) !== (b[r] ?? 0)) return false;
  return true;
}
