import type { Gang } from "./gangs/gang.ts";
import type { Claim } from "./ledger.ts";
import type { Line } from "./lines.ts";
import type { Offer } from "./offer.ts";
import type { Vector } from "./resources.ts";
import type { Bidder, Unmet } from "./round.ts";
import type { State } from "./state.ts";

/**
 * Offers made past a framework's demand ("slack"), and those whose demand has gone since, are the first to go when another
 * has real demand that they would serve. Tried out in the ledger itself: claims are lifted until the demand fits and passes the tree's room, and put
 * back where they are not needed, so that no offer goes for nothing.
 */
export class Slack {
  readonly #state: State;
  readonly #rescind: (offer: Offer) => void;
  /** Rescinded, and their claims stand until that is written. */
  readonly #asked = new Set<Offer>();
  /** Where trial claims stand: in an offer yet to be made, the next instance there needs no minimum any more. */
  readonly #served = new Map<Bidder, Set<number>>();

  constructor(state: State, rescind: (offer: Offer) => void) {
    this.#state = state;
    this.#rescind = rescind;
  }

  /** Rescinds what serves `unmet`. True while slack is on its way back: no more of it is to be given out till then. */
  giveWay(unmet: () => readonly Unmet[]): boolean {
    if (this.#state.slackOffers.size === 0 && this.#state.lines.overOffered.size === 0) return false;
    for (const offer of this.#asked) if (offer.state.name !== "closing") this.#asked.delete(offer);
    const demands = unmet();
    if (demands.length === 0) return false;
    // Newest first.
    const open = [...[...this.#state.slackOffers].reverse(), ...this.#unwanted()].filter(isOpen);
    if (open.length > 0) this.#giveWay(demands, open);
    return this.#asked.size > 0;
  }

  /** Offers that were made for demand of which nothing is left; of a line that wants some of it still, the newest. */
  #unwanted(): Offer[] {
    const { lines } = this.#state;
    const frameworks = new Set<string>();
    for (const line of lines.overOffered) {
      if (line.pastDemand === 0) lines.overOffered.delete(line);
      else frameworks.add(line.claimant.framework);
    }
    return [...frameworks].flatMap((key) => unwantedOf([...this.#state.framework(key).offers]));
  }

  #giveWay(unmet: readonly Unmet[], open: Offer[]): void {
    this.#served.clear();
    const onTheirWay = [...this.#asked].flatMap((offer) => this.#lift(offer));
    const trials: string[] = [];
    const lifted = new Map<Offer, Claim[]>();
    for (const demand of unmet) {
      if (demand.line.gang !== undefined) {
        this.#tryGang(demand.bidder, demand.line.gang, open, lifted, trials);
        continue;
      }
      // One more in a domain may shut it for the next.
      const most = demand.line.shape.spread.length > 0 ? 1 : demand.bidder.wanted(demand.line, 1);
      for (let n = 0; n < most; n++) {
        const left = open.filter((offer) => !lifted.has(offer));
        if (left.length === 0 || !this.#try(demand, left, lifted, trials)) break;
      }
    }
    for (const id of trials) this.#state.ledger.forget(id);
    this.#putBack(onTheirWay);
    for (const [offer, claims] of lifted) {
      this.#putBack(claims);
      this.#asked.add(offer);
      this.#rescind(offer);
    }
  }

  /** For all that starts together, or for nothing of it. */
  #tryGang(bidder: Bidder, gang: Gang, open: readonly Offer[], lifted: Map<Offer, Claim[]>, trials: string[]): void {
    const before = new Set(lifted.keys());
    const served = new Set(this.#served.get(bidder));
    const from = trials.length;
    const one = (line: Line) => {
      const left = open.filter((offer) => !lifted.has(offer));
      return this.#try({ bidder, line }, left, lifted, trials);
    };
    if (gang.lines().every((line) => Array.from({ length: line.ready }).every(() => one(line)))) return;
    for (const id of trials.splice(from)) this.#state.ledger.forget(id);
    for (const [offer, claims] of [...lifted].filter(([offer]) => !before.has(offer)).reverse()) {
      this.#putBack(claims);
      lifted.delete(offer);
    }
    this.#served.set(bidder, served);
  }

  /** Lifts what one instance more needs, and puts a claim in its place; or leaves all as it was. */
  #try(demand: Unmet, open: readonly Offer[], lifted: Map<Offer, Claim[]>, trials: string[]): boolean {
    const { bidder } = demand;
    const node = this.#node(demand, open, [...this.#asked, ...lifted.keys()]);
    if (node === undefined) return false;
    const need = this.#need(demand, node);
    const passes = () => {
      this.#state.room.refresh();
      if (this.#state.room.refuses(bidder.claimant, need, bidder.shown) !== undefined) return false;
      return bidder.fits(node, need);
    };
    const mine = new Map<Offer, Claim[]>();
    for (const offer of open) {
      if (bidder.fits(node, need)) break;
      if (offer.slices.has(node)) mine.set(offer, this.#lift(offer));
    }
    if (!passes()) {
      const path = new Set(this.#state.tree.path(bidder.claimant.parent));
      for (const offer of open) {
        const shared = [...this.#state.tree.path(offer.claimant.parent)].some((queue) => path.has(queue));
        if (shared && !mine.has(offer)) mine.set(offer, this.#lift(offer));
      }
    }
    const served = passes();
    for (const [offer, claims] of [...mine].reverse()) {
      this.#putBack(claims);
      if (!served || passes()) mine.delete(offer);
      else this.#lift(offer);
    }
    if (!served) return false;
    for (const [offer, claims] of mine) lifted.set(offer, claims);
    this.#served.set(bidder, (this.#served.get(bidder) ?? new Set()).add(node));
    const id = `trial/${trials.length}`;
    trials.push(id);
    this.#putBack([{ id, kind: "task", node, vector: need, instances: 1, holder: bidder.claimant }]);
    return true;
  }

  /** A node where the demand fits, once all slack there has gone; some has gone already. */
  #node({ bidder, line }: Unmet, open: readonly Offer[], going: readonly Offer[]): number | undefined {
    const { nodes } = this.#state;
    const { where, spread } = line.shape;
    const withSlack = nodesOf(open);
    const near = new Set([...withSlack, ...nodesOf(going)]);
    const candidates =
      line.blocked === "no-node" && line.gang === undefined ? [...near].sort((a, b) => a - b) : where.admits;
    for (const node of candidates) {
      if (!where.admits.has(node) || bidder.refused?.has(node) === true) continue;
      if (spread.some((group) => !group.allowed.has(node))) continue;
      const free = nodes.freeVector(node);
      for (const { slices } of withSlack.has(node) ? open : []) {
        const slice = slices.get(node);
        for (let r = 0; slice !== undefined && r < slice.vector.length; r++) free[r]! += slice.vector[r]!;
      }
      const [need, shown] = [this.#need({ bidder, line }, node), bidder.shownOn(node)];
      if (free.every((amount, r) => amount >= (need[r] ?? 0) + (shown?.[r] ?? 0))) return node;
    }
    return undefined;
  }

  #need({ bidder, line }: Unmet, node: number): Vector {
    return this.#served.get(bidder)?.has(node) === true ? line.request : bidder.first(line);
  }

  #lift(offer: Offer): Claim[] {
    const claims = [...offer.slices.values()].flatMap(({ claim }) => claim ?? []);
    for (const { id } of claims) this.#state.ledger.forget(id);
    return claims;
  }

  #putBack(claims: readonly Claim[]): void {
    for (const claim of claims) this.#state.ledger.put(claim);
  }
}

const isOpen = ({ state }: Offer) => state.name === "open" || state.name === "drafted";

/** Of a framework's offers, those of which nobody wants anything, the newest first; what is slack does so anyway. */
function unwantedOf(offers: readonly Offer[]): Offer[] {
  const past = new Map<Line, number>();
  const take = (parts: ReadonlyMap<Line, number>) => {
    for (const [line, instances] of parts) past.set(line, (past.get(line) ?? line.pastDemand) - instances);
  };
  const claimed = offers.filter(({ concurrency }) => concurrency === "Exclusive");
  for (const offer of claimed) if (offer.slack) take(partsOf(offer));
  return claimed
    .filter(({ slack }) => !slack)
    .reverse()
    .filter((offer) => {
      const parts = partsOf(offer);
      const nobodyWants = [...parts].every(([line, instances]) => (past.get(line) ?? line.pastDemand) >= instances);
      if (nobodyWants) take(parts);
      return nobodyWants;
    });
}

/** Instances by the line that they were offered for. */
function partsOf({ slices }: Offer): Map<Line, number> {
  const parts = new Map<Line, number>();
  for (const { line, instances } of [...slices.values()].flatMap((slice) => slice.parts)) {
    parts.set(line, (parts.get(line) ?? 0) + instances);
  }
  return parts;
}

function nodesOf(offers: readonly Offer[]): Set<number> {
  return new Set(offers.flatMap(({ slices }) => [...slices.values()].map(({ node }) => node)));
}
