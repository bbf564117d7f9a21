import { queueRejection } from "./assignment.ts";
import type { Framework } from "./framework.ts";
import type { Line } from "./lines.ts";
import type { Offer, OfferSlice } from "./offer.ts";
import { add, type Claimant } from "./queues.ts";
import type { Vector } from "./resources.ts";
import type { Bidder, Pass } from "./round.ts";
import type { State } from "./state.ts";
import type { Tasks } from "./tasks.ts";

/** More slices than this go into another offer. */
export const MAX_SLICES = 64;

/** A Builtin framework in the round: a grant is a launch. */
export function builtinBidder(state: State, tasks: Tasks, framework: Framework, claimant: Claimant): Bidder {
  return {
    claimant,
    levels: state.levels.get(framework.facts?.placement ?? "") ?? [...state.levels.values()][0],
    refused: undefined,
    shown: undefined,
    shownOn: () => undefined,
    full: false,
    wanted: (line, pass) => (pass === 1 ? line.ready : 0),
    need: (line) => line.request,
    fits: (node, need) => state.nodes.fits(node, need),
    grant(line, node) {
      const task = line.head!;
      const index = task.nextReady();
      const rejected = state.ledger.commit({ add: [tasks.claim(task, index, node)], atomic: true });
      if (rejected.length > 0) return false;
      tasks.start(task, index, node);
      return true;
    },
  };
}

/** What an offers framework's bidder needs of the book of offers. */
export interface Drafting {
  /** A new offer with no slices, or undefined when the framework may hold no more. */
  draft(framework: Framework, claimant: Claimant, optimistic: boolean, slack: boolean): Offer | undefined;
}

/** An Offers framework in the round: grants gather in drafts, one for what is pending and one for slack. */
export class OffersBidder implements Bidder {
  readonly claimant: Claimant;
  readonly levels = undefined;
  readonly #state: State;
  readonly #drafting: Drafting;
  readonly #framework: Framework;
  readonly shown: Vector | undefined;
  readonly #minimum: Vector;
  /** Optimistic slices open or drafted, by node: a framework is not shown the same room twice. */
  readonly #shown: Map<number, Vector>;
  readonly #drafts = new Map<Pass, Offer>();

  constructor(state: State, drafting: Drafting, framework: Framework, claimant: Claimant) {
    this.#state = state;
    this.#drafting = drafting;
    this.#framework = framework;
    this.claimant = claimant;
    this.#minimum = state.resources.vector(framework.facts?.minimum ?? {});
    this.#shown = framework.optimistic ? shownTo(framework) : new Map();
    if (framework.optimistic) this.shown = shownInAll(framework, claimant, state.resources.width);
  }

  get refused() {
    return this.#state.refusals.refused(this.#framework.key);
  }

  shownOn(node: number): Vector | undefined {
    return this.#shown.get(node);
  }

  get full(): boolean {
    return this.#framework.offers.size >= this.#framework.outstandingLimit;
  }

