import { describe, expect, test } from "vitest";
import { Bench } from "../broker.test-support.ts";
import type { Quantities } from "../resources.ts";

// What a guarantee keeps back is whole instances in the order of the line: seen by what is left for others.

const inX = { constraints: { nodeSelector: { zone: "x" } } };
type Change = Parameters<Bench["task"]>[1];

/** Queue `a` is guaranteed so much, and zone x, which it wants, is full; of the 9 CPUs elsewhere `b` takes what it can. */
function leftFor(guarantee: number, make: (made: Bench) => void): number {
  const made = Bench.open()
    .queue("a", { guarantee: { cpu: guarantee } })
    .queue("b");
  made.node("x", { cpu: 9 }, { labels: { zone: "x" } }).node("n", { cpu: 9 });
  made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "x", requests: { cpu: 9 } } });
  made.framework("a", { queues: [{ name: "a", weight: 1 }] });
  make(made);
  made.framework("b", { queues: [{ name: "b", weight: 1 }] }).asking("tb", { cpu: 1 }, { of: "b", instances: 99 });
  made.settle();
  return made.all("create-pod").filter(({ queue }) => queue === "b").length;
}

describe("kept back is what comes first in the line", () => {
  const two = (older: Change, younger: Change) => (made: Bench) =>
    made
      .asking("two", { cpu: 2 }, { of: "a", createdAtMs: 1, ...inX, ...older })
      .asking("three", { cpu: 3 }, { of: "a", createdAtMs: 2, ...inX, ...younger });

  test.each([
    { name: "the older task", make: two({}, {}), kept: 2 },
    { name: "the more important one", make: two({}, { priority: 1 }), kept: 3 },
    { name: "of equals the first by name", make: two({}, { createdAtMs: 1 }), kept: 3 },
    {
      name: "as many as fit of the first, then of the next",
      make: (made: Bench) =>
        made
          .asking("two", { cpu: 2 }, { of: "a", createdAtMs: 1, ...inX })
          .asking("one", { cpu: 1 }, { of: "a", createdAtMs: 2, instances: 9, ...inX }),
      kept: 3,
    },
    {
      name: "nothing where nothing fits the guarantee",
      make: (made: Bench) => made.asking("t", { cpu: 4 }, { of: "a", ...inX }),
      kept: 0,
    },
    {
      name: "nothing for what asks for nothing that is guaranteed",
      make: (made: Bench) =>
        made
          .node("x", { cpu: 9, memory: 9 }, { labels: { zone: "x" } })
          .asking("t", { memory: 4 }, { of: "a", ...inX }),
      kept: 0,
    },
  ])("$name", ({ make, kept }) => {
    expect(leftFor(3, (made) => void make(made))).toBe(9 - kept);
  });

  /** A framework in queue a that states demand ahead of any task. */
  const stating = (made: Bench, name: string, ...cpus: number[]) =>
    made.framework(name, {
      queues: [{ name: "a", weight: 1 }],
      scheduler: "Offers",
      constraints: { nodeSelector: { zone: "x" } },
      demand: cpus.map((cpu) => ({ instances: 1, resources: { cpu } })),
    });

  test.each([
    {
      name: "tasks before what is only stated",
      make: (made: Bench) => stating(made, "s", 3).asking("two", { cpu: 2 }, { of: "a", ...inX }),
      kept: 2,
    },
    { name: "of what is stated, as it was stated", make: (made: Bench) => stating(made, "s", 2, 3), kept: 2 },
    { name: "and by the frameworks' names", make: (made: Bench) => stating(stating(made, "s1", 3), "s0", 2), kept: 2 },
    { name: "whichever was seen first", make: (made: Bench) => stating(stating(made, "s0", 2), "s1", 3), kept: 2 },
  ])("$name", ({ make, kept }) => {
    expect(leftFor(3, (made) => void make(made))).toBe(9 - kept);
  });
});

describe("kept back is no half of what starts together", () => {
  const group = { name: "g", size: 2 };
  /** One of 2 CPUs and one of 1, both or none. */
  const pair = (made: Bench, change: Change = {}) =>
    made
      .asking("two", { cpu: 2 }, { of: "a", createdAtMs: 1, group, ...inX, ...change })
      .asking("one", { cpu: 1 }, { of: "a", createdAtMs: 2, group, ...inX, ...change });

  test.each([
    { name: "all of it where all fits the guarantee", guarantee: 3, make: pair, kept: 3 },
    { name: "none where part of it does", guarantee: 2, make: pair, kept: 0 },
    {
      name: "and what comes next instead",
      guarantee: 2,
      make: (made: Bench) => pair(made).asking("later", { cpu: 1 }, { of: "a", createdAtMs: 3, instances: 9, ...inX }),
      kept: 2,
    },
    {
      name: "none where it comes next and no longer fits",
      guarantee: 4,
      make: (made: Bench) => pair(made).asking("first", { cpu: 2 }, { of: "a", createdAtMs: 0, ...inX }),
      kept: 2,
    },
    {
      name: "once, and what comes next of the rest",
      guarantee: 5,
      make: (made: Bench) => pair(made).asking("later", { cpu: 1 }, { of: "a", createdAtMs: 3, instances: 9, ...inX }),
      kept: 5,
    },
    {
      name: "where its place in line is that of its first task",
      guarantee: 3,
      make: (made: Bench) =>
        pair(made).asking("between", { cpu: 1 }, { of: "a", createdAtMs: 1, key: "ns/zz", ...inX }),
      kept: 3,
    },
  ])("$name", ({ guarantee, make, kept }) => {
    expect(leftFor(guarantee, (made) => void make(made))).toBe(9 - kept);
  });

  test("nothing for one that asks for nothing that is guaranteed", () => {
    const left = leftFor(3, (made) =>
      made
        .node("x", { cpu: 9, memory: 9 }, { labels: { zone: "x" } })
        .asking("m2", { memory: 2 }, { of: "a", group, ...inX })
        .asking("m1", { memory: 1 }, { of: "a", group, ...inX })
        .asking("t", { cpu: 1 }, { of: "a", createdAtMs: 1_800_000_000_000, ...inX }),
    );
    expect(left).toBe(8);
  });
});

