import { Bitset } from "./bitset.ts";
import type { NodeTable } from "./nodes.ts";
import type { Vector } from "./resources.ts";

/** A framework's word that it wants nothing of a node for a while. */
export interface Refusal {
  readonly untilMs: number;
  /** The node's whole free vector when it was refused, not the slice: slices are cut to demand. */
  readonly free: Vector;
}

/** The refusal filters of all frameworks, indexed by framework and by node. */
export class Refusals {
  readonly #byFramework = new Map<string, { readonly nodes: Bitset; readonly refusals: Map<number, Refusal> }>();
  readonly #byNode = new Map<number, Set<string>>();
  readonly #nodes: NodeTable;

  constructor(nodes: NodeTable) {
    this.#nodes = nodes;
  }

  /** The nodes that a framework refuses now; undefined for none. */
  refused(framework: string): Bitset | undefined {
    return this.#byFramework.get(framework)?.nodes;
  }

  get(framework: string, node: number): Refusal | undefined {
    return this.#byFramework.get(framework)?.refusals.get(node);
  }

  count(framework: string): number {
    return this.#byFramework.get(framework)?.refusals.size ?? 0;
  }

  add(framework: string, node: number, untilMs: number): void {
    let own = this.#byFramework.get(framework);
    if (own === undefined) {
      own = { nodes: new Bitset(), refusals: new Map() };
      this.#byFramework.set(framework, own);
    }
    own.nodes.add(node);
    own.refusals.set(node, { untilMs, free: this.#nodes.freeVector(node) });
    const there = this.#byNode.get(node);
    if (there === undefined) this.#byNode.set(node, new Set([framework]));
    else there.add(framework);
  }

  remove(framework: string, node: number): void {
    const own = this.#byFramework.get(framework);
    if (own === undefined || !own.refusals.delete(node)) return;
    own.nodes.delete(node);
    if (own.refusals.size === 0) this.#byFramework.delete(framework);
    const there = this.#byNode.get(node)!;
    there.delete(framework);
    if (there.size === 0) this.#byNode.delete(node);
  }

  /** Revive: the framework refuses nothing any more. True if it did. */
  clear(framework: string): boolean {
    const nodes = [...(this.#byFramework.get(framework)?.refusals.keys() ?? [])];
    for (const node of nodes) this.remove(framework, node);
    return nodes.length > 0;
  }

  /** The node is not what was refused. */
  clearNode(node: number): boolean {
    const frameworks = [...(this.#byNode.get(node) ?? [])];
    for (const framework of frameworks) this.remove(framework, node);
    return frameworks.length > 0;
  }

  /** Removes what has ended; when the next one ends, or undefined. */
  expire(framework: string, nowMs: number): number | undefined {
    let next: number | undefined;
    for (const [node, { untilMs }] of [...(this.#byFramework.get(framework)?.refusals ?? [])]) {
      if (untilMs <= nowMs) this.remove(framework, node);
      else next = Math.min(next ?? untilMs, untilMs);
    }
    return next;
  }

  /**
   * A node gained room: a filter there breaks when one more instance of a demanded request fits than did then.
   * `requests` names what a framework demands now.
   */
  gained(node: number, requests: (framework: string) => Iterable<Vector>): void {
    const there = this.#byNode.get(node);
    if (there === undefined) return;
    const free = this.#nodes.freeVector(node);
    for (const framework of [...there]) {
      const then = this.get(framework, node)!.free;
      for (const request of requests(framework)) {
        if (instances(free, request) > instances(then, request)) {
          this.remove(framework, node);
          break;
        }
      }
    }
  }
}

/** How many instances of `request` fit into `free`; 0 where something is over-full. */
export function instances(free: Vector, request: Vector): number {
  let least = Number.POSITIVE_INFINITY;
  for (let r = 0; r < free.length; r++) {
    if (free[r]! < 0) return 0;
    const asked = request[r] ?? 0;
    if (asked > 0) least = Math.min(least, Math.floor(free[r]! / asked));
  }
  return least;
}
