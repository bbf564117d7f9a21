import { describe, expect, test } from "vitest";
import { Bench } from "../broker.test-support.ts";
import type { FrameworkFacts, Launch, OfferDraft } from "../messages.ts";

/** A framework that answers, and nodes of so many CPUs. */
function cluster(nodes: number, cpu: number, change: Partial<FrameworkFacts> = {}): Bench {
  const made = Bench.open().framework("f", { scheduler: "Offers", ...change });
  for (let n = 0; n < nodes; n++) made.node(`n${n}`, { cpu });
  return made;
}

const gang = (minimum: number) => ({ gang: { minimum } });
const why = (made: Bench, name = "t") => made.broker.explainTask(`${name}-uid`)!;
const placed = (made: Bench) => made.all("create-pod").length;
/** So many instances of the task on each slice as there is room for. */
const launches = (offer: OfferDraft, cpu: number, task = "t"): Launch[] =>
  offer.slices.map(({ name, resources }) => ({ task, slice: name, count: Math.floor((resources.cpu ?? 0) / cpu) }));

describe("an offer for instances that start together", () => {
  test("covers all of them with as many slices as it takes", () => {
    const made = cluster(3, 4)
      .asking("t", { cpu: 2 }, { instances: 5, ...gang(5) })
      .settle();
    const [offer, ...others] = made.openOffers();
    expect(others).toEqual([]);
    expect(offer?.slices.map(({ resources }) => resources.cpu)).toEqual([4, 4, 2]);
    made.accept(offer!, launches(offer!, 2));
    expect(placed(made)).toBe(5);
    expect(made.broker.taskView("t-uid")?.startedTogether).toBe(true);
  });

  test("is not made where not all fit", () => {
    const made = cluster(2, 4)
      .asking("t", { cpu: 2 }, { instances: 5, ...gang(5) })
      .settle();
    expect(made.openOffers()).toEqual([]);
    made.node("n2", { cpu: 2 }).settle();
    expect(made.openOffers().length).toBe(1);
  });

  test("is made once for the minimum, and the rest is offered after the start, without slack for either", () => {
    const made = cluster(3, 4, { slack: 2 })
      .asking("t", { cpu: 2 }, { instances: 4, ...gang(2) })
      .settle();
    const [offer] = made.openOffers();
    expect(made.openOffers().length).toBe(1);
    expect(offer?.slices.map(({ resources }) => resources.cpu)).toEqual([4]);
    made.accept(offer!, launches(offer!, 2));
    made.settle();
    expect(made.openOffers().length).toBeGreaterThan(0);
  });

  test("holds the framework's minimum in each slice, and passes its queue's limit with that", () => {
    const made = cluster(2, 4, { minimum: { cpu: 2 } }).queue("default", { limit: { cpu: 2 } });
    made.asking("t", { cpu: 1 }, { instances: 4, ...gang(4) }).settle();
    expect(made.openOffers()).toEqual([]);
    made.queue("default", { limit: { cpu: 5 } }).settle();
    expect(made.openOffers()).toEqual([]);
    made.queue("default", { limit: { cpu: 6 } }).settle();
    expect(made.openOffers()[0]?.slices.map(({ resources }) => resources.cpu)).toEqual([4, 2]);
  });

  test("covers a group of Tasks", () => {
    const made = cluster(2, 4);
    const group = { name: "g", size: 2 };
    made.asking("a", { cpu: 3 }, { group }).asking("b", { cpu: 1 }, { instances: 3, group }).settle();
    const [offer] = made.openOffers();
    expect(offer?.slices.map(({ resources }) => resources.cpu)).toEqual([4, 2]);
  });

  test("is made on the nodes with most room where the first ones are too many for it", () => {
    const made = cluster(70, 1)
      .node("large", { cpu: 20 })
      .asking("t", { cpu: 1 }, { instances: 80, ...gang(80) });
    made.settle();
    const [offer] = made.openOffers();
    expect(offer?.slices.length).toBe(61);
    expect(offer?.slices[0]?.node).toBe("large");
  });

  test("is not made for more nodes than it has slices, and that is said", () => {
    const made = cluster(70, 1)
      .asking("t", { cpu: 1 }, { instances: 65, ...gang(65) })
      .settle();
    expect(made.openOffers()).toEqual([]);
    expect(why(made)).toEqual({
      reason: "gang-too-wide",
      message:
        "gang of 65: 65 together, an offer has 64 slices and 64 fit on so many nodes; make it fewer and larger ones, or use a Builtin framework",
    });
    made.node("n0", { cpu: 2 }).settle();
    expect(made.openOffers().length).toBe(1);
  });

  test("is not made either where there is room enough on few nodes only when they are empty", () => {
    const made = cluster(70, 2);
    for (let n = 0; n < 70; n++) {
      made.apply({ type: "foreign-pod-observed", pod: { uid: `x${n}`, node: `n${n}`, requests: { cpu: 1 } } });
    }
    made.asking("t", { cpu: 1 }, { instances: 70, ...gang(70) }).settle();
    expect(made.openOffers()).toEqual([]);
    expect(why(made)).toEqual({
      reason: "gang-too-wide",
      message: "gang of 70: 64 of 70 fit now on the 64 nodes that an offer may name; on more there is room for more",
    });
    for (let n = 0; n < 6; n++) made.apply({ type: "foreign-pod-gone", uid: `x${n}` });
    made.settle();
    expect(made.openOffers().length).toBe(1);
  });
});

