import { type Hold, isWhole } from "../holds.ts";
import type { Line } from "../lines.ts";
import { add } from "../queues/queues.ts";
import type { Vector } from "../resources.ts";
import type { Bidder } from "../round.ts";
import type { State } from "../state.ts";
import type { Waiter } from "./gang.ts";
import type { Found } from "./gang-search.ts";
import type { Turn } from "./long-waits.ts";

/** A node on which room may gather for one instance. */
interface Candidate {
  readonly node: number;
  /** What is free there, with what is held there already. */
  readonly has: Vector;
  /** Part of the request that is lacking, of the resource of which most is: 0 when it fits. */
  readonly distance: number;
  readonly avoided: boolean;
}

/**
 * How room gathers for the one whose turn it is: whole instances wherever they fit, and for those that fit nowhere what is
 * free on the nodes that lack least, a node for each. Never more than it asks for, and never past a limit or what others are
 * guaranteed.
 */
export class Gathering {
  readonly #state: State;
  /** Nodes on which room has gathered in vain: others are tried first. */
  readonly #avoided = new WeakMap<Waiter, Set<number>>();

  constructor(state: State) {
    this.#state = state;
  }

  /** The turn passes on: what was not whole by now may never be. */
  avoid({ waiter, holds }: Turn): void {
    const avoided = this.#avoided.get(waiter) ?? new Set();
    this.#avoided.set(waiter, avoided);
    for (const hold of [...holds]) {
      if (isWhole(hold)) continue;
      avoided.add(hold.claim.node);
      this.#state.holds.release(hold);
      holds.delete(hold);
    }
  }

  /** For one instance of a large shape. */
  forLine(turn: Turn, bidder: Bidder): void {
    const { line } = turn;
    let [hold] = turn.holds;
    const nearest = this.#nearest(turn, bidder, line, hold, new Set());
    if (nearest === undefined) return;
    if (hold !== undefined && hold.claim.node !== nearest.node && nearest.distance === 0) {
      this.#state.holds.release(hold);
      turn.holds.delete(hold);
      hold = undefined;
    }
    if (hold === undefined) this.#hold(turn, bidder, line, nearest.node, least(nearest.has, line.request));
    else this.#grow(bidder, hold);
  }

  /** For all that starts together: `found` says where as many as possible fit now. */
  forGang(turn: Turn, bidder: Bidder, { places }: Found): void {
    for (const { task, node, count } of places) {
      const line = task.line!;
      const there = [...turn.holds].filter((hold) => hold.line === line && hold.claim.node === node);
      for (let n = 0; n < count; n++) {
        const hold = there[n];
        if (hold === undefined) this.#hold(turn, bidder, line, node, line.request);
        else if (!isWhole(hold)) this.#resize(bidder, hold, line.request);
      }
    }
    for (const line of turn.line.gang!.lines()) this.#gatherRest(turn, bidder, line);
  }

  /** The line's instances that fit nowhere have a node each on which room gathers. */
  #gatherRest(turn: Turn, bidder: Bidder, line: Line): void {
    const own = [...turn.holds].filter((hold) => hold.line === line);
    const partial = own.filter((hold) => !isWhole(hold));
    let rest = line.ready - own.length;
    for (const hold of partial) this.#grow(bidder, hold);
    const taken = new Set(partial.map(({ claim }) => claim.node));
    for (; rest > 0; rest--) {
      const nearest = this.#nearest(turn, bidder, line, undefined, taken);
      if (nearest === undefined) return;
      taken.add(nearest.node);
      if (!this.#hold(turn, bidder, line, nearest.node, least(nearest.has, line.request))) return;
    }
    for (const hold of own.slice(line.ready)) {
      this.#state.holds.release(hold);
      turn.holds.delete(hold);
    }
  }

  /** Where an instance lacks least: a node it may use, on which something of all it asks for is free. */
  #nearest(
    turn: Turn,
    bidder: Bidder,
    { shape }: Line,
    hold: Hold | undefined,
    taken: ReadonlySet<number>,
  ): Candidate | undefined {
    const { nodes } = this.#state;
    const avoided = this.#avoided.get(turn.waiter);
    let nearest: Candidate | undefined;
    for (const node of shape.where.admits) {
      if (taken.has(node) || bidder.refused?.has(node) === true) continue;
      if (shape.spread.some((group) => !group.allowed.has(node))) continue;
      const has = nodes.freeVector(node);
      if (has.some((amount) => amount < 0)) continue;
      if (hold?.claim.node === node) add(has, hold.claim.vector, 1);
      const candidate = { node, has, distance: distanceOf(has, shape.request), avoided: avoided?.has(node) === true };
      if (candidate.distance >= 1 || (nearest !== undefined && !nearer(candidate, nearest))) continue;
      if (this.#couldFit(turn, node, shape.request, hold)) nearest = candidate;
    }
    return nearest;
  }

  /** Once all that Proffer has placed there has ended: beside what is not its own, and what it holds already. */
  #couldFit({ holds }: Turn, node: number, request: Vector, except: Hold | undefined): boolean {
    const { total, width } = this.#state.nodes;
    const left = total.slice(node * width, (node + 1) * width);
    for (const { kind, vector } of this.#state.ledger.onNode(node)) if (kind === "foreign") add(left, vector, -1);
    for (const hold of holds) {
      if (hold !== except && hold.claim.node === node)
        add(left, isWhole(hold) ? hold.claim.vector : hold.line.request, -1);
    }
    return request.every((asked, r) => asked <= left[r]!);
  }

  #hold(turn: Turn, bidder: Bidder, line: Line, node: number, vector: Vector): boolean {
    if (this.#state.room.refuses(bidder.claimant, vector) !== undefined) return false;
    const hold = this.#state.holds.place(line, node, vector);
    if (hold !== undefined) turn.holds.add(hold);
    return hold !== undefined;
  }

  #grow(bidder: Bidder, hold: Hold): void {
    const has = this.#state.nodes.freeVector(hold.claim.node);
    if (has.some((amount) => amount < 0)) return;
    for (let r = 0; r < has.length; r++) has[r]! += hold.claim.vector[r] ?? 0;
    this.#resize(bidder, hold, least(has, hold.line.request));
  }

  #resize(bidder: Bidder, hold: Hold, vector: Vector): void {
    const more = vector.map((amount, r) => Math.max(0, amount - (hold.claim.vector[r] ?? 0)));
    if (this.#state.room.refuses(bidder.claimant, more) === undefined) this.#state.holds.resize(hold, vector);
  }
}

function nearer(a: Candidate, b: Candidate): boolean {
  if (a.avoided !== b.avoided) return b.avoided;
  return a.distance < b.distance;
}

function distanceOf(has: Vector, request: Vector): number {
  let distance = 0;
  for (let r = 0; r < request.length; r++) {
    if (request[r]! > 0) distance = Math.max(distance, (request[r]! - has[r]!) / request[r]!);
  }
  return Math.max(0, distance);
}

/** The lesser of the two in each resource. */
function least(has: Vector, request: Vector): Vector {
  return request.map((asked, r) => Math.min(asked, Math.max(0, has[r] ?? 0)));
}
