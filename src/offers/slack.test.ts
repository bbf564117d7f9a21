import { describe, expect, test } from "vitest";
import { Bench } from "./broker.test-support.ts";

/** `a` and `b` answer offers; `a` is offered twice what it asks for. */
function bench(): Bench {
  const offers = { scheduler: "Offers" } as const;
  return Bench.open()
    .framework("a", { ...offers, slack: 2 })
    .framework("b", offers);
}

const sizes = (made: Bench, framework: string) =>
  made.openOffers(framework).map(({ slices }) => slices.reduce((sum, { resources }) => sum + (resources.cpu ?? 0), 0));

describe("slack", () => {
  test("in one round, what is left after everyone's demand goes to slack: 2 of 10 and 8 of 10, not 4 and 6", () => {
    const made = bench().node("n", { cpu: 10 }).asking("ta", { cpu: 1 }, { of: "a", instances: 2 });
    made.asking("tb", { cpu: 1 }, { of: "b", instances: 8 }).settle();
    expect(sizes(made, "a")).toEqual([2]);
    expect(sizes(made, "b")).toEqual([8]);
  });

  test("another's real demand takes it back, and is served by it", () => {
    const made = bench().node("n", { cpu: 4 }).asking("ta", { cpu: 1 }, { of: "a", instances: 2 }).settle();
    expect(sizes(made, "a")).toEqual([2, 2]);
    made.asking("tb", { cpu: 2 }, { of: "b" }).settle();
    expect(sizes(made, "a")).toEqual([2]);
    expect(sizes(made, "b")).toEqual([2]);
  });

  test.each([
    { name: "that fits on no node even without it", requests: { cpu: 5 }, change: {} },
    {
      name: "that may not run there",
      requests: { cpu: 1 },
      change: { constraints: { nodeSelector: { disk: "ssd" } } },
    },
    { name: "that its queue's limit forbids", requests: { cpu: 1, memory: 9 }, change: { queue: "tight" } },
  ])("is not taken back for a demand $name", ({ requests, change }) => {
    const made = bench()
      .queue("tight", { limit: { memory: 8 } })
      .node("n", { cpu: 4, memory: 20 });
    made.framework("b", {
      scheduler: "Offers",
      queues: [
        { name: "default", weight: 1 },
        { name: "tight", weight: 1 },
      ],
    });
    made.asking("ta", { cpu: 1 }, { of: "a", instances: 2 }).settle();
    made.asking("tb", requests, { of: "b", ...change }).settle();
    expect(sizes(made, "a")).toEqual([2, 2]);
    expect(made.broker.recheck(made.nowMs).filter(({ type }) => !type.endsWith("-changed"))).toEqual([]);
  });

  test("within a limit that it uses up, it makes room for others' demand", () => {
    const made = bench()
      .queue("default", { limit: { cpu: 4 } })
      .node("n", { cpu: 10 });
    made.asking("ta", { cpu: 1 }, { of: "a", instances: 2 }).settle();
    expect(sizes(made, "a")).toEqual([2, 2]);
    made.asking("tb", { cpu: 1 }, { of: "b", instances: 2 }).settle();
    expect(sizes(made, "a")).toEqual([2]);
    expect(sizes(made, "b")).toEqual([2]);
  });

  test("no more of it goes than the demand needs", () => {
    const made = bench();
    for (const name of ["n1", "n2", "n3"]) made.node(name, { cpu: 2 });
    made.asking("ta", { cpu: 2 }, { of: "a" }).settle();
    made.asking("tb", { cpu: 1 }, { of: "b" }).settle();
    expect(sizes(made, "a")).toEqual([2, 2]);
    made.asking("tc", { cpu: 2 }, { of: "b" }).settle();
    expect(sizes(made, "a")).toEqual([2]);
    expect(sizes(made, "b").sort()).toEqual([1, 2]);
  });

  test("while it is on its way back, no more of it is given out", () => {
    const made = bench().node("n", { cpu: 4 }).asking("ta", { cpu: 1 }, { of: "a", instances: 2 }).settle();
    made.held.add("close-offer");
    made.asking("tb", { cpu: 2 }, { of: "b" }).settle();
    const { length } = made.effects;
    made.node("m", { cpu: 1 }).settle();
    expect(made.all("publish-offer", length)).toEqual([]);
    expect(made.all("close-offer")).toHaveLength(1);
  });

  test("a framework that may hold no more offers takes nothing back", () => {
    const made = bench().framework("b", { scheduler: "Offers", maxOutstanding: 1 }).node("n", { cpu: 4 });
    made.asking("tb", { cpu: 1 }, { of: "b" }).settle();
    made.asking("ta", { cpu: 1 }, { of: "a" }).settle();
    expect(sizes(made, "a")).toEqual([1, 1]);
    made.asking("td", { cpu: 2 }, { of: "b" }).settle();
    expect(sizes(made, "a")).toEqual([1, 1]);
  });

  test("is taken back for each instance of a demand that it can serve, and for no more", () => {
    const made = bench().node("n", { cpu: 9 }).asking("ta", { cpu: 1 }, { of: "a", instances: 3 }).settle();
    expect(sizes(made, "a")).toEqual([3, 3]);
    // 3 are free: one of the three fits there, the other two where the slack was.
    made.asking("tb", { cpu: 2 }, { of: "b", instances: 3 }).settle();
    expect(sizes(made, "a")).toEqual([3]);
    expect(sizes(made, "b").reduce((sum, cpu) => sum + cpu, 0)).toBe(6);
  });

  test("of a demand that is spread goes one by one: the next may have to go elsewhere", () => {
    const made = bench();
    for (const zone of ["x", "y"]) made.node(zone, { cpu: 2 }, { labels: { zone } });
    made.asking("ta", { cpu: 1 }, { of: "a", instances: 2 }).settle();
    expect(sizes(made, "a")).toEqual([2, 2]);
    const spread = [{ topologyKey: "zone", maxSkew: 1, over: "Task" as const }];
    made.asking("tb", { cpu: 1 }, { of: "b", instances: 2, constraints: { spread } }).settle();
    // One zone is a's for good; in the other b is one ahead, and what it cannot use there is slack again.
    expect(sizes(made, "a")).toEqual([2, 1]);
    expect(sizes(made, "b")).toEqual([1]);
  });

  test("of a demand with a minimum is taken back for the whole slice", () => {
    const made = bench().framework("b", { scheduler: "Offers", minimum: { cpu: 3 } });
    made.node("n", { cpu: 4 }).asking("ta", { cpu: 1 }, { of: "a", instances: 1 }).settle();
    expect(sizes(made, "a")).toEqual([1, 1]);
    made.asking("tb", { cpu: 1 }, { of: "b", instances: 1 }).settle();
    expect(sizes(made, "a")).toEqual([1]);
    expect(sizes(made, "b")).toEqual([3]);
  });

  test("that is on its way back and is answered after all is forgotten: it may be given out again", () => {
    const made = bench().node("n", { cpu: 4 }).asking("ta", { cpu: 1 }, { of: "a", instances: 2 }).settle();
    made.held.add("close-offer");
    made.asking("tb", { cpu: 2 }, { of: "b" }).settle();
    const { key } = made.last("close-offer")!;
    const rescinded = made.offers.get(key)!;
    made.accept(rescinded, [{ task: "ta", slice: "s0", count: 2 }]);
    made.apply({ type: "offer-closed", key });
    made.offers.delete(key);
    made.held.clear();
    expect(made.claims("task")).toEqual(["n: 1", "n: 1"]);
    // All that a wants has its place: now its first offer is the one that nobody wants, and goes for b's demand.
    made.settle();
    expect(made.all("close-offer").filter(({ phase }) => phase === "Rescinded")).toHaveLength(2);
    expect([sizes(made, "a"), sizes(made, "b")]).toEqual([[], [2]]);
  });

  test("where both are optimistic nothing has to give way", () => {
    const made = bench();
    for (const name of ["a", "b"]) {
      made.framework(name, { scheduler: "Offers", concurrency: "Optimistic", slack: name === "a" ? 2 : 1 });
    }
    made.node("n", { cpu: 4 }).asking("ta", { cpu: 1 }, { of: "a", instances: 2 }).settle();
    made.asking("tb", { cpu: 2 }, { of: "b" }).settle();
    expect(sizes(made, "b")).toEqual([2]);
    expect(made.all("close-offer")).toEqual([]);
  });
});

