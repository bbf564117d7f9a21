import type { Acceptance } from "./acceptance.ts";
import { check } from "./answer.ts";
import type { Answer, Effect, Launch, LaunchOutcome, OfferFacts, RaceRules } from "./messages.ts";
import type { Offer } from "./offer.ts";
import { DEFAULT_RULES, type Race, UNKNOWN_VERSION } from "./race.ts";
import type { State } from "./state.ts";
import { formatIndexes, parseIndexes } from "./structures/indexes.ts";
import type { Assignment } from "./tasks/assignment.ts";
import type { Tasks } from "./tasks/tasks.ts";

/** As many instances as a Task may have. */
const MAX_INSTANCES = 10_000;

/**
 * Settles an open offer of an earlier term. Without an answer it is rescinded. What its pods show as launched stays;
 * the rest of an accept goes through the ledger again, as a race, for its claim did not survive. Otherwise a crash after
 * three of five launches would start eight.
 *
 * Of an optimistic accept, what has pods has won its race in that term, and is not raced for again: the rest of a slice (of
 * the answer, where it was all or nothing) need only fit. What has none is raced for now, by the framework's rules; nodes'
 * versions do not outlive a term, so that under `Version` it is lost.
 */
export class Settlement {
  readonly #state: State;
  readonly #tasks: Tasks;
  readonly #assignment: Assignment;
  readonly #acceptance: Acceptance;
  readonly #race: Race;
  /** Answered offers that were carried out, and what became of them, until their objects are gone. */
  readonly #settled = new Map<string, Effect>();
  /** Accepts that launch tasks whose templates are being sized, by key: a new term knows no sizes when it begins. */
  readonly #waiting = new Map<string, OfferFacts>();

  constructor(state: State, tasks: Tasks, assignment: Assignment, acceptance: Acceptance, race: Race) {
    this.#state = state;
    this.#tasks = tasks;
    this.#assignment = assignment;
    this.#acceptance = acceptance;
    this.#race = race;
    assignment.onSizing(() => {
      const waiting = [...this.#waiting.values()];
      this.#waiting.clear();
      for (const facts of waiting) this.settle(facts);
    });
  }

  /** The object is gone: it cannot be seen again. */
  forget(key: string): void {
    this.#settled.delete(key);
    this.#waiting.delete(key);
  }

  settle(facts: OfferFacts): void {
    const { answer, key } = facts;
    // Seen again before its end stands: told again, and not carried out twice.
    const settled = this.#settled.get(key);
    if (settled !== undefined) {
      this.#state.emit(settled);
      return;
    }
    if (answer === undefined) {
      this.#state.emit({ type: "close-offer", key, phase: "Rescinded", launches: [], reason: "new-term" });
      return;
    }
    if (answer.decision === "Decline") {
      this.#state.emit({ type: "close-offer", key, phase: "Declined", launches: [], reason: "declined" });
      return;
    }
    if (answer.launches.some((launch) => this.#isSizing(facts, launch))) {
      this.#waiting.set(key, facts);
      return;
    }
    const done = answer.launches.map((_, i) => this.#tasks.launchedFrom(`${facts.uid}.${i}`));
    const missing = answer.launches.map((launch, i) => ({ ...launch, count: launch.count - done[i]!.length }));
    const wanted = missing.filter(({ count }) => count > 0);
    const won = new Set(answer.launches.filter((_, i) => done[i]!.length > 0).map(({ slice }) => slice));
    const later = this.#launch(facts, { ...answer, launches: wanted }, won, (launch) => missing.indexOf(launch));
    const launches = missing.map((launch, i): LaunchOutcome => {
      const outcome = later[wanted.indexOf(launch)];
      const started = parseIndexes(outcome?.indexes ?? "", MAX_INSTANCES);
      const indexes = [...done[i]!, ...started].sort((a, b) => a - b);
      const refused = outcome?.refused;
      const { task, slice } = launch;
      return { task, slice, indexes: formatIndexes(indexes), ...(refused === undefined ? {} : { refused }) };
    });
    const phase = launches.some(({ indexes }) => indexes !== "") ? "Accepted" : "Refused";
    const end: Effect = { type: "close-offer", key, phase, launches, reason: "new-term" };
    this.#settled.set(key, end);
    this.#state.emit(end);
  }

  #isSizing({ framework }: OfferFacts, { task }: Launch): boolean {
    const namespace = framework.slice(0, framework.indexOf("/"));
    return this.#state.tasksByKey.get(`${namespace}/${task}`)?.rejected?.reason === "sizing";
  }

  /** `won`: names of slices from which the earlier term has launched. */
  #launch(
    facts: OfferFacts,
    rest: Answer,
    won: ReadonlySet<string>,
    position: (launch: Launch) => number,
  ): readonly LaunchOutcome[] {
    if (rest.launches.length === 0) return [];
    const checked = check(this.#state, this.#revived(facts, won), rest, (task) => this.#assignment.queueOf(task));
    if ("refusal" in checked) return checked.refusal.launches;
    const { wishes } = checked;
    const raced = this.#race.run(wishes, this.#rules(facts, won));
    if (facts.concurrency === "Optimistic") this.#state.counters.lostRaces += raced.lost.size;
    return this.#acceptance.launch(wishes, raced, ({ launch }) => `${facts.uid}.${position(launch)}`);
  }

  /** An exclusive accept had won before it was given. */
  #rules({ concurrency, framework }: OfferFacts, won: ReadonlySet<string>): RaceRules {
    const rules = this.#state.frameworks.get(framework)?.facts?.optimistic;
    if (concurrency !== "Optimistic" || rules === undefined) return DEFAULT_RULES;
    return rules.transaction === "AllOrNothing" && won.size > 0 ? DEFAULT_RULES : rules;
  }

  /** The old offer as far as an answer is checked against it; it holds nothing. */
  #revived(facts: OfferFacts, won: ReadonlySet<string>): Offer {
    const slices = facts.slices.map(({ name, node: nodeName, nodeUid, resources }) => {
      const node = this.#state.nodes.get(nodeName);
      return {
        name,
        node: node?.index ?? -1,
        nodeName,
        nodeUid,
        vector: this.#state.resources.vector(resources),
        claim: undefined,
        version: won.has(name) && node !== undefined ? node.version : UNKNOWN_VERSION,
        parts: [],
      };
    });
    return {
      key: facts.key,
      uid: facts.uid,
      framework: facts.framework,
      claimant: this.#state.tree.claimant(facts.framework, facts.queue),
      concurrency: "Optimistic",
      slack: false,
      // Only looked up by name: their nodes may be gone.
      slices: new Map(slices.entries()),
      expiresAtMs: 0,
      publishedAtMs: this.#state.nowMs,
      state: { name: "open" },
    };
  }
}
