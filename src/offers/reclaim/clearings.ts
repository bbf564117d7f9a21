import type { Gang } from "../gangs/gang.ts";
import type { Hold } from "../holds.ts";
import { isWhole } from "../holds.ts";
import type { Line } from "../lines.ts";
import { add, type Queue } from "../queues/queues.ts";
import type { Vector } from "../resources.ts";
import type { State } from "../state.ts";
import type { Instance } from "../tasks/instance.ts";
import { evict } from "./evictions.ts";
import type { Found } from "./room-search.ts";
import { UsageAhead } from "./usage-ahead.ts";
import { isOffer, type Victim } from "./victims.ts";

/** Room on one node on its way from victims to instances of a line. */
export interface Clearing {
  readonly line: Line;
  readonly node: number;
  /** One for each instance; they grow as victims end. Those that are whole are not listed any more. */
  holds: Hold[];
  /** What has to end yet, by the id of its claim. */
  readonly victims: Map<string, Victim>;
  /** What was free was kept back for others: it does not do instead of a victim. */
  readonly keptBack: boolean;
  /** The victims are asked to end: nothing holds it up any more. */
  going: boolean;
}

/** All clearings. What a victim leaves is taken over by the holds in the same step, so that nobody comes between. */
export class Clearings {
  readonly #state: State;
  readonly #all = new Set<Clearing>();
  /** What is whole for those that start together, until they do. */
  readonly #whole = new Map<Gang, Set<Hold>>();
  /** Parts of tasks and offers that are spoken for. */
  readonly taken = new Set<object>();

  constructor(state: State) {
    this.#state = state;
  }

  get size(): number {
    return this.#all.size;
  }

  /** Oldest first. */
  all(): Iterable<Clearing> {
    return this.#all;
  }

  of(line: Line): Clearing[] {
    return this.#all.size === 0 ? [] : [...this.#all].filter((clearing) => clearing.line === line);
  }

  /** Instances of the line that room is being made for. */
  planned(line: Line): number {
    return this.of(line).reduce((sum, { holds }) => sum + holds.length, 0);
  }

