import type { Framework } from "./framework.ts";
import type { NodeTable } from "./nodes/nodes.ts";
import type { Vector } from "./resources.ts";
import { Bitset } from "./structures/bitset.ts";
import { type Heaped, IndexedHeap } from "./structures/heap.ts";

/** What one answer refused: its filters end together. */
interface Refusal extends Heaped {
  readonly untilMs: number;
  readonly sequence: number;
  readonly framework: Framework;
  readonly nodes: readonly number[];
  /** How many of the nodes it still keeps from the framework. */
  filters: number;
}

/**
 * The refusals of one node, in parallel arrays: there may be as many as frameworks times nodes, and few of them are
 * looked at one by one.
 */
interface There {
  readonly frameworks: Framework[];
  readonly refusals: Refusal[];
  /** The node's whole free vector when it was refused, not the slice: slices are cut to demand. */
  readonly free: Vector[];
  /** The node's free vector when it was last looked at: one object for those who refuse it in the same state. */
  freeNow: Vector;
  /** What all refusals were held against in vain. */
  settled: Vector | undefined;
}

/** The refusal filters of all frameworks, indexed by framework and by node. */
export class Refusals {
  readonly #byFramework = new Map<Framework, Bitset>();
  readonly #byNode = new Map<number, There>();
  /** Earliest end first; those without filters are not kept. */
  readonly #ends = new IndexedHeap<Refusal>(endsBefore);
  readonly #nodes: NodeTable;
  #sequence = 0;
  #size = 0;

  constructor(nodes: NodeTable) {
    this.#nodes = nodes;
  }

  /** Filters in force. */
  get size(): number {
    return this.#size;
  }

  /** When the next filter ends; Infinity for never. */
  get nextMs(): number {
    return this.#ends.top?.untilMs ?? Number.POSITIVE_INFINITY;
  }

  /** The nodes that a framework refuses now; undefined for none. */
  refused(framework: Framework): Bitset | undefined {
    return this.#byFramework.get(framework);
  }

  /** Until when a framework refuses a node, if it does. */
  untilMs(framework: Framework, node: number): number | undefined {
    return this.#refusalOf(framework, node)?.untilMs;
  }

  #refusalOf(framework: Framework, node: number): Refusal | undefined {
    if (this.#byFramework.get(framework)?.has(node) !== true) return undefined;
    const there = this.#byNode.get(node)!;
    return there.refusals[there.frameworks.indexOf(framework)];
  }

  /** The framework wants nothing of these nodes, each named once, for a while. */
  add(framework: Framework, nodes: readonly number[], untilMs: number): void {
    if (nodes.length === 0) return;
    const sequence = this.#sequence++;
    const refusal: Refusal = { untilMs, sequence, framework, nodes, filters: 0, place: -1 };
    this.#ends.push(refusal);
    for (const node of nodes) this.#filter(refusal, node);
  }

  #filter(refusal: Refusal, node: number): void {
    const { framework } = refusal;
    let own = this.#byFramework.get(framework);
    if (own === undefined) {
      own = new Bitset(this.#nodes.capacity);
      this.#byFramework.set(framework, own);
    }
    let there = this.#byNode.get(node);
    if (there === undefined) {
      const free = this.#nodes.freeVector(node);
      there = { frameworks: [], refusals: [], free: [], freeNow: free, settled: free };
      this.#byNode.set(node, there);
    }
    const free = this.#look(there, node);
    if (there.settled !== free) there.settled = undefined;
    const at = own.add(node) ? there.frameworks.length : there.frameworks.indexOf(framework);
    const before = there.refusals[at];
    if (before !== undefined) this.#ended(before);
    refusal.filters++;
    this.#size++;
    there.frameworks[at] = framework;
    there.refusals[at] = refusal;
    there.free[at] = free;
  }

  #remove(framework: Framework, node: number): void {
    if (this.#byFramework.get(framework)?.delete(node) !== true) return;
    const there = this.#byNode.get(node)!;
    const at = there.frameworks.indexOf(framework);
    this.#ended(there.refusals[at]!);
    const [lastFramework, lastRefusal, lastFree] = [there.frameworks.pop()!, there.refusals.pop()!, there.free.pop()!];
    if (at === there.frameworks.length) {
      if (at === 0) this.#byNode.delete(node);
      return;
    }
    there.frameworks[at] = lastFramework;
    there.refusals[at] = lastRefusal;
    there.free[at] = lastFree;
  }

  /** One filter of it has. */
  #ended(refusal: Refusal): void {
    refusal.filters--;
    this.#size--;
    if (refusal.filters === 0) this.#ends.remove(refusal);
  }

  /** Revive: the framework refuses nothing any more. */
  clear(framework: Framework): void {
    for (const node of this.#byFramework.get(framework) ?? []) this.#remove(framework, node);
    this.#byFramework.delete(framework);
  }

  /** The node is not what was refused. */
  clearNode(node: number): void {
    for (const framework of [...(this.#byNode.get(node)?.frameworks ?? [])]) this.#remove(framework, node);
  }

  /** Removes what has ended by now. True if anything has. */
  expire(nowMs: number): boolean {
    const before = this.#ends.top;
    for (let first = before; first !== undefined && first.untilMs <= nowMs; first = this.#ends.top) {
      for (const node of first.nodes)
        if (this.#refusalOf(first.framework, node) === first) this.#remove(first.framework, node);
    }
    return before !== this.#ends.top;
  }

  /**
   * A node gained room: a filter there breaks when one more instance of a demanded request fits than did then.
   * `requests` names what a framework demands now.
   */
  gained(node: number, requests: (framework: Framework) => readonly Vector[]): void {
    const there = this.#byNode.get(node);
    if (there === undefined) return;
    const free = this.#look(there, node);
    if (there.settled === free) return;
    there.settled = free;
    // Backwards: a removal puts the last in its place.
    for (let i = there.frameworks.length - 1; i >= 0; i--) {
      const then = there.free[i]!;
      if (then === free || !exceeds(free, then)) continue;
      const framework = there.frameworks[i]!;
      const more = (request: Vector) => instances(free, request) > instances(then, request);
      if (requests(framework).some(more)) this.#remove(framework, node);
    }
  }

  /** The node's free vector; the same object as last time if it says the same. */
  #look(there: There, node: number): Vector {
    const { free, width } = this.#nodes;
    const last = there.freeNow;
    const base = node * width;
    let same = last.length === width;
    for (let r = 0; same && r < width; r++) same = last[r] === free[base + r];
    if (!same) there.freeNow = this.#nodes.freeVector(node);
    return there.freeNow;
  }
}

function endsBefore(a: Refusal, b: Refusal): boolean {
  return a.untilMs < b.untilMs || (a.untilMs === b.untilMs && a.sequence < b.sequence);
}

function exceeds(a: Vector, b: Vector): boolean {
  for (let r = 0; r < a.length; r++) if (a[r]! > (b[r] ?? 0)) return true;
  return false;
}

/** How many instances of `request` fit into `free`; 0 where something is over-full. */
function instances(free: Vector, request: Vector): number {
  let least = Number.POSITIVE_INFINITY;
  for (let r = 0; r < free.length; r++) {
    if (free[r]! < 0) return 0;
    const asked = request[r] ?? 0;
    if (asked > 0) least = Math.min(least, Math.floor(free[r]! / asked));
  }
  return least;
}
