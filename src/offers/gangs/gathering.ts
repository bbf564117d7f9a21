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
    const { request } = line.shape;
    let nearest: Candidate | undefined;
    for (const candidate of this.#candidates(turn, bidder, line, hold)) {
      if (nearest !== undefined && nearer(candidate, nearest) >= 0) continue;
      if (this.#couldFit(turn, candidate.node, request, hold)) nearest = candidate;
    }
    if (nearest === undefined) return;
    if (hold !== undefined && hold.claim.node !== nearest.node && nearest.distance === 0) {
      this.#state.holds.release(hold);
      turn.holds.delete(hold);
      hold = undefined;
    }
    if (hold === undefined) this.#hold(turn, bidder, line, nearest.node, this.#least(nearest.node, request));
    else this.#grow(bidder, hold);
  }

  /** For all that starts together: `found` says where as many as possible fit now. */
  forGang(turn: Turn, bidder: Bidder, { places }: Found): void {
    for (const { task, node, count } of places) {
      const line = task.line!;
      // What has gathered there becomes whole below.
      const there = [...turn.holds].filter((hold) => hold.line === line && hold.claim.node === node);
      for (let n = there.length; n < count; n++) this.#hold(turn, bidder, line, node, line.request);
    }
    for (const line of turn.line.gang!.lines()) this.#gatherRest(turn, bidder, line);
  }

  /** The line's instances that fit nowhere have a node each on which room gathers. */
  #gatherRest(turn: Turn, bidder: Bidder, line: Line): void {
    const own = [...turn.holds].filter((hold) => hold.line === line);
    const partial = own.filter((hold) => !isWhole(hold));
    const whole = own.filter(isWhole);
    // Room that others make for it counts as well. What is whole stays, wherever the rest was to gather.
    const rests = Math.max(0, line.ready - (line.holds - partial.length));
    for (const hold of [...partial.splice(rests), ...whole.splice(line.ready)]) {
      this.#state.holds.release(hold);
      turn.holds.delete(hold);
    }
    let rest = line.ready - line.holds;
    for (const hold of partial) this.#grow(bidder, hold);
    const taken = new Set(partial.map(({ claim }) => claim.node));
    const { request } = line.shape;
    const nearest = rest > 0 ? [...this.#candidates(turn, bidder, line, undefined)].sort(nearer) : [];
    for (const { node } of nearest) {
      if (rest <= 0) break;
      if (taken.has(node) || !this.#couldFit(turn, node, request, undefined)) continue;
      rest--;
      if (!this.#hold(turn, bidder, line, node, this.#least(node, request))) return;
    }
  }

  /** Nodes that an instance may use and on which something of all it asks for is free, beside the hold or in it. */
  *#candidates(turn: Turn, bidder: Bidder, { shape }: Line, hold: Hold | undefined): Generator<Candidate> {
    const avoided = this.#avoided.get(turn.waiter);
    for (const node of shape.where.admits) {
      const distance = this.#distance(node, shape.request, hold);
      if (distance >= 1 || bidder.refused?.has(node) === true) continue;
      if (shape.spread.some((group) => !group.allowed.has(node))) continue;
      yield { node, distance, avoided: avoided?.has(node) === true };
    }
  }

  /** Part of the request that is lacking on the node, of the resource of which most is; 1 where it is over-full. */
  #distance(node: number, request: Vector, hold: Hold | undefined): number {
    const { free, width } = this.#state.nodes;
    const own = hold?.claim.node === node ? hold.claim.vector : undefined;
    let distance = 0;
    for (let r = 0; r < width; r++) {
      const has = free[node * width + r]!;
      if (has < 0) return 1;
      const asked = request[r] ?? 0;
      if (asked > 0) distance = Math.max(distance, (asked - has - (own?.[r] ?? 0)) / asked);
    }
    return distance;
  }

  /** As much of the request as is free on the node. */
  #least(node: number, request: Vector): Vector {
    return least(this.#state.nodes.freeVector(node), request);
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
    if (hold === undefined) return false;
    turn.holds.add(hold);
    this.#taken(hold);
    return true;
  }

  #grow(bidder: Bidder, hold: Hold): void {
    const has = this.#state.nodes.freeVector(hold.claim.node);
    if (has.some((amount) => amount < 0)) return;
    for (let r = 0; r < has.length; r++) has[r]! += hold.claim.vector[r] ?? 0;
    const vector = least(has, hold.line.request);
    const more = vector.map((amount, r) => Math.max(0, amount - (hold.claim.vector[r] ?? 0)));
    if (this.#state.room.refuses(bidder.claimant, more) !== undefined) return;
    if (this.#state.holds.resize(hold, vector)) this.#taken(hold);
  }

  /** What its queue keeps back is less by that. */
  #taken(hold: Hold): void {
    if (isWhole(hold)) this.#state.room.granted(hold.line);
    else this.#state.room.taken(hold.line);
  }
}

/** Below 0: `a` is to be tried first. */
function nearer(a: Candidate, b: Candidate): number {
  return Number(a.avoided) - Number(b.avoided) || a.distance - b.distance;
}

/** The lesser of the two in each resource. */
function least(has: Vector, request: Vector): Vector {
  return request.map((asked, r) => Math.min(asked, Math.max(0, has[r] ?? 0)));
}
