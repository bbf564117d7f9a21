import type { Framework } from "./framework.ts";
import type { Gang } from "./gangs/gang.ts";
import type { Place } from "./gangs/gang-search.ts";
import type { Hold } from "./holds.ts";
import type { Claim } from "./ledger.ts";
import type { Line } from "./lines.ts";
import type { FrameworkFacts } from "./messages.ts";
import type { Levels } from "./nodes/levels.ts";
import type { Offer, OfferSlice } from "./offer.ts";
import { add, type Claimant } from "./queues/queues.ts";
import { atLeast, type Vector } from "./resources.ts";
import type { Bidder, Pass } from "./round.ts";
import { shownInAll, shownTo } from "./shown.ts";
import type { State } from "./state.ts";
import { assert } from "./structures/assert.ts";
import type { Bitset } from "./structures/bitset.ts";
import { queueRejection } from "./tasks/assignment.ts";
import type { Task } from "./tasks/task.ts";
import type { Tasks } from "./tasks/tasks.ts";

/** More slices than this go into another offer. */
const MAX_SLICES = 64;
const SLICE_NAMES = Array.from({ length: MAX_SLICES }, (_, i) => `s${i}`);

/** A Builtin framework in the round: a grant is a launch. */
class BuiltinBidder implements Bidder {
  readonly claimant: Claimant;
  readonly levels: Levels | undefined;
  readonly refused = undefined;
  readonly shown = undefined;
  readonly full = false;
  readonly startsGangs = true;
  readonly maxNodes = Number.POSITIVE_INFINITY;
  readonly #state: State;
  readonly #tasks: Tasks;

  constructor(state: State, tasks: Tasks, { placement }: FrameworkFacts, claimant: Claimant) {
    this.#state = state;
    this.#tasks = tasks;
    this.claimant = claimant;
    this.levels = state.levels.get(placement) ?? [...state.levels.values()][0];
  }

  begin(): void {}

  shownOn(_node: number): undefined {}

  wanted(line: Line, pass: Pass): number {
    if (line.gang !== undefined) return pass === 1 ? line.ready : 0;
    return pass === 1 ? line.ready - line.held : 0;
  }

  need(line: Line): Vector {
    return line.request;
  }

  first(line: Pick<Line, "request">): Vector {
    return line.request;
  }

  fits(node: number, need: Vector): boolean {
    return this.#state.nodes.fits(node, need);
  }

