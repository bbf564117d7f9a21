import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Bench } from "./broker.test-support.ts";
import { Broker } from "./broker.ts";
import type { Effect, FrameworkFacts, Input, Launch, OfferDraft, RaceRules } from "./messages.ts";
import { parseIndexes } from "./structures/indexes.ts";

const MODES: readonly RaceRules[] = [
  { conflict: "ResourceFit", transaction: "Incremental" },
  { conflict: "ResourceFit", transaction: "AllOrNothing" },
  { conflict: "Version", transaction: "Incremental" },
  { conflict: "Version", transaction: "AllOrNothing" },
];
const NODES: Readonly<Record<string, number>> = { a: 4, b: 6, c: 5 };
const LIMIT = 9;
const RACERS = ["x", "y"] as const;
/** What each racer's instances ask for. */
const SIZES = { x: 1, y: 2 } as const;
const INSTANCES = 40;

/** One step of the world. Numbers choose among what there is. */
type Step =
  | { readonly type: "accept"; readonly who: "x" | "y"; readonly which: number; readonly part: number }
  | { readonly type: "decline"; readonly who: "x" | "y"; readonly which: number }
  | { readonly type: "finish"; readonly which: number }
  | { readonly type: "foreign"; readonly node: string; readonly cpu: number }
  | { readonly type: "heartbeat"; readonly node: string }
  | { readonly type: "wait"; readonly ms: number };

const who = fc.constantFrom(...RACERS);
const which = fc.nat(20);
const node = fc.constantFrom(...Object.keys(NODES));
const accept = fc.record({ type: fc.constant("accept" as const), who, which, part: fc.integer({ min: 1, max: 4 }) });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: accept },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("decline" as const), who, which }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("finish" as const), which }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("foreign" as const), node, cpu: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("heartbeat" as const), node }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 3_000 }) }) },
);
const steps = fc.array(step, { minLength: 5, maxLength: 40 });

interface Close {
  readonly offer: OfferDraft;
  readonly launches: readonly Launch[];
  readonly end: Extract<Effect, { type: "close-offer" }>;
}

/** Two racers in one queue, in one mode; all that the broker is told is kept, for twins of it. */
class World extends Bench {
  readonly told: { readonly input: Input; readonly nowMs: number }[] = [];

  constructor(rules: RaceRules, limit?: number) {
    super();
    this.queue("default", limit === undefined ? {} : { limit: { cpu: limit } });
    for (const [name, cpu] of Object.entries(NODES)) this.node(name, { cpu });
    for (const name of RACERS) {
      this.framework(name, this.racer(rules));
      this.asking(`t${name}`, { cpu: SIZES[name] }, { of: name, instances: INSTANCES });
    }
    this.apply({ type: "opened" });
    this.settle();
  }

  racer(optimistic: RaceRules): Partial<FrameworkFacts> {
    return { scheduler: "Offers", concurrency: "Optimistic", optimistic, offerTimeoutMs: 5_000 };
  }

  override apply(input: Input): Effect[] {
    this.told?.push({ input, nowMs: this.nowMs });
    return super.apply(input);
  }

  /** How another broker that was told the same, but settles by ResourceFit, would close the offer of this accept. */
  settledByFit(accept: Input, transaction: RaceRules["transaction"]): Close["end"] {
    const twin = new Broker({
      term: "t1",
      placements: { First: { score: () => 0, rotate: false } },
      roundMinIntervalMs: 0,
    });
    for (const { input, nowMs } of this.told) twin.apply(input, nowMs);
    for (const { input } of this.told) {
      if (input.type !== "framework-observed") continue;
      const optimistic = { conflict: "ResourceFit", transaction } as const;
      twin.apply({ type: "framework-observed", framework: { ...input.framework, optimistic } }, this.nowMs);
    }
    return twin.apply(accept, this.nowMs).find((effect) => effect.type === "close-offer")!;
  }

  /** Takes a step; `onAccept` is called before each accept, with the input that it will be. */
  step(at: Step, onAccept?: (input: Input) => void): Close | undefined {
    switch (at.type) {
      case "accept":
        return this.#accept(at, onAccept);
      case "decline": {
        const offers = this.openOffers(at.who);
        if (offers.length > 0) this.decline(offers[at.which % offers.length]!, 500);
        break;
      }
      case "finish": {
        const running = [...this.pods].filter(([, { phase }]) => phase === "Pending").map(([name]) => name);
        if (running.length > 0) this.finish(running[at.which % running.length]!);
        break;
      }
      case "foreign": {
        const pod = { uid: `f${at.node}`, node: at.node, requests: { cpu: at.cpu } };
        if (at.cpu === 0) this.apply({ type: "foreign-pod-gone", uid: pod.uid });
        else this.apply({ type: "foreign-pod-observed", pod });
        break;
      }
      case "heartbeat":
        this.node(at.node, { cpu: NODES[at.node]! }, { labels: { beat: `${this.nowMs}` } });
        break;
      case "wait":
        this.wait(at.ms);
    }
    return undefined;
  }

