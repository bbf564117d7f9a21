import type { NodeTable } from "./nodes/nodes.ts";
import type { Vector } from "./resources.ts";
import { assert } from "./structures/assert.ts";

/** Who a claim is counted for. */
export interface Holder {
  /** `vector` and `instances` are added (sign 1) to or taken (−1) from what the holder has. */
  held(kind: ClaimKind, vector: Vector, instances: number, sign: 1 | -1): void;
}

export type ClaimKind = "offer" | "task" | "hold" | "foreign";

/** A holder's grip on part of one node. */
export interface Claim {
  /** "offer/‹key›/‹slice›", "task/‹uid›/‹index›", "hold/‹number›" or "pod/‹uid›". */
  readonly id: string;
  readonly kind: ClaimKind;
  readonly node: number;
  /** Changed by `Ledger.grow` alone, like `instances`. */
  vector: Vector;
  /** Instances it stands for; counts in ties between equal shares. */
  instances: number;
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
  /** By dense index. */
  readonly #byNode: Claim[][] = [];
  /** By id of the claim that has one. */
  readonly #heirs = new Map<string, () => void>();
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
    return this.#byNode[node] ?? [];
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
      if (this.#admits(claim.node, claim.vector)) {
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
      return rejected;
    }
    for (const claim of added) this.#moved(claim);
    return rejected;
  }

  /** One claim more, if it fits. */
  claim(claim: Claim): boolean {
    if (!this.#admits(claim.node, claim.vector)) return false;
    this.#insert(claim);
    this.#moved(claim);
    return true;
  }

  /** A claim that stands takes `more` on its node, for one instance more, if that fits; else false, and all is as it was. */
  grow(claim: Claim, more: Vector): boolean {
    assert(this.#claims.get(claim.id) === claim, "the claim stands");
    if (!this.#admits(claim.node, more)) return false;
    // Of one instance it may be the very vector of the request.
    if (claim.instances === 1) claim.vector = claim.vector.slice();
    for (let r = 0; r < more.length; r++) claim.vector[r]! += more[r]!;
    claim.instances++;
    this.#nodes.take(claim.node, more, 1, 0);
    claim.holder?.held(claim.kind, more, 1, 1);
    this.#moved(claim);
    return true;
  }

  /** A fact: the claim is there whether it fits or not. Replaces one of the same id. */
  observe(claim: Claim): void {
    const before = this.#claims.get(claim.id);
    if (before !== undefined) this.#delete(before);
    this.#insert(claim);
    if (takesMore(claim, before)) this.#moved(claim);
  }

  /** A fact to come: the claim is there as long as it fits. Replaces one of the same id. */
  expect(claim: Claim): void {
    const before = this.#claims.get(claim.id);
    if (before !== undefined) this.#delete(before);
    if (!this.#admits(claim.node, claim.vector)) return;
    this.#insert(claim);
    if (takesMore(claim, before)) this.#moved(claim);
  }

  /** For trials, which leave no trace: a claim that is to be taken out again, or one that was and is put back. */
  put(claim: Claim): void {
    this.#insert(claim);
  }

  /** Once the claim ends, `inherit` is called in the same step, before its room can be anybody else's. */
  bequeath(id: string, inherit: () => void): void {
    this.#heirs.set(id, inherit);
  }

  disinherit(id: string): void {
    this.#heirs.delete(id);
  }

  /** The claim, if there was one, has ended for good: its room is its heir's. */
  end(id: string): void {
    this.forget(id);
    const inherit = this.#heirs.get(id);
    this.#heirs.delete(id);
    inherit?.();
  }

  /** The claim is not there, if there was one. */
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

  /** Whoever was shown the node before has not seen this claim. */
  #moved({ node }: Claim): void {
    this.#nodes.at(node).version++;
  }

  #admits(node: number, vector: Vector): boolean {
    return this.#nodes.at(node).closed !== "gone" && this.#nodes.fits(node, vector);
  }

  #existing(id: string): Claim {
    const claim = this.#claims.get(id);
    assert(claim !== undefined, "the claim exists");
    return claim;
  }

  #insert(claim: Claim): void {
    assert(!this.#claims.has(claim.id), "the claim is new");
    this.#claims.set(claim.id, claim);
    while (this.#byNode.length <= claim.node) this.#byNode.push([]);
    this.#byNode[claim.node]!.push(claim);
    this.#nodes.take(claim.node, claim.vector, 1);
    claim.holder?.held(claim.kind, claim.vector, claim.instances, 1);
  }

  #delete(claim: Claim): void {
    this.#claims.delete(claim.id);
    const there = this.#byNode[claim.node]!;
    there.splice(there.indexOf(claim), 1);
    claim.holder?.held(claim.kind, claim.vector, claim.instances, -1);
    this.#nodes.take(claim.node, claim.vector, -1);
  }
}

/** Does the claim take room that the one before it did not? */
function takesMore(claim: Claim, before: Claim | undefined): boolean {
  return before?.node !== claim.node || claim.vector.some((amount, r) => amount > (before.vector[r] ?? 0));
}
