import { describe, expect, test } from "vitest";
import { Clockwork } from "./clockwork.test-support.ts";

// The cases that Mesos left unsolved, each with what a naive allocator would give: the same world, run without the rule.

const OFFERS = { scheduler: "Offers" } as const;
const MINUTES = 60_000;

/** Runs the world for so long. */
function pass(world: Clockwork, ms: number): void {
  world.run(ms, () => false);
}

describe("a decliner", () => {
  /** One node for one task at a time. `a-picky` declines after 100 ms, `worker` runs tasks of 1 s. Both hold nothing: `a-` is first. */
  function world(refuseMs: number): Clockwork {
    const made = Clockwork.open().node("n", { cpu: 4 }) as Clockwork;
    made.behaves("a-picky", { thinkMs: 100, runMs: 1_000, answers: "decline", refuseMs });
    made.behaves("worker", { thinkMs: 10, runMs: 1_000 });
    for (const of of ["a-picky", "worker"])
      made.framework(of, OFFERS).asking(`t-${of}`, { cpu: 4 }, { of, instances: 9_999 });
    return made;
  }

  // Naive: whoever declines has the least share and is asked again, at once and for ever. The worker runs 0 tasks.
  test("that refuses for no time delays another's first task by three of its thoughts, and takes 2 % of ten minutes", () => {
    const made = world(0);
    expect(made.run(MINUTES, () => made.claims("task").length > 0)).toBeLessThanOrEqual(3 * 100 + 10 + 50);
    pass(made, 10 * MINUTES);
    expect(made.finished("worker")).toBeGreaterThan(585);
  });

  // Naive: the same, but for its filter of 5 s. The worker runs 582 tasks.
  test("is still asked from time to time, for it may want what is offered then", () => {
    const made = world(5_000);
    pass(made, 10 * MINUTES);
    const { declined } = made.broker.frameworkView("ns/a-picky")!.offers;
    expect(declined).toBeGreaterThan(5);
    expect(made.finished("worker")).toBeGreaterThan(585);
  });
});

