import type { Hold } from "../holds.ts";
import type { Line } from "../lines.ts";
import type { Offer } from "../offer.ts";
import { add, type Claimant, type Queue, type QueueTree } from "../queues/queues.ts";
import { earlier } from "../queues/room.ts";
import { UNKNOWN } from "../resources.ts";
import type { Unmet } from "../round.ts";
import type { State } from "../state.ts";
import type { Assignment } from "../tasks/assignment.ts";
import { type Instance, isLeaving } from "../tasks/instance.ts";
import { type Clearing, type Clearings, exclude } from "./clearings.ts";
import { Entitlement, isCovered } from "./entitlement.ts";
import { MAX_NODES } from "./inverse-offer.ts";
import type { Notice, Notices } from "./notices.ts";
import { graceMs, waiting } from "./reclaim-rules.ts";
import type { Want } from "./room-choice.ts";
import { type Found, RoomSearch } from "./room-search.ts";
import { spreadPlaces } from "./spread-places.ts";
import type { UsageAhead } from "./usage-ahead.ts";
import { isOffer, Victims } from "./victims.ts";

/** What reclaim needs of the book of offers. */
export interface Rescinding {
  /** It is being put together in this round: nobody has seen it. */
  isDrafting(offer: Offer): boolean;
  rescind(offer: Offer, why: { readonly reason: "rescinded"; readonly message: string }): void;
}

/** Room is made for so many instances in a round at most; for the rest in the next. */
const MOST_AT_ONCE = 1_000;
/** With more candidates than this, a demand for which nothing was found is not looked at again for a while. */
const CHEAP = 10_000;
const RETRY_MS = 1_000;

/** A decision: everything it looks at, and what it has come to. */
interface Decision {
  readonly ahead: UsageAhead;
  readonly victims: Victims;
  /** Parts and offers that are spoken for since it began. */
  gone: Set<object>;
  readonly made: Clearing[];
  left: number;
}

/** Who has to make room for demand that is guaranteed and unmet, and asks them for it. */
export class ReclaimPlan {
  readonly #state: State;
  readonly #assignment: Assignment;
  readonly #clearings: Clearings;
  readonly #notices: Notices;
  readonly #offers: Rescinding;
  /** Not looked at before then: the last look was costly, and in vain. */
  readonly #restsUntilMs = new WeakMap<Line, number>();
  /** Why nothing was found: what there is may run until then. */
  readonly #sparedUntilMs = new WeakMap<Line, number>();
  #alarmMs = 0;

  constructor(state: State, assignment: Assignment, clearings: Clearings, notices: Notices, offers: Rescinding) {
    this.#state = state;
    this.#assignment = assignment;
    this.#clearings = clearings;
    this.#notices = notices;
    this.#offers = offers;
  }

  /** Until when what could be taken for the line is protected, if that is what it waits for. */
  sparedUntilMs(line: Line): number | undefined {
    const untilMs = this.#sparedUntilMs.get(line);
    const stands = untilMs !== undefined && untilMs > this.#state.nowMs && mayCall(this.#state.tree, line);
    return stands ? untilMs : undefined;
  }

