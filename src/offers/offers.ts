import { Acceptance, type Loss, type Raced, sumOf } from "./acceptance.ts";
import { check, sameNode, strangerTo } from "./answer.ts";
import { type Drafting, withdrawParts } from "./bidders.ts";
import type { Reason } from "./explain/reasons.ts";
import type { Framework } from "./framework.ts";
import type { Answer, LaunchOutcome, OfferFacts } from "./messages.ts";
import { answerable, type Ended, next, type Offer } from "./offer.ts";
import type { Claimant } from "./queues/queues.ts";
import { DEFAULT_RULES, Race } from "./race.ts";
import { type Refusal, refuse, type Wish } from "./refusal.ts";
import { Settlement } from "./settlement.ts";
import type { State } from "./state.ts";
import type { Assignment } from "./tasks/assignment.ts";
import type { Tasks } from "./tasks/tasks.ts";

/** What an end means for people, beside the phase. */
interface Why {
  readonly reason: Reason;
  readonly message?: string;
}

/** Offers from their drafts to their ends, and the answers to them. */
export class Offers implements Drafting {
  readonly #state: State;
  readonly #assignment: Assignment;
  readonly #acceptance: Acceptance;
  readonly #race: Race;
  readonly #settlement: Settlement;
  /** By dense index, oldest first. */
  readonly #byNode: Offer[][] = [];
  /** Offers of earlier terms, until all facts are in. */
  readonly #old = new Map<string, OfferFacts>();
  readonly #drafts: Offer[] = [];
  #sequence = 0;

  constructor(state: State, tasks: Tasks, assignment: Assignment) {
    this.#state = state;
    this.#assignment = assignment;
    this.#acceptance = new Acceptance(state, tasks);
    this.#race = new Race(state, assignment, this.#acceptance);
    this.#settlement = new Settlement(state, tasks, assignment, this.#acceptance, this.#race);
  }

  draft(framework: Framework, claimant: Claimant, optimistic: boolean, slack: boolean): Offer | undefined {
    if (framework.offers.size >= framework.outstandingLimit) return undefined;
    const [namespace, name] = framework.key.split("/") as [string, string];
    const offer: Offer = {
      key: `${namespace}/${name.slice(0, 40).replace(/-+$/, "")}-${this.#state.options.term}-${(this.#sequence++).toString(36)}`,
      uid: undefined,
      framework: framework.key,
      claimant,
      concurrency: optimistic ? "Optimistic" : "Exclusive",
      slack,
      slices: new Map(),
      expiresAtMs: this.#state.nowMs + (framework.facts?.offerTimeoutMs ?? 30_000),
      publishedAtMs: this.#state.nowMs,
      state: { name: "drafted" },
    };
    framework.offers.add(offer);
    this.#state.offers.set(offer.key, offer);
    if (slack && !optimistic) this.#state.slackOffers.add(offer);
    this.#drafts.push(offer);
    return offer;
  }

