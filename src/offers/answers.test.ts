import { describe, expect, test } from "vitest";
import { Bench } from "./broker.test-support.ts";
import type { Answer, Launch, OfferDraft } from "./messages.ts";

const OFFERS = { scheduler: "Offers" } as const;

/** `f` is offered 4 of `n` and 2 of `m` for its task `t` of 6; `other` is a task of another framework. */
function bench(change: Parameters<Bench["framework"]>[1] = {}): { made: Bench; offer: OfferDraft } {
  const made = Bench.open().queue("side").node("n", { cpu: 4 }).node("m", { cpu: 2 });
  const queues = [
    { name: "default", weight: 1 },
    { name: "side", weight: 1 },
  ];
  made.framework("f", { ...OFFERS, queues, ...change }).framework("g", { ...OFFERS, suppressed: true });
  made.asking("t", { cpu: 1 }, { instances: 6 }).asking("other", { cpu: 1 }, { of: "g" });
  const offer = made.settle().openOffers()[0]!;
  expect(offer.slices.map(({ node, resources }) => [node, resources.cpu])).toEqual([
    ["n", 4],
    ["m", 2],
  ]);
  return { made, offer };
}

const launch = (change: Partial<Launch> = {}): Launch => ({ task: "t", slice: "s0", count: 1, ...change });

describe("an answer is refused", () => {
  test.each<{ name: string; reason: string; launches: Launch[]; by?: string; first?: (made: Bench) => void }>([
    { name: "of a stranger", reason: "not-yours", launches: [launch()], by: "mallory" },
    { name: "with no such slice", reason: "unknown-slice", launches: [launch({ slice: "s7" })] },
    { name: "with no such task", reason: "unknown-task", launches: [launch({ task: "nobody" })] },
    { name: "with another's task", reason: "unknown-task", launches: [launch({ task: "other" })] },
    { name: "with more than wait", reason: "not-pending", launches: [launch({ count: 7 })] },
    {
      name: "with more than wait in all",
      reason: "not-pending",
      launches: [launch({ count: 4 }), launch({ count: 4 })],
    },
    { name: "too large", reason: "too-large", launches: [launch({ count: 5 })] },
    { name: "too large in all", reason: "too-large", launches: [launch({ count: 3 }), launch({ count: 2 })] },
    {
      name: "with a task of another queue",
      reason: "unknown-task",
      launches: [launch({ task: "elsewhere" })],
      first: (made) => made.asking("elsewhere", { cpu: 1 }, { queue: "side" }),
    },
    {
      name: "against its constraints",
      reason: "constraint",
      launches: [launch({ task: "picky" })],
      first: (made) => made.asking("picky", { cpu: 1 }, { constraints: { nodeSelector: { disk: "ssd" } } }),
    },
    {
      name: "with a task that may not take part",
      reason: "invalid-task",
      launches: [launch({ task: "bad" })],
      first: (made) => made.asking("bad", { cpu: 1 }, { invalid: "a privileged container" }),
    },
    {
      name: "with a task that was killed",
      reason: "not-pending",
      launches: [launch({ task: "t" })],
      first: (made) => made.asking("t", { cpu: 1 }, { instances: 6, kill: {} }),
    },
    {
      name: "past the parallelism",
      reason: "not-pending",
      launches: [launch({ count: 3 })],
      first: (made) => made.asking("t", { cpu: 1 }, { instances: 6, parallelism: 2 }),
    },
    {
      name: "over a limit that was lowered since",
      reason: "over-limit",
      launches: [launch({ count: 4 })],
      first: (made) => made.queue("default", { limit: { cpu: 3 } }),
    },
    {
      name: "on a machine that has another's name",
      reason: "lost-race",
      launches: [launch()],
      first: (made) => {
        made.held.add("close-offer");
        made.node("n", { cpu: 4 }, { uid: "another" });
      },
    },
  ])("$name: $reason", ({ reason, launches, by, first }) => {
    const { made, offer } = bench();
    first?.(made);
    made.accept(offer, launches, by === undefined ? {} : { by });
    const end = made.last("close-offer")!;
    expect(end).toMatchObject({ key: offer.key, phase: "Refused", reason });
    expect(end.launches.map(({ refused }) => refused?.reason)).toEqual(launches.map(() => reason));
    expect(end.launches.map(({ indexes }) => indexes)).toEqual(launches.map(() => ""));
    expect(made.all("create-pod")).toEqual([]);
    expect(made.claims("task")).toEqual([]);
    expect(made.claims("offer")).toEqual([]);
  });

  test("one launch that is wrong refuses those that are right with it", () => {
    const { made, offer } = bench();
    made.accept(offer, [launch(), launch({ task: "nobody" })]);
    expect(made.last("close-offer")!.launches).toMatchObject([
      { task: "t", refused: { reason: "unknown-task", message: "with nobody: ns/f has no task nobody" } },
      { task: "nobody", refused: { reason: "unknown-task", message: "ns/f has no task nobody" } },
    ]);
  });

  test("a stranger's decline is no decline: it filters nothing and counts nothing", () => {
    const { made, offer } = bench();
    made.accept(offer, [], { decision: "Decline", by: "mallory", refuseMs: 60_000 });
    expect(made.last("close-offer")).toMatchObject({ phase: "Refused", reason: "not-yours" });
    expect(made.settle().openOffers()).toHaveLength(1);
    expect(made.broker.frameworkView("ns/f")!.offers).toMatchObject({ declined: 0, refused: 1 });
  });

  test("wrong answers count like declines, and their filter holds", () => {
    const { made, offer } = bench();
    made.accept(offer, [launch({ slice: "s7" })], { refuseMs: 5_000 });
    expect(made.settle().openOffers()).toEqual([]);
    expect(made.wait(5_000).openOffers()).toHaveLength(1);
  });
});

