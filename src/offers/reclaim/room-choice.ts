import type { Claimant, Queue } from "../queues/queues.ts";
import type { Vector } from "../resources.ts";
import type { State } from "../state.ts";
import type { Contest, Entitlement } from "./entitlement.ts";
import type { UsageAhead } from "./usage-ahead.ts";
import type { Victim, Victims } from "./victims.ts";

/** One instance of a queue for which room is to be made. */
export interface Want {
  readonly queue: Queue;
  readonly request: Vector;
  readonly entitlement: Entitlement;
  readonly admits: (node: number) => boolean;
  /** What is free is kept back for others: all that it is guaranteed must come from victims. */
  readonly keptBack: boolean;
  /** Whose tasks may be taken. What is only offered, and what leaves by itself, may be anybody's. */
  readonly mayTake: (claimant: Claimant) => boolean;
}

/** Of so many candidates all orders are tried, up to so many sets of them. */
const FEW = 16;
const MOST_SETS = 512;

/**
 * Picks, of the candidates of one node, those that have to end so that an instance fits there, and puts back those that
 * turn out not to be needed. What is picked has left the ahead; after a vain attempt that is as it was.
 */
export class RoomChoice {
  readonly #state: State;
  readonly #ahead: UsageAhead;
  readonly #victims: Victims;
  readonly #want: Want;
  /** Parts that earlier choices took, and offers whose other parts leave with them. */
  readonly #gone: ReadonlySet<object>;
  /** By node: what victims of earlier choices will leave over there. */
  readonly #spare = new Map<number, Float64Array>();
  /** What the node under consideration lacks still. */
  #lacking = new Float64Array(0);
  #node = -1;
  /** To come within the bounds was tried in vain, with all that may be taken. */
  #inVain = false;

  constructor(state: State, ahead: UsageAhead, victims: Victims, want: Want, gone: ReadonlySet<object>) {
    this.#state = state;
    this.#ahead = ahead;
    this.#victims = victims;
    this.#want = want;
    this.#gone = gone;
  }

