import type { Gang } from "./gangs/gang.ts";
import type { Place } from "./gangs/gang-search.ts";
import type { GangStarts } from "./gangs/gang-starts.ts";
import type { Hold } from "./holds.ts";
import type { Claim } from "./ledger.ts";
import { type Line, type Lines, lineBefore } from "./lines.ts";
import type { Levels } from "./nodes/levels.ts";
import type { NodeTable } from "./nodes/nodes.ts";
import type { Shape, ShapeTable } from "./nodes/shapes.ts";
import type { Descent } from "./queues/descent.ts";
import type { Claimant } from "./queues/queues.ts";
import type { Room } from "./queues/room.ts";
import { PODS, type Vector } from "./resources.ts";
import { type Bitset, lowestBit } from "./structures/bitset.ts";
import { IndexedHeap } from "./structures/heap.ts";

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
  /** The same on a node where it has no slice yet. */
  first(line: Pick<Line, "request">): Vector;
  /** Is there room for `need` on the node? For exclusive claims in the ledger; optimistic ones overlap with others'. */
  fits(node: number, need: Vector): boolean;
  /** Makes the claim. False: no more in this round (as many offers as it may hold). */
  grant(line: Line, node: number, need: Vector, pass: Pass): boolean;
  /** The same where `held`, a claim that is kept for the line, makes room for it: that claim goes in the same commit. */
  redeem(line: Line, held: Claim): boolean;
  /** Starts what it is granted by itself; otherwise somebody answers. */
  readonly startsGangs: boolean;
  /** All that starts together may stand on so many nodes. */
  readonly maxNodes: number;
  /**
   * The same for all that starts together, in these places, with `held` taken out in the same step: all of it or nothing.
   * False: no more in this round.
   */
  grantGang(gang: Gang, places: readonly Place[], held: readonly Hold[]): boolean;
}

/** 1: what is pending. 2: up to `slack` times that, from what the first pass left. */
export type Pass = 1 | 2;

/** Real demand that pass 1 could not serve; its line says why. */
export interface Unmet {
  readonly bidder: Bidder;
  readonly line: Line;
}

/** A claimant in a pass: its bidder, and its lines that may still get something, in the order of their heads. */
interface Entrant {
  readonly claimant: Claimant;
  readonly bidder: Bidder;
  readonly lines: IndexedHeap<Line>;
}

/**
 * The round: descend to the unblocked child with the least key, level by level, grant that claimant one instance,
 * re-key the path, until all are blocked. Twice: for what is pending, and for slack.
 */
export class Round {
  readonly #nodes: NodeTable;
  readonly #shapes: ShapeTable;
  readonly #lines: Lines;
  readonly #room: Room;
  readonly #policy: Descent;
  readonly #gangs: GangStarts;
  #entrants: Entrant[] = [];
  #grants = 0;
  #loosened = false;
  /** The round begins: nothing is known of any line. */
  #fresh = true;
  /** Counts passes over all rounds. */
  #pass = 0;
  /** Shapes demanded in this pass, and how many of them have a node left. */
  #demanded: Shape[] = [];
  #alive = 0;
  /** How many have lost their last node since the policy was told who is left. */
  #buried = 0;
  /** How many have in this pass, and how many will have had to before all others are looked at again. */
  #dead = 0;
  #sweepAt = 1;
  /** By resource: the first of `#demanded` that asks for it and has a node left, as far as looked. */
  #witness: number[] = [];

  constructor(nodes: NodeTable, shapes: ShapeTable, lines: Lines, room: Room, policy: Descent, gangs: GangStarts) {
    this.#nodes = nodes;
    this.#shapes = shapes;
    this.#lines = lines;
    this.#room = room;
    this.#policy = policy;
    this.#gangs = gangs;
  }

