import { describe, expect, test } from "vitest";
import { Bench } from "./broker.test-support.ts";
import type { Launch, RaceRules } from "./messages.ts";

const VERSION = { conflict: "Version", transaction: "Incremental" } as const;
const WHOLE = { conflict: "ResourceFit", transaction: "AllOrNothing" } as const;
const racing = (optimistic?: RaceRules) =>
  ({ scheduler: "Offers", concurrency: "Optimistic", ...(optimistic && { optimistic }) }) as const;

const launch = (change: Partial<Launch> = {}): Launch => ({ task: "t", slice: "s0", count: 1, ...change });

/** `f` is shown 4 of the 10 CPUs of `n` and has not answered; `other` is there to get in its way. */
function shown(rules: RaceRules): Bench {
  const made = Bench.open().node("n", { cpu: 10 }).framework("f", racing(rules)).framework("other", racing());
  return made.asking("t", { cpu: 1 }, { instances: 4 }).settle();
}

function foreign(made: Bench, cpu: number, pinned = false): void {
  made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "n", requests: { cpu }, pinned } });
}

/** `other` launches one instance on `n`, through an optimistic offer of its own. */
function otherStarts(made: Bench): void {
  made.asking("to", { cpu: 1 }, { of: "other" }).settle();
  made.accept(made.openOffers("other")[0]!, [launch({ task: "to" })]);
  made.settle();
}

/** What becomes of `f`'s accept of all that it was shown. */
function answered(made: Bench) {
  made.accept(made.openOffers()[0]!, [launch({ count: 4 })]);
  const { phase, reason, launches } = made.last("close-offer")!;
  return { phase, reason, indexes: launches[0]!.indexes, refused: launches[0]!.refused };
}

