import { Bitset } from "./bitset.ts";
import type { NodeTable } from "./nodes.ts";
import type { Vector } from "./resources.ts";

/** A framework's word that it wants nothing of a node for a while. */
export interface Refusal {
  readonly untilMs: number;
  /** The node's whole free vector when it was refused, not the slice: slices are cut to demand. */
  readonly free: Vector;
  /** The free vector it was last held against in vain. */
  checked: Vector;
}

/** The refusal filters of all frameworks, indexed by framework and by node. */
export class Refusals {
  readonly #byFramework = new Map<string, Bitset>();
  readonly #byNode = new Map<number, Map<string, Refusal>>();
  /** Many frameworks refuse the same node in the same state: they share one vector. */
  readonly #lastFree = new Map<number, Vector>();
  readonly #nodes: NodeTable;

  constructor(nodes: NodeTable) {
    this.#nodes = nodes;
  }

  /** The nodes that a framework refuses now; undefined for none. */
  refused(framework: string): Bitset | undefined {
    return this.#byFramework.get(framework);
  }

  get(framework: string, node: number): Refusal | undefined {
    return this.#byNode.get(node)?.get(framework);
  }

  add(framework: string, node: number, untilMs: number): void {
    let own = this.#byFramework.get(framework);
    if (own === undefined) {
      own = new Bitset();
      this.#byFramework.set(framework, own);
    }
    own.add(node);
    let there = this.#byNode.get(node);
    if (there === undefined) {
      there = new Map();
      this.#byNode.set(node, there);
    }
    const free = this.#freeNow(node);
    there.set(framework, { untilMs, free, checked: free });
  }

  remove(framework: string, node: number): void {
    if (this.#byFramework.get(framework)?.delete(node) !== true) return;
    const there = this.#byNode.get(node)!;
    there.delete(framework);
    if (there.size > 0) return;
    this.#byNode.delete(node);
    this.#lastFree.delete(node);
  }

  /** Revive: the framework refuses nothing any more. */
  clear(framework: string): void {
    for (const node of this.#byFramework.get(framework) ?? []) this.remove(framework, node);
    this.#byFramework.delete(framework);
  }

  /** The node is not what was refused. */
  clearNode(node: number): void {
    for (const framework of [...(this.#byNode.get(node)?.keys() ?? [])]) this.remove(framework, node);
  }

  /** Removes what has ended. */
  expire(framework: string, nowMs: number): void {
    for (const node of this.#byFramework.get(framework) ?? []) {
      if (this.get(framework, node)!.untilMs <= nowMs) this.remove(framework, node);
    }
  }

  /**
   * A node gained room: a filter there breaks when one more instance of a demanded request fits than did then.
   * `requests` names what a framework demands now.
   */
  gained(node: number, requests: (framework: string) => Iterable<Vector>): void {
    const there = this.#byNode.get(node);
    if (there === undefined) return;
    const free = this.#freeNow(node);
    for (const [framework, refusal] of there) {
      if (refusal.checked === free) continue;
      refusal.checked = free;
      if (!exceeds(free, refusal.free)) continue;
      for (const request of requests(framework)) {
        if (instances(free, request) > instances(refusal.free, request)) {
          this.remove(framework, node);
          break;
        }
      }
    }
  }

  /** The node's free vector; the same object as last time if it says the same. */
  #freeNow(node: number): Vector {
    const { free, width } = this.#nodes;
    const last = this.#lastFree.get(node);
    const base = node * width;
    let same = last !== undefined && last.length === width;
    for (let r = 0; same && r < width; r++) same = last![r] === free[base + r];
    if (same) return last!;
    const now = this.#nodes.freeVector(node);
    this.#lastFree.set(node, now);
    return now;
  }
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