describe("a hoarder of offers", () => {
  /** 16 nodes for one task each. `a-hoarder` was first and never answers; `worker` comes a second later with tasks of 10 s. */
  function world(): Clockwork {
    const made = Clockwork.open().framework("a-hoarder", OFFERS) as Clockwork;
    for (let n = 10; n < 26; n++) made.node(`n${n}`, { cpu: 1 });
    made.behaves("a-hoarder", { thinkMs: 0, runMs: 0, answers: "ignore" });
    made.behaves("worker", { thinkMs: 10, runMs: 10_000 });
    return made;
  }
  const worker = (made: Clockwork) =>
    made.framework("worker", OFFERS).asking("t-worker", { cpu: 1 }, { of: "worker", instances: 9_999 });

  // Naive: its offers expire and are made again, half of the cluster stands idle for ever. The worker has 8 nodes.
  test("with 16 offers loses them all at their first end, and holds next to nothing from then on", () => {
    const made = world();
    for (let i = 0; i < 16; i++) {
      made.asking(`h${i}`, { cpu: 1 }, { of: "a-hoarder" });
      pass(made, 60);
    }
    expect(made.openOffers("a-hoarder")).toHaveLength(16);
    worker(made);
    pass(made, 31_000);
    expect(made.claims("task")).toHaveLength(16);
    const before = made.finished("worker");
    pass(made, 10 * MINUTES);
    // Of 960 that 16 nodes could run in ten minutes.
    expect(made.finished("worker") - before).toBeGreaterThan(920);
  });

  // Naive: as one expires another is made, 16 are open for ever.
  test("with an offer every 2 s holds 14 when the first expires, none is made until one is left, and that is all it ever has", () => {
    const made = world();
    const held: number[] = [];
    for (let i = 0; i < 90; i++) {
      made.asking(`h${i}`, { cpu: 1 }, { of: "a-hoarder" });
      pass(made, 2_000);
      held.push(made.openOffers("a-hoarder").length);
    }
    expect(Math.max(...held)).toBe(14);
    expect(held.slice(14, 28)).toEqual([14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    expect(Math.max(...held.slice(28))).toBe(1);
  });
});

describe("freed room", () => {
  // Naive: it waits for the next cycle, once a second. The hundred take 100 s.
  test("is given away at once: a hundred tasks of 130 ms, one after the other on one CPU, take 13 s", () => {
    const made = Clockwork.open().node("n", { cpu: 1 }).framework("b") as Clockwork;
    made.behaves("b", { thinkMs: 0, runMs: 130 }).asking("t-b", { cpu: 1 }, { of: "b", instances: 100 });
    expect(made.run(10 * MINUTES, () => made.finished("b") === 100)).toBe(100 * 130);
  });

  // Naive: what an answer leaves over waits for the next cycle, up to 1 s.
  test("by an answer is another's in the same millisecond: of 4 CPUs offered it uses 1, and the other is offered 3", () => {
    const made = Clockwork.open().node("n", { cpu: 4 }) as Clockwork;
    for (const name of ["first", "second"]) made.framework(name, OFFERS);
    made.asking("t-first", { cpu: 1 }, { of: "first", instances: 4 });
    pass(made, 1_000);
    made.asking("t-second", { cpu: 1 }, { of: "second", instances: 4 });
    pass(made, 1_000);
    expect(made.openOffers("second")).toEqual([]);
    made.task("t-first", { of: "first", instances: 4, kill: { indexes: "1-3" } });
    made.accept(made.openOffers("first")[0]!, [{ task: "t-first", slice: "s0", count: 1 }]);
    pass(made, 0);
    expect(made.openOffers("second").map(({ slices }) => slices.map(({ resources }) => resources.cpu))).toEqual([[3]]);
  });
});

describe("a guarantee", () => {
  function world(guarantee: Record<string, number>): Clockwork {
    const made = Clockwork.open().queue("a", { guarantee }).queue("b") as Clockwork;
    for (const name of ["a", "b"]) {
      made.framework(name, { queues: [{ name, weight: 1 }] }).behaves(name, { thinkMs: 0, runMs: 10_000 });
    }
    return made;
  }
  const running = (made: Clockwork, queue: string) => made.broker.queueView(queue)!.allocated.cpu ?? 0;

  // Naive: 50 of 100 CPUs are laid away for whoever may come.
  test("that nobody asks for strands nothing, and is there for its owner as soon as what borrowed it ends", () => {
    const made = world({ cpu: 50 }).node("n", { cpu: 100, pods: 1_000 }) as Clockwork;
    made.asking("t-b", { cpu: 1 }, { of: "b", instances: 9_999 });
    pass(made, 1_000);
    expect(running(made, "b")).toBe(100);
    made.asking("t-a", { cpu: 1 }, { of: "a", instances: 9_999 });
    pass(made, 10_000);
    expect([running(made, "a"), running(made, "b")]).toEqual([50, 50]);
  });

  // Naive: 8 CPUs and 38 GB are laid away for ever, in memory that a's tasks never ask for. Of b's tasks, 3 run.
  test("in shapes that its owner does not ask for strands nothing: of 50 GB, 2 are in use and b's 16 tasks get 48", () => {
    const made = world({ cpu: 10, memory: 40 }).node("n", { cpu: 20, memory: 50 }) as Clockwork;
    made.asking("t-a", { cpu: 1, memory: 1 }, { of: "a", instances: 2 });
    made.asking("t-b", { cpu: 1, memory: 3 }, { of: "b", instances: 99 });
    pass(made, 1_000);
    expect([running(made, "a"), running(made, "b")]).toEqual([2, 16]);
  });

  // Naive: each keeps 2 of the 2 CPUs from the other, and neither starts.
  test("for each of two strands nothing, though there is less than both", () => {
    const made = world({ cpu: 2 })
      .queue("b", { guarantee: { cpu: 2 } })
      .node("n", { cpu: 2 }) as Clockwork;
    for (const of of ["a", "b"]) made.asking(`t-${of}`, { cpu: 1 }, { of, instances: 2 });
    pass(made, 1_000);
    expect([running(made, "a"), running(made, "b")]).toEqual([1, 1]);
  });
});
