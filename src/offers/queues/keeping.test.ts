import { describe, expect, test } from "vitest";
import { Bench } from "../broker.test-support.ts";

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