describe("an offer whose demand has gone", () => {
  /** The node is full of what is offered to `a` for two Tasks, and `b` wants half of it. */
  function gone(...tasks: readonly string[]): Bench {
    const made = Bench.open().framework("a", { scheduler: "Offers" }).framework("b", { scheduler: "Offers" });
    made.node("n", { cpu: 4 });
    made.asking("ta", { cpu: 2 }, { of: "a" }).settle();
    made.asking("tc", { cpu: 2 }, { of: "a" }).settle();
    made.asking("tb", { cpu: 2 }, { of: "b" }).settle();
    expect([sizes(made, "a"), sizes(made, "b")]).toEqual([[2, 2], []]);
    for (const task of tasks) made.apply({ type: "task-gone", uid: `${task}-uid` });
    return made.settle();
  }

  test("goes as soon as another has demand that it would serve", () => {
    const made = gone("ta");
    expect([sizes(made, "a"), sizes(made, "b")]).toEqual([[2], [2]]);
  });

  test("goes only as far as it is needed", () => {
    const made = gone("ta", "tc");
    expect([sizes(made, "a"), sizes(made, "b")]).toEqual([[2], [2]]);
  });

  test("stays where nobody else wants it, and can still be answered for what comes", () => {
    const made = Bench.open().framework("a", { scheduler: "Offers" }).node("n", { cpu: 4 });
    made.asking("ta", { cpu: 2 }, { of: "a" }).settle();
    made.apply({ type: "task-gone", uid: "ta-uid" });
    made.settle();
    expect(sizes(made, "a")).toEqual([2]);
    made.asking("td", { cpu: 2 }, { of: "a" }).settle();
    expect(sizes(made, "a")).toEqual([2]);
  });

  test("stays where as much of it is wanted again", () => {
    const made = Bench.open().framework("a", { scheduler: "Offers" }).framework("b", { scheduler: "Offers" });
    made.node("n", { cpu: 2 }).asking("ta", { cpu: 2 }, { of: "a" }).settle();
    made.apply({ type: "task-gone", uid: "ta-uid" });
    made.asking("tc", { cpu: 2 }, { of: "a" }).asking("tb", { cpu: 2 }, { of: "b" }).settle();
    expect([sizes(made, "a"), sizes(made, "b")]).toEqual([[2], []]);
  });

  test("goes when a program asks for less than before", () => {
    const made = Bench.open().framework("b", { scheduler: "Offers" }).node("n", { cpu: 4 });
    const wishing = (instances: number) =>
      made.framework("a", { scheduler: "Offers", demand: [{ instances, resources: { cpu: 2 } }] }).settle();
    wishing(1);
    wishing(2);
    made.asking("tb", { cpu: 2 }, { of: "b" }).settle();
    expect([sizes(made, "a"), sizes(made, "b")]).toEqual([[2, 2], []]);
    wishing(1);
    expect([sizes(made, "a"), sizes(made, "b")]).toEqual([[2], [2]]);
  });

  test("that is slack besides counts once: what is wanted stays", () => {
    const made = bench().node("n", { cpu: 8 }).asking("ta", { cpu: 2 }, { of: "a", instances: 2 }).settle();
    expect(sizes(made, "a")).toEqual([4, 4]);
    made.asking("ta", { cpu: 2 }, { of: "a", instances: 1 }).settle();
    made.asking("tb", { cpu: 2 }, { of: "b", instances: 4 }).settle();
    expect([sizes(made, "a"), sizes(made, "b")]).toEqual([[4], [4]]);
  });
});