describe("under Version, a slice is lost when others have claims on its node since it was shown", () => {
  test("though it fits: the loser is told what the node has now", () => {
    const made = shown(VERSION);
    otherStarts(made);
    expect(answered(made)).toEqual({
      phase: "Refused",
      reason: "lost-race",
      indexes: "",
      refused: {
        reason: "lost-race",
        message: "others have claims on node n since it was offered; it has free now: cpu 9m, pods 109",
      },
    });
    expect(made.claims("task")).toEqual(["n: 1"]);
    expect(made.broker.clusterView().lostRaces).toBe(1);
  });

  test("under ResourceFit, what fits wins", () => {
    const made = shown({ ...VERSION, conflict: "ResourceFit" });
    otherStarts(made);
    expect(answered(made)).toMatchObject({ phase: "Accepted", indexes: "0-3" });
  });

  const builtin = (made: Bench) => made.framework("b").asking("tb", { cpu: 1 }, { of: "b" }).settle();
  const exclusive = (made: Bench) =>
    made.framework("e", { scheduler: "Offers" }).asking("te", { cpu: 1 }, { of: "e" }).settle();

  test.each<{ name: string; first?: (made: Bench) => void; act: (made: Bench) => void }>([
    { name: "an instance that another's answer starts", act: otherStarts },
    { name: "an instance that the operator places", act: builtin },
    { name: "an exclusive offer to another", act: exclusive },
    { name: "a foreign pod", act: (made) => foreign(made, 1) },
    { name: "a DaemonSet's pod that is to come", act: (made) => foreign(made, 1, true) },
    {
      name: "a foreign pod that grows",
      first: (made) => foreign(made, 1),
      act: (made) => foreign(made, 2),
    },
    {
      name: "and what has ended again since is a claim all the same",
      act: (made) => {
        otherStarts(made);
        made.finish("to-0-0");
      },
    },
  ])("such is $name", ({ first, act }) => {
    const made = Bench.open().node("n", { cpu: 10 });
    first?.(made);
    made.framework("f", racing(VERSION)).framework("other", racing());
    made.asking("t", { cpu: 1 }, { instances: 4 }).settle();
    act(made);
    expect(answered(made)).toMatchObject({ phase: "Refused", reason: "lost-race" });
  });

  test.each<{ name: string; first?: (made: Bench) => void; act: (made: Bench) => void }>([
    {
      name: "heartbeats of its node, a hundred of them",
      act: (made) => {
        for (let beat = 0; beat < 100; beat++) made.node("n", { cpu: 10 });
      },
    },
    { name: "other labels", act: (made) => made.node("n", { cpu: 10 }, { labels: { zone: "a" } }) },
    { name: "a taint", act: (made) => made.node("n", { cpu: 10 }, { taints: [] }) },
    { name: "a larger node", act: (made) => made.node("n", { cpu: 12 }) },
    { name: "a smaller node", act: (made) => made.node("n", { cpu: 8 }) },
    {
      name: "claims on another node",
      act: (made) => {
        made.node("m", { cpu: 1 }, { labels: { zone: "m" } });
        const constraints = { nodeSelector: { zone: "m" } };
        made.framework("b").asking("tb", { cpu: 1 }, { of: "b", constraints }).settle();
        expect(made.claims("task")).toEqual(["m: 1"]);
      },
    },
    {
      name: "a release",
      first: (made) => {
        made.framework("b").asking("tb", { cpu: 1 }, { of: "b" }).settle();
      },
      act: (made) => {
        made.finish("tb-0-0");
      },
    },
    {
      name: "news of a pod that was there",
      first: (made) => {
        made.framework("b").asking("tb", { cpu: 1 }, { of: "b" }).settle();
      },
      act: (made) => {
        made.pod("tb-0-0", { phase: "Running", started: true });
      },
    },
    { name: "a foreign pod that was there", first: (made) => foreign(made, 2), act: (made) => foreign(made, 2) },
    { name: "one that shrinks", first: (made) => foreign(made, 2), act: (made) => foreign(made, 1) },
    {
      name: "one that ends",
      first: (made) => foreign(made, 2),
      act: (made) => {
        made.apply({ type: "foreign-pod-gone", uid: "p" });
      },
    },
    {
      name: "a DaemonSet's pod that is still to come",
      first: (made) => foreign(made, 1, true),
      act: (made) => foreign(made, 1, true),
    },
    {
      name: "and that then comes",
      first: (made) => foreign(made, 1, true),
      act: (made) => foreign(made, 1),
    },
    {
      name: "an exclusive offer that was there and is declined",
      first: (made) => {
        exclusive(made);
      },
      act: (made) => {
        made.decline(made.openOffers("e")[0]!, 60_000);
        made.settle();
      },
    },
    {
      name: "another's race that was lost as a whole",
      first: (made) => {
        made.framework("w", racing(WHOLE)).asking("tw", { cpu: 3 }, { of: "w", instances: 3 }).settle();
        made.node("n", { cpu: 8 });
      },
      act: (made) => {
        made.accept(made.openOffers("w")[0]!, [launch({ task: "tw", count: 3 })]);
        expect(made.last("close-offer")).toMatchObject({ phase: "Refused", reason: "lost-race" });
      },
    },
    {
      name: "a trial of what slack would make room for",
      first: (made) => {
        foreign(made, 4);
        made.framework("s", { scheduler: "Offers", slack: 2 }).asking("ts", { cpu: 1 }, { of: "s" }).settle();
      },
      act: (made) => {
        made.held.add("close-offer");
        made.framework("b").asking("tb", { cpu: 5 }, { of: "b" }).settle();
        expect(made.last("close-offer")).toMatchObject({ phase: "Rescinded", message: "others have real demand" });
      },
    },
  ])("not so $name", ({ first, act }) => {
    const made = Bench.open().node("n", { cpu: 10 }).node("m", { cpu: 0 });
    first?.(made);
    made.framework("f", racing(VERSION)).asking("t", { cpu: 1 }, { instances: 4 }).settle();
    act(made);
    expect(answered(made)).toMatchObject({ phase: "Accepted", indexes: "0-3" });
    expect(made.broker.frameworkView("ns/f")!.offers).toMatchObject({ accepted: 1, refused: 0, rescinded: 0 });
  });

  test("its own claims are no surprise to a framework: it may answer all its offers at once", () => {
    const made = Bench.open().node("n", { cpu: 10 }).framework("f", racing(VERSION));
    for (const name of ["t", "u", "v"]) made.asking(name, { cpu: 2 }).settle();
    const offers = made.openOffers();
    expect(offers).toHaveLength(3);
    for (const [i, task] of ["t", "u", "v"].entries()) made.accept(offers[i]!, [launch({ task })]);
    expect(made.all("close-offer").map(({ phase }) => phase)).toEqual(["Accepted", "Accepted", "Accepted"]);
    expect(made.broker.clusterView().lostRaces).toBe(0);
  });

  test("they do not make good what others did before them", () => {
    const made = Bench.open().node("n", { cpu: 10 }).framework("f", racing(VERSION)).framework("other", racing());
    made.asking("t", { cpu: 2 }).settle();
    otherStarts(made);
    made.asking("u", { cpu: 2 }).settle();
    const [older, younger] = made.openOffers();
    made.accept(younger!, [launch({ task: "u" })]);
    made.accept(older!, [launch()]);
    expect(made.all("close-offer").map(({ phase }) => phase)).toEqual(["Accepted", "Accepted", "Refused"]);
  });

  test("what others got in the round that drafted the offer was in what it showed", () => {
    const made = Bench.open().node("n", { cpu: 10 }).framework("f", racing(VERSION)).framework("z");
    made.asking("t", { cpu: 1 }, { instances: 4 }).asking("tz", { cpu: 1 }, { of: "z", instances: 4 }).settle();
    expect(made.claims("task")).toHaveLength(4);
    expect(answered(made)).toMatchObject({ phase: "Accepted", indexes: "0-3" });
  });

  test("a node that was gone and is back has been through who knows what", () => {
    const made = shown(VERSION);
    const [offer] = made.openOffers();
    made.held.add("close-offer");
    made.apply({ type: "node-gone", name: "n" });
    made.apply({ type: "framework-gone", key: "ns/other" });
    made.node("n", { cpu: 10 });
    made.accept(offer!, [launch({ count: 4 })]);
    expect(made.last("close-offer")).toMatchObject({ phase: "Refused", reason: "lost-race" });
  });

  test("the slices of other nodes are not lost with it", () => {
    const made = Bench.open().node("n", { cpu: 2 }).node("m", { cpu: 2 });
    made.framework("f", racing(VERSION)).asking("t", { cpu: 1 }, { instances: 4 }).settle();
    made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "m", requests: { memory: 1 } } });
    made.accept(made.openOffers()[0]!, [launch(), launch({ slice: "s1", count: 2 }), launch()]);
    expect(made.last("close-offer")).toMatchObject({
      phase: "Accepted",
      launches: [
        { slice: "s0", indexes: "0" },
        { slice: "s1", indexes: "", refused: { reason: "lost-race" } },
        { slice: "s0", indexes: "3" },
      ],
    });
  });
});