describe("an answer", () => {
  const whole = { instances: 4, ...gang(4) };

  test("that starts a part of what starts together is refused, and nothing of it starts", () => {
    const made = cluster(2, 4).asking("t", { cpu: 2 }, whole).settle();
    const [offer] = made.openOffers();
    const effects = made.accept(offer!, launches(offer!, 2).slice(0, 1));
    expect(effects).toContainEqual(
      expect.objectContaining({
        type: "close-offer",
        phase: "Refused",
        reason: "gang-incomplete",
        message: "gang of 4: 4 of task t start together, the answer starts 2: launch all of them, or decline",
      }),
    );
    expect(placed(made)).toBe(0);
    made.settle();
    expect(made.openOffers().length).toBe(1);
  });

  test("that starts one Task of a group without the others is refused", () => {
    const made = cluster(2, 4);
    const group = { name: "g", size: 2 };
    made.asking("a", { cpu: 3 }, { group }).asking("b", { cpu: 1 }, { instances: 3, group }).settle();
    const [offer] = made.openOffers();
    const effects = made.accept(offer!, [{ task: "a", slice: offer!.slices[0]!.name, count: 1 }]);
    expect(effects).toContainEqual(expect.objectContaining({ type: "close-offer", reason: "gang-incomplete" }));
    expect(placed(made)).toBe(0);
  });

  test("that starts all of one Task of a group and less of another is refused, and says for which", () => {
    const made = cluster(1, 8).asking("many", { cpu: 1 }, { instances: 8 }).settle();
    const offer = made.openOffers()[0]!;
    const group = { name: "g", size: 2 };
    made.asking("a", { cpu: 1 }, { group }).asking("b", { cpu: 1 }, { instances: 3, group });
    const slice = offer.slices[0]!.name;
    const launches = [
      { task: "many", slice, count: 1 },
      { task: "a", slice, count: 1 },
      { task: "b", slice, count: 2 },
    ];
    made.accept(offer, launches);
    expect(made.last("close-offer")).toMatchObject({
      phase: "Refused",
      reason: "gang-incomplete",
      message: "group g of 2 tasks: 3 of task b start together, the answer starts 2: launch all of them, or decline",
    });
    // The first was nothing to object to.
    const refused = made.last("close-offer")!.launches.map((launch) => launch.refused!.message.startsWith("with a: "));
    expect(refused).toEqual([true, false, true]);
    expect(placed(made)).toBe(0);
  });

  test("may start others besides", () => {
    const made = cluster(1, 8).asking("many", { cpu: 1 }, { instances: 8 }).settle();
    const [offer] = made.openOffers();
    made.asking("t", { cpu: 1 }, whole);
    const slice = offer!.slices[0]!.name;
    made.accept(offer!, [
      { task: "many", slice, count: 3 },
      { task: "t", slice, count: 4 },
    ]);
    expect(placed(made)).toBe(7);
  });

  test("that comes when some of it may not start any more is refused, and says so", () => {
    const made = cluster(2, 4).asking("t", { cpu: 2 }, whole).settle();
    const [offer] = made.openOffers();
    made.asking("t", { cpu: 2 }, { ...whole, parallelism: 3 });
    made.accept(offer!, [{ task: "t", slice: offer!.slices[0]!.name, count: 2 }]);
    expect(made.last("close-offer")).toMatchObject({
      phase: "Refused",
      reason: "gang-incomplete",
      message: "gang of 4: not all of it may start now",
    });
    expect(placed(made)).toBe(0);
  });

  test("may start what starts together from an offer that was made for others", () => {
    const made = cluster(1, 8).asking("single", { cpu: 2 }, { instances: 4 }).settle();
    const [offer] = made.openOffers();
    made.asking("t", { cpu: 2 }, whole);
    made.accept(offer!, [{ task: "t", slice: offer!.slices[0]!.name, count: 4 }]);
    expect(placed(made)).toBe(4);
  });

  test("may not start what its group is not complete for", () => {
    const made = cluster(1, 8).asking("single", { cpu: 2 }, { instances: 4 }).settle();
    const [offer] = made.openOffers();
    made.asking("t", { cpu: 2 }, { instances: 2, group: { name: "g", size: 2 } });
    const effects = made.accept(offer!, [{ task: "t", slice: offer!.slices[0]!.name, count: 2 }]);
    expect(effects).toContainEqual(expect.objectContaining({ type: "close-offer", reason: "gang-incomplete" }));
  });

  test("starts singly what is tried again after the start", () => {
    const made = cluster(2, 4);
    const retry = { limit: 1, backoffMs: 0, maxBackoffMs: 0, onNodeLost: "Retry" } as const;
    made.asking("t", { cpu: 2 }, { ...whole, retry }).settle();
    const [offer] = made.openOffers();
    made.accept(offer!, launches(offer!, 2));
    made.pod("t-1-0", { phase: "Failed", started: true, exitCode: 1 });
    made.wait(10);
    const [again] = made.openOffers();
    made.accept(again!, launches(again!, 2));
    expect(made.pods.has("t-1-1")).toBe(true);
  });
});