  /** Holds in which room gathers for a long wait, of whoever: part of what an instance asks for, and no clearing's. */
  gathered(): Hold[] {
    if (this.#state.holds.size === 0) return [];
    const cleared = new Set([...this.#all].flatMap(({ holds }) => holds));
    return [...this.#state.holds.all()].filter((hold) => !isWhole(hold) && !cleared.has(hold));
  }

  /**
   * What each queue will use once these clearings have come about. What has only gathered for somebody is not used yet, and
   * may never be: nothing that runs is taken back on its account.
   */
  ahead(which: (clearing: Clearing) => boolean = () => true): UsageAhead {
    const ahead = new UsageAhead(this.#state.tree);
    for (const { line, claim } of this.gathered()) ahead.shift(line.claimant.parent, claim.vector, -1);
    for (const clearing of this.#all) if (which(clearing)) include(ahead, clearing);
    return ahead;
  }

  /** Keeps what is free and needed; undefined, and as before, where the node cannot have it. */
  place(line: Line, { node, victims }: Pick<Found, "node" | "victims">, keptBack: boolean): Clearing | undefined {
    const clearing: Clearing = { line, node, holds: [], victims: new Map(), keptBack, going: false };
    if (!this.extend(clearing, victims)) return undefined;
    this.#all.add(clearing);
    // What is held counts as used: less is kept back for its queue now, and others may have what was.
    this.#state.dirty = true;
    return clearing;
  }

  /** The same for one instance more, with what has to go for that. */
  extend(clearing: Clearing, victims: readonly Victim[]): boolean {
    const hold = this.#state.holds.place(clearing.line, clearing.node, new Float64Array(clearing.line.request.length));
    if (hold === undefined) return false;
    clearing.holds.push(hold);
    for (const victim of victims) this.#expect(clearing, victim);
    this.#fill(clearing);
    return true;
  }

  /** Nothing comes of it: what it held is free, and its victims are nobody's. */
  dissolve(clearing: Clearing): void {
    for (const hold of clearing.holds.splice(0)) this.#state.holds.release(hold);
    this.#close(clearing);
  }

  /** One instance fewer is waited for. */
  shrink(clearing: Clearing): void {
    this.#state.holds.release(clearing.holds.pop()!);
    if (clearing.holds.length === 0) this.#close(clearing);
  }

  /** Victims that are not needed go free, those first that would have been taken last. Then all others are asked to end. */
  carryOut(clearing: Clearing): void {
    for (const victim of [...clearing.victims.values()].reverse()) {
      if (isOffer(victim.of) || !clearing.victims.has(victim.claim)) continue;
      const unit = unitOf(clearing, victim);
      if (this.#isSuperfluous(clearing, unit)) for (const one of unit) this.spare(clearing, one);
    }
    clearing.going = true;
    for (const { of, part, gang } of clearing.victims.values()) {
      if (isOffer(of)) continue;
      evict(this.#state, part as Instance, clearing.line.claimant.queueName);
      // Also what has joined it since.
      if (gang !== undefined) gang.recalling = true;
      this.#state.taskChanged(of);
    }
  }

  /** A victim that is not needed goes free. */
  spare(clearing: Clearing, { claim, part }: Victim): void {
    this.#state.ledger.disinherit(claim);
    clearing.victims.delete(claim);
    this.taken.delete(part);
  }

  /** What has become of each: done, grown, or hopeless. Those that will never be whole are dissolved. */
  review(): void {
    for (const clearing of [...this.#all]) {
      for (const victim of [...clearing.victims.values()]) {
        if (this.#state.ledger.get(victim.claim)?.node !== victim.node) this.spare(clearing, victim);
      }
      this.#fill(clearing);
      clearing.holds = clearing.holds.filter((hold) => this.#state.holds.has(hold) && !this.#isDone(hold));
      if (clearing.holds.length === 0) this.#close(clearing);
      else if (!this.#canBecomeWhole(clearing)) this.dissolve(clearing);
    }
  }

  /** Of what starts together all or nothing: once nothing more is cleared for those that lack room still, they keep none. */
  releaseHalves(): void {
    for (const [gang, whole] of this.#whole) {
      const lacks = gang.lines().some(({ ready, held }) => held < ready);
      if (lacks && [...this.#all].some(({ line }) => line.gang === gang)) continue;
      if (lacks) for (const hold of whole) this.#state.holds.release(hold);
      for (const hold of whole) if (!this.#state.holds.has(hold)) whole.delete(hold);
      if (whole.size === 0) this.#whole.delete(gang);
    }
  }

  #isDone(hold: Hold): boolean {
    if (!isWhole(hold)) return false;
    const { gang } = hold.line;
    if (gang !== undefined) this.#whole.set(gang, (this.#whole.get(gang) ?? new Set()).add(hold));
    return true;
  }

  /** What the clearing's instances ask for, less what they hold already: to come from victims and from what is free. */
  missing({ line, holds }: Clearing): Float64Array {
    const missing = new Float64Array(this.#state.resources.width);
    for (let r = 0; r < missing.length; r++) {
      for (const { claim } of holds) missing[r]! += Math.max(0, (line.request[r] ?? 0) - (claim.vector[r] ?? 0));
    }
    return missing;
  }

  /** What the victims on its own node will leave. */
  toCome({ victims, node }: Clearing): Float64Array {
    const sum = new Float64Array(this.#state.resources.width);
    for (const { claim } of victims.values()) {
      const held = this.#state.ledger.get(claim);
      if (held?.node !== node) continue;
      for (let r = 0; r < sum.length; r++) sum[r]! += held.vector[r] ?? 0;
    }
    return sum;
  }

  /** Only of room on the node: below a limit each counts. */
  #isSuperfluous(clearing: Clearing, unit: readonly Victim[]): boolean {
    const isHere = ({ node }: Victim) => node === clearing.node;
    if ([...clearing.victims.values()].some((victim) => !unitOf(clearing, victim).some(isHere))) return false;
    const given = new Float64Array(this.#state.resources.width);
    for (const { vector } of unit.filter(isHere)) add(given, vector, 1);
    const [missing, toCome] = [this.missing(clearing), this.toCome(clearing)];
    const free = this.#state.nodes.freeVector(clearing.node);
    return missing.every((amount, r) => {
      const usable = clearing.keptBack ? 0 : Math.max(0, free[r]!);
      return amount <= toCome[r]! - given[r]! + usable;
    });
  }

  #canBecomeWhole(clearing: Clearing): boolean {
    if (clearing.going && clearing.victims.size === 0) return false;
    const [missing, toCome] = [this.missing(clearing), this.toCome(clearing)];
    const free = this.#state.nodes.freeVector(clearing.node);
    return missing.every((amount, r) => amount <= toCome[r]! + Math.max(0, free[r]!));
  }

  /** What the victim leaves when it ends, be it by itself, is the clearing's. */
  #expect(clearing: Clearing, victim: Victim): void {
    clearing.victims.set(victim.claim, victim);
    this.taken.add(victim.part);
    this.#state.ledger.bequeath(victim.claim, () => {
      this.#fill(clearing);
      this.#state.dirty = true;
    });
  }

  #close(clearing: Clearing): void {
    for (const victim of [...clearing.victims.values()]) this.spare(clearing, victim);
    this.#all.delete(clearing);
  }

  /** Holds take of what is free as much as the victims that are left will not bring, the first ones first. */
  #fill(clearing: Clearing): void {
    const { line, node } = clearing;
    const later = this.toCome(clearing);
    for (const hold of [...clearing.holds].reverse()) {
      if (!this.#state.holds.has(hold)) continue;
      const free = this.#state.nodes.freeVector(node);
      const most = this.#belowLimits(line.claimant.parent);
      const next = hold.claim.vector.slice();
      for (let r = 0; r < next.length; r++) {
        const lacks = Math.max(0, (line.request[r] ?? 0) - next[r]!);
        const wanted = Math.max(0, lacks - later[r]!);
        later[r] = Math.max(0, later[r]! - lacks);
        next[r]! += Math.max(0, Math.min(wanted, free[r] ?? 0, most[r] ?? 0));
      }
      this.#state.holds.resize(hold, next);
    }
  }

  /** What the queue and those above it may use beyond what they do. */
  #belowLimits(from: Queue | undefined): Vector {
    const most = new Float64Array(this.#state.resources.width).fill(Number.POSITIVE_INFINITY);
    for (const { limit, usage } of this.#state.tree.path(from)) {
      for (let r = 0; r < most.length; r++) most[r] = Math.min(most[r]!, (limit[r] ?? Infinity) - (usage[r] ?? 0));
    }
    return most;
  }
}

/** The victim and all that ends with it. */
function unitOf({ victims }: Clearing, victim: Victim): Victim[] {
  if (victim.gang === undefined) return [victim];
  return [...victims.values()].filter(({ gang }) => gang === victim.gang);
}

/** The clearing has come about: its victims are gone, its holds are whole. */
function include(ahead: UsageAhead, { line, holds, victims }: Clearing): void {
  for (const { vector, claimant } of victims.values()) ahead.shift(claimant.parent, vector, -1);
  for (const { claim } of holds) {
    ahead.shift(line.claimant.parent, claim.vector, -1);
    ahead.shift(line.claimant.parent, line.request, 1);
  }
}

/** The same undone: it is dissolved, and what its holds have is free. */
export function exclude(ahead: UsageAhead, { line, holds, victims }: Clearing): void {
  for (const { vector, claimant } of victims.values()) ahead.shift(claimant.parent, vector, 1);
  for (const _ of holds) ahead.shift(line.claimant.parent, line.request, -1);
}