  run(unmet: readonly Unmet[]): void {
    const { tree } = this.#state;
    const demands = unmet
      .filter((demand) => partsOf(demand).some((part) => mayCall(tree, part.line) && this.#missing(part) > 0))
      .sort(({ line: a }, { line: b }) => earlier(a, b));
    if (demands.length === 0) return;
    let decision: Decision | undefined;
    for (const demand of demands) {
      const { line } = demand;
      const restsUntilMs = this.#restsUntilMs.get(line) ?? 0;
      if (restsUntilMs > this.#state.nowMs) this.#lookAgain(restsUntilMs);
      else {
        this.#sparedUntilMs.delete(line);
        const ahead = decision?.ahead ?? this.#clearings.ahead();
        const gathered = this.#lift(demand);
        const before = decision?.made.length ?? 0;
        if (this.#mayFind(line, ahead)) {
          decision ??= this.#decide(ahead);
          if (line.gang === undefined) this.#serve(demand, decision);
          else this.#serveWhole(demand, decision);
          const isDear = decision.victims.most > CHEAP;
          if (isDear && decision.made.length === before) this.#restsUntilMs.set(line, this.#state.nowMs + RETRY_MS);
        }
        if ((decision?.made.length ?? 0) === before) this.#putBack(gathered);
        else for (const hold of gathered) this.#state.holds.release(hold);
      }
    }
    if (decision === undefined) return;
    this.#announce(decision.made);
  }

  carryOutIfReady(clearing: Clearing): void {
    const notices = this.#notices.of(clearing);
    const isReady = (notice: Notice) => notice.agreed.has(clearing) || notice.dueMs <= this.#state.nowMs;
    if (!notices.every(isReady)) return;
    this.#clearings.carryOut(clearing);
    for (const notice of notices) this.#notices.carriedOut(notice, clearing);
  }

  /** Instances that are neither served nor planned for, and may call on a guarantee. */
  #missing({ bidder, line }: Unmet): number {
    if (bidder.claimant.penalised) return 0;
    if ((line.request[UNKNOWN] ?? 0) > 0) return 0;
    // One more in a domain may shut it for the next. What starts together has all its places chosen together.
    const isOneByOne = line.shape.spread.length > 0 && line.gang === undefined;
    const wanted = waiting(bidder, line);
    return (isOneByOne ? Math.min(1, wanted) : wanted) - this.#clearings.planned(line);
  }

  /** Without a look at a single task: does any queue have what this one may call for? */
  #mayFind({ claimant, request }: Line, ahead: UsageAhead): boolean {
    const { tree } = this.#state;
    if (!isCovered(tree, ahead, claimant.parent!, request)) return false;
    const entitlement = new Entitlement(tree, ahead, claimant.parent!, request);
    for (const queue of tree.queues.values()) if (queue.claimants.size > 0 && entitlement.mayHave(queue)) return true;
    return false;
  }

  /** What has gathered for parts of instances is as good as free to them: it must not stand in the way of whole ones. */
  #lift(demand: Unmet): Hold[] {
    const lines = partsOf(demand).map(({ line }) => line);
    if (lines.every(({ holds }) => holds === 0)) return [];
    const gathered = this.#clearings.gathered().filter(({ line }) => lines.includes(line));
    for (const { claim } of gathered) this.#state.ledger.forget(claim.id);
    return gathered;
  }

