import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Scene } from "./serving.test-support.ts";

const one = { cpu: 1 };

/** Frameworks f and g in one queue that serves in this order. */
function pair(cpu: number, order: "Fifo" | "Priority" = "Fifo"): Scene {
  return new Scene({ cpu }).queue("q", { order }).framework("f", "q").framework("g", "q");
}

describe("first in, first out", () => {
  test("the Tasks of two frameworks of one queue stand in one line", () => {
    const scene = pair(9);
    scene
      .wants("f", { asks: one, instances: 2, createdAtMs: 1 }, "1st")
      .wants("g", { asks: one, instances: 3, createdAtMs: 2 }, "2nd");
    scene.wants("f", { asks: one, instances: 9, createdAtMs: 3 }, "3rd");
    expect(scene.served("task")).toEqual(["1st", "1st", "2nd", "2nd", "2nd", "3rd", "3rd", "3rd", "3rd"]);
  });

  test("a higher priority goes before age", () => {
    const scene = pair(4);
    scene.wants("f", { asks: one, instances: 2, createdAtMs: 1 }, "old");
    scene.wants("g", { asks: one, instances: 2, createdAtMs: 2, priority: 1 }, "urgent");
    expect(scene.served("task")).toEqual(["urgent", "urgent", "old", "old"]);
  });

  test("of the same second, one is served to its end before the other", () => {
    const scene = pair(3);
    scene
      .wants("g", { asks: one, instances: 2, createdAtMs: 5 }, "a")
      .wants("f", { asks: one, instances: 2, createdAtMs: 5 }, "b");
    expect(scene.served("task")).toEqual(["a", "a", "b"]);
  });

  test("a first Task that fits nowhere is passed over, and it is the next in line that is served, whosever it is", () => {
    const scene = pair(1);
    scene.wants("f", { asks: { cpu: 5 }, createdAtMs: 1 }, "large").wants("f", { asks: one, createdAtMs: 3 }, "3rd");
    scene.wants("g", { asks: one, createdAtMs: 2 }, "2nd");
    expect(scene.served("task")).toEqual(["2nd"]);
  });

  test("what is offered already is not first in line any more", () => {
    const scene = new Scene({ cpu: 3 }).queue("q", { order: "Fifo" });
    for (const name of ["f", "g"]) {
      scene.made.framework(name, { queues: [{ name: "q", weight: 1 }], scheduler: "Offers", maxOutstanding: 9 });
    }
    scene
      .wants("f", { asks: one, instances: 1, createdAtMs: 1 }, "1st")
      .wants("f", { asks: one, createdAtMs: 3 }, "3rd");
    scene.wants("g", { asks: one, instances: 2, createdAtMs: 2 }, "2nd").settled();
    const offered = ["f", "g"].map((name) => scene.made.openOffers(name).flatMap(({ slices }) => slices));
    expect(offered.map((slices) => slices.map(({ resources }) => resources.cpu))).toEqual([[1], [2]]);
  });

  test("behind what is offered already, what else its framework waits for is first in line", () => {
    const scene = new Scene({ cpu: 3 }).queue("q", { order: "Fifo" }).framework("g", "q");
    scene.made.framework("f", { queues: [{ name: "q", weight: 1 }], scheduler: "Offers" });
    scene.wants("f", { asks: one, instances: 1, createdAtMs: 1 }, "1st").settled();
    scene.wants("f", { asks: { cpu: 2 }, createdAtMs: 2 }, "2nd").wants("g", { asks: one, createdAtMs: 3 }, "3rd");
    expect(scene.served()).toEqual([]);
    expect(scene.made.openOffers("f").map(({ slices }) => slices[0]!.resources.cpu)).toEqual([1, 2]);
  });

  test("wishes stated ahead of any Task come last", () => {
    const scene = new Scene({ cpu: 2 }).queue("q", { order: "Fifo" }).framework("g", "q");
    scene.made.framework("f", {
      queues: [{ name: "q", weight: 1 }],
      scheduler: "Offers",
      demand: [{ instances: 5, resources: { cpu: 1 } }],
    });
    scene.wants("g", { asks: one, instances: 2, priority: -1_000 });
    expect(scene.served()).toEqual(["g", "g"]);
  });

  test("whatever tasks there are, they are served in the order of priority, age and name", () => {
    const task = fc.record({
      of: fc.constantFrom("f", "g", "h"),
      priority: fc.integer({ min: 0, max: 2 }),
      createdAtMs: fc.integer({ min: 1, max: 4 }),
      cpu: fc.integer({ min: 1, max: 2 }),
      instances: fc.integer({ min: 1, max: 3 }),
    });
    fc.assert(
      fc.property(fc.array(task, { minLength: 1, maxLength: 8 }), (list) => {
        const scene = new Scene({ cpu: 100 }).queue("q", { order: "Fifo" }).queue("inner", { parent: "q" });
        scene.framework("f", "q").framework("g", "inner").framework("h", "inner");
        for (const [i, { of, cpu, ...rest }] of list.entries()) scene.wants(of, { asks: { cpu }, ...rest }, `${i}`);
        const line = list
          .map((facts, i) => ({ ...facts, name: `${i}` }))
          .sort((a, b) => b.priority - a.priority || a.createdAtMs - b.createdAtMs || Number(a.name) - Number(b.name))
          .map(({ name }) => name);
        const served = scene.served("task");
        expect(served).toHaveLength(list.reduce((sum, { instances }) => sum + instances, 0));
        for (const [at, name] of served.entries()) {
          // Between its frameworks the inner queue has its own order; its turn comes by the first Task of either.
          const inner = list[Number(name)]!.of !== "f";
          const waiting = served.slice(at).filter((other) => !inner || list[Number(other)]!.of === "f");
          const first = Math.min(...waiting.map((other) => line.indexOf(other)));
          const turn = inner ? served.slice(at).filter((other) => list[Number(other)]!.of !== "f") : [name];
          expect(Math.min(...turn.map((other) => line.indexOf(other)))).toBeLessThanOrEqual(first);
        }
      }),
      { numRuns: 80 },
    );
  });
});

describe("priority", () => {
  test("the highest is served first, whosever it is and however old the others are", () => {
    const scene = pair(6, "Priority");
    scene
      .wants("f", { asks: one, instances: 2, createdAtMs: 1 }, "low")
      .wants("f", { asks: one, instances: 1, priority: 9 }, "high");
    scene.wants("g", { asks: one, instances: 3, createdAtMs: 9, priority: 5 }, "middle");
    expect(scene.served("task")).toEqual(["high", "middle", "middle", "middle", "low", "low"]);
  });

  test("of the same priority, they are served in turn, whatever their age", () => {
    const scene = pair(4, "Priority");
    scene.wants("g", { asks: one, createdAtMs: 1 }).wants("f", { asks: one, createdAtMs: 2 });
    expect(scene.served()).toEqual(["f", "g", "f", "g"]);
  });

  test("a first Task that fits nowhere does not keep its framework in front", () => {
    const scene = pair(1, "Priority");
    scene.wants("f", { asks: { cpu: 5 }, priority: 9 }, "large").wants("f", { asks: one, priority: 1 }, "low");
    scene.wants("g", { asks: one, priority: 5 }, "middle");
    expect(scene.served("task")).toEqual(["middle"]);
  });
});
