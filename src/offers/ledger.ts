import { assert } from "./assert.ts";
import type { NodeTable } from "./nodes.ts";
import type { Vector } from "./resources.ts";

/** Who a claim is counted for. */
export interface Holder {
  /** `vector` and `instances` are added (sign 1) to or taken (−1) from what the holder has. */
  held(kind: ClaimKind, vector: Vector, instances: number, sign: 1 | -1): void;
}

export type ClaimKind = "offer" | "task" | "foreign";

/** A holder's grip on part of one node. */
export interface Claim {
  /** "offer/‹key›/‹slice›", "task/‹uid›/‹index›" or "pod/‹uid›". */
  readonly id: string;
  readonly kind: ClaimKind;
  readonly node: number;
  readonly vector: Vector;
  /** Instances it stands for; counts in ties between equal shares. */
  readonly instances: number;
  /** Undefined for what is not ours. */
  readonly holder: Holder | undefined;
}

export interface Commit {
  readonly remove?: readonly string[];
  readonly add?: readonly Claim[];
  /** All of it or nothing. Otherwise what fits, in order. */
  readonly atomic: boolean;
}

/**
 * All claims. `commit` is the one door for promises: it checks room. `observe` and `forget` record facts, which need
 * no room: the world does not ask.
 */
export class Ledger {
  readonly #claims = new Map<string, Claim>();
  readonly #byNode = new Map<number, Set<Claim>>();
  readonly #nodes: NodeTable;

  constructor(nodes: NodeTable) {
    this.#nodes = nodes;
  }

  get size(): number {
    return this.#claims.size;
  }

  get(id: string): Claim | undefined {
    return this.#claims.get(id);
  }

  claims(): Iterable<Claim> {
    return this.#claims.values();
  }

  onNode(node: number): Iterable<Claim> {
    return this.#byNode.get(node) ?? [];
  }

  /**
   * Takes claims out and puts claims in as one step, so that the room between them is never free for others.
   * Returns the claims that found no room; with `atomic`, one such leaves the ledger as it was.
   */
  commit({ remove = [], add = [], atomic }: Commit): Claim[] {
    const removed = remove.map((id) => this.#existing(id));
    for (const claim of removed) this.#delete(claim);
    const added: Claim[] = [];
    const rejected: Claim[] = [];
    for (const claim of add) {
      assert(!this.#claims.has(claim.id), `claim ${claim.id} is new`);
      if (this.#nodes.at(claim.node).closed !== "gone" && this.#nodes.fits(claim.node, claim.vector)) {
        this.#insert(claim);
        added.push(claim);
      } else {
        rejected.push(claim);
        if (atomic) break;
      }
    }
    if (atomic && rejected.length > 0) {
      for (const claim of added) this.#delete(claim);
      for (const claim of removed) this.#insert(claim);
    }
    return rejected;
  }

  /** Replaces a claim by one of the same id (or adds it) if the difference fits; false leaves the ledger as it was. */
  exchange(claim: Claim): boolean {
    const before = this.#claims.get(claim.id);
    return this.commit({ remove: before === undefined ? [] : [claim.id], add: [claim], atomic: true }).length === 0;
  }

  /** A fact: the claim is there whether it fits or not. Replaces one of the same id. */
  observe(claim: Claim): void {
    const before = this.#claims.get(claim.id);
    if (before !== undefined) this.#delete(before);
    this.#insert(claim);
  }

  /** The claim has ended, if there was one. */
  forget(id: string): void {
    const claim = this.#claims.get(id);
    if (claim !== undefined) this.#delete(claim);
  }

  /** Claims counted from scratch against what is kept incrementally: how many nodes differ. Always 0, or a bug. */
  inconsistencies(): number {
    const { width, total, free } = this.#nodes;
    const expected = total.slice();
    for (const { node, vector } of this.#claims.values()) {
      for (let r = 0; r < vector.length; r++) expected[node * width + r]! -= vector[r]!;
    }
    let wrong = 0;
    for (const entry of this.#nodes.entries) {
      if (entry === undefined) continue;
      const base = entry.index * width;
      for (let r = 0; r < width; r++) {
        if (expected[base + r] !== free[base + r]) {
          wrong++;
          break;
        }
      }
    }
    return wrong;
  }

  #existing(id: string): Claim {
    const claim = this.#claims.get(id);
    assert(claim !== undefined, `claim ${id} exists`);
    return claim;
  }

  #insert(claim: Claim): void {
    this.#claims.set(claim.id, claim);
    let there = this.#byNode.get(claim.node);
    if (there === undefined) {
      there = new Set();
      this.#byNode.set(claim.node, there);
    }
    there.add(claim);
    this.#nodes.take(claim.node, claim.vector, 1);
    claim.holder?.held(claim.kind, claim.vector, claim.instances, 1);
  }

  #delete(claim: Claim): void {
    this.#claims.delete(claim.id);
    const there = this.#byNode.get(claim.node)!;
    there.delete(claim);
    if (there.size === 0) this.#byNode.delete(claim.node);
    claim.holder?.held(claim.kind, claim.vector, claim.instances, -1);
    this.#nodes.take(claim.node, claim.vector, -1);
  }
}