describe("all or nothing", () => {
  /** `f` is shown 2 of `n` and 4 of `m`; then a foreign pod leaves 3 of `m`. */
  function short(rules: RaceRules): Bench {
    const made = Bench.open().node("n", { cpu: 2 }).node("m", { cpu: 4 }).framework("f", racing(rules));
    made.asking("t", { cpu: 1 }, { instances: 6 }).settle();
    made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "m", requests: { cpu: 1 } } });
    return made;
  }
  const all = [launch({ count: 2 }), launch({ slice: "s1", count: 4 })];

  test("one launch that loses takes the others with it, and is named", () => {
    const made = short(WHOLE);
    made.accept(made.openOffers()[0]!, all);
    expect(made.last("close-offer")).toMatchObject({
      phase: "Refused",
      reason: "lost-race",
      message: "node m has free now: cpu 3m, pods 110",
      launches: [
        {
          slice: "s0",
          indexes: "",
          refused: { reason: "lost-race", message: "with t: node m has free now: cpu 3m, pods 110" },
        },
        {
          slice: "s1",
          indexes: "",
          refused: { reason: "lost-race", message: "node m has free now: cpu 3m, pods 110" },
        },
      ],
    });
    expect(made.all("create-pod")).toEqual([]);
    expect(made.claims("task")).toEqual([]);
    expect(made.broker.clusterView()).toMatchObject({ lostRaces: 2, inconsistencies: 0 });
  });

  test("incrementally, five of the six start", () => {
    const made = short({ ...WHOLE, transaction: "Incremental" });
    made.accept(made.openOffers()[0]!, all);
    expect(made.last("close-offer")).toMatchObject({
      phase: "Accepted",
      launches: [{ indexes: "0-1" }, { indexes: "2-4" }],
    });
  });

  test("what wins as a whole starts as a whole", () => {
    const made = short(WHOLE);
    made.accept(made.openOffers()[0]!, [launch({ count: 2 }), launch({ slice: "s1", count: 3 })]);
    expect(made.last("close-offer")).toMatchObject({
      phase: "Accepted",
      launches: [{ indexes: "0-1" }, { indexes: "2-4" }],
    });
    expect(made.all("create-pod")).toHaveLength(5);
  });

  test("under Version, one node that has changed is enough", () => {
    const made = short({ conflict: "Version", transaction: "AllOrNothing" });
    made.accept(made.openOffers()[0]!, [launch(), launch({ slice: "s1" })]);
    expect(made.last("close-offer")).toMatchObject({
      phase: "Refused",
      launches: [{ refused: { message: expect.stringContaining("with t: others have claims on node m") } }, {}],
    });
    expect(made.claims("task")).toEqual([]);
  });

  test.each([
    { name: "the queue's limit", change: { limit: { cpu: 5 } }, reason: "over-limit" },
    { name: "what is kept back for another's guarantee", change: {}, reason: "kept-back" },
  ])("it passes $name as a whole, or not at all", ({ change, reason }) => {
    const made = Bench.open()
      .queue("q", change)
      .queue("g", { guarantee: { cpu: 5 } })
      .node("n", { cpu: 10 });
    made.framework("f", { ...racing(WHOLE), queues: [{ name: "q", weight: 1 }] });
    made.framework("g", { ...racing(), queues: [{ name: "g", weight: 1 }] });
    made.framework("x", { ...racing(), queues: [{ name: "q", weight: 1 }] });
    made.asking("t", { cpu: 1 }, { instances: 4 }).asking("tx", { cpu: 1 }, { of: "x", instances: 2 }).settle();
    made.accept(made.openOffers("x")[0]!, [launch({ task: "tx", count: 2 })]);
    if (reason === "kept-back") made.asking("tg", { cpu: 1 }, { of: "g", instances: 5 }).settle();
    made.accept(made.openOffers()[0]!, [launch({ count: 3 }), launch()]);
    expect(made.last("close-offer")).toMatchObject({
      phase: "Refused",
      reason,
      launches: [{ refused: { reason, message: expect.stringMatching(/^with t: /) } }, { refused: { reason } }],
    });
    expect(made.claims("task")).toHaveLength(2);
  });

  test("it may use all of what is kept back for itself and all that is left besides", () => {
    const made = Bench.open()
      .queue("q", { guarantee: { cpu: 3 } })
      .queue("g", { guarantee: { cpu: 5 } })
      .node("n", { cpu: 10 });
    made.framework("f", { ...racing(WHOLE), queues: [{ name: "q", weight: 1 }] });
    made.framework("g", { ...racing(), queues: [{ name: "g", weight: 1 }] });
    made.asking("t", { cpu: 1 }, { instances: 5 }).asking("tg", { cpu: 1 }, { of: "g", instances: 5 }).settle();
    made.accept(made.openOffers()[0]!, [launch({ count: 5 })]);
    expect(made.last("close-offer")).toMatchObject({ phase: "Accepted", launches: [{ indexes: "0-4" }] });
  });
});
