import { describe, expect, test } from "vitest";
import { ReclaimBench } from "./reclaim.test-support.ts";

const GRACE_MS = 30_000;
const GUARANTEED_4 = { guarantee: { cpu: 4 } };

/** `b` runs single tasks of these sizes on one full node, the oldest first, and is due so much; `a` is due 4, or more. */
function node(sizes: readonly number[], due: number, guarantee = 4): ReclaimBench {
  const made = ReclaimBench.of({ a: { guarantee: { cpu: guarantee } }, b: { guarantee: { cpu: due } } });
  made.node("n", { cpu: sizes.reduce((sum, size) => sum + size, 0) });
  for (const [i, size] of sizes.entries()) made.cpu("b", `t${i}`, size).settle().run().wait(1_000);
  return made;
}

/** Those who go for 4 CPUs, by name. It is asked once. */
function goes(made: ReclaimBench, cpu = 4): string[] {
  made.cpu("a", "due", cpu).settle().wait(GRACE_MS);
  const names = made.ending.map((name) => name.replace("-0-0", "")).sort();
  expect(made.all("publish-offer")).toHaveLength(names.length > 0 ? 1 : 0);
  if (names.length > 0) expect(made.terminate().used("a")).toBe(cpu);
  return names;
}

const ones = (count: number, size = 1) => Array.from({ length: count }, () => size);

describe("where the newest first would end with less room than is needed", () => {
  test.each([
    { name: "one goes that is large enough alone", sizes: [4, 2, 3], due: 7, gone: ["t0"] },
    { name: "two go, the smaller one first", sizes: [2, 2, 3], due: 4, gone: ["t1", "t2"] },
    { name: "one goes rather than two that would do as well", sizes: [4, 1, 3, 3], due: 8, gone: ["t0"] },
    { name: "the largest goes of many", sizes: [4, ...ones(20)], due: 23, gone: ["t0"] },
    { name: "the largest goes of many, wherever it is", sizes: [...ones(10), 4, ...ones(10)], due: 23, gone: ["t10"] },
    { name: "nobody goes where no order does", sizes: [3, 3, 3], due: 8, gone: [] },
    { name: "nobody of many goes where no order does", sizes: ones(20, 3), due: 59, gone: [] },
  ])("$name", ({ sizes, due, gone }) => {
    expect(goes(node(sizes, due))).toEqual(gone);
  });

  test("small ones go of many, where the largest would be one too few", () => {
    expect(goes(node([...ones(16, 2), 3], 32))).toHaveLength(2);
    expect(goes(node([...ones(25, 2), 3], 14, 40), 40)).toHaveLength(20);
  });

  test("they go in the one order that does, be that neither by size nor by age", () => {
    const made = ReclaimBench.of({ a: { guarantee: { cpu: 6 } }, b: { guarantee: { cpu: 7 } } });
    made.node("n0", { cpu: 2 }).cpu("b", "elsewhere", 2).settle().run().node("n", { cpu: 10 });
    for (const size of [5, 3, 2]) made.cpu("b", `t${size}`, size).settle().run().wait(1_000);
    expect(goes(made, 6)).toEqual(["t3", "t5"]);
  });
});