  #putBack(gathered: readonly Hold[]): void {
    for (const { claim } of gathered) this.#state.ledger.put(claim);
  }

  /** `ahead`: once all clearings have come about. */
  #decide(ahead: UsageAhead): Decision {
    const { taken } = this.#clearings;
    const victims = new Victims(this.#state, (task) => this.#assignment.claimant(task));
    for (const offer of this.#state.offers.values()) {
      if (!this.#offers.isDrafting(offer)) victims.addOffer(offer, taken);
    }
    victims.addTasks(this.#state.tasks.values(), taken);
    for (const { vector, claimant } of victims.leaving()) ahead.shift(claimant.parent, vector, -1);
    return { ahead, victims, gone: new Set(), made: [], left: MOST_AT_ONCE };
  }

  /** Of what starts together all or nothing: half of it would have room made for nothing. */
  #serveWhole(demand: Unmet, decision: Decision): void {
    const { dirty } = this.#state;
    const trial: Decision = { ...decision, gone: new Set(decision.gone), made: [], left: Number.POSITIVE_INFINITY };
    const parts = partsOf(demand);
    const stands = decision.ahead.attempt(() => {
      if (parts.some(({ line }) => line.shape.spread.length > 0)) return this.#serveSpread(demand, trial);
      for (const part of parts) this.#serve(part, trial);
      return this.#restFits(parts);
    });
    if (stands) {
      for (const { holds } of trial.made) decision.left -= holds.length;
      decision.made.push(...trial.made);
      decision.gone = trial.gone;
      return;
    }
    for (const clearing of trial.made) this.#clearings.dissolve(clearing);
    // All is as it was.
    this.#state.dirty = dirty;
    for (const clearing of parts.flatMap(({ line }) => this.#clearings.of(line))) {
      if (clearing.going) continue;
      exclude(decision.ahead, clearing);
      this.#clearings.dissolve(clearing);
    }
  }

  /**
   * Where one of them may go hangs on where the others do: first it is decided where all would go if whoever may be asked
   * were gone, then room is made there. False: not all of them would start.
   */
  #serveSpread(demand: Unmet, trial: Decision): boolean {
    const { bidder, line } = demand;
    // Others are guaranteed some of what is free: which of it, nobody can say.
    if (line.blocked === "kept-back") return false;
    const wants = new Map<Line, Want>();
    const searches = new Map<Line, RoomSearch>();
    for (const part of partsOf(demand)) {
      const want = this.#want(part, trial);
      wants.set(part.line, want);
      searches.set(part.line, new RoomSearch(this.#state, trial.ahead, trial.victims, want, trial.gone));
    }
    const gathered = new Set(this.#clearings.gathered());
    const held = [...wants.keys()].flatMap((own) => this.#state.holds.of(own)).filter((hold) => !gathered.has(hold));
    const chances = [...searches.values()].map((search) => search.chances());
    const places = spreadPlaces(this.#state, bidder, line.gang!, chances, held);
    const isMade = places?.every(({ line: own, node, count }) => {
      const want = wants.get(own)!;
      const here = new Map<number, Clearing>();
      for (let n = 0; n < count; n++) {
        const found = want.entitlement.isCovered ? searches.get(own)!.on(node) : undefined;
        if (found === undefined || this.#make(own, want, found, trial, here) === undefined) return false;
      }
      return true;
    });
    if (isMade === true) return true;
    for (const [own, { entitlement }] of wants) this.#lookLater(own, trial, entitlement);
    return false;
  }

  /** What no room is made for has its place in what is free. */
  #restFits(parts: readonly Unmet[]): boolean {
    const { nodes } = this.#state;
    const left = new Map<number, Float64Array>();
    return parts.every((part) => {
      const { shape, request } = part.line;
      let missing = this.#missing(part);
      for (const { index } of nodes.entries.filter((entry) => entry !== undefined)) {
        if (missing <= 0) break;
        if (!shape.where.admits.has(index) || nodes.overfull(index)) continue;
        const free = left.get(index) ?? Float64Array.from(nodes.freeVector(index));
        left.set(index, free);
        for (; missing > 0 && request.every((asked, r) => asked <= (free[r] ?? 0)); missing--) add(free, request, -1);
      }
      return missing <= 0;
    });
  }

  #want({ line, bidder }: Unmet, { ahead }: Decision): Want {
    const { where, spread } = line.shape;
    const isOpen = (node: number) => line.gang !== undefined || spread.every((group) => group.allowed.has(node));
    return {
      queue: line.claimant.parent!,
      request: line.request,
      entitlement: new Entitlement(this.#state.tree, ahead, line.claimant.parent!, line.request),
      admits: (node) =>
        where.admits.has(node) &&
        bidder.refused?.has(node) !== true &&
        isOpen(node) &&
        !this.#state.nodes.overfull(node),
      keptBack: line.blocked === "kept-back",
      mayTake: () => true,
    };
  }

  /** First from those who have been asked already, then from anybody. */
  #serve(demand: Unmet, decision: Decision): void {
    const { line } = demand;
    const want = this.#want(demand, decision);
    const asked = this.#notices.asked(line);
    if (asked.size > 0) this.#search(demand, decision, { ...want, mayTake: ({ name }) => asked.has(name) }, asked);
    this.#search(demand, decision, want, asked);
    if (this.#missing(demand) > 0) this.#lookLater(line, decision, want.entitlement);
  }

  /** Nothing was found, it may be because those who could give are too young to go: once one of them is old enough. */
  #lookLater(line: Line, { victims }: Decision, entitlement: Entitlement): void {
    const untilMs = victims.sparedUntilMs((queue) => entitlement.mayHave(queue));
    if (untilMs === Number.POSITIVE_INFINITY) return;
    this.#sparedUntilMs.set(line, untilMs);
    this.#lookAgain(untilMs);
  }

  /** `asked`: names of the claimants whose inverse offers ask for more such instances than are planned. */
  #search(demand: Unmet, decision: Decision, want: Want, asked: ReadonlySet<string>): void {
    const { line } = demand;
    const search = new RoomSearch(this.#state, decision.ahead, decision.victims, want, decision.gone);
    const here = new Map<number, Clearing>();
    while (decision.left > 0 && this.#missing(demand) > 0 && want.entitlement.isCovered) {
      const found = search.next();
      const clearing = found === undefined ? undefined : this.#make(line, want, found, decision, here);
      if (clearing === undefined) return;
      if (asked.size > 0) this.#attach(clearing);
    }
  }

  /** Room as it was found; undefined where the node cannot have it. `here`: clearings of the same search, by node. */
  #make(line: Line, want: Want, found: Found, decision: Decision, here: Map<number, Clearing>): Clearing | undefined {
    const { ahead, made } = decision;
    const known = found.shares ? here.get(found.node) : undefined;
    const clearing = known ?? this.#clearings.place(line, found, want.keptBack);
    if (clearing === undefined || (known !== undefined && !this.#clearings.extend(known, found.victims))) {
      for (const { claimant, vector } of found.victims) ahead.shift(claimant.parent, vector, 1);
      return undefined;
    }
    if (known === undefined) made.push(clearing);
    here.set(found.node, clearing);
    ahead.shift(want.queue, line.request, 1);
    decision.left--;
    return clearing;
  }

  /** To inverse offers that stand and ask for more than is planned: it need not be asked for again. */
  #attach(clearing: Clearing): void {
    for (const claimant of askedOf(clearing)) {
      if (this.#notices.of(clearing).some((notice) => notice.claimant === claimant.name)) continue;
      const notice = this.#notices.spare(claimant.name, clearing.line, clearing.holds.length);
      if (notice === undefined) continue;
      this.#notices.announce(notice, clearing);
      // Its answer, if it has one, had nothing to be held against.
      this.#state.dirty = true;
    }
  }

  /** Offers go at once; whoever has tasks that are to go is asked, unless that was done. */
  #announce(made: readonly Clearing[]): void {
    const groups = new Map<string, { asked: Claimant[]; clearings: Clearing[]; graceMs: number }>();
    for (const clearing of made) {
      this.#rescind(clearing);
      const told = new Set(this.#notices.of(clearing).map(({ claimant }) => claimant));
      const asked = askedOf(clearing).filter(({ name }) => !told.has(name));
      const longestMs = Math.max(0, ...asked.map(({ parent }) => graceMs(parent as Queue)));
      if (longestMs === 0) continue;
      const { claimant, shape } = clearing.line;
      const key = [claimant.name, shape.id, longestMs, ...asked.map(({ name }) => name)].join("|");
      const group = groups.get(key) ?? { asked, clearings: [], graceMs: longestMs };
      groups.set(key, group);
      group.clearings.push(clearing);
    }
    for (const { asked, clearings, graceMs: ms } of groups.values()) {
      for (let from = 0; from < clearings.length; from += MAX_NODES) {
        for (const claimant of asked) this.#notices.publish(claimant, clearings.slice(from, from + MAX_NODES), ms);
      }
    }
    for (const clearing of made) this.carryOutIfReady(clearing);
  }

  #rescind({ line, victims }: Clearing): void {
    const message = `queue ${line.claimant.queueName} has less than its guarantee`;
    for (const { of } of victims.values()) if (isOffer(of)) this.#offers.rescind(of, { reason: "rescinded", message });
  }

  /** A round is due then. */
  #lookAgain(atMs: number): void {
    if (this.#alarmMs > this.#state.nowMs && this.#alarmMs <= atMs) return;
    this.#alarmMs = atMs;
    this.#state.timers.set(atMs, { type: "reclaim" });
  }
}

/** Is anything of what it asks for guaranteed to its queue, or to one above it? */
function mayCall(tree: QueueTree, { claimant, request }: Line): boolean {
  for (const { guarantee } of tree.path(claimant.parent)) {
    for (let r = 0; r < request.length; r++) if (request[r]! > 0 && guarantee[r]! > 0) return true;
  }
  return false;
}

/** Each line of what starts together with this one. */
function partsOf({ bidder, line }: Unmet): Unmet[] {
  return (line.gang?.lines() ?? [line]).map((own) => ({ bidder, line: own }));
}

/** Whose tasks are to be ended for it, by name. */
function askedOf({ victims }: Clearing): Claimant[] {
  const asked = new Map<string, Claimant>();
  for (const { of, part, claimant } of victims.values()) {
    if (!isOffer(of) && !isLeaving(part as Instance)) asked.set(claimant.name, claimant);
  }
  return [...asked.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