  grant(line: Line, node: number): boolean {
    const task = line.head!;
    const index = task.nextReady();
    if (!this.#state.ledger.claim(this.#tasks.claim(task, index, node))) return false;
    this.#tasks.start(task, index, node);
    return true;
  }

  redeem(line: Line, { id, node }: Claim): boolean {
    const task = line.head;
    if (task === undefined) return false;
    const index = task.nextReady();
    const add = [this.#tasks.claim(task, index, node)];
    if (this.#state.ledger.commit({ remove: [id], add, atomic: true }).length > 0) return false;
    this.#tasks.start(task, index, node);
    return true;
  }

  grantGang(gang: Gang, places: readonly Place[], held: readonly Hold[]): boolean {
    const indexes = new Map<Task, Iterator<number>>();
    const starts = places.flatMap(({ task, node, count }) => {
      const own = indexes.get(task) ?? task.readyIndexes();
      indexes.set(task, own);
      return Array.from({ length: count }, () => ({ task, index: own.next().value as number, node }));
    });
    const add = starts.map(({ task, index, node }) => this.#tasks.claim(task, index, node));
    const stands = this.#state.holds.exchange(held, add);
    assert(stands, "what a search has found is free");
    this.#tasks.gangs.grant(new Set([gang]), () => {
      for (const { task, index, node } of starts) this.#tasks.start(task, index, node);
    });
    return true;
  }
}

/** What an offers framework's bidder needs of the book of offers. */
export interface Drafting {
  /** A new offer with no slices, or undefined when the framework may hold no more. */
  draft(framework: Framework, claimant: Claimant, optimistic: boolean, slack: boolean): Offer | undefined;
}

/** An Offers framework in the round: grants gather in drafts, one for what is pending and one for slack. */
class OffersBidder implements Bidder {
  readonly claimant: Claimant;
  readonly levels = undefined;
  readonly startsGangs = false;
  readonly maxNodes = MAX_SLICES;
  refused: Bitset | undefined;
  shown: Vector | undefined;
  readonly #state: State;
  readonly #drafting: Drafting;
  readonly #framework: Framework;
  readonly #slack: number;
  /** What is shown to it and what it holds may overlap. */
  readonly #mayRace: boolean;
  /** The least of a slice, where the framework has such a wish. */
  readonly #minimum: Vector | undefined;
  /** Optimistic only: slices open or drafted, by node. A framework is not shown the same room twice. */
  #shown: Map<number, Vector> | undefined;
  #draft: Offer | undefined;
  #slackDraft: Offer | undefined;
  #heldDraft: Offer | undefined;

  constructor(state: State, drafting: Drafting, framework: Framework, facts: FrameworkFacts, claimant: Claimant) {
    this.#state = state;
    this.#drafting = drafting;
    this.#framework = framework;
    this.claimant = claimant;
    this.#slack = facts.slack;
    this.#mayRace = facts.concurrency === "Optimistic";
    this.#minimum = Object.keys(facts.minimum).length > 0 ? state.resources.vector(facts.minimum) : undefined;
  }

  begin(): void {
    const framework = this.#framework;
    this.refused = this.#state.refusals.refused(framework);
    this.#draft = undefined;
    this.#slackDraft = undefined;
    this.#heldDraft = undefined;
    const optimistic = framework.optimisticIn(this.claimant.queueName);
    this.#shown = optimistic ? shownTo(framework) : undefined;
    this.shown = optimistic ? shownInAll(framework, this.claimant, this.#state.resources.width) : undefined;
  }

  shownOn(node: number): Vector | undefined {
    return this.#shown?.get(node);
  }

  get full(): boolean {
    return this.#framework.offers.size >= this.#framework.outstandingLimit;
  }

  wanted(line: Line, pass: Pass): number {
    if (line.gang !== undefined) return pass === 1 && line.outstanding === 0 ? line.pending : 0;
    if (pass === 1) return line.pending - line.outstanding - line.held;
    // What is spread gets no slack: whether one more may go anywhere hangs on where the others go.
    const slack = line.shape.spread.length > 0 ? 1 : this.#slack;
    return slack > 1 ? Math.ceil(slack * line.pending) - line.outstanding - line.held : 0;
  }

  /** A slice starts with at least the framework's minimum. */
  need(line: Line, node: number): Vector {
    const started =
      this.#minimum !== undefined && (this.#draft?.slices.has(node) || this.#slackDraft?.slices.has(node));
    return started ? line.request : this.first(line);
  }

  first(line: Pick<Line, "request">): Vector {
    return this.#minimum === undefined ? line.request : atLeast(line.request, this.#minimum);
  }

  fits(node: number, need: Vector): boolean {
    const shown = this.#shown?.get(node);
    if (shown === undefined) return this.#state.nodes.fits(node, need);
    const sum = shown.slice();
    add(sum, need, 1);
    return this.#state.nodes.fits(node, sum);
  }

  grant(line: Line, node: number, need: Vector, pass: Pass): boolean {
    const offer = this.#draftFor(node, pass);
    return offer !== undefined && this.#give(offer, line, node, need);
  }

  /** An offer of its own, of many slices, that covers all of it. What is held for it is offered to it alone. */
  grantGang(_gang: Gang, places: readonly Place[], held: readonly Hold[]): boolean {
    const optimistic = this.shown !== undefined && held.length === 0;
    const offer = this.#drafting.draft(this.#framework, this.claimant, optimistic, false);
    if (offer === undefined) return false;
    this.#state.holds.exchange(held, []);
    for (const { task, node, count } of places) {
      for (let n = 0; n < count; n++) {
        const need = offer.slices.has(node) ? task.shape!.request : this.first(task.shape!);
        assert(this.#give(offer, task.line!, node, need), "what a search has found is free");
      }
    }
    return true;
  }

  #give(offer: Offer, line: Line, node: number, need: Vector): boolean {
    const slice = offer.slices.get(node);
    const stands = slice === undefined ? this.#open(offer, node, line, need) : this.#grow(offer, slice, line, need);
    if (!stands) return false;
    line.outstanding++;
    if (offer.concurrency === "Exclusive" || this.shown === undefined) return true;
    line.shown++;
    add(this.shown, need, 1);
    const here = this.#shown!.get(node);
    if (here === undefined) this.#shown!.set(node, need.slice());
    else add(here, need, 1);
    return true;
  }

  /** What was kept is offered to it alone, whatever its concurrency. */
  redeem(line: Line, held: Claim): boolean {
    const { node } = held;
    const offer = hasRoom(this.#heldDraft, node)
      ? this.#heldDraft
      : this.#drafting.draft(this.#framework, this.claimant, false, false);
    if (offer === undefined) return false;
    this.#heldDraft = offer;
    const slice = offer.slices.get(node);
    this.#state.ledger.forget(held.id);
    const stands =
      slice === undefined ? this.#openHeld(offer, node, line) : this.#grow(offer, slice, line, line.request);
    if (stands) line.outstanding++;
    else this.#state.ledger.put(held);
    return stands;
  }

  /** A slice of no less than its minimum where it may have that, and otherwise of what was kept for it. */
  #openHeld(offer: Offer, node: number, line: Line): boolean {
    const need = this.first(line);
    const allowed = need === line.request || this.#state.room.refuses(this.claimant, need) === undefined;
    return (allowed && this.#open(offer, node, line, need)) || this.#open(offer, node, line, line.request);
  }

  #draftFor(node: number, pass: Pass): Offer | undefined {
    const current = pass === 1 ? this.#draft : this.#slackDraft;
    if (hasRoom(current, node)) return current;
    const offer = this.#drafting.draft(this.#framework, this.claimant, this.shown !== undefined, pass === 2);
    if (offer === undefined) return undefined;
    if (pass === 1) this.#draft = offer;
    else this.#slackDraft = offer;
    return offer;
  }

  #open(offer: Offer, node: number, line: Line, need: Vector): boolean {
    const entry = this.#state.nodes.at(node);
    const name = SLICE_NAMES[offer.slices.size]!;
    let claim: Claim | undefined;
    if (offer.concurrency === "Exclusive") {
      const id = `offer/${offer.key}/${name}`;
      claim = { id, kind: "offer", node, vector: need, instances: 1, holder: this.claimant };
      if (!this.#state.ledger.claim(claim)) return false;
      if (this.#mayRace) this.#framework.claimed(node, 1);
    }
    const slice: OfferSlice = {
      name,
      node,
      nodeName: entry.name,
      nodeUid: entry.facts?.uid ?? "",
      vector: need,
      claim,
      version: entry.version,
      parts: [{ line, instances: 1 }],
    };
    offer.slices.set(node, slice);
    for (const group of line.shape.spread) group.counts.join(offeredId(offer, slice, line, 0), node, true);
    return true;
  }

  #grow(offer: Offer, slice: OfferSlice, line: Line, need: Vector): boolean {
    if (slice.claim === undefined) {
      slice.vector = slice.vector.slice();
      add(slice.vector, need, 1);
    } else {
      if (!this.#state.ledger.grow(slice.claim, need)) return false;
      if (this.#mayRace) this.#framework.claimed(slice.node, 1);
      slice.vector = slice.claim.vector;
    }
    let part = slice.parts.find((other) => other.line === line);
    if (part === undefined) {
      part = { line, instances: 0 };
      slice.parts.push(part);
    }
    for (const group of line.shape.spread)
      group.counts.join(offeredId(offer, slice, line, part.instances), slice.node, true);
    part.instances++;
    return true;
  }
}

/** Another slice, or more of the one it has there, may go into the offer. */
const hasRoom = (offer: Offer | undefined, node: number): offer is Offer =>
  offer !== undefined && (offer.slices.size < MAX_SLICES || offer.slices.has(node));

/** As what a spread counts the n-th instance that a slice was drafted for. */
const offeredId = (offer: Offer, slice: OfferSlice, line: Line, n: number): string =>
  `offer/${offer.key}/${slice.name}/${line.shape.id}/${n}`;

/** What a slice was drafted for is not offered any more. */
export function withdrawParts(offer: Offer, slice: OfferSlice): void {
  for (const { line, instances } of slice.parts) {
    for (const group of line.shape.spread) {
      for (let n = 0; n < instances; n++) group.counts.leave(offeredId(offer, slice, line, n));
    }
  }
  slice.parts.length = 0;
}

/** A claimant's bidder, and what it was made of: good for as long as neither has changed. */
export interface Bids {
  readonly framework: Framework;
  readonly facts: FrameworkFacts;
  readonly tree: number;
  readonly resources: number;
  /** None where the framework may not use the queue. */
  readonly bidder: BuiltinBidder | OffersBidder | undefined;
}

/** The bidders of all claimants. */
export class Bidders {
  readonly #state: State;
  readonly #tasks: Tasks;
  readonly #drafting: Drafting;

  constructor(state: State, tasks: Tasks, drafting: Drafting) {
    this.#state = state;
    this.#tasks = tasks;
    this.#drafting = drafting;
  }

  /** Those who take part in the round that begins: who wants something and may get it. */
  begin(): Bidder[] {
    const bidders: Bidder[] = [];
    for (const claimant of this.#state.lines.claimants()) {
      const made = this.#of(claimant);
      if (made?.bidder === undefined) continue;
      const { framework, facts, bidder } = made;
      if (facts.suppressed || framework.isAway) continue;
      if (facts.scheduler === "Offers" && !mayPublish(this.#state, framework)) continue;
      claimant.penalised = framework.penaltyUntilMs(claimant.queueName) > this.#state.nowMs;
      bidder.begin();
      bidders.push(bidder);
    }
    return bidders;
  }

  /** The claimant's, outside the passes of a round: with what it would be shown, and refuses, now. */
  of(claimant: Claimant): Bidder | undefined {
    const made = this.#of(claimant);
    if (made?.facts.suppressed !== false) return undefined;
    made.bidder?.begin();
    return made.bidder;
  }

  #of(claimant: Claimant): Bids | undefined {
    const { tree, resources } = this.#state;
    const before = claimant.bids;
    const stands = before !== undefined && before.framework.facts === before.facts;
    if (stands && before.tree === tree.version && before.resources === resources.count) return before;
    const framework = this.#state.frameworks.get(claimant.framework);
    if (framework?.facts === undefined || claimant.parent === undefined) return undefined;
    const { facts } = framework;
    const bidder = this.#make(framework, facts, claimant);
    claimant.bids = { framework, facts, tree: tree.version, resources: resources.count, bidder };
    return claimant.bids;
  }

  #make(framework: Framework, facts: FrameworkFacts, claimant: Claimant): BuiltinBidder | OffersBidder | undefined {
    const listed = facts.queues.some(({ name }) => name === claimant.queueName);
    if (!listed || queueRejection(this.#state, claimant.queueName, framework.key) !== undefined) return undefined;
    return facts.scheduler === "Builtin"
      ? new BuiltinBidder(this.#state, this.#tasks, facts, claimant)
      : new OffersBidder(this.#state, this.#drafting, framework, facts, claimant);
  }
}

/** May an offer be drafted for it? Not without the admission policies, and not soon after one could not be created. */
export function mayPublish({ publishing, nowMs }: State, { unpublished }: Framework): boolean {
  return publishing && (unpublished === undefined || unpublished.untilMs <= nowMs);
}
