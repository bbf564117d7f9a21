import { describe, expect, test } from "vitest";
import { taskFacts } from "../broker.test-support.ts";
import { type GangEvent, type GangState, nextState } from "./gang.ts";
import { Gathered, minimumOf } from "./gathered.ts";

describe("a gang's life", () => {
  const states = ["waiting", "starting", "started", "undone"] as const;
  test.each<{ event: GangEvent; to: readonly GangState[] }>([
    { event: "granted", to: ["starting", "starting", "started", "undone"] },
    { event: "complete", to: ["waiting", "started", "started", "undone"] },
    { event: "recalled", to: ["waiting", "undone", "undone", "undone"] },
    { event: "nothing-lives", to: ["waiting", "waiting", "waiting", "waiting"] },
  ])("$event", ({ event, to }) => {
    expect(states.map((state) => nextState(state, event))).toEqual(to);
  });

  test("knows no other event: that were a bug of ours", () => {
    expect(() => nextState("waiting", "none" as GangEvent)).toThrow();
  });
});

describe("what has gathered for a start", () => {
  /** Instances 3 and 5 have their places. */
  function gathered(): Gathered {
    const made = new Gathered();
    for (const index of [3, 5, 5]) made.add(index);
    return made;
  }
  const told = (made: Gathered) => [made.size, made.open, made.complete];

  test.each<{ name: string; does: (made: Gathered) => void; told: readonly [number, number, boolean] }>([
    { name: "is each instance once", does: () => {}, told: [2, 2, false] },
    { name: "is not complete while a pod has not been seen", does: (made) => made.seen(3), told: [2, 2, false] },
    { name: "is complete when all have been", does: (made) => [3, 5].map((i) => made.seen(i)), told: [2, 2, true] },
    { name: "counts what has ended, though not as open", does: (made) => made.ended(3), told: [2, 1, false] },
    { name: "has nothing to do with others that end", does: (made) => made.ended(4), told: [2, 2, false] },
    {
      name: "is without what never came to be",
      does: (made) => {
        made.ended(3);
        made.delete(3);
        made.seen(5);
      },
      told: [1, 1, true],
    },
    {
      name: "is nothing after the start",
      does: (made) => {
        made.ended(3);
        made.clear();
        made.add(7);
      },
      told: [1, 1, false],
    },
  ])("$name", ({ does, told: expected }) => {
    const made = gathered();
    does(made);
    expect(told(made)).toEqual(expected);
  });

  test("says of which instances it is", () => {
    const made = gathered();
    made.delete(5);
    expect([3, 4, 5].map((index) => made.has(index))).toEqual([true, false, false]);
  });
});

test("of a Task start together: its minimum, in a group all without one, else one", () => {
  const group = { name: "g", size: 2 };
  const minimum = (change: Parameters<typeof taskFacts>[1]) => minimumOf(taskFacts("t", { instances: 4, ...change }));
  expect(minimum({ gang: { minimum: 3 } })).toBe(3);
  expect(minimum({ group })).toBe(4);
  expect(minimum({ group, gang: { minimum: 2 } })).toBe(2);
  expect(minimum({})).toBe(1);
});
