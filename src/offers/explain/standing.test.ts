import { describe, expect, test } from "vitest";
import { Bench } from "../broker.test-support.ts";

const OFFERS = { scheduler: "Offers", offerTimeoutMs: 1_000 } as const;

/** `slow` and `quick` want the one node; a tie goes to the first name, so `a-slow` is first by right. */
function pair(): Bench {
  const made = Bench.open().node("n", { cpu: 1 }).framework("a-slow", OFFERS).framework("b-quick", OFFERS);
  return made.asking("ts", { cpu: 1 }, { of: "a-slow" });
}

describe("three declines or expiries in a row", () => {
  function turnedDown(how: "decline" | "expiry", times = 3): Bench {
    const made = pair();
    for (let i = 0; i < times; i++) {
      made.settle();
      if (how === "decline") made.decline(made.openOffers("a-slow")[0]!, 0);
      else made.wait(1_000);
    }
    return made;
  }

  test.each(["decline", "expiry"] as const)("%s: behind all others", (how) => {
    const made = turnedDown(how);
    for (const { key } of made.openOffers("a-slow")) made.apply({ type: "offer-gone", key });
    made.asking("tq", { cpu: 1 }, { of: "b-quick" }).settle();
    expect(made.openOffers("b-quick")).toHaveLength(1);
  });

  test("still offered what nobody else wants", () => {
    expect(turnedDown("decline").settle().openOffers("a-slow")).toHaveLength(1);
  });

  test("two are borne", () => {
    const made = turnedDown("decline", 2);
    made.asking("tq", { cpu: 1 }, { of: "b-quick" }).settle();
    expect(made.openOffers("a-slow")).toHaveLength(1);
  });

  test.each([
    { times: 3, behindMs: 2_000 },
    { times: 4, behindMs: 4_000 },
    { times: 9, behindMs: 60_000 },
  ])("after $times, for $behindMs ms", ({ times, behindMs }) => {
    const made = turnedDown("decline", times);
    made.held.add("publish-offer");
    made.asking("tq", { cpu: 1 }, { of: "b-quick" });
    const firstAfter = (ms: number) => {
      const { length } = made.effects;
      made.nowMs += ms;
      made.settle();
      const { key, framework } = made.all("publish-offer", length)[0]!.offer;
      made.apply({ type: "offer-gone", key });
      return framework;
    };
    expect(firstAfter(0)).toBe("ns/b-quick");
    expect(firstAfter(behindMs - 1)).toBe("ns/b-quick");
    expect(firstAfter(1)).toBe("ns/a-slow");
  });

  test("an accept ends it", () => {
    const made = turnedDown("decline").settle();
    made.accept(made.openOffers("a-slow")[0]!, [{ task: "ts", slice: "s0", count: 1 }]);
    made.finish("ts-0-0");
    made.asking("ts2", { cpu: 1 }, { of: "a-slow" }).asking("tq", { cpu: 1 }, { of: "b-quick" }).settle();
    expect(made.openOffers("a-slow")).toHaveLength(1);
  });

  test("in one queue are borne in another", () => {
    const queues = ["default", "side"].map((name) => ({ name, weight: 1 }));
    const made = Bench.open().queue("side").node("n", { cpu: 1 });
    for (const name of ["a-slow", "b-quick"]) made.framework(name, { ...OFFERS, queues });
    made.asking("ts", { cpu: 1 }, { of: "a-slow" });
    for (let i = 0; i < 3; i++) made.settle().decline(made.openOffers("a-slow")[0]!, 0);
    made.asking("ts", { cpu: 1 }, { of: "a-slow", kill: {} });
    made.asking("side-s", { cpu: 1 }, { of: "a-slow", queue: "side" });
    made.asking("side-q", { cpu: 1 }, { of: "b-quick", queue: "side" }).settle();
    expect([made.openOffers("a-slow").length, made.openOffers("b-quick").length]).toEqual([1, 0]);
  });
});

