import { describe, expect, test } from "vitest";
import { Bench } from "../broker.test-support.ts";

const created = (made: Bench, queue: string) =>
  made.all("create-pod").filter((effect) => effect.queue === queue).length;

/** Queues and, in each, a Builtin framework of the same name. */
function bench(queues: Record<string, Parameters<Bench["queue"]>[1]>): Bench {
  const made = Bench.open();
  for (const [name, change] of Object.entries(queues)) {
    made.queue(name, change).framework(name, { queues: [{ name, weight: 1 }] });
  }
  return made;
}

describe("room", () => {
  test("two queues that each keep 2 of 2 free: neither waits for the other", () => {
    const made = bench({ a: { guarantee: { cpu: 2 } }, b: { guarantee: { cpu: 2 } } }).node("n", { cpu: 2 });
    made.asking("ta", { cpu: 1 }, { of: "a", instances: 2 }).asking("tb", { cpu: 1 }, { of: "b", instances: 2 });
    made.settle();
    expect([created(made, "a"), created(made, "b")]).toEqual([1, 1]);
  });

  test("what is kept back is whole instances: of a guarantee of 10 CPU and 40 memory, 10 and 10 for tasks of 1 and 1", () => {
    const made = bench({ a: { guarantee: { cpu: 10, memory: 40 } }, b: {} });
    made.node("x", { cpu: 50, memory: 50 }, { labels: { zone: "x" } }).node("y", { cpu: 20, memory: 45 });
    made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "x", requests: { cpu: 50, memory: 50 } } });
    const constraints = { nodeSelector: { zone: "x" } };
    made.asking("ta", { cpu: 1, memory: 1 }, { of: "a", instances: 40, constraints });
    made.asking("tb", { cpu: 1, memory: 3 }, { of: "b", instances: 15 }).settle();
    expect([created(made, "a"), created(made, "b")]).toEqual([0, 10]);
  });

  test("a guarantee is not lost to others while its owner thinks about an optimistic offer", () => {
    const made = Bench.open()
      .queue("a", { guarantee: { cpu: 4 } })
      .queue("b")
      .node("n", { cpu: 6 });
    made.framework("a", { queues: [{ name: "a", weight: 1 }], scheduler: "Offers", concurrency: "Optimistic" });
    made.framework("b", { queues: [{ name: "b", weight: 1 }] });
    made.asking("ta", { cpu: 1 }, { of: "a", instances: 4 }).settle();
    made.asking("tb", { cpu: 1 }, { of: "b", instances: 6 }).settle();
    expect(created(made, "b")).toBe(2);
    made.accept(made.openOffers("a")[0]!, [{ task: "ta", slice: "s0", count: 4 }]);
    expect(created(made, "a")).toBe(4);
  });

  test("of an optimistic limit of 10, two frameworks are shown 10 each, and take 10 in all", () => {
    const made = Bench.open()
      .queue("q", { limit: { cpu: 10 } })
      .node("n1", { cpu: 10 })
      .node("n2", { cpu: 10 });
    for (const name of ["x", "y"]) {
      made.framework(name, { queues: [{ name: "q", weight: 1 }], scheduler: "Offers", concurrency: "Optimistic" });
      made.asking(`t${name}`, { cpu: 1 }, { of: name, instances: 20 });
    }
    made.settle();
    for (const name of ["x", "y"]) {
      expect(made.openOffers(name).flatMap(({ slices }) => slices.map(({ resources }) => resources.cpu))).toEqual([10]);
    }
    for (const name of ["x", "y"]) {
      made.accept(made.openOffers(name)[0]!, [{ task: `t${name}`, slice: "s0", count: 10 }]);
    }
    expect(created(made, "q")).toBe(10);
    expect(made.last("close-offer")).toMatchObject({ launches: [{ indexes: "", refused: { reason: "over-limit" } }] });
  });

  test.each([
    { name: "its own limit", top: {}, mine: { limit: { cpu: 3 } }, got: 3 },
    { name: "a limit above it", top: { limit: { cpu: 2 } }, mine: { limit: { cpu: 3 } }, got: 2 },
    { name: "one resource's limit", top: {}, mine: { limit: { memory: 8 } }, got: 4 },
    { name: "a limit of nothing", top: {}, mine: { limit: { cpu: 0 } }, got: 0 },
    { name: "a limit on what it does not ask for", top: {}, mine: { limit: { "example.com/gpu": 0 } }, got: 9 },
  ])("a queue gets no more than $name", ({ top, mine, got }) => {
    const made = bench({ top, mine: { parent: "top", ...mine } }).node("n", { cpu: 9, memory: 99 });
    made.asking("t", { cpu: 1, memory: 2 }, { of: "mine", instances: 20 }).settle();
    expect(created(made, "mine")).toBe(got);
  });

  test("a limit that is lowered takes nothing away and gives nothing more until it is met again", () => {
    const made = bench({ q: { limit: { cpu: 5 } } }).node("n", { cpu: 9 });
    made.asking("t", { cpu: 1 }, { of: "q", instances: 9 }).settle();
    made.queue("q", { limit: { cpu: 2 } }).settle();
    expect(made.claims("task")).toHaveLength(5);
    for (const index of [0, 1, 2, 3]) made.finish(`t-${index}-0`);
    made.settle();
    expect(made.claims("task")).toHaveLength(2);
  });

  test("a guarantee of a child is one of its parent's, unless that says otherwise", () => {
    const made = bench({ top: {}, child: { parent: "top", guarantee: { cpu: 3 } }, other: {} }).node("n", { cpu: 4 });
    made.framework("f", { queues: [{ name: "child", weight: 1 }], scheduler: "Offers", concurrency: "Optimistic" });
    made.asking("tc", { cpu: 1 }, { of: "f", instances: 3 }).settle();
    made.asking("to", { cpu: 1 }, { of: "other", instances: 4 }).settle();
    expect(created(made, "other")).toBe(1);
  });

  test("a demand that ends keeps nothing back any more, nor does one that no node could ever hold", () => {
    const made = bench({ a: { guarantee: { cpu: 4 } }, b: {} }).node("n", { cpu: 4 });
    made.node("x", { cpu: 4 }, { labels: { zone: "x" } });
    made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "x", requests: { cpu: 4 } } });
    made.asking("ta", { cpu: 4 }, { of: "a", constraints: { nodeSelector: { zone: "x" } } });
    made.asking("tb", { cpu: 1 }, { of: "b", instances: 4 }).settle();
    expect([created(made, "a"), created(made, "b")]).toEqual([0, 0]);
    expect(made.broker.explainTask("tb-uid")?.reason).toBe("kept-back");
    made.apply({ type: "framework-gone", key: "ns/a" });
    made.settle();
    expect(created(made, "b")).toBe(4);
  });

  test("nothing is kept back for a demand that no node could ever hold, or whose framework is suppressed", () => {
    for (const [cpu, suppressed] of [
      [5, false],
      [4, true],
    ] as const) {
      const made = bench({ a: { guarantee: { cpu: 9 } }, b: {} }).node("n", { cpu: 4 });
      made.framework("a", { queues: [{ name: "a", weight: 1 }], suppressed });
      made.asking("ta", { cpu }, { of: "a" }).asking("tb", { cpu: 1 }, { of: "b", instances: 4 }).settle();
      expect(created(made, "b")).toBe(4);
    }
  });
});