  /**
   * Runs both passes over these bidders (all that may get something, in any order); `waits` is told between them what
   * the first left unmet, and says whether there is to be no second. Returns how many instances were granted.
   */
  run(bidders: readonly Bidder[], waits: (unmet: () => readonly Unmet[]) => boolean): number {
    this.#grants = 0;
    this.#fresh = true;
    let before = -1;
    // Again while a grant may have made room elsewhere: a guarantee partly spent, a spread domain no longer ahead.
    while (before !== this.#grants && (before === -1 || this.#loosened)) {
      before = this.#grants;
      this.#loosened = false;
      this.#run(bidders, 1);
    }
    const wait = waits(() => bidders.flatMap((bidder) => this.#unmet(bidder)));
    if (!wait && this.#shapes.anyLeft()) this.#run(bidders, 2);
    return this.#grants;
  }

  #unmet(bidder: Bidder): Unmet[] {
    if (bidder.full) return [];
    const unmet: Unmet[] = [];
    for (const line of this.#lines.of(bidder.claimant)) {
      if (bidder.wanted(line, 1) <= 0 || !line.leads) continue;
      // The pass ends with the last node, whoever has not had a turn.
      if (line.shape.exhausted) line.blocked ??= "no-node";
      if (line.blocked !== undefined) unmet.push({ bidder, line });
    }
    return unmet;
  }

  #run(bidders: readonly Bidder[], pass: Pass): void {
    this.#room.refresh();
    this.#survey(bidders, pass);
    if (this.#entrants.length === 0) return;
    this.#policy.begin(this.#entrants.map(({ claimant }) => claimant));
    for (let r = 0; r < this.#nodes.width; r++) this.#saturate(r);
    while (this.#alive > 0) {
      const claimant = this.#policy.next();
      if (claimant === undefined) break;
      const entrant = this.#entrants[claimant.entrant]!;
      const outcome = this.#serve(entrant, pass);
      if (outcome === "granted") this.#grants++;
      const { top } = entrant.lines;
      if (outcome !== "full" && top !== undefined) this.#policy.update(claimant, top);
      else this.#policy.block(claimant);
      if (this.#buried > this.#alive && this.#alive > 0) this.#dismiss();
    }
    this.#policy.end();
  }

  /** Who wants what in this pass, and which of the shapes that are asked for have a node left. */
  #survey(bidders: readonly Bidder[], pass: Pass): void {
    this.#pass++;
    this.#demanded = [];
    this.#alive = 0;
    this.#buried = 0;
    this.#dead = 0;
    this.#sweepAt = 1;
    this.#witness = [];
    this.#entrants = [];
    for (const bidder of bidders) {
      const { claimant } = bidder;
      let lines: Line[] | undefined;
      for (const line of this.#lines.of(claimant)) {
        if (this.#fresh) line.cursor = 0;
        if (this.#fresh || line.blocked !== "no-node" || line.shape.spread.length > 0) line.blocked = undefined;
        if (bidder.wanted(line, pass) <= 0) continue;
        this.#demand(line.shape);
        if (line.shape.exhausted && line.holds === 0) line.blocked = "no-node";
        if (line.blocked !== undefined || !line.leads) continue;
        if (lines === undefined) lines = [line];
        else lines.push(line);
      }
      if (lines === undefined) continue;
      claimant.entrant = this.#entrants.length;
      this.#entrants.push({ claimant, bidder, lines: new IndexedHeap(lineBefore, lines) });
    }
    this.#fresh = false;
  }

  /** Most shapes have died: who asks for nothing else is blocked at once, not in turn. */
  #dismiss(): void {
    this.#buried = 0;
    this.#policy.retain(({ entrant }) =>
      this.#entrants[entrant]!.lines.items.some(({ shape, holds }) => !shape.exhausted || holds > 0),
    );
  }

  #demand(shape: Shape): void {
    if (shape.pass === this.#pass) return;
    shape.pass = this.#pass;
    this.#demanded.push(shape);
    if (this.#shapes.hasCandidate(shape)) this.#alive++;
  }

  /**
   * Grants the claimant one instance of the first line in its order that can have one. "passed over": none of those looked
   * at can; where heads decide whose turn it is, one line is looked at, for the next one may stand behind others' by now.
   */
  #serve({ claimant, bidder, lines }: Entrant, pass: Pass): "granted" | "passed over" | "full" {
    for (let line = lines.top; line !== undefined; line = lines.top) {
      if (line.gang !== undefined) {
        const outcome = this.#serveGang(bidder, line, line.gang);
        if (outcome === "full") return "full";
        lines.remove(line);
        if (outcome === "granted") return "granted";
        if (this.#policy.readsHead(claimant)) break;
        continue;
      }
      const node = this.#search(bidder, line);
      if (node === -1) {
        line.blocked = "no-node";
      } else {
        const need = bidder.need(line, node);
        line.blocked = this.#room.refuses(bidder.claimant, need, bidder.shown);
        if (line.blocked === undefined) {
          if (!bidder.grant(line, node, need, pass)) return "full";
          line.served();
          if (bidder.shown === undefined && this.#room.granted(line)) this.#loosened = true;
          if (line.shape.spread.length > 0) this.#loosened = true;
          if (bidder.wanted(line, pass) > 0) lines.update(line);
          else lines.remove(line);
          return "granted";
        }
      }
      lines.remove(line);
      if (this.#policy.readsHead(claimant)) break;
    }
    return "passed over";
  }

  /** All of it or nothing; `line` stands for all of its lines. */
  #serveGang(bidder: Bidder, line: Line, gang: Gang): "granted" | "full" | "blocked" {
    const lines = gang.lines();
    const outcome = this.#gangs.serve(bidder, gang);
    if (outcome === "full") return "full";
    if (typeof outcome === "number") {
      this.#grants += outcome - 1;
      this.#loosened = true;
      return "granted";
    }
    line.blocked = outcome;
    for (const { shape } of lines) if (!shape.exhausted && !this.#shapes.hasCandidate(shape)) this.#bury(shape);
    return "blocked";
  }

  #search(bidder: Bidder, line: Line): number {
    if (line.shape.exhausted) return -1;
    const node =
      bidder.levels === undefined ? this.#firstFit(bidder, line) : this.#bestLevel(bidder, line, bidder.levels);
    if (node === -1 && !this.#shapes.hasCandidate(line.shape)) this.#bury(line.shape);
    return node;
  }

  /** The first node in order that fits. Nodes that were passed do not come back within the round. */
  #firstFit(bidder: Bidder, line: Line): number {
    const node = this.#scan(bidder, line, undefined, line.cursor);
    if (line.shape.spread.length === 0) line.cursor = node === -1 ? this.#nodes.capacity : node;
    return node;
  }

  /** A node of the best level that has one that fits. */
  #bestLevel(bidder: Bidder, line: Line, levels: Levels): number {
    levels.refresh();
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
    const { mayFit, where, spread, size } = line.shape;
    const { roomy } = size;
    const { refused } = bidder;
    const first = from >>> 5;
    for (let w = roomy.summary.next(first); w !== -1; w = roomy.summary.next(w + 1)) {
      let word = roomy.words[w]! & (mayFit.words[w] ?? 0) & (where.admits.words[w] ?? 0);
      if (w === first) word &= -1 << (from & 31);
      if (within !== undefined) word &= within.words[w] ?? 0;
      if (refused !== undefined) word &= ~(refused.words[w] ?? 0);
      for (const group of spread) word &= group.allowed.words[w] ?? 0;
      for (; word !== 0; word &= word - 1) {
        const node = (w << 5) + lowestBit(word);
        if (bidder.fits(node, bidder.need(line, node))) return node;
        if (!this.#nodes.fits(node, line.request)) this.#shapes.failed(line.shape, node);
      }
    }
    return -1;
  }

  /** No node is left for the shape, whoever asks, nor for any of its size once that has none. */
  #bury(dead: Shape): void {
    this.#died();
    if (this.#shapes.isFull(dead.size)) this.#buryEach((shape) => shape.size === dead.size);
    // Where one finds no node any more, mostly others do not either: seen at once, they need not wait for their turns.
    if (this.#dead >= this.#sweepAt) {
      this.#buryEach((shape) => !this.#shapes.fitsNow(shape));
      this.#sweepAt = 2 * this.#dead;
    }
    for (let r = 0; r < this.#nodes.width; r++) this.#saturate(r);
  }

  #buryEach(isDead: (shape: Shape) => boolean): void {
    for (const shape of this.#demanded) {
      if (shape.exhausted || !isDead(shape)) continue;
      shape.exhausted = true;
      this.#died();
    }
  }

  #died(): void {
    this.#alive--;
    this.#buried++;
    this.#dead++;
  }

  /**
   * A resource is saturated when no node is left for any demanded shape that asks for it, and no node has enough of it
   * for one of them. Pods enter no share, and with no node left for any shape nobody asks.
   */
  #saturate(resource: number): void {
    if (resource === PODS || this.#alive === 0 || this.#policy.isSaturated(resource)) return;
    if (!this.#shapes.isAsked(resource) || this.#isAsked(resource)) return;
    const most = this.#demanded.reduce((sum, { request }) => Math.max(sum, request[resource] ?? 0), 0);
    if (most > 0 && this.#largestFree(resource) < most) this.#policy.saturate(resource);
  }

  /** Does a shape that has a node left ask for it? */
  #isAsked(resource: number): boolean {
    let at = this.#witness[resource] ?? 0;
    for (; at < this.#demanded.length; at++) {
      const { exhausted, request } = this.#demanded[at]!;
      if (!exhausted && (request[resource] ?? 0) > 0) break;
    }
    this.#witness[resource] = at;
    return at < this.#demanded.length;
  }

  #largestFree(resource: number): number {
    const { entries, free, width } = this.#nodes;
    let largest = 0;
    for (const node of entries) {
      if (node === undefined || node.closed !== undefined) continue;
      const here = free[node.index * width + resource]!;
      if (here > largest && !this.#nodes.overfull(node.index)) largest = here;
    }
    return largest;
  }
}