  wanted(line: Line, pass: Pass): number {
    // What is spread gets no slack: whether one more may go anywhere hangs on where the others go.
    const slack = pass === 1 || line.shape.spread.length > 0 ? 1 : (this.#framework.facts?.slack ?? 1);
    return Math.ceil(slack * line.pending) - line.outstanding;
  }

  /** A slice starts with at least the framework's minimum. */
  need(line: Line, node: number): Vector {
    const minimum = this.#minimum;
    if (!minimum.some((m) => m > 0) || this.#sliceOn(node) !== undefined) return line.request;
    const need = new Float64Array(this.#state.resources.width);
    for (let r = 0; r < need.length; r++) need[r] = Math.max(line.request[r] ?? 0, minimum[r] ?? 0);
    return need;
  }

  fits(node: number, need: Vector): boolean {
    const shown = this.#shown.get(node);
    if (shown === undefined) return this.#state.nodes.fits(node, need);
    const sum = shown.slice();
    for (let r = 0; r < sum.length; r++) sum[r]! += need[r] ?? 0;
    return this.#state.nodes.fits(node, sum);
  }

  grant(line: Line, node: number, need: Vector, pass: Pass): boolean {
    let offer = this.#drafts.get(pass);
    if (offer === undefined || (offer.slices.size >= MAX_SLICES && !offer.slices.has(sliceKey(node)))) {
      offer = this.#drafting.draft(this.#framework, this.claimant, this.shown !== undefined, pass === 2);
      if (offer === undefined) return false;
      this.#drafts.set(pass, offer);
    }
    const slice = offer.slices.get(sliceKey(node)) ?? this.#open(offer, node);
    if (!this.#claim(slice, need)) return false;
    line.outstanding++;
    if (this.shown !== undefined) line.shown++;
    const before = slice.parts.get(line) ?? 0;
    slice.parts.set(line, before + 1);
    for (const group of line.shape.spread) group.join(offeredId(slice, line, before), node, true);
    return true;
  }

  #claim(slice: OfferSlice, need: Vector): boolean {
    const sum = slice.vector.slice();
    for (let r = 0; r < sum.length; r++) sum[r]! += need[r] ?? 0;
    if (this.shown !== undefined) {
      const here = this.#shown.get(slice.node) ?? new Float64Array(sum.length);
      this.#shown.set(slice.node, here);
      add(here, need, 1);
      add(this.shown, need, 1);
    } else {
      const instances = [...slice.parts.values()].reduce((a, b) => a + b, 1);
      const claim = {
        id: slice.claimId,
        kind: "offer",
        node: slice.node,
        vector: sum,
        instances,
        holder: this.claimant,
      } as const;
      if (!this.#state.ledger.exchange(claim)) return false;
    }
    slice.vector = sum;
    return true;
  }

  #open(offer: Offer, node: number): OfferSlice {
    const entry = this.#state.nodes.at(node);
    const name = `s${offer.slices.size}`;
    const slice: OfferSlice = {
      name,
      node,
      nodeName: entry.name,
      nodeUid: entry.facts?.uid ?? "",
      claimId: `offer/${offer.key}/${name}`,
      vector: new Float64Array(this.#state.resources.width),
      parts: new Map(),
    };
    offer.slices.set(sliceKey(node), slice);
    return slice;
  }

  #sliceOn(node: number): OfferSlice | undefined {
    for (const offer of this.#drafts.values()) {
      const slice = offer.slices.get(sliceKey(node));
      if (slice !== undefined) return slice;
    }
    return undefined;
  }
}

/** As what a spread counts the n-th instance that a slice was drafted for. */
const offeredId = (slice: OfferSlice, line: Line, n: number): string => `${slice.claimId}/${line.shape.id}/${n}`;

/** What a slice was drafted for is not offered any more. */
export function withdrawParts(slice: OfferSlice): void {
  for (const [line, count] of slice.parts) {
    for (const group of line.shape.spread) for (let n = 0; n < count; n++) group.leave(offeredId(slice, line, n));
  }
  slice.parts.clear();
}

/** Slices are kept by node: at most one a node in an offer. */
export const sliceKey = (node: number): string => `${node}`;

function shownTo(framework: Framework): Map<number, Vector> {
  const shown = new Map<number, Vector>();
  for (const offer of framework.offers) {
    if (offer.concurrency !== "Optimistic") continue;
    for (const { node, vector } of offer.slices.values()) {
      const sum = shown.get(node);
      if (sum === undefined) shown.set(node, vector.slice());
      else for (let r = 0; r < sum.length; r++) sum[r]! += vector[r]!;
    }
  }
  return shown;
}

/** All that open optimistic offers show the claimant. */
export function shownInAll(framework: Framework, claimant: Claimant, width: number): Vector {
  const sum = new Float64Array(width);
  for (const offer of framework.offers) {
    if (offer.concurrency !== "Optimistic" || offer.claimant !== claimant) continue;
    for (const { vector } of offer.slices.values()) add(sum, vector, 1);
  }
  return sum;
}

/** May an offer be drafted for it? Not without the admission policies, and not soon after one could not be created. */
function mayPublish(state: State, { unpublished }: Framework): boolean {
  return state.publishing && (unpublished === undefined || unpublished.untilMs <= state.nowMs);
}

/** The bidder of a claimant, or undefined when its framework may get nothing now. */
export function bidderOf(state: State, tasks: Tasks, drafting: Drafting, claimant: Claimant): Bidder | undefined {
  const framework = state.frameworks.get(claimant.framework);
  if (framework?.facts === undefined || claimant.parent === undefined) return undefined;
  const listed = framework.facts.queues.some(({ name }) => name === claimant.queueName);
  if (!listed || queueRejection(state, claimant.queueName, framework.key) !== undefined) {
    return undefined;
  }
  if (framework.facts.suppressed) return undefined;
  if (framework.facts.scheduler === "Offers" && !mayPublish(state, framework)) return undefined;
  claimant.penalised = framework.penaltyUntilMs > state.nowMs;
  return framework.facts.scheduler === "Builtin"
    ? builtinBidder(state, tasks, framework, claimant)
    : new OffersBidder(state, drafting, framework, claimant);
}
