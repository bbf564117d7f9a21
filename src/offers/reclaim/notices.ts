import { clockTime } from "../explain/wording.ts";
import type { Line } from "../lines.ts";
import type { Answer, FrameworkFacts, OfferDraft, OfferFacts, OfferPhase, Release } from "../messages.ts";
import type { Claimant } from "../queues/queues.ts";
import type { Quantities } from "../resources.ts";
import type { State } from "../state.ts";
import { formatIndexes } from "../structures/indexes.ts";
import type { Instance } from "../tasks/instance.ts";
import type { Clearing } from "./clearings.ts";
import { inverseOffer } from "./inverse-offer.ts";
import { isOffer } from "./victims.ts";

/** A new term takes so long to learn what waits: until then an inverse offer that seems useless stays. */
const ADOPTION_MS = 10_000;

/** An inverse offer as we know it: to whom, for what, until when, and what was said to it. */
export interface Notice {
  readonly key: string;
  /** Name of the claimant that is asked to give back. */
  readonly claimant: string;
  readonly framework: string;
  /** The queue that wants it, what an instance of that needs, and how many. */
  readonly queue: string;
  readonly each: Quantities;
  /** The same two as text: equal for notices that ask for the same. */
  readonly asks: string;
  readonly instances: number;
  readonly dueMs: number;
  /** Stays without a clearing until then. */
  readonly keptUntilMs: number;
  answer: Answer | undefined;
  /** What came of the answer. */
  heard: Exclude<OfferPhase, "Open" | "Rescinded" | "Expired"> | undefined;
  /** Clearings that it announces, until they are carried out; for some, what is to go was agreed. Kept by `Notices`. */
  readonly clearings: Set<Clearing>;
  readonly agreed: Set<Clearing>;
  /** Instances for which victims were ended. */
  spent: number;
  /** What was ended by it: Task -> indexes. */
  readonly released: Map<string, number[]>;
  closing: boolean;
  /** No object tells of it (any more): its deadline stands all the same. */
  unwritten: boolean;
}

/** Inverse offers from their making to their ends, those of earlier terms included: their deadlines stand. */
export class Notices {
  readonly #state: State;
  readonly #byKey = new Map<string, Notice>();
  readonly #byClearing = new WeakMap<Clearing, Set<Notice>>();
  #sequence = 0;

  constructor(state: State) {
    this.#state = state;
  }

  all(): Iterable<Notice> {
    return this.#byKey.values();
  }

  get size(): number {
    return this.#byKey.size;
  }

  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  /** Asks the claimant to make room for these clearings; all of them are of one line. */
  publish(claimant: Claimant, clearings: readonly Clearing[], graceMs: number): Notice {
    const { nowMs, options, resources } = this.#state;
    const { line } = clearings[0]!;
    const each = resources.quantities(line.request);
    const [namespace, name] = claimant.framework.split("/") as [string, string];
    const notice: Notice = {
      key: `${namespace}/${name.slice(0, 40).replace(/-+$/, "")}-${options.term}-back-${(this.#sequence++).toString(36)}`,
      claimant: claimant.name,
      framework: claimant.framework,
      queue: line.claimant.queueName,
      each,
      asks: asksOf(line.claimant.queueName, each),
      instances: clearings.reduce((sum, { holds }) => sum + holds.length, 0),
      dueMs: nowMs + graceMs,
      keptUntilMs: 0,
      ...unheard(),
    };
    this.#byKey.set(notice.key, notice);
    for (const clearing of clearings) this.announce(notice, clearing);
    this.#state.counters.inverseOffers++;
    this.#state.timers.set(notice.dueMs, { type: "reclaim" });
    const framework = this.#state.frameworks.get(claimant.framework)?.facts;
    // Without one nobody is left to be asked: what still runs of it goes when its time has come.
    if (framework === undefined) notice.unwritten = true;
    else this.#tell(notice, framework, inverseOffer(this.#state, notice, framework, clearings));
    return notice;
  }