describe("an accept", () => {
  test("puts tasks in the place of the offer in one step, and gives the rest back", () => {
    const { made, offer } = bench();
    made.accept(offer, [launch({ count: 3 }), launch({ slice: "s1" })]);
    expect(made.claims("task")).toEqual(["m: 1", "n: 1", "n: 1", "n: 1"]);
    expect(made.claims("offer")).toEqual([]);
    expect(made.last("close-offer")).toMatchObject({
      phase: "Accepted",
      launches: [{ indexes: "0-2" }, { indexes: "3" }],
    });
    expect(
      made
        .settle()
        .openOffers()[0]!
        .slices.map(({ node, resources }) => [node, resources.cpu]),
    ).toEqual([
      ["n", 1],
      ["m", 1],
    ]);
  });

  test("labels each pod with the offer and the place of its launch", () => {
    const { made, offer } = bench();
    made.accept(offer, [launch(), launch({ slice: "s1", count: 2 })]);
    expect(made.all("create-pod").map((effect) => effect.offer)).toEqual([
      `${offer.key}-uid.0`,
      `${offer.key}-uid.1`,
      `${offer.key}-uid.1`,
    ]);
  });

  test("of nothing is an accept all the same", () => {
    const { made, offer } = bench();
    made.accept(offer, []);
    expect(made.last("close-offer")).toMatchObject({ phase: "Accepted", launches: [] });
  });

  test("tells who got no room, instance by instance, where the offer was optimistic", () => {
    const { made, offer } = bench({ concurrency: "Optimistic" });
    made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "n", requests: { cpu: 2 } } });
    made.accept(offer, [launch({ count: 4 }), launch({ slice: "s1", count: 2 })]);
    expect(made.last("close-offer")!.launches).toEqual([
      {
        task: "t",
        slice: "s0",
        indexes: "0-1",
        refused: { reason: "lost-race", message: expect.stringContaining("node n") },
      },
      { task: "t", slice: "s1", indexes: "4-5" },
    ]);
    expect(made.claims("task")).toHaveLength(4);
  });

  test("of what a fact has taken since is refused as a whole, where the offer was exclusive", () => {
    const { made, offer } = bench();
    made.held.add("close-offer");
    made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "n", requests: { cpu: 2 } } });
    made.accept(offer, [launch({ count: 4 })]);
    expect(made.last("close-offer")).toMatchObject({ phase: "Refused", reason: "lost-race" });
    expect(made.claims("task")).toEqual([]);
  });
});

describe("the answer that was written first counts", () => {
  const answer = (offer: OfferDraft): Answer => ({
    by: offer.answerers[0]!,
    decision: "Accept",
    launches: [launch({ count: 2 })],
    refuseMs: 0,
  });

  test.each([
    { phase: "Expired", end: (made: Bench) => void made.wait(30_000) },
    { phase: "Rescinded", end: (made: Bench) => void made.apply({ type: "queue-gone", name: "default" }) },
  ])("also when the offer was taken for $phase before the answer was seen", ({ phase, end }) => {
    const { made, offer } = bench();
    made.held.add("close-offer").add("publish-offer");
    end(made);
    expect(made.last("close-offer")).toMatchObject({ phase });
    expect(made.claims("offer")).toEqual(["m: 2", "n: 4"]);
    made.queue("default");
    made.apply({ type: "offer-observed", offer: made.offerFacts(offer, answer(offer)) });
    expect(made.last("close-offer")).toMatchObject({ phase: "Accepted" });
    expect(made.claims("task")).toHaveLength(2);
    expect(made.broker.frameworkView("ns/f")!.offers).toMatchObject({ accepted: 1, expired: 0, rescinded: 0 });
  });

  test("but only once, and not after the end stands", () => {
    const { made, offer } = bench();
    made.held.add("close-offer");
    made.accept(offer, [launch()]);
    made.accept(offer, [launch()]);
    expect(made.all("create-pod")).toHaveLength(1);
    made.apply({ type: "offer-closed", key: offer.key });
    made.accept(offer, [launch()]);
    expect(made.all("create-pod")).toHaveLength(1);
  });

  test("claims stand until the end is written, then they are free", () => {
    const { made, offer } = bench();
    made.held.add("close-offer").add("publish-offer");
    made.wait(30_000);
    expect(made.claims("offer")).toEqual(["m: 2", "n: 4"]);
    made.apply({ type: "offer-closed", key: offer.key });
    expect(made.claims("offer")).toEqual([]);
  });
});
