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
});