describe("offers that a framework may hold", () => {
  /** Each round of demand is offered by itself. */
  function open(made: Bench, tasks: number): number {
    for (let i = 0; i < tasks; i++) made.asking(`w${made.effects.length}`, { cpu: 1 }, { of: "f" }).settle();
    return made.openOffers().length;
  }
  const bench = (maxOutstanding: number) =>
    Bench.open()
      .node("n", { cpu: 99 })
      .framework("f", { ...OFFERS, maxOutstanding });

  test("are as many as its limit", () => {
    expect(open(bench(3), 5)).toBe(3);
  });

  test("are half as many after each that expires, never less than one, all again after an accept", () => {
    const made = bench(8);
    /** How many it may hold now; they are taken back then, and all that they offered is one offer. */
    const limit = () => {
      const most = open(made, 9);
      for (const { key } of made.openOffers()) {
        made.offers.delete(key);
        made.apply({ type: "offer-gone", key });
      }
      made.settle();
      expect(made.openOffers()).toHaveLength(1);
      return most;
    };
    const limits = [limit()];
    for (let i = 0; i < 4; i++) {
      made.wait(1_000);
      limits.push(limit());
    }
    expect(limits).toEqual([8, 4, 2, 1, 1]);
    made.decline(made.openOffers()[0]!, 0);
    expect(limit()).toBe(1);
    made.accept(made.openOffers()[0]!, []);
    expect(limit()).toBe(8);
  });

  test("an offer that was never published counts as no silence", () => {
    const made = bench(2);
    made.held.add("publish-offer");
    open(made, 1);
    made.held.add("close-offer").delete("publish-offer");
    made.wait(1_000);
    for (const { key } of made.all("close-offer")) made.apply({ type: "offer-unpublished", key, message: "too late" });
    made.held.clear();
    made.wait(60_000);
    expect(made.broker.frameworkView("ns/f")!.offers).toMatchObject({ declined: 0 });
  });
});

describe("lost races", () => {
  test("after three in a row the next offer is exclusive, and then optimistic again", () => {
    const made = Bench.open()
      .node("n", { cpu: 1 })
      .framework("f", { ...OFFERS, concurrency: "Optimistic" });
    made.asking("t", { cpu: 1 }, { instances: 9 });
    const kinds: string[] = [];
    for (let i = 0; i < 5; i++) {
      made.settle();
      const offer = made.openOffers()[0]!;
      kinds.push(offer.concurrency);
      made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "n", requests: { cpu: 1 } } });
      if (made.openOffers().length > 0) made.accept(offer, [{ task: "t", slice: "s0", count: 1 }]);
      made.apply({ type: "foreign-pod-gone", uid: "p" });
    }
    expect(kinds).toEqual(["Optimistic", "Optimistic", "Optimistic", "Exclusive", "Optimistic"]);
    expect(made.broker.clusterView().lostRaces).toBe(4);
  });

  test("someone wins each race", () => {
    const made = Bench.open().node("n", { cpu: 1 });
    for (const name of ["x", "y", "z"]) {
      made.framework(name, { ...OFFERS, concurrency: "Optimistic" }).asking(`t${name}`, { cpu: 1 }, { of: name });
    }
    made.settle();
    for (const name of ["x", "y", "z"]) {
      made.accept(made.openOffers(name)[0]!, [{ task: `t${name}`, slice: "s0", count: 1 }]);
    }
    expect(made.all("create-pod")).toHaveLength(1);
    const refused = made.all("close-offer").flatMap(({ launches }) => launches.map((launch) => launch.refused?.reason));
    expect(refused).toEqual([undefined, "lost-race", "lost-race"]);
  });
});

describe("an offer that the API server refuses", () => {
  test("is not made again at once, but after 1 s, 2 s, 4 s", () => {
    const made = Bench.open().node("n", { cpu: 1 }).framework("f", OFFERS).task("t");
    made.held.add("publish-offer");
    const madeAtMs: number[] = [];
    const startMs = made.nowMs;
    for (made.settle(); madeAtMs.length < 4; made.wait(1_000)) {
      const { length } = madeAtMs;
      for (const { offer } of made.all("publish-offer").slice(length)) {
        madeAtMs.push(made.nowMs - startMs);
        made.apply({ type: "offer-unpublished", key: offer.key, message: "quota" });
        expect(made.broker.explainTask("t-uid")).toMatchObject({ reason: "not-published" });
      }
    }
    expect(madeAtMs).toEqual([0, 1_000, 3_000, 7_000]);
  });

  test("while nothing may be published, nothing is offered", () => {
    const made = Bench.open().node("n", { cpu: 1 }).framework("f", OFFERS);
    made.apply({ type: "publishing", allowed: false });
    made.task("t").settle();
    expect(made.openOffers()).toEqual([]);
    made.apply({ type: "publishing", allowed: true });
    expect(made.settle().openOffers()).toHaveLength(1);
  });
});