describe("what is picked", () => {
  test("goes in the one order in which each may go, and is asked for once", () => {
    const made = ReclaimBench.of({ a: { guarantee: { cpu: 6 } }, b: { guarantee: { cpu: 3 } } }).node("n", { cpu: 6 });
    made.cpu("b", "large", 4).settle().run().wait(1_000).cpu("b", "small", 2).settle().run();
    expect(goes(made, 6)).toEqual(["large", "small"]);
  });

  test("and turns out not to be needed stays, the dearer one before the cheaper", () => {
    const made = ReclaimBench.of({ a: GUARANTEED_4, b: {} }).node("n", { cpu: 6 });
    for (const [priority, cpu] of [
      [2, 3],
      [1, 1],
      [0, 2],
    ] as const) {
      made.cpu("b", `p${priority}`, cpu, 1, { priority }).settle();
    }
    expect(goes(made)).toEqual(["p0", "p2"]);
  });

  test("of one task is no more than its queue has beyond its guarantee, on whatever node", () => {
    const made = ReclaimBench.of({ a: GUARANTEED_4, b: { guarantee: { cpu: 3 } } });
    made.node("n1", { cpu: 2 }).node("n2", { cpu: 2 }).cpu("b", "tb", 2, 2).settle();
    made.cpu("a", "due", 2, 2).settle();
    expect(made.asked().map(({ inverse }) => inverse?.instances)).toEqual([1]);
    expect(made.wait(GRACE_MS).ending).toHaveLength(1);
    made.terminate();
    expect([made.used("a"), made.used("b"), made.wait(600_000).ending]).toEqual([2, 2, []]);
  });

  test("is what brings the resource that is lacking, on the node that has it", () => {
    const due = { guarantee: { cpu: 4, memory: 8 } };
    const made = ReclaimBench.of({ a: due, b: {} });
    for (const n of ["n0", "n1", "n2"]) made.node(n, { cpu: 8, memory: 8 }, { labels: { n } });
    const on = (n: string) => ({ of: "b", constraints: { nodeSelector: { n } } });
    made.asking("wide", { cpu: 6, memory: 1 }, on("n0")).asking("w", { memory: 4 }, on("n0")).settle();
    for (const n of ["n1", "n2"]) {
      for (const i of [1, 2, 3, 4]) made.asking(`${n}-${i}`, { cpu: 1, memory: 2 }, on(n));
    }
    made.settle().asking("due", { cpu: 4, memory: 8 }, { of: "a", constraints: { nodeSelector: { n: "n2" } } });
    made.settle().wait(GRACE_MS);
    expect(made.ending.map((name) => name.slice(0, 2))).toEqual(["n2", "n2", "n2", "n2"]);
    expect(made.terminate().used("a")).toBe(4);
  });

  test("is nothing of whom borrows only what is not lacking", () => {
    const made = ReclaimBench.of({
      a: { guarantee: { cpu: 4, memory: 4 } },
      b: { guarantee: { cpu: 4, memory: 1 } },
    });
    made.node("n", { cpu: 4, memory: 8 }).asking("tb", { cpu: 2, memory: 2 }, { of: "b", instances: 2 }).settle().run();
    made.asking("due", { cpu: 2, memory: 1 }, { of: "a" }).settle();
    expect(made.asked()).toEqual([]);
    made.queue("b", { guarantee: { cpu: 3, memory: 4 } }).settle();
    expect(made.asked()).toHaveLength(1);
  });

  test("counts beside what leaves by itself, which is not of its queue any more", () => {
    const made = ReclaimBench.of({ a: GUARANTEED_4, b: { guarantee: { cpu: 3 } } });
    for (const [n, cpu] of [
      ["n1", 4],
      ["n2", 2],
    ] as const)
      made.node(n, { cpu });
    for (const name of ["t1", "t2", "t3"]) made.cpu("b", name, 2);
    made.settle().run();
    made.apply({ type: "task-observed", task: { ...made.tasks.get("t1-uid")!, kill: {} } });
    made.cpu("a", "due", 4).settle().wait(GRACE_MS);
    expect(made.ending).toEqual(["t1-0-0", "t2-0-0"]);
    expect(made.terminate().used("a")).toBe(4);
  });

  test("of what starts together leaves room where it ran, and not where another of it is due", () => {
    const made = ReclaimBench.of({ a: GUARANTEED_4, b: {} });
    for (const n of ["n1", "n2"]) made.node(n, { cpu: 2 });
    made
      .cpu("b", "gang", 2, 2, { gang: { minimum: 2 } })
      .settle()
      .run();
    made.cpu("a", "due", 2, 2).settle();
    expect(made.asked().map(({ inverse }) => inverse?.instances)).toEqual([1]);
    made.wait(GRACE_MS).terminate();
    expect(made.used("a")).toBe(4);
  });
});