  /** May the entry be asked for at all? */
  isCandidate(i: number): boolean {
    const victims = this.#victims;
    if (this.#gone.size > 0 && victims.unit(i).some((j) => this.#gone.has(victims.part(j)))) return false;
    if (this.#leaves(i)) return true;
    const claimant = victims.claimant(i);
    const { parent } = claimant;
    if (parent === undefined || !this.#want.entitlement.mayHave(parent) || this.#isVain(parent)) return false;
    return !victims.isTask(i) || this.#want.mayTake(claimant);
  }

  /** As much of a resource as the node, as it is, lacks for the instance; zero or less: it has enough. */
  lacking(node: number, r: number): number {
    const { nodes } = this.#state;
    const free = nodes.free[node * nodes.width + r]!;
    const { request, keptBack, entitlement } = this.#want;
    const usable = keptBack && entitlement.coversIn(r) ? Math.min(0, free) : free;
    return (request[r] ?? 0) - usable - (this.#spare.get(node)?.[r] ?? 0);
  }

  /**
   * These were picked for an instance on the node: what they leave over is the next one's. True if this one counts on what
   * those before it leave over.
   */
  settle(node: number, victims: readonly Victim[]): boolean {
    this.#inVain = false;
    const before = this.#spare.get(node);
    const spare = new Float64Array(this.#state.resources.count);
    for (let r = 0; r < spare.length; r++) {
      const given = victims.reduce((sum, { node: at, vector }) => sum + (at === node ? (vector[r] ?? 0) : 0), 0);
      spare[r] = Math.max(0, (before?.[r] ?? 0) + given - (this.#want.request[r] ?? 0));
    }
    this.#spare.set(node, spare);
    return before?.some((amount, r) => amount > 0 && (this.#want.request[r] ?? 0) > 0) === true;
  }

  isWithinLimits(): boolean {
    for (let queue: Queue | undefined = this.#want.queue; queue?.facts !== undefined; queue = queue.parent) {
      for (let r = 0; r < this.#state.resources.count; r++) if (this.#overLimit(queue, r) > 0) return false;
    }
    return true;
  }

  /**
   * Candidates in the order of preference. Each one that goes takes its queue nearer to its guarantee, so that may end in
   * nothing where others would have done: then in any order, as long as they are few, and otherwise by size.
   */
  pick(node: number, members: readonly number[]): readonly number[] | undefined {
    const inOrder = [...members].sort((i, j) => this.#victims.compare(i, j));
    const picked = this.#greedy(node, inOrder);
    if (picked !== undefined || members.length < 2) return picked;
    const lacking = this.#lackingOf(node);
    const sizes = new Map(inOrder.map((i) => [i, helpOf(this.#victims.vector(i), lacking)]));
    const largestFirst = [...inOrder].sort((i, j) => sizes.get(j)! - sizes.get(i)!);
    if (members.length <= FEW) return this.#any(node, largestFirst);
    return this.#greedy(node, largestFirst) ?? this.#greedy(node, largestFirst.reverse());
  }

  /** Tries all sets in which each may go after those before it, the largest first. */
  #any(node: number, members: readonly number[]): readonly number[] | undefined {
    this.#node = node;
    this.#lacking = this.#lackingOf(node);
    const picked = new Set<number>();
    return this.#reach(members, picked, new Set()) ? this.#putBack(picked) : undefined;
  }

  #reach(members: readonly number[], picked: Set<number>, seen: Set<string>): boolean {
    if (this.#isEnough(picked)) return true;
    for (const i of members) {
      const { size } = picked;
      this.#consider(i, picked);
      if (picked.size === size) continue;
      const key = [...picked].sort((a, b) => a - b).join();
      if (!seen.has(key) && seen.size < MOST_SETS) {
        seen.add(key);
        if (this.#reach(members, picked, seen)) return true;
      }
      picked.delete(i);
      this.#shift(i, 1);
    }
    return false;
  }

  #greedy(node: number, order: readonly number[]): readonly number[] | undefined {
    this.#node = node;
    this.#lacking = this.#lackingOf(node);
    const picked = new Set<number>();
    for (const i of order) {
      if (this.#isEnough(picked)) break;
      this.#consider(i, picked);
    }
    if (isNothing(this.#lacking)) this.#comeWithinBounds(picked);
    if (!this.#isEnough(picked)) {
      for (const i of picked) this.#shift(i, 1);
      return undefined;
    }
    return this.#putBack(picked);
  }

  /** Those that are not needed stay, the last first: whoever is left may still go, for more is left of its queue. */
  #putBack(picked: Set<number>): readonly number[] {
    for (const i of [...picked].reverse()) {
      this.#shift(i, 1);
      picked.delete(i);
      if (this.#isEnough(picked)) continue;
      this.#shift(i, -1);
      picked.add(i);
    }
    return [...picked].reverse();
  }

  #lackingOf(node: number): Float64Array<ArrayBuffer> {
    return new Float64Array(this.#state.resources.count).map((_, r) => this.lacking(node, r));
  }

  #isEnough(picked: Iterable<number>): boolean {
    return isNothing(this.#lacking) && this.#isWithinBounds(picked);
  }

  /** No queue above is over its limit, and each guarantee that is called on covers the instance. */
  #isWithinBounds(picked: Iterable<number>): boolean {
    if (!this.isWithinLimits()) return false;
    for (const queue of this.#calledOn(picked)) if (!this.#want.entitlement.covers(queue)) return false;
    return true;
  }

  /** The claimant's sides of the contests with these. */
  #calledOn(picked: Iterable<number>): Set<Queue> {
    const called = new Set<Queue>();
    for (const i of picked) {
      const own = this.#leaves(i) ? undefined : this.#want.entitlement.contest(this.#victims.claimant(i).parent!)?.own;
      if (own !== undefined) called.add(own);
    }
    return called;
  }

  /** Of no use: nothing that may be taken brings the guarantee that would be called on to cover the instance. */
  #isVain(parent: Queue): boolean {
    if (!this.#inVain) return false;
    const { entitlement } = this.#want;
    const own = entitlement.contest(parent)?.own;
    return own !== undefined && !entitlement.covers(own);
  }

  /**
   * There is room, but a queue above would be over its limit, or beyond the guarantee that is called on: others below it
   * have to go, wherever they are.
   */
  #comeWithinBounds(picked: Set<number>): void {
    if (this.#inVain || this.#isWithinBounds(picked)) return;
    for (const i of this.#victims.inOrder()) {
      if (!this.#victims.isTask(i) || !this.isCandidate(i)) continue;
      const { size } = picked;
      this.#consider(i, picked);
      if (picked.size > size && this.#isWithinBounds(picked)) return;
    }
    this.#inVain = true;
  }

  /** Picks the entry if it is of use and may go, after all that were picked before it. */
  #consider(i: number, picked: Set<number>): void {
    const { entitlement } = this.#want;
    const victims = this.#victims;
    for (const j of picked) if (victims.overlap(i, j)) return;
    if (this.#leaves(i)) {
      if (helpOf(victims.vector(i), this.#lacking) === 0) return;
    } else {
      const parent = victims.claimant(i).parent!;
      if (this.#isVain(parent)) return;
      // Without one it would be no candidate.
      const contest = entitlement.contest(parent)!;
      if (!entitlement.eligible(contest, victims.total(i), this.#lackingAgainst(contest, picked))) return;
    }
    picked.add(i);
    this.#shift(i, -1);
  }

  /** The entry, and all that ends with it, goes (−1) or comes back. */
  #shift(i: number, sign: 1 | -1): void {
    const victims = this.#victims;
    for (const j of victims.unit(i)) {
      if (victims.node(j) !== this.#node) continue;
      const vector = victims.vector(j);
      for (let r = 0; r < this.#lacking.length; r++) this.#lacking[r]! += sign * (vector[r] ?? 0);
    }
    if (!this.#leaves(i)) this.#ahead.shift(victims.claimant(i).parent, victims.total(i), sign);
  }

  #leaves(i: number): boolean {
    return this.#victims.leaves(i) || this.#gone.has(this.#victims.of(i));
  }

  /** What is lacking and a victim of that queue can give: room on the node, and room below bounds that both are under. */
  #lackingAgainst({ own }: Contest, picked: Iterable<number>): Float64Array {
    const lacking = this.#lacking.slice();
    const called = this.#calledOn(picked);
    for (let queue = own.parent; queue?.facts !== undefined; queue = queue.parent) {
      for (let r = 0; r < lacking.length; r++) {
        const over = called.has(queue) ? this.#want.entitlement.excess(queue, r) : 0;
        lacking[r] = Math.max(lacking[r]!, this.#overLimit(queue, r), over);
      }
    }
    return lacking;
  }

  #overLimit(queue: Queue, r: number): number {
    const asked = this.#want.request[r] ?? 0;
    return asked > 0 ? (this.#ahead.usage(queue)[r] ?? 0) + asked - queue.limit[r]! : 0;
  }
}

function isNothing(lacking: Vector): boolean {
  for (const amount of lacking) if (amount > 0) return false;
  return true;
}

/** How much of what is lacking the vector brings: the sum of the parts, 0 for nothing. */
function helpOf(vector: Vector, lacking: Vector): number {
  let help = 0;
  for (let r = 0; r < lacking.length; r++) {
    if (lacking[r]! > 0) help += Math.min(1, (vector[r] ?? 0) / lacking[r]!);
  }
  return help;
}
