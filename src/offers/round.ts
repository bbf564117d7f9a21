import { type Bitset, lowestBit } from "./bitset.ts";
import type { Levels } from "./levels.ts";
import { before, type Line, type Lines } from "./lines.ts";
import type { NodeTable } from "./nodes.ts";
import type { DominantShare } from "./policies/dominant-share.ts";
import type { Claimant } from "./queues.ts";
import type { Vector } from "./resources.ts";
import type { Room } from "./room.ts";
import type { Shape } from "./shapes.ts";

/** One claimant's side of a round: how much it wants, and what a grant of one instance means for it. */
export interface Bidder {
  readonly claimant: Claimant;
  /** In-process placement, or undefined for offers (first node that fits, in order). */
  readonly levels: Levels | undefined;
  /** Nodes it refuses now. */
  readonly refused: Bitset | undefined;
  /** What it is shown and does not hold, where its grants are only shown (optimistic offers); otherwise undefined. */
  readonly shown: Vector | undefined;
  /** As much of that as is on the node. */
  shownOn(node: number): Vector | undefined;
  /** It may get nothing more until an offer has ended. */
  readonly full: boolean;
  /** Instances past those that are outstanding that a line may get in this pass. */
  wanted(line: Line, pass: Pass): number;
  /** What the next grant on this node would add to its claims there: the request, or more for a slice's minimum. */
  need(line: Line, node: number): Vector;
  /** Is there room for `need` on the node? For exclusive claims in the ledger; optimistic ones overlap with others'. */
  fits(node: number, need: Vector): boolean;
  /** Makes the claim. False: no more in this round (as many offers as it may hold). */
  grant(line: Line, node: number, need: Vector, pass: Pass): boolean;
}

/** 1: what is pending. 2: up to `slack` times that, from what the first pass left. */
export type Pass = 1 | 2;

/** Real demand that pass 1 could not serve; its line says why. */
export interface Unmet {
  readonly bidder: Bidder;
  readonly line: Line;
}

/**
 * The round: descend to the unblocked child with the least key, level by level, grant that claimant one instance,
 * re-key the path, until all are blocked. Twice: for what is pending, and for slack.
 */
export class Round {
  readonly #nodes: NodeTable;
  readonly #lines: Lines;
  readonly #room: Room;
  readonly #policy: DominantShare;
  #grants = 0;
  #loosened = false;
  /** Demanded shapes for which a node may be left. */
  readonly #alive = new Set<Shape>();
  readonly #dead = new Set<Shape>();
  /** By resource: how many shapes in `#alive` ask for it, and the most that any demanded shape asks. */
  #asking: number[] = [];
  #mostAsked: number[] = [];

  constructor(nodes: NodeTable, lines: Lines, room: Room, policy: DominantShare) {
    this.#nodes = nodes;
    this.#lines = lines;
    this.#room = room;
    this.#policy = policy;
  }

  /**
   * Runs both passes over these bidders (all that may get something, in any order); `waits` is told between them what
   * the first left unmet, and says whether there is to be no second. Returns how many instances were granted.
   */
  run(bidders: readonly Bidder[], waits: (unmet: readonly Unmet[]) => boolean): number {
    this.#grants = 0;
    this.#unblock(bidders);
    let before = -1;
    // Again while a grant may have made room elsewhere: a guarantee partly spent, a spread domain no longer ahead.
    while (before !== this.#grants && (before === -1 || this.#loosened)) {
      before = this.#grants;
      this.#loosened = false;
      this.#pass(bidders, 1);
    }
    const unmet = bidders.flatMap((bidder) =>
      [...this.#lines.of(bidder.claimant)]
        .filter((line) => line.blocked !== undefined && !bidder.full && bidder.wanted(line, 1) > 0)
        .map((line) => ({ bidder, line })),
    );
    if (!waits(unmet)) this.#pass(bidders, 2);
    return this.#grants;
  }

  #unblock(bidders: readonly Bidder[]): void {
    for (const { claimant } of bidders) {
      for (const line of this.#lines.of(claimant)) {
        line.blocked = undefined;
        line.cursor = 0;
      }
    }
  }

  #pass(bidders: readonly Bidder[], pass: Pass): void {
    const wanting = new Map<Claimant, Bidder>();
    this.#room.refresh();
    this.#survey(bidders, pass);
    for (const bidder of bidders) {
      for (const line of this.#lines.of(bidder.claimant)) {
        if (line.blocked !== "no-node" || line.shape.spread.length > 0) line.blocked = undefined;
        if (bidder.wanted(line, pass) <= 0) continue;
        if (this.#dead.has(line.shape)) line.blocked = "no-node";
        else wanting.set(bidder.claimant, bidder);
      }
    }
    if (wanting.size === 0) return;
    this.#policy.begin(wanting.keys());
    for (const shape of this.#dead) this.#saturate(shape);
    for (let claimant = this.#policy.next(); claimant !== undefined; claimant = this.#policy.next()) {
      if (this.#serve(wanting.get(claimant)!, pass)) {
        this.#grants++;
        this.#policy.update(claimant);
      } else {
        this.#policy.block(claimant);
      }
    }
  }

  /** Grants the claimant one instance of the first line in its order that can have one. */
  #serve(bidder: Bidder, pass: Pass): boolean {
    for (let line = this.#nextLine(bidder, pass); line !== undefined; line = this.#nextLine(bidder, pass)) {
      const node = this.#search(bidder, line);
      if (node === -1) {
        line.blocked = "no-node";
        if (!hasCandidate(line.shape) && this.#alive.has(line.shape)) {
          this.#bury(line.shape);
          this.#saturate(line.shape);
        }
        continue;
      }
      const need = bidder.need(line, node);
      line.blocked = this.#room.refuses(bidder.claimant, need, bidder.shown);
      if (line.blocked !== undefined) continue;
      if (!bidder.grant(line, node, need, pass)) return false;
      if ((bidder.shown === undefined && this.#room.granted(line)) || line.shape.spread.length > 0)
        this.#loosened = true;
      return true;
    }
    return false;
  }

  /** The unblocked line whose head is served first. */
  #nextLine(bidder: Bidder, pass: Pass): Line | undefined {
    let best: Line | undefined;
    for (const line of this.#lines.of(bidder.claimant)) {
      if (line.blocked !== undefined || bidder.wanted(line, pass) <= 0) continue;
      if (best === undefined || headBefore(line, best)) best = line;
    }
    return best;
  }

  #search(bidder: Bidder, line: Line): number {
    if (this.#dead.has(line.shape)) return -1;
    return bidder.levels === undefined ? this.#firstFit(bidder, line) : this.#bestLevel(bidder, line, bidder.levels);
  }

  /** The first node in order that fits. Nodes that were passed do not come back within the round. */
  #firstFit(bidder: Bidder, line: Line): number {
    const node = this.#scan(bidder, line, undefined, line.cursor);
    if (line.shape.spread.length === 0) line.cursor = node === -1 ? this.#nodes.capacity : node;
    return node;
  }