  /** Sends out what the round has drafted. */
  publishDrafts(): void {
    for (const offer of this.#drafts.splice(0)) {
      const framework = this.#state.frameworks.get(offer.framework)!;
      if (offer.slices.size === 0) {
        this.#drop(offer);
        continue;
      }
      if (offer.concurrency === "Exclusive") framework.offeredExclusively(offer.claimant.queueName);
      for (const slice of offer.slices.values()) {
        this.#on(slice.node).push(offer);
        // What others got in this very round was not shown to anybody yet: nobody loses by it.
        slice.version = this.#state.nodes.at(slice.node).version;
      }
      this.#state.timers.set(offer.expiresAtMs, { type: "offer-expires", key: offer.key });
      this.#state.frameworkChanged(offer.framework);
      this.#state.emit({
        type: "publish-offer",
        offer: {
          key: offer.key,
          framework: offer.framework,
          frameworkUid: framework.facts?.uid ?? "",
          queue: offer.claimant.queueName,
          term: this.#state.options.term,
          concurrency: offer.concurrency,
          slices: [...offer.slices.values()].map((slice) => ({
            name: slice.name,
            node: slice.nodeName,
            nodeUid: slice.nodeUid,
            resources: this.#state.resources.quantities(slice.vector),
            labels: this.#state.nodes.at(slice.node).facts?.labels ?? {},
          })),
          expiresAtMs: offer.expiresAtMs,
          answerers: framework.facts?.answerers ?? [],
        },
      });
    }
  }

  published(key: string, uid: string): void {
    const offer = this.#state.offers.get(key);
    if (offer === undefined) return;
    offer.uid ??= uid;
    offer.state = next(offer.state, { type: "published" });
    if (this.#state.framework(offer.framework).publishedOffer()) this.#state.dirty = true;
  }

  /** It could not be created: the next one is drafted after a while, longer each time. */
  unpublished(key: string, message: string): void {
    const offer = this.#state.offers.get(key);
    if (offer === undefined) return;
    const framework = this.#state.framework(offer.framework);
    const untilMs = framework.unpublishedOffer(message, this.#state.nowMs);
    this.#state.timers.set(untilMs, { type: "penalty-ends", framework: offer.framework });
    this.#drop(offer);
  }

  observed(facts: OfferFacts): void {
    if (facts.term !== this.#state.options.term) {
      if (facts.phase !== "Open") return;
      if (this.#state.opened) this.#settlement.settle(facts);
      else this.#old.set(facts.key, facts);
      return;
    }
    const offer = this.#state.offers.get(facts.key);
    // An offer of this term that is not in our books has ended: names are never used twice.
    if (offer === undefined) return;
    this.published(facts.key, facts.uid);
    if (facts.answer !== undefined && answerable(offer.state)) this.#answered(offer, facts.answer);
  }

  /** All facts are in: answered offers of earlier terms are settled, the others rescinded. */
  opened(): void {
    for (const facts of this.#old.values()) this.#settlement.settle(facts);
    this.#old.clear();
  }

  expired(key: string): void {
    const offer = this.#state.offers.get(key);
    if (offer === undefined) return;
    if (offer.state.name === "closing" || offer.state.name === "closed") return;
    // Nobody saw an offer that was not published: nobody was silent.
    if (offer.state.name === "drafted") {
      this.#end(offer, "Expired", { reason: "expired" });
      return;
    }
    this.#turnedDown(offer, true);
    // It may hold fewer offers now, and stand behind others: what was kept from them for its sake is theirs.
    this.#state.dirty = true;
    this.#end(offer, "Expired", { reason: "expired" });
  }

  /** It is being put together in this round: nobody has seen it. */
  isDrafting(offer: Offer): boolean {
    return offer.state.name === "drafted" && this.#drafts.includes(offer);
  }

  rescind(offer: Offer, why: Why): void {
    if (offer.state.name === "closing" || offer.state.name === "closed") return;
    this.#end(offer, "Rescinded", why);
  }

  rescindAllOf(framework: Framework, why: Why): void {
    for (const offer of [...framework.offers]) this.rescind(offer, why);
  }

  rescindOn(node: number, why: Why): void {
    for (const offer of [...(this.#byNode[node] ?? [])]) this.rescind(offer, why);
  }

  /** Facts outrank offers: where a node is over-full, the newest offers there go until the rest fits. */
  relieve(node: number): void {
    if (!this.#state.nodes.overfull(node)) return;
    const free = this.#state.nodes.freeVector(node);
    const offers = [...(this.#byNode[node] ?? [])].filter(({ concurrency }) => concurrency === "Exclusive");
    const back = (offer: Offer) => {
      const slice = offer.slices.get(node)!;
      for (let r = 0; r < free.length; r++) free[r]! += slice.vector[r] ?? 0;
    };
    for (const offer of offers) if (offer.state.name === "closing") back(offer);
    for (const offer of offers.reverse()) {
      if (free.every((f) => f >= 0)) return;
      if (offer.state.name === "closing") continue;
      back(offer);
      this.rescind(offer, {
        reason: "rescinded",
        message: `node ${this.#state.nodes.at(node).name} has less room than offered`,
      });
    }
  }

  /** Its end stands in its status. */
  closed(key: string): void {
    const offer = this.#state.offers.get(key);
    if (offer === undefined) return;
    offer.state = next(offer.state, { type: "closed" });
    if (offer.state.name === "closed") this.#drop(offer);
  }

  /** Somebody deleted the object: that means rescind, and no answer can come. */
  gone(key: string): void {
    this.#settlement.forget(key);
    const offer = this.#state.offers.get(key);
    if (offer === undefined) return;
    if (offer.state.name !== "closing") this.#count(offer, "Rescinded", 0);
    this.#drop(offer);
  }

  #answered(offer: Offer, answer: Answer): void {
    const framework = this.#state.framework(offer.framework);
    const stranger = strangerTo(framework, answer);
    if (stranger !== undefined) {
      this.#refused(offer, stranger);
      return;
    }
    if (answer.decision === "Decline") {
      this.#release(offer);
      this.#filter(offer, answer.refuseMs, () => true);
      this.#turnedDown(offer, false);
      this.#close(offer, "Declined", [], {
        reason: "declined",
        ...(answer.reason === undefined ? {} : { message: answer.reason }),
      });
      return;
    }
    const checked = check(this.#state, offer, answer, (task) => this.#assignment.queueOf(task));
    if ("refusal" in checked) {
      this.#wrong(offer, answer, checked.refusal);
      return;
    }
    const spread = this.#acceptance.spreadRefusal(checked.wishes, answer);
    if (spread !== undefined) this.#wrong(offer, answer, spread);
    else if (offer.concurrency === "Exclusive") this.#acceptExclusive(offer, answer, checked.wishes);
    else this.#acceptOptimistic(offer, answer, checked.wishes);
  }

  /** All or nothing: the offer's claims out, the tasks' claims in, in one commit. */
  #acceptExclusive(offer: Offer, answer: Answer, wishes: readonly Wish[]): void {
    const claims = this.#acceptance.claims(wishes);
    const add = claims.flat();
    const width = this.#state.resources.width;
    if (this.#state.room.overLimit(offer.claimant, sumOf(add, width), sumOf(offer.slices.values(), width))) {
      this.#refused(offer, refuse("over-limit", `queue ${offer.claimant.queueName} is over its limit now`, answer));
      return;
    }
    const remove = [...offer.slices.values()].flatMap(({ claim }) => (claim === undefined ? [] : [claim.id]));
    const rejected = this.#state.ledger.commit({ remove, add, atomic: true });
    if (rejected.length > 0) {
      const node = this.#state.nodes.at(rejected[0]!.node).name;
      this.#refused(offer, refuse("lost-race", `node ${node} has less room than offered`, answer));
      return;
    }
    this.#launch(offer, answer, wishes, { claims, lost: new Map() });
  }

  #acceptOptimistic(offer: Offer, answer: Answer, wishes: readonly Wish[]): void {
    this.#release(offer);
    const framework = this.#state.framework(offer.framework);
    const raced = this.#race.run(wishes, framework.facts?.optimistic ?? DEFAULT_RULES);
    this.#state.counters.lostRaces += raced.lost.size;
    framework.raced(offer.claimant.queueName, raced.lost.size > 0);
    this.#launch(offer, answer, wishes, raced);
  }

  #launch(offer: Offer, answer: Answer, wishes: readonly Wish[], raced: Raced): void {
    this.#release(offer);
    this.#state.framework(offer.framework).accepted(offer.claimant.queueName);
    const outcomes = this.#acceptance.launch(
      wishes,
      raced,
      ({ launch }) => `${offer.uid}.${answer.launches.indexOf(launch)}`,
    );
    const claims = raced.claims.flat();
    // Where it has lost, it wants what it did not get.
    const lost = new Set([...raced.lost.keys()].map(({ slice }) => slice.node));
    this.#filter(offer, answer.refuseMs, ({ node, vector }) => {
      const used = sumOf(
        claims.filter((claim) => claim.node === node),
        vector.length,
      );
      return !lost.has(node) && vector.some((have, r) => have > used[r]!);
    });
    const [loss]: (Loss | undefined)[] = [...raced.lost.values()];
    if (claims.length > 0 || loss === undefined) this.#close(offer, "Accepted", outcomes, undefined, claims.length);
    else this.#close(offer, "Refused", outcomes, loss);
  }

  /** A wrong answer is no cheaper than a decline: it filters, and it counts. */
  #wrong(offer: Offer, answer: Answer, refusal: Refusal): void {
    this.#refused(offer, refusal);
    if (refusal.reason === "lost-race") return;
    this.#filter(offer, answer.refuseMs, () => true);
    this.#turnedDown(offer, false);
  }

  #refused(offer: Offer, { reason, message, launches }: Refusal): void {
    this.#release(offer);
    this.#close(offer, "Refused", launches, { reason, message });
  }

  /** An end that is not an answer: the claims stay until it stands in the object, for an answer may have been first. */
  #end(offer: Offer, phase: "Expired" | "Rescinded", why: Why): void {
    offer.state = next(offer.state, { type: "ended", phase, ...why });
    this.#count(offer, phase, 0);
    this.#state.emit({ type: "close-offer", key: offer.key, phase, launches: [], ...why });
  }

  #close(offer: Offer, phase: Ended, launches: readonly LaunchOutcome[], why: Why | undefined, launched = 0): void {
    const { ended } = this.#state.framework(offer.framework);
    // The answer was first after all: it had not expired.
    if (offer.state.name === "closing") ended[outcome(offer.state.phase)]--;
    offer.state = next(offer.state, { type: "answered", phase, launches, ...why });
    this.#count(offer, phase, launched);
    this.#state.emit({ type: "close-offer", key: offer.key, phase, launches, ...why });
  }

  #count(offer: Offer, phase: Ended, launched: number): void {
    const framework = this.#state.framework(offer.framework);
    framework.ended[outcome(phase)]++;
    this.#state.frameworkChanged(offer.framework);
    const openMs = this.#state.nowMs - offer.publishedAtMs;
    this.#state.endedOffers.push({ framework: offer.framework, phase, openMs, launched });
  }

  /** Gives back the room and the demand that it stood for. */
  #release(offer: Offer): void {
    for (const slice of offer.slices.values()) {
      const { claim } = slice;
      slice.claim = undefined;
      if (claim !== undefined) this.#state.ledger.end(claim.id);
      for (const { line, instances } of slice.parts) {
        line.outstanding -= instances;
        if (offer.concurrency === "Optimistic") line.shown -= instances;
        this.#state.lines.dropIfEmpty(line);
      }
      withdrawParts(offer, slice);
      const there = this.#byNode[slice.node];
      const at = there?.indexOf(offer) ?? -1;
      if (at >= 0) there!.splice(at, 1);
    }
    this.#state.framework(offer.framework).offers.delete(offer);
    this.#state.dirty = true;
  }

  #drop(offer: Offer): void {
    this.#release(offer);
    this.#state.offers.delete(offer.key);
    this.#state.slackOffers.delete(offer);
    this.#state.frameworkChanged(offer.framework);
    this.#state.forgetFramework(offer.framework);
  }

  #filter(offer: Offer, refuseMs: number, remains: (slice: { node: number; vector: Float64Array }) => boolean): void {
    if (refuseMs <= 0) return;
    const untilMs = this.#state.nowMs + refuseMs;
    const framework = this.#state.framework(offer.framework);
    const refused = [...offer.slices.values()].filter((slice) => remains(slice) && sameNode(this.#state, slice));
    const nodes = refused.map(({ node }) => node);
    this.#state.refusals.add(framework, nodes, untilMs);
  }

  #turnedDown({ framework, claimant }: Offer, expired: boolean): void {
    const untilMs = this.#state.framework(framework).turnedDownOffer(claimant.queueName, expired, this.#state.nowMs);
    if (untilMs !== undefined) this.#state.timers.set(untilMs, { type: "penalty-ends", framework });
  }

  #on(node: number): Offer[] {
    while (this.#byNode.length <= node) this.#byNode.push([]);
    return this.#byNode[node]!;
  }
}

function outcome(phase: Ended): Lowercase<Ended> {
  return phase.toLowerCase() as Lowercase<Ended>;
}