describe("kept back is only what the guarantee names", () => {
  /** Zone x, which queue `a` wants, is full; of ⟨9, 9⟩ elsewhere `b` takes ⟨cpu, memory⟩ as often as it may. */
  function leftOfBoth(guarantee: Quantities, asked: Quantities, others: Quantities): number {
    const made = Bench.open().queue("a", { guarantee }).queue("b");
    made.node("x", { cpu: 9, memory: 9 }, { labels: { zone: "x" } }).node("n", { cpu: 9, memory: 9 });
    made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "x", requests: { cpu: 9, memory: 9 } } });
    for (const name of ["a", "b"]) made.framework(name, { queues: [{ name, weight: 1 }] });
    made.asking("ta", asked, { of: "a", instances: 9, ...inX });
    made.asking("tb", others, { of: "b", instances: 99 }).settle();
    return made.all("create-pod").filter(({ queue }) => queue === "b").length;
  }

  test.each([
    { name: "of CPUs the guarantee", others: { cpu: 1 }, left: 6 },
    { name: "of memory, which it does not name, nothing", others: { memory: 1 }, left: 9 },
  ])("$name", ({ others, left }) => {
    expect(leftOfBoth({ cpu: 3 }, { cpu: 1, memory: 2 }, others)).toBe(left);
  });

  test.each([
    { name: "as many instances as fit in the scarcer of two", others: { memory: 1 }, left: 5 },
    { name: "and of the other what those take", others: { cpu: 1 }, left: 7 },
  ])("$name", ({ others, left }) => {
    expect(leftOfBoth({ cpu: 3, memory: 5 }, { cpu: 1, memory: 2 }, others)).toBe(left);
  });
});

test("once a node comes that could hold it, what is guaranteed is kept back", () => {
  const made = Bench.open()
    .queue("a", { guarantee: { cpu: 8 } })
    .queue("b")
    .node("n", { cpu: 4 });
  for (const name of ["a", "b"]) made.framework(name, { queues: [{ name, weight: 1 }] });
  made.asking("ta", { cpu: 8 }, { of: "a" }).asking("tb", { cpu: 1 }, { of: "b", instances: 2 }).settle();
  expect(made.claims("task")).toEqual(["n: 1", "n: 1"]);
  made.node("large", { cpu: 8 });
  made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "large", requests: { cpu: 8 } } });
  made.asking("more", { cpu: 1 }, { of: "b", instances: 2 }).settle();
  expect(made.claims("task")).toEqual(["n: 1", "n: 1"]);
});

test("what is granted past what is kept uses the guarantee up all the same: others get the rest", () => {
  const left = leftFor(2, (made) =>
    made
      .asking("first", { cpu: 1 }, { of: "a", createdAtMs: 1, instances: 2, ...inX })
      .asking("second", { cpu: 1 }, { of: "a", createdAtMs: 2, instances: 2 }),
  );
  expect(left).toBe(7);
});

test("what is granted of what is kept is kept no more", () => {
  const made = Bench.open()
    .queue("a", { guarantee: { cpu: 4 } })
    .queue("b")
    .node("n", { cpu: 9 });
  for (const name of ["a", "b"]) made.framework(name, { queues: [{ name, weight: 1 }] });
  made.asking("ta", { cpu: 1 }, { of: "a", instances: 4 }).asking("tb", { cpu: 1 }, { of: "b", instances: 99 });
  made.settle();
  expect(made.all("create-pod").filter(({ queue }) => queue === "b")).toHaveLength(5);
  expect(made.all("create-pod").filter(({ queue }) => queue === "a")).toHaveLength(4);
});

test("past its guarantee of one resource, a queue keeps back what it is guaranteed of another for tasks that ask for nothing else", () => {
  const made = Bench.open()
    .queue("a", { guarantee: { cpu: 3, memory: 2 } })
    .queue("b");
  made.node("x", { cpu: 9, memory: 9 }, { labels: { zone: "x" } }).node("n", { cpu: 9, memory: 9 });
  for (const name of ["a", "b"]) made.framework(name, { queues: [{ name, weight: 1 }] });
  made.asking("borrows", { memory: 4 }, { of: "a" }).settle();
  made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "x", requests: { cpu: 9 } } });
  made.asking("ta", { cpu: 1 }, { of: "a", instances: 9, ...inX });
  made.asking("tb", { cpu: 1 }, { of: "b", instances: 99 }).settle();
  expect(made.all("create-pod").filter(({ queue }) => queue === "b")).toHaveLength(6);
});