  /** The object, or its answer, was seen. */
  observed(facts: OfferFacts): void {
    const { inverse } = facts;
    if (facts.phase !== "Open" || inverse === undefined) return;
    let notice = this.#byKey.get(facts.key);
    if (notice === undefined) {
      // One of this term that is not in our books has ended: names are never used twice.
      if (facts.term === this.#state.options.term) return;
      notice = this.#adopt(facts, inverse);
    }
    if (facts.answer === undefined || notice.answer !== undefined) return;
    notice.answer = facts.answer;
    this.#state.dirty = true;
  }

  /** It could not be created, or somebody deleted it. */
  unwritten(key: string): void {
    const notice = this.#byKey.get(key);
    if (notice === undefined) return;
    notice.unwritten = true;
    if (notice.closing) this.#byKey.delete(key);
  }

  closed(key: string): void {
    this.#byKey.delete(key);
  }

  /** The clearing is one of those that the notice asks for. */
  announce(notice: Notice, clearing: Clearing): void {
    notice.clearings.add(clearing);
    const all = this.#byClearing.get(clearing) ?? new Set();
    this.#byClearing.set(clearing, all.add(notice));
  }

  /** Those that announce the clearing. */
  of(clearing: Clearing): Notice[] {
    return [...(this.#byClearing.get(clearing) ?? [])].filter((notice) => this.#byKey.get(notice.key) === notice);
  }

  /** One that asks the claimant for such instances, and for more than are planned for: the first that is due. */
  spare(claimant: string, line: Line, instances: number): Notice | undefined {
    let found: Notice | undefined;
    for (const notice of this.#askingFor(line)) {
      if (notice.claimant !== claimant || rest(notice) < instances) continue;
      if (found === undefined || notice.dueMs < found.dueMs) found = notice;
    }
    return found;
  }

  /** Names of the claimants who have been asked for more such instances than are planned for. */
  asked(line: Line): Set<string> {
    const names = new Set<string>();
    for (const notice of this.#askingFor(line)) if (rest(notice) > 0) names.add(notice.claimant);
    return names;
  }

  *#askingFor({ claimant: { queueName }, request }: Line): Generator<Notice> {
    const asks = asksOf(queueName, this.#state.resources.quantities(request));
    for (const notice of this.#byKey.values()) if (!notice.closing && notice.asks === asks) yield notice;
  }

  /** The clearing is carried out, on behalf of this notice among others. */
  carriedOut(notice: Notice, clearing: Clearing): void {
    notice.clearings.delete(clearing);
    this.#byClearing.get(clearing)?.delete(notice);
    notice.spent += clearing.holds.length;
    for (const { of, part, claimant } of clearing.victims.values()) {
      if (isOffer(of) || claimant.name !== notice.claimant) continue;
      const task = of.facts.key.slice(of.facts.key.indexOf("/") + 1);
      const indexes = notice.released.get(task) ?? [];
      notice.released.set(task, indexes);
      indexes.push((part as Instance).index);
    }
  }

  /** Ends those that nothing is left to be done about. True if there were any. */
  close(): boolean {
    let any = false;
    for (const notice of [...this.#byKey.values()]) {
      if (notice.closing || pending(notice).length > 0) continue;
      if (notice.spent === 0 && notice.keptUntilMs > this.#state.nowMs) continue;
      notice.closing = true;
      const end = this.#end(notice);
      this.#state.counters.inverseOfferEnds[end.phase.toLowerCase() as Lowercase<typeof end.phase>]++;
      if (notice.unwritten) this.#byKey.delete(notice.key);
      else this.#state.emit({ type: "close-offer", key: notice.key, launches: [], ...end });
      any = true;
    }
    return any;
  }

  #tell({ key, queue, dueMs }: Notice, { key: framework, uid }: FrameworkFacts, offer: OfferDraft): void {
    this.#state.emit({ type: "publish-offer", offer });
    this.#state.emit({
      type: "event",
      about: { kind: "Framework", key: framework, uid },
      severity: "Normal",
      reason: "asked-back",
      note: `queue ${queue} asks for what it is guaranteed by ${clockTime(dueMs)}: see offer ${key}`,
    });
  }

  #end({ released, heard, queue }: Notice): {
    phase: Exclude<OfferPhase, "Open">;
    released: Release[];
    message: string;
  } {
    const list = [...released].map(([task, indexes]) => ({
      task,
      indexes: formatIndexes([...indexes].sort((a, b) => a - b)),
    }));
    if (list.length === 0) {
      return { phase: "Rescinded", released: [], message: `queue ${queue} does not need it any more` };
    }
    const message = heard === "Accepted" ? "as its answer says" : "as the operator has chosen";
    return { phase: heard ?? "Expired", released: list, message };
  }

  #adopt(facts: OfferFacts, inverse: NonNullable<OfferFacts["inverse"]>): Notice {
    const keptUntilMs = this.#state.nowMs + ADOPTION_MS;
    const notice: Notice = {
      key: facts.key,
      claimant: `${facts.framework} ${facts.queue}`,
      framework: facts.framework,
      queue: inverse.queue,
      each: inverse.each,
      asks: asksOf(inverse.queue, inverse.each),
      instances: inverse.instances,
      dueMs: inverse.expiresAtMs,
      keptUntilMs,
      ...unheard(),
    };
    this.#byKey.set(notice.key, notice);
    for (const atMs of [notice.dueMs, keptUntilMs]) this.#state.timers.set(atMs, { type: "reclaim" });
    this.#state.dirty = true;
    return notice;
  }
}

/** What a notice is before anybody has answered. */
function unheard() {
  return {
    answer: undefined,
    heard: undefined,
    clearings: new Set<Clearing>(),
    agreed: new Set<Clearing>(),
    spent: 0,
    released: new Map<string, number[]>(),
    closing: false,
    unwritten: false,
  };
}

/** Its clearings that wait for it, or for others. */
export function pending({ clearings }: Notice): Clearing[] {
  return [...clearings].filter(({ holds, going }) => holds.length > 0 && !going);
}

/** Instances it asks for that nothing is planned for yet. */
function rest({ instances, spent, clearings }: Notice): number {
  let planned = 0;
  for (const { holds, going } of clearings) if (!going) planned += holds.length;
  return instances - spent - planned;
}

function asksOf(queue: string, each: Quantities): string {
  const named = Object.entries(each).filter(([, amount]) => amount !== 0);
  return `${queue} ${JSON.stringify(named.sort(([a], [b]) => (a < b ? -1 : 1)))}`;
}