test("a whole offer leaves: what it has on other nodes is room as well, and nobody else is asked for that", () => {
  const made = ReclaimBench.of({ a: GUARANTEED_4, b: {}, c: {} }).answering("b");
  for (const n of ["n1", "n2"]) made.node(n, { cpu: 2 });
  made.answering("b", { demand: [{ instances: 2, resources: { cpu: 2 } }], offerTimeoutMs: 3_600_000 }).settle();
  expect(made.openOffers("b").map(({ slices }) => slices.length)).toEqual([2]);
  made.node("n3", { cpu: 2 }).cpu("c", "tc", 2).settle().run();
  made.cpu("a", "due", 2, 2).settle();
  expect([made.asked(), made.used("a"), made.used("c")]).toEqual([[], 4, 2]);
});

test("what is free and kept back for a sibling is left to it: what is due comes from who borrows", () => {
  const made = ReclaimBench.of({
    top: { guarantee: { cpu: 6 } },
    leaf: { parent: "top" },
    sibling: { parent: "top", guarantee: { cpu: 3 } },
    b: {},
    young: { reclaim: { minimumRuntimeMs: 3_600_000 } },
  });
  made
    .node("m", { cpu: 4 }, { labels: { is: "m" } })
    .cpu("young", "ty", 4)
    .settle()
    .run();
  made.node("n", { cpu: 8 }).cpu("b", "tb", 1, 4).settle().run();
  made.cpu("sibling", "waits", 3, 1, { constraints: { nodeSelector: { is: "m" } } }).settle();
  made.cpu("leaf", "due", 2).settle();
  expect(made.asked()).toHaveLength(1);
  made.wait(GRACE_MS);
  expect(made.ending).toHaveLength(2);
  expect(made.terminate().used("leaf")).toBe(2);
});

describe("who has been asked already", () => {
  const isOpen = { constraints: { nodeSelector: { is: "open" } } };
  /** `a` has asked `b` for room; `c`, who would go first, has come to have something on a node that it may use, too. */
  function later(due: number): ReclaimBench {
    const made = ReclaimBench.of({ a: { guarantee: { cpu: due } }, b: {}, c: {} });
    made.node("n1", { cpu: 2 }, { labels: { is: "open" } }).node("n2", { cpu: 2 }, { labels: { is: "shut" } });
    made.cpu("b", "tb", 2, 1, isOpen).cpu("c", "tc", 2, 1, { priority: -9 }).settle().run();
    made.cpu("a", "due", 2, 1, isOpen).settle();
    expect(made.asked("b")).toHaveLength(1);
    return made.node("n2", { cpu: 2 }, { labels: { is: "open" } });
  }

  test("gives it, though another has come meanwhile who would go first", () => {
    const next = later(2).successor("t2");
    expect(next.placed()).toEqual(["tb-0", "tc-0"]);
    expect(next.asked().map(({ framework }) => framework)).toEqual(["ns/b"]);
    expect(next.wait(GRACE_MS).ending).toEqual(["tb-0-0"]);
  });

  test("gives what it has, and another is asked for the rest", () => {
    const before = later(4);
    const [asked] = before.asked();
    before.offers.set(asked!.key, { ...asked!, inverse: { ...asked!.inverse!, instances: 2 } });
    before.cpu("a", "more", 2, 1, isOpen);
    const next = before.successor("t2");
    expect(next.asked().map(({ framework, inverse }) => [framework, inverse?.instances])).toEqual([
      ["ns/b", 2],
      ["ns/c", 1],
    ]);
    expect(next.wait(GRACE_MS).ending.sort()).toEqual(["tb-0-0", "tc-0-0"]);
  });
});
