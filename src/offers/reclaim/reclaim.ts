import { clockTime } from "../explain/wording.ts";
import type { Gang } from "../gangs/gang.ts";
import type { Line } from "../lines.ts";
import type { OfferFacts } from "../messages.ts";
import type { Queue } from "../queues/queues.ts";
import type { Bidder, Unmet } from "../round.ts";
import type { State } from "../state.ts";
import type { Assignment } from "../tasks/assignment.ts";
import { type Instance, isLeaving } from "../tasks/instance.ts";
import { type Clearing, Clearings } from "./clearings.ts";
import { Entitlement } from "./entitlement.ts";
import { GivingBack } from "./giving-back.ts";
import { Notices } from "./notices.ts";
import { ReclaimPlan, type Rescinding } from "./reclaim-plan.ts";
import { waiting } from "./reclaim-rules.ts";
import type { UsageAhead } from "./usage-ahead.ts";
import { isOffer } from "./victims.ts";

/**
 * Takes back what others have borrowed when a queue gets less than its guarantee: asks for it by inverse offers, and when
 * their time has come chooses victims itself. Room that victims leave is held for whom it was taken back.
 */
export class Reclaim {
  readonly #state: State;
  readonly #clearings: Clearings;
  readonly #notices: Notices;
  readonly #plan: ReclaimPlan;
  readonly #givingBack: GivingBack;

  constructor(state: State, assignment: Assignment, offers: Rescinding) {
    this.#state = state;
    this.#clearings = new Clearings(state);
    this.#notices = new Notices(state);
    this.#plan = new ReclaimPlan(state, assignment, this.#clearings, this.#notices, offers);
    this.#givingBack = new GivingBack(state, assignment, this.#clearings, this.#notices);
  }

  /** An inverse offer was seen, or what has become of its object. False: it is none. */
  owns(key: string): boolean {
    return this.#notices.has(key);
  }

  observed(facts: OfferFacts): void {
    this.#notices.observed(facts);
  }

  unwritten(key: string): void {
    this.#notices.unwritten(key);
  }

  closed(key: string): void {
    this.#notices.closed(key);
    // While it stood, nothing new was asked of its framework for the same.
    this.#state.dirty = true;
  }

  /** A round begins: what is not wanted or not right any more is let go, answers are heard, what is due is carried out. */
  begin(bidders: readonly Bidder[]): void {
    if (this.#clearings.size === 0 && this.#notices.size === 0) return;
    this.#clearings.review();
    this.#trim(bidders);
    this.#verify();
    for (const notice of this.#notices.all()) {
      if (notice.answer !== undefined && notice.heard === undefined) this.#givingBack.hear(notice, notice.answer);
    }
    for (const clearing of [...this.#clearings.all()]) if (!clearing.going) this.#plan.carryOutIfReady(clearing);
  }

  /** Between the passes of a round: asks back what serves `unmet`. */
  plan(unmet: () => readonly Unmet[]): void {
    this.#plan.run(this.#state.tree.guaranteed ? unmet() : []);
  }

  /** The round is over. What it has granted may be what room was to be made for. */
  end(): void {
    const before = this.#clearings.size;
    if (before > 0) this.#verify();
    this.#clearings.releaseHalves();
    const closed = this.#notices.close();
    // What is not needed here may be asked back elsewhere.
    if (closed || this.#clearings.size < before) this.#state.dirty = true;
  }

  /** What is being done for a line: for people; undefined: nothing. */
  about(line: Line): { readonly reason: "asked-back" | "minimum-runtime"; readonly message: string } | undefined {
    const [first] = this.#clearings.of(line);
    if (first !== undefined) return { reason: "asked-back", message: this.#text(first) };
    const untilMs = this.#plan.sparedUntilMs(line);
    if (untilMs === undefined) return undefined;
    const message = `what could be taken back for queue ${line.claimant.queueName} may run until ${clockTime(untilMs)} at least`;
    return { reason: "minimum-runtime", message };
  }

  #text(clearing: Clearing): string {
    const node = this.#state.nodes.at(clearing.node).name;
    const kept = `room on ${node} is kept for it`;
    if (clearing.going) return `${kept}, as soon as ${clearing.victims.size} that give it back have ended`;
    const notices = this.#notices.of(clearing);
    const owners = [...clearing.victims.values()].flatMap(({ of, claimant }) => (isOffer(of) ? [] : [claimant]));
    const names = [...new Set(owners.map(({ framework, queueName }) => `${framework} in queue ${queueName}`))].sort();
    const untilMs = Math.max(...notices.map(({ dueMs }) => dueMs));
    return `${kept} by ${names.join(", ")}, asked back by ${clockTime(untilMs)}`;
  }

  /** Room is made for no more than still waits: the latest plan goes first. */
  #trim(bidders: readonly Bidder[]): void {
    const byClaimant = new Map(bidders.map((bidder) => [bidder.claimant, bidder]));
    const planned = new Map<Line, number>();
    for (const { line, holds } of this.#clearings.all()) planned.set(line, (planned.get(line) ?? 0) + holds.length);
    for (const clearing of [...this.#clearings.all()].reverse()) {
      const { line } = clearing;
      const bidder = byClaimant.get(line.claimant);
      const wanted = bidder === undefined ? 0 : waiting(bidder, line);
      while (clearing.holds.length > 0 && planned.get(line)! > wanted) {
        planned.set(line, planned.get(line)! - 1);
        this.#clearings.shrink(clearing);
      }
    }
  }

  /** What was planned must still be right: the guarantee covers it, and each victim may go after those before it. */
  #verify(): void {
    const ahead = this.#clearings.ahead(({ going }) => going);
    const entitlements = new Map<Line, Entitlement>();
    for (const clearing of [...this.#clearings.all()]) {
      if (clearing.going) continue;
      const { line, holds } = clearing;
      const queue = line.claimant.parent;
      if (queue !== undefined) {
        const entitlement = entitlements.get(line) ?? new Entitlement(this.#state.tree, ahead, queue, line.request);
        entitlements.set(line, entitlement);
        if (ahead.attempt(() => comesAbout(clearing, queue, ahead, entitlement))) continue;
      }
      for (const { claim } of holds) ahead.shift(queue, claim.vector, -1);
      this.#clearings.dissolve(clearing);
    }
  }
}

/** Lets the clearing come about in `ahead`. False where one of its victims may not go, or it is not covered. */
function comesAbout(
  { line, holds, victims }: Clearing,
  queue: Queue,
  ahead: UsageAhead,
  entitlement: Entitlement,
): boolean {
  for (const { claim } of holds) ahead.shift(queue, claim.vector, -1);
  const calledOn = new Set<Queue>();
  const gangs = new Set<Gang>();
  for (const { of, part, vector, claimant, gang } of victims.values()) {
    // Offers were rescinded at once.
    if (!isOffer(of) && !isLeaving(part as Instance)) {
      const contest = claimant.parent === undefined ? undefined : entitlement.contest(claimant.parent);
      // Before a gang goes its queue is above its guarantee; not before each of its instances does.
      const goesOn = gang !== undefined && gangs.has(gang);
      if (contest === undefined || !(goesOn || entitlement.eligible(contest, vector, undefined))) return false;
      if (gang !== undefined) gangs.add(gang);
      calledOn.add(contest.own);
    }
    ahead.shift(claimant.parent, vector, -1);
  }
  if ([...calledOn].some((own) => !entitlement.covers(own))) return false;
  return holds.every(() => {
    const { isCovered } = entitlement;
    ahead.shift(queue, line.request, 1);
    return isCovered;
  });
}
