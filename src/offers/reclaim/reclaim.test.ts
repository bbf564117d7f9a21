import { describe, expect, test, vi } from "vitest";
import { ReclaimBench } from "./reclaim.test-support.ts";
import { Victims } from "./victims.ts";

const GRACE_MS = 30_000;

/** Capacity 10; `a` and `b` are guaranteed 5 each. */
const halves = () => ReclaimBench.of({ a: { guarantee: { cpu: 5 } }, b: { guarantee: { cpu: 5 } } });

describe("what others have borrowed", () => {
  test("goes back although less than the guarantee is left: 10 in all, 5 and 5 due, 2 × 4 run, 4 are needed, 2 are free", () => {
    const made = halves().node("n", { cpu: 10 });
    made.cpu("b", "tb", 4, 2).settle().cpu("a", "ta", 4).settle();
    expect(made.placed()).toEqual(["tb-0", "tb-1"]);
    const [asked] = made.asked();
    expect(asked).toMatchObject({
      framework: "ns/b",
      queue: "b",
      expiresAtMs: made.nowMs + GRACE_MS,
      slices: [{ node: "n", resources: { cpu: 4, pods: 1 } }],
      inverse: { queue: "a", each: { cpu: 4, pods: 1 }, instances: 1, candidates: [{ task: "tb", indexes: "1" }] },
    });
    made.wait(GRACE_MS - 1);
    expect(made.ending).toEqual([]);
    made.wait(1);
    expect(made.ending).toEqual(["tb-1-0"]);
    made.terminate();
    expect(made.placed()).toEqual(["ta-0", "tb-0"]);
    expect(made.wait(600_000).ending).toEqual([]);
  });

  test("is given back though the one who is due waits so long that room would gather for it", () => {
    const made = ReclaimBench.of({
      a: { guarantee: { cpu: 4 } },
      b: { reclaim: { graceMs: 600_000 } },
      c: { guarantee: { cpu: 2 } },
    });
    made.node("n", { cpu: 4 }).cpu("b", "tb", 4).settle();
    made.node("m", { cpu: 4 }).cpu("c", "tc", 2).settle();
    made.cpu("a", "ta", 4).settle().wait(600_000);
    expect(made.ending).toEqual(["tb-0-0"]);
  });

  test("is asked back once it may be, though room has gathered for a part of what is due", () => {
    const made = ReclaimBench.of({ a: { guarantee: { cpu: 4 } }, b: { reclaim: { minimumRuntimeMs: 600_000 } } });
    made.node("n", { cpu: 4 }).cpu("b", "tb", 2).settle().run();
    made.cpu("a", "ta", 4).settle().wait(599_999);
    expect(made.keptFor("a")).toBe(2);
    expect(made.asked()).toEqual([]);
    made.wait(1 + GRACE_MS).terminate();
    expect(made.placed()).toEqual(["ta-0"]);
  });

  test("stays where what leaves by itself makes the room, whosesoever that is", () => {
    const made = ReclaimBench.of({ a: { guarantee: { cpu: 8 } }, b: {} });
    made.node("n", { cpu: 4 }).cpu("a", "old", 4).settle();
    made.node("m", { cpu: 4 }).cpu("b", "tb", 4).settle().run();
    made.apply({ type: "task-observed", task: { ...made.tasks.get("old-uid")!, kill: {} } });
    made.cpu("a", "ta", 4).settle().wait(GRACE_MS);
    expect(made.ending).toEqual(["old-0-0"]);
    made.terminate();
    expect(made.placed()).toEqual(["ta-0", "tb-0"]);
  });

  test.each([
    { name: "too young", reclaim: { minimumRuntimeMs: 3_600_000 }, due: [2] },
    { name: "not enough for all that starts together", reclaim: {}, due: [2, 20_000] },
  ])("is looked through once a second at most where it is much and $name", ({ reclaim, due }) => {
    const made = ReclaimBench.of({ a: { guarantee: { cpu: 30_000 } }, b: { reclaim } });
    made.node("n", { cpu: 10_001, pods: 20_000 }).cpu("b", "tb", 1, 10_001).settle();
    const group = due.length > 1 ? { group: { name: "g", size: due.length } } : {};
    for (const cpu of due) made.cpu("a", `due${cpu}`, cpu, 1, group);
    const looks = vi.spyOn(Victims.prototype, "addTasks");
    for (let n = 0; n < 40; n++) {
      made.nowMs += 50;
      made.broker.recheck(made.nowMs);
    }
    expect(looks.mock.calls.length).toBeLessThanOrEqual(2);
    looks.mockRestore();
    expect(made.asked()).toEqual([]);
  });

  test("is not asked for again while it is on its way", () => {
    const made = halves().node("n", { cpu: 10 });
    made.cpu("b", "tb", 1, 10).settle().cpu("a", "ta", 1, 5).settle();
    const wanted = () => made.all("publish-offer").reduce((sum, { offer }) => sum + (offer.inverse?.instances ?? 0), 0);
    expect(wanted()).toBe(5);
    for (let n = 0; n < 20; n++) made.wait(1_000).node(`m${n}`, { cpu: 0 }).settle();
    expect(wanted()).toBe(5);
    made.wait(GRACE_MS);
    for (let n = 0; n < 20; n++) made.wait(1_000).node(`m${n}`, { cpu: 0 }).settle();
    expect(made.ending).toHaveLength(5);
    made.terminate();
    expect([made.used("a"), made.used("b"), wanted()]).toEqual([5, 5, 5]);
  });

  test("does not go to and fro: who had to give it back and wants it at once, with a lower share, does not get it", () => {
    // Half a CPU is free on each node, a whole one in all: but what was taken back is held for whom it was taken for.
    const made = ReclaimBench.of({ a: { guarantee: { cpu: 1_000 } }, b: {}, z: {} });
    made.node("n1", { cpu: 1_500 }).node("n2", { cpu: 1_500 });
    made.cpu("b", "tb", 1_000, 2).settle();
    made.cpu("a", "ta", 1_000, 1, { priority: -5 }).settle().wait(GRACE_MS);
    expect(made.ending).toHaveLength(1);
    // While its pod ends, and after, there is somebody with nothing at all who would like to have it.
    made.cpu("z", "tz", 1_000, 9, { priority: 9 }).settle();
    made.terminate();
    expect(made.used("a")).toBe(1_000);
    expect(made.wait(600_000).ending).toEqual([]);
    expect(made.used("z")).toBe(0);
  });

  test("is taken from the least important first, of those from the newest", () => {
    const made = ReclaimBench.of({ a: { guarantee: { cpu: 2 } }, b: {} }).node("n", { cpu: 4 });
    made.cpu("b", "old", 1, 1, { priority: 0 }).settle().run().wait(10_000);
    made.cpu("b", "dear", 1, 1, { priority: 5 }).settle().run().wait(10_000);
    made.cpu("b", "young", 1, 1, { priority: 0 }).settle().run().wait(10_000);
    made.cpu("b", "cheap", 1, 1, { priority: -5 }).settle().run().wait(10_000);
    made.cpu("a", "ta", 2).settle().wait(GRACE_MS);
    expect(made.ending).toEqual(["young-0-0", "cheap-0-0"]);
  });

  test("is no more than is needed: what the last victim makes superfluous is put back", () => {
    const made = ReclaimBench.of({ a: { guarantee: { cpu: 4 } }, b: {} }).node("n", { cpu: 6 });
    made.cpu("b", "big", 4).settle().run().wait(5_000);
    made.cpu("b", "small", 1, 2).settle().run().wait(5_000);
    made.cpu("a", "ta", 4).settle().wait(GRACE_MS);
    expect(made.ending).toEqual(["big-0-0"]);
  });

  test("serves several instances where one victim is large enough for them", () => {
    const made = ReclaimBench.of({ a: { guarantee: { cpu: 4 } }, b: {} }).node("n", { cpu: 8 });
    made.cpu("b", "tb", 4, 2).settle().cpu("a", "ta", 2, 2).settle();
    expect(made.asked()).toMatchObject([{ inverse: { instances: 2, candidates: [{ indexes: "1" }] } }]);
    made.wait(GRACE_MS);
    expect(made.ending).toEqual(["tb-1-0"]);
    made.terminate();
    expect(made.used("a")).toBe(4);
  });

  test("is not asked back where the demand would not fit even then", () => {
    const made = ReclaimBench.of({ a: { guarantee: { cpu: 9 } }, b: {} });
    made.node("n1", { cpu: 4 }).node("n2", { cpu: 4 });
    made.cpu("b", "tb", 2, 4).settle().cpu("a", "ta", 5).settle();
    expect(made.asked()).toEqual([]);
    expect(made.broker.explainTask("ta-uid")?.reason).toBe("no-node");
  });

  test.each([
    { name: "it goes beyond its guarantee with it", guarantee: { cpu: 3 }, victim: {} },
    { name: "nobody borrows", guarantee: { cpu: 9 }, victim: { guarantee: { cpu: 8 } } },
    { name: "it is guaranteed something else", guarantee: { memory: 9 }, victim: {} },
  ])("is not asked back where $name", ({ guarantee, victim }) => {
    const made = ReclaimBench.of({ a: { guarantee }, b: victim }).node("n", { cpu: 8 });
    made.cpu("b", "tb", 2, 4).settle().cpu("a", "ta", 4).settle().wait(600_000);
    expect(made.all("publish-offer")).toEqual([]);
    expect(made.ending).toEqual([]);
  });

  test("is asked of every queue down to the leaf: what its own parent is due is nobody else's, and a cousin is no borrower", () => {
    const made = ReclaimBench.of({
      a: { guarantee: { cpu: 4 } },
      top: { guarantee: { cpu: 6 } },
      poor: { parent: "top", guarantee: { cpu: 3 } },
      rich: { parent: "top" },
    }).node("n", { cpu: 10 });
    made.cpu("poor", "tp", 1, 3).settle().cpu("rich", "tr", 1, 7).settle();
    // `top` uses 10 and is due 6; of that `poor` has exactly its own, `rich` all that is borrowed.
    made.cpu("a", "ta", 4).settle().wait(GRACE_MS);
    expect(made.ending.map((name) => name.slice(0, 2))).toEqual(["tr", "tr", "tr", "tr"]);
  });

  test("is asked back among siblings although their parent has all it is due, and never past what it is due", () => {
    const made = ReclaimBench.of({
      top: { guarantee: { cpu: 6 } },
      poor: { parent: "top", guarantee: { cpu: 3 } },
      rich: { parent: "top" },
      other: {},
    }).node("n", { cpu: 10 });
    made.cpu("rich", "tr", 1, 6).settle().cpu("other", "to", 1, 4).settle();
    made.cpu("poor", "tp", 1, 5).settle().wait(GRACE_MS);
    expect(made.ending.map((name) => name.slice(0, 2))).toEqual(["tr", "tr", "tr"]);
    made.terminate();
    expect([made.used("poor"), made.used("rich"), made.used("other")]).toEqual([3, 3, 4]);
    expect(made.wait(600_000).ending).toEqual([]);
  });

  test("is asked back by a queue without a guarantee for that of the one above", () => {
    const made = ReclaimBench.of({ top: { guarantee: { cpu: 4 } }, leaf: { parent: "top" }, b: {} });
    made.node("n", { cpu: 8 }).cpu("b", "tb", 1, 8).settle();
    made.cpu("leaf", "tl", 2, 3).settle().wait(GRACE_MS).terminate();
    expect([made.used("leaf"), made.used("b")]).toEqual([4, 4]);
  });

  test("makes way within the guarantee of the queue above too, wherever that runs: siblings give first what they borrow of it", () => {
    const made = ReclaimBench.of({
      top: {},
      poor: { parent: "top", guarantee: { cpu: 6 } },
      rich: { parent: "top" },
      other: {},
    });
    made.node("n1", { cpu: 4 }).cpu("poor", "tp", 2, 2).settle();
    made.node("n2", { cpu: 1 }).cpu("rich", "tr", 1).settle();
    made.node("n3", { cpu: 3 }).cpu("other", "to", 3).settle();
    // `top` uses 5 of the 6 it is due: 2 more are its own only once `rich` has left.
    made.cpu("poor", "due", 2).settle().wait(GRACE_MS);
    expect(made.ending).toEqual(["tr-0-0", "to-0-0"]);
    made.terminate();
    expect(made.used("poor")).toBe(6);
    expect(made.wait(600_000).ending).toEqual([]);
  });

  test("does not go beyond what the queue above is due, though a sibling has come to use that meanwhile", () => {
    const made = ReclaimBench.of({
      top: {},
      poor: { parent: "top", guarantee: { cpu: 6 } },
      rich: { parent: "top", reclaim: { graceMs: 0 } },
      other: {},
    });
    made
      .node("n", { cpu: 8 }, { labels: { node: "n" } })
      .cpu("other", "to", 1, 8)
      .settle();
    made.cpu("poor", "due", 2, 1, { constraints: { nodeSelector: { node: "n" } } }).settle();
    expect(made.asked()).toHaveLength(1);
    made.node("m", { cpu: 8 }).cpu("rich", "tr", 1, 6).settle().wait(GRACE_MS);
    expect(made.ending.map((name) => name.slice(0, 2)).sort()).toEqual(["to", "to", "tr", "tr"]);
  });

  test("is held in the same step in which its pod ends", () => {
    const made = halves().node("n", { cpu: 10 });
    made.cpu("b", "tb", 5, 2).settle().cpu("a", "ta", 5).settle().wait(GRACE_MS);
    expect(made.keptFor("a")).toBe(0);
    made.pod(made.ending[0]!, { phase: "Failed", exitCode: 143 });
    expect(made.keptFor("a")).toBe(5);
  });

  test("is no more than is needed where the order of preference ends in nothing, either", () => {
    const made = ReclaimBench.of({
      a: { guarantee: { cpu: 4, memory: 4 } },
      some: {},
      most: { guarantee: { cpu: 4 } },
      memory: {},
    });
    made.node("n", { cpu: 7, memory: 7 });
    made.asking("m", { memory: 4 }, { of: "memory", priority: 3 }).settle();
    made.asking("big", { cpu: 4 }, { of: "most", priority: 2 }).settle();
    made.asking("s", { cpu: 2, memory: 3 }, { of: "some", priority: 1 }).settle();
    // It would go first, and then `most` has no more than it is due.
    made.asking("small", { cpu: 1 }, { of: "most", priority: 0 }).settle();
    made.asking("due", { cpu: 4, memory: 4 }, { of: "a" }).settle();
    expect(made.asked("some")).toEqual([]);
    made.wait(GRACE_MS);
    expect(made.ending).toEqual(["m-0-0", "big-0-0"]);
  });

  test("makes way within the guarantee of the queue above only if that is possible", () => {
    const made = ReclaimBench.of({
      top: {},
      poor: { parent: "top", guarantee: { cpu: 6 } },
      rich: { parent: "top", reclaim: { minimumRuntimeMs: 600_000 } },
      other: {},
    });
    made.node("n1", { cpu: 4 }).cpu("poor", "tp", 2, 2).settle();
    made.node("n2", { cpu: 1 }).cpu("rich", "tr", 1).settle();
    made.node("n3", { cpu: 3 }).cpu("other", "to", 3).settle();
    made.cpu("poor", "due", 2).settle().wait(300_000);
    expect([made.asked(), made.ending]).toEqual([[], []]);
    made.wait(300_000).wait(GRACE_MS);
    expect(made.ending).toEqual(["tr-0-0", "to-0-0"]);
  });

  test("is had of a sibling where the guarantee of the queue above cannot be brought to cover what others would give", () => {
    const made = ReclaimBench.of({
      top: {},
      poor: { parent: "top", guarantee: { cpu: 6 } },
      young: { parent: "top", reclaim: { minimumRuntimeMs: 600_000 } },
      rich: { parent: "top" },
      other: {},
    });
    made.node("n1", { cpu: 4 }).cpu("poor", "tp", 2, 2).settle();
    made.node("n2", { cpu: 1 }).cpu("young", "ty", 1).settle();
    made.node("n3", { cpu: 3 }).cpu("other", "to", 3).settle();
    made.node("n4", { cpu: 2 }).cpu("rich", "tr", 2, 1, { priority: 9 }).settle();
    // `top` uses 7 of 6: without `rich` it would use 5, and 2 more are too much.
    made.cpu("poor", "due", 2).settle().wait(GRACE_MS);
    expect(made.ending).toEqual(["tr-0-0"]);
    expect(made.terminate().used("poor")).toBe(6);
  });

  /** `rich` uses up the limit of `top`, of which its sibling `poor` is guaranteed 2. */
  function limited(): ReclaimBench {
    const made = ReclaimBench.of({
      top: { limit: { cpu: 4 } },
      poor: { parent: "top", guarantee: { cpu: 2 } },
      rich: { parent: "top" },
    });
    made.node("gone", { cpu: 1 });
    for (const n of [1, 2, 3, 4]) made.node(`n${n}`, { cpu: 1 });
    made.apply({ type: "node-gone", name: "gone" });
    return made.cpu("rich", "tr", 1, 4).settle();
  }

  test("makes way below a limit where the one who is due may run", () => {
    const made = limited();
    for (const n of ["other", "right"]) made.node(n, { cpu: 9 }, { labels: { n } });
    const constraints = { nodeSelector: { n: "right" } };
    made.cpu("poor", "tp", 2, 1, { constraints }).settle().wait(GRACE_MS).terminate();
    expect(made.ending).toEqual([]);
    expect(made.pods.get("tp-0-0")?.node).toBe("right");
    expect([made.used("poor"), made.used("rich")]).toEqual([2, 2]);
  });

  test("makes way below a limit that a sibling uses up, wherever that runs", () => {
    const made = limited();
    made.node("n5", { cpu: 9 }).cpu("poor", "tp", 2).settle();
    expect(made.asked()).toHaveLength(1);
    made.wait(GRACE_MS);
    expect(made.ending).toHaveLength(2);
    made.terminate();
    expect([made.used("poor"), made.used("rich")]).toEqual([2, 2]);
    expect(made.pods.get("tp-0-0")?.node).toBe("n5");
  });
});