  /** A node of the best level that has one that fits. */
  #bestLevel(bidder: Bidder, line: Line, levels: Levels): number {
    for (let level = 0; level < levels.sets.length; level++) {
      if (levels.sizes[level] === 0) continue;
      const start = levels.placement.rotate ? levels.turn[level]! : 0;
      let node = this.#scan(bidder, line, levels.sets[level]!, start);
      if (node === -1 && start > 0) node = this.#scan(bidder, line, levels.sets[level]!, 0);
      if (node === -1) continue;
      levels.turn[level] = node + 1;
      return node;
    }
    return -1;
  }

  /** The first node ≥ `from` that is admitted, not refused, may fit, lies in `within`, and does fit. */
  #scan(bidder: Bidder, line: Line, within: Bitset | undefined, from: number): number {
    const { mayFit, where, spread } = line.shape;
    const words = Math.min(mayFit.words.length, where.admits.words.length);
    let mask = -1 << (from & 31);
    for (let w = from >>> 5; w < words; w++, mask = -1) {
      let word = mayFit.words[w]! & where.admits.words[w]! & mask;
      if (within !== undefined) word &= within.words[w] ?? 0;
      if (bidder.refused !== undefined) word &= ~(bidder.refused.words[w] ?? 0);
      for (const group of spread) word &= group.allowed.words[w] ?? 0;
      for (; word !== 0; word &= word - 1) {
        const node = (w << 5) + lowestBit(word);
        if (bidder.fits(node, bidder.need(line, node))) return node;
        if (!this.#nodes.fits(node, line.request)) mayFit.delete(node);
      }
    }
    return -1;
  }

  /** What shapes are demanded in this pass, and which of them have no node from the start. */
  #survey(bidders: readonly Bidder[], pass: Pass): void {
    this.#alive.clear();
    this.#dead.clear();
    this.#asking = new Array(this.#nodes.width).fill(0);
    this.#mostAsked = new Array(this.#nodes.width).fill(0);
    for (const bidder of bidders) {
      for (const line of this.#lines.of(bidder.claimant)) {
        if (this.#alive.has(line.shape) || bidder.wanted(line, pass) <= 0) continue;
        this.#alive.add(line.shape);
        for (let r = 0; r < line.request.length; r++) {
          if (line.request[r]! <= 0) continue;
          this.#asking[r]!++;
          this.#mostAsked[r] = Math.max(this.#mostAsked[r]!, line.request[r]!);
        }
      }
    }
    for (const shape of [...this.#alive]) if (!hasCandidate(shape)) this.#bury(shape);
  }

  /** No node is left for the shape, whoever asks. */
  #bury(shape: Shape): void {
    if (!this.#alive.delete(shape)) return;
    this.#dead.add(shape);
    for (let r = 0; r < shape.request.length; r++) if (shape.request[r]! > 0) this.#asking[r]!--;
  }

  /**
   * A resource is saturated when no node is left for any demanded shape that asks for it, and no node has enough of it
   * for one of them.
   */
  #saturate(shape: Shape): void {
    for (let r = 0; r < shape.request.length; r++) {
      if (shape.request[r]! <= 0 || this.#asking[r]! > 0 || this.#policy.isSaturated(r)) continue;
      if (this.#largestFree(r) < this.#mostAsked[r]!) this.#policy.saturate(r);
    }
  }

  #largestFree(resource: number): number {
    let largest = 0;
    for (const node of this.#nodes.entries) {
      if (node === undefined || node.closed !== undefined || this.#nodes.overfull(node.index)) continue;
      largest = Math.max(largest, this.#nodes.free[node.index * this.#nodes.width + resource]!);
    }
    return largest;
  }
}

/** May any node still take an instance? */
function hasCandidate({ mayFit, where }: Shape): boolean {
  const words = Math.min(mayFit.words.length, where.admits.words.length);
  for (let w = 0; w < words; w++) if ((mayFit.words[w]! & where.admits.words[w]!) !== 0) return true;
  return false;
}

function headBefore(a: Line, b: Line): boolean {
  if (a.head === undefined || b.head === undefined) {
    return a.head === b.head ? a.shape.id < b.shape.id : a.head !== undefined;
  }
  return before(a.head, b.head);
}