describe("an optimistic framework", () => {
  const optimistic = (transaction: "Incremental" | "AllOrNothing") =>
    cluster(2, 4, { concurrency: "Optimistic", optimistic: { conflict: "ResourceFit", transaction } });

  test.each(["Incremental", "AllOrNothing"] as const)(
    "starts all of what starts together or, when somebody was faster, nothing (%s)",
    (transaction) => {
      const made = optimistic(transaction)
        .asking("t", { cpu: 2 }, { instances: 4, ...gang(4) })
        .settle();
      const offer = made.openOffers()[0]!;
      made.framework("fast").asking("faster", { cpu: 1 }, { of: "fast" }).settle();
      made.accept(offer, launches(offer, 2));
      expect(made.all("create-pod").filter(({ attempt }) => attempt.taskUid === "t-uid")).toEqual([]);
      expect(
        made
          .all("close-offer")
          .at(-1)
          ?.launches.map(({ refused }) => refused?.reason),
      ).toEqual(["lost-race", "lost-race"]);
      // What it had taken meanwhile is free again.
      expect(made.broker.clusterView().free.cpu).toBe(7);
    },
  );

  test("loses only what starts together, where one of that is lost, and no other", () => {
    const made = optimistic("Incremental");
    made.asking("many", { cpu: 1 }, { instances: 8 }).settle();
    const offer = made.openOffers()[0]!;
    const [first, second] = offer.slices;
    for (const name of ["one", "two"]) made.asking(name, { cpu: 1 }, { instances: 2, ...gang(2) });
    made.framework("fast").asking("faster", { cpu: 3 }, { of: "fast" }).settle();
    made.accept(offer, [
      { task: "many", slice: first!.name, count: 1 },
      { task: "one", slice: second!.name, count: 2 },
      { task: "two", slice: second!.name, count: 1 },
      { task: "two", slice: first!.name, count: 1 },
    ]);
    const starts = made.all("create-pod").map(({ attempt }) => attempt.taskUid);
    expect(starts.filter((uid) => uid !== "faster-uid").sort()).toEqual(["many-uid", "one-uid", "one-uid"]);
  });

  test("gets an exclusive offer for all of it after three lost races", () => {
    const made = optimistic("Incremental").framework("fast");
    made.asking("t", { cpu: 2 }, { instances: 4, ...gang(4) }).settle();
    for (let race = 0; race < 3; race++) {
      const [offer] = made.openOffers();
      made.asking(`faster-${race}`, { cpu: 1 }, { of: "fast" }).settle();
      made.accept(offer!, launches(offer!, 2));
      made.finish(`faster-${race}-0-0`);
      made.settle();
    }
    const [offer] = made.openOffers();
    expect(offer?.concurrency).toBe("Exclusive");
    made.accept(offer!, launches(offer!, 2));
    expect(made.broker.taskView("t-uid")?.startedTogether).toBe(true);
  });
});

test("what is offered to a gang ends its wait: turned down, it waits anew before room is held for it", () => {
  const made = Bench.open({ holdAfterMs: 60_000 }).framework("f", { scheduler: "Offers" }).framework("small");
  made.node("n", { cpu: 4 }).asking("first", { cpu: 4 }, { of: "small" }).settle();
  made.asking("t", { cpu: 2 }, { instances: 2, ...gang(2) }).settle();
  made.wait(50_000);
  made.finish("first-0-0");
  made.settle();
  const [offer] = made.openOffers();
  made.asking("next", { cpu: 3 }, { of: "small" });
  made.decline(offer!, 1_000);
  made.settle();
  const held = () => [...made.broker.claims()].filter(({ kind }) => kind === "hold").length;
  expect(made.claims("task")).toEqual(["n: 3"]);
  made.wait(30_000);
  expect(held()).toBe(0);
  made.wait(40_000);
  expect(held()).toBeGreaterThan(0);
});