  /** Part of what the offer's slices hold: 1/`part` of each. */
  #accept({ who: name, which: choice, part }: Extract<Step, { type: "accept" }>, onAccept?: (input: Input) => void) {
    const offers = this.openOffers(name);
    const offer = offers[choice % Math.max(1, offers.length)];
    if (offer === undefined) return undefined;
    const launches = offer.slices.flatMap(({ name: slice, resources }) => {
      const count = Math.ceil((resources.cpu ?? 0) / SIZES[name] / part);
      return count > 0 ? [{ task: `t${name}`, slice, count }] : [];
    });
    const answer = { by: offer.answerers[0]!, decision: "Accept", launches, refuseMs: 0 } as const;
    const input: Input = { type: "offer-observed", offer: this.offerFacts(offer, answer) };
    onAccept?.(input);
    const { length } = this.effects;
    this.apply(input);
    const end = this.all("close-offer", length).find(({ key }) => key === offer.key)!;
    return { offer, launches, end };
  }
}

const started = ({ launches }: Pick<Close["end"], "launches">): string[] =>
  launches.flatMap(({ task, indexes }) => [...parseIndexes(indexes, INSTANCES)].map((index) => `${task}/${index}`));

describe.each(MODES)("any interleaving of two racers' accepts under $conflict, $transaction", (rules) => {
  test("never over-commits a node or the queue, and starts what it says that it starts", () => {
    let [won, lost] = [0, 0];
    const run = (script: readonly Step[]) => {
      const world = new World(rules, LIMIT);
      for (const at of script) {
        const { length } = world.effects;
        const close = world.step(at);
        const created = world.all("create-pod", length);
        for (const { node: name } of created) {
          const used = [...world.broker.claims()].filter((claim) => claim.node === name);
          const sum = used.reduce((cpu, { resources }) => cpu + (resources.cpu ?? 0), 0);
          expect(sum).toBeLessThanOrEqual(NODES[name]!);
        }
        const { allocated, offered } = world.broker.queueView("default")!;
        expect((allocated.cpu ?? 0) + (offered.cpu ?? 0)).toBeLessThanOrEqual(LIMIT);
        expect(world.broker.clusterView().inconsistencies).toBe(0);
        if (close !== undefined) {
          const names = created.map(({ attempt }) => `${attempt.taskUid.replace("-uid", "")}/${attempt.index}`);
          expect(started(close.end)).toEqual(names);
          won += names.length;
          lost += close.end.launches.filter(({ refused }) => refused !== undefined).length;
        }
        world.settle();
      }
    };
    fc.assert(fc.property(steps, run), { numRuns: 100 });
    // The interleavings are worth looking at.
    expect(won).toBeGreaterThan(0);
    expect(lost).toBeGreaterThan(0);
  });
});

describe.each(MODES.filter(({ transaction }) => transaction === "AllOrNothing"))(
  "all or nothing under $conflict",
  (rules) => {
    test("never starts a part, and tells every launch why", () => {
      let nothing = 0;
      const run = (script: readonly Step[]) => {
        const world = new World(rules, LIMIT);
        for (const at of script) {
          const close = world.step(at);
          world.settle();
          if (close === undefined) continue;
          const wanted = close.launches.reduce((sum, { count }) => sum + count, 0);
          const refused = close.end.launches.filter((launch) => launch.refused !== undefined).length;
          const got = started(close.end).length;
          expect([got, refused]).toEqual(got === 0 ? [0, close.launches.length] : [wanted, 0]);
          expect(close.end.phase).toBe(got === 0 ? "Refused" : "Accepted");
          if (got === 0 && close.launches.length > 1) nothing++;
        }
      };
      fc.assert(fc.property(steps, run), { numRuns: 100 });
      expect(nothing).toBeGreaterThan(0);
    });
  },
);

describe.each(["Incremental", "AllOrNothing"] as const)("Version is the stricter conflict (%s)", (transaction) => {
  /** What starts in each accept of the script under Version, and what would have under ResourceFit there and then. */
  function compare(script: readonly Step[], limit?: number) {
    const world = new World({ conflict: "Version", transaction }, limit);
    const accepts: { version: string[]; fit: string[]; all: boolean }[] = [];
    for (const at of script) {
      let fit: string[] = [];
      const close = world.step(at, (input) => {
        fit = started(world.settledByFit(input, transaction));
      });
      world.settle();
      if (close === undefined) continue;
      const wanted = close.launches.reduce((sum, { count }) => sum + count, 0);
      const version = started(close.end);
      accepts.push({ version, fit, all: version.length === wanted });
    }
    return accepts;
  }

  test("whoever wins under it would have won under ResourceFit, too", () => {
    let [both, onlyFit] = [0, 0];
    const run = (script: readonly Step[]) => {
      for (const { version, fit } of compare(script)) {
        expect(fit).toEqual(expect.arrayContaining(version));
        both += version.length;
        onlyFit += fit.length - version.length;
      }
    };
    fc.assert(fc.property(steps, run), { numRuns: 60 });
    expect(both).toBeGreaterThan(0);
    expect(onlyFit).toBeGreaterThan(0);
  });

  // What one launch of an answer loses under Version, another may use of the limit: whole answers, and no more in all.
  test("also within a limit, for which the launches of an answer compete with each other", () => {
    const run = (script: readonly Step[]) => {
      for (const { version, fit, all } of compare(script, LIMIT)) {
        if (all) expect(fit).toEqual(version);
        expect(version.length).toBeLessThanOrEqual(fit.length);
      }
    };
    fc.assert(fc.property(steps, run), { numRuns: 60 });
  });
});
