import { expect, test } from "vitest";
import { ReclaimBench } from "./reclaim.test-support.ts";

const GRACE_MS = 30_000;

/** `b` borrows; `a` and `d` are due so much. */
const due = (cpu: number) => ReclaimBench.of({ a: { guarantee: { cpu } }, b: {}, d: { guarantee: { cpu } } });

test("each queue asks for itself, and for each size of its own", () => {
  const made = due(3).node("n", { cpu: 6 });
  made.cpu("b", "tb", 1, 6).settle().run();
  made.cpu("a", "a1", 1).cpu("a", "a2", 2).cpu("d", "d1", 1, 2).settle();
  const asked = made.asked().map(({ inverse }) => [inverse!.queue, inverse!.each.cpu, inverse!.instances]);
  expect(asked.sort()).toEqual([
    ["a", 1, 1],
    ["a", 2, 1],
    ["d", 1, 2],
  ]);
  made.wait(GRACE_MS);
  expect(made.ending).toHaveLength(5);
});

test("room for what is spread is made in each of its domains", () => {
  const made = due(4);
  for (const zone of ["x", "y"]) made.node(zone, { cpu: 4 }, { labels: { zone } });
  made.cpu("b", "tb", 1, 8).settle().run();
  const spread = [{ topologyKey: "zone", maxSkew: 1, over: "Task" as const }];
  made.cpu("a", "spread", 1, 4, { constraints: { spread } }).settle();
  for (let n = 0; n < 4; n++) {
    expect(made.asked().map(({ inverse }) => inverse?.instances)).toEqual([1]);
    made.wait(GRACE_MS).terminate();
  }
  expect(made.all("delete-pod")).toHaveLength(4);
  const nodes = [...made.pods].flatMap(([name, { node }]) => (name.startsWith("spread") ? [node] : []));
  expect(nodes.sort()).toEqual(["x", "x", "y", "y"]);
  expect(made.used("b")).toBe(4);
});

test("a minimum runtime is no reason to wait once the guarantee has gone", () => {
  const made = ReclaimBench.of({ a: { guarantee: { cpu: 1 } }, b: { reclaim: { minimumRuntimeMs: 60_000 } } });
  made.node("n", { cpu: 1 }).cpu("b", "tb", 1).settle().run().cpu("a", "ta", 1).settle();
  expect(made.broker.explainTask("ta-uid")?.reason).toBe("minimum-runtime");
  made.queue("a").settle();
  expect(made.broker.explainTask("ta-uid")?.reason).toBe("no-node");
});

test.each([
  { name: "there is none above any more", guarantee: {} },
  { name: "what is above is guaranteed something else", guarantee: { memory: 4 } },
])("a minimum runtime is no reason to wait once $name", ({ guarantee }) => {
  const made = ReclaimBench.of({
    top: {},
    sibling: { parent: "top", guarantee: { cpu: 1 } },
    leaf: { parent: "top" },
    b: { reclaim: { minimumRuntimeMs: 60_000 } },
    other: { guarantee: { cpu: 1 } },
  });
  made.node("n", { cpu: 1 }).cpu("b", "tb", 1).settle().run().cpu("leaf", "due", 1).settle();
  expect(made.broker.explainTask("due-uid")?.reason).toBe("minimum-runtime");
  // The guarantee of `top` is the sum of what those below it have.
  made.queue("sibling", { parent: "top", guarantee });
  expect(made.broker.explainTask("due-uid")?.reason).toBe("no-node");
});

test("the minimum runtime of whom nothing may be had is not waited for", () => {
  const made = ReclaimBench.of({
    a: { guarantee: { cpu: 4 } },
    b: { guarantee: { cpu: 2 }, reclaim: { minimumRuntimeMs: 60_000 } },
    c: {},
  });
  made.node("n1", { cpu: 2 }).cpu("b", "tb", 2).settle().run();
  made.node("n2", { cpu: 1 }).cpu("c", "tc", 1).settle().run();
  made.cpu("a", "ta", 2).settle();
  expect(made.broker.explainTask("ta-uid")?.reason).toBe("no-node");
});

test("the cheapest of what starts together says when all of it goes", () => {
  const made = due(2).node("n", { cpu: 4 });
  const group = { name: "g", size: 2 };
  made.cpu("b", "cheap", 1, 1, { group, priority: 0 }).cpu("b", "dear", 1, 1, { group, priority: 9 }).settle().run();
  made.cpu("b", "single", 2, 1, { priority: 5 }).settle().run();
  made.cpu("a", "due", 2).settle().wait(GRACE_MS);
  expect(made.ending.sort()).toEqual(["cheap-0-0", "dear-0-0"]);
});

/** `b` has 4 CPUs to give, and there are 4 more that are free. */
function halfFree(): ReclaimBench {
  const made = due(9).node("taken", { cpu: 4 });
  made.cpu("b", "tb", 1, 4).settle().run();
  return made.node("free", { cpu: 4 }, { labels: { is: "free" } }).queue("d");
}

test("what is free counts once for all that start together: nothing is taken back where one would be left over", () => {
  const made = halfFree();
  for (const name of ["t1", "t2", "t3"]) made.cpu("a", name, 3, 1, { group: { name: "g", size: 3 } });
  made.settle().wait(GRACE_MS);
  expect([made.asked(), made.ending, made.used("a")]).toEqual([[], [], 0]);
});

test("what is free where they may not run does not count for those that start together", () => {
  const made = halfFree();
  const constraints = { nodeSelector: { is: "elsewhere" } };
  made.cpu("a", "t1", 3, 1, { group: { name: "g", size: 2 } });
  made.cpu("a", "t2", 3, 1, { group: { name: "g", size: 2 }, constraints });
  made.settle().wait(GRACE_MS);
  expect([made.asked(), made.ending, made.used("a")]).toEqual([[], [], 0]);
});

test("what leaves by itself is no more of what its queue has beyond its guarantee", () => {
  const made = ReclaimBench.of({ a: { guarantee: { cpu: 2 } }, b: { guarantee: { cpu: 2 } } });
  for (const n of ["n1", "n2"]) {
    made.node(n, { cpu: 2 }, { labels: { n } });
    made.cpu("b", n, 2, 1, { constraints: { nodeSelector: { n } } });
  }
  made.settle().run();
  made.apply({ type: "task-observed", task: { ...made.tasks.get("n2-uid")!, kill: {} } });
  made.cpu("a", "due", 2, 1, { constraints: { nodeSelector: { n: "n1" } } }).settle();
  expect(made.asked()).toEqual([]);
});

test("what starts together has room made for it, though one of it asks for nothing that is guaranteed", () => {
  const made = ReclaimBench.of({ a: { guarantee: { cpu: 2 } }, b: {} }).node("n", { cpu: 2, memory: 2 });
  made.cpu("b", "tb", 2).settle().run();
  const group = { of: "a", group: { name: "g", size: 2 } };
  made.asking("t1", { cpu: 2 }, group).asking("t2", { memory: 2 }, group).settle();
  expect(made.wait(GRACE_MS).ending).toEqual(["tb-0-0"]);
  expect(made.terminate().placed()).toEqual(["t1-0", "t2-0"]);
});

test("what starts together is not waited for in half: once one of it finds no room, none of it is asked back", () => {
  const made = ReclaimBench.of({ a: { guarantee: { cpu: 4 } }, b: {}, c: {} });
  made.node("n", { cpu: 4 }, { labels: { is: "n" } }).node("m", { cpu: 2 });
  const there = { constraints: { nodeSelector: { is: "n" } } };
  made.cpu("b", "tb", 2, 2, there).settle().cpu("c", "tc", 2).settle().run();
  made.cpu("a", "gang", 2, 2, { gang: { minimum: 2 }, ...there }).settle();
  expect(made.asked().map(({ inverse }) => inverse?.instances)).toEqual([2]);
  made.queue("b", { guarantee: { cpu: 2 } }).settle();
  expect([made.asked(), made.wait(GRACE_MS).ending]).toEqual([[], []]);
});

test("who has refused a node has nothing taken back there, until it revives", () => {
  const made = ReclaimBench.of({ a: { guarantee: { cpu: 2 } }, b: {} }).answering("a");
  const there = { constraints: { nodeSelector: { is: "n" } } };
  made.node("n", { cpu: 4 }, { labels: { is: "n" } }).node("elsewhere", { cpu: 2 });
  made.cpu("b", "t1", 2, 1, there).settle().run().cpu("a", "due", 2, 1, there).settle();
  made.decline(made.openOffers("a")[0]!, 3_600_000);
  made.cpu("b", "t2", 2, 1, there).settle().run();
  expect([made.used("b"), made.asked()]).toEqual([4, []]);
  made.answering("a", { revive: 1 }).settle();
  expect(made.asked()).toHaveLength(1);
});

test("each borrower is asked for what it has, where several instances are due", () => {
  const made = ReclaimBench.of({ a: { guarantee: { cpu: 2 } }, b: {}, c: {} });
  for (const n of ["b", "c"]) made.node(n, { cpu: 1 }).cpu(n, `t${n}`, 1).settle();
  made.cpu("a", "due", 1, 2).settle();
  const asked = made.asked().map(({ framework, inverse }) => [framework, inverse!.instances]);
  expect(asked.sort()).toEqual([
    ["ns/b", 1],
    ["ns/c", 1],
  ]);
});

test("an inverse offer names so many nodes and no more: for others there is another", () => {
  const made = due(65);
  for (let n = 0; n < 65; n++) made.node(`n${n}`, { cpu: 1 });
  made.cpu("b", "tb", 1, 65).settle().cpu("a", "due", 1, 65).settle();
  expect(made.asked().map(({ slices, inverse }) => [slices.length, inverse?.instances])).toEqual([
    [64, 64],
    [1, 1],
  ]);
});

test.each([
  { name: "the first", sooner: "a" },
  { name: "the last", sooner: "d" },
])("who waits for others to be old enough is served when they are, be it $name that is looked at", ({ sooner }) => {
  const made = due(2);
  const at = (zone: string) => ({ constraints: { nodeSelector: { zone } } });
  for (const zone of ["a", "d"]) {
    const borrower = `b${zone}`;
    made.queue(borrower, { reclaim: { minimumRuntimeMs: zone === sooner ? 30_000 : 60_000 } });
    made.framework(borrower, { queues: [{ name: borrower, weight: 1 }] }).node(zone, { cpu: 2 }, { labels: { zone } });
    made.cpu(borrower, `t${zone}`, 2, 1, at(zone)).settle().run();
  }
  for (const zone of ["a", "d"]) made.cpu(zone, `due-${zone}`, 2, 1, at(zone));
  const asking = (ms: number) => {
    made.wait(ms);
    return made.asked().map(({ inverse }) => inverse?.queue);
  };
  made.settle();
  expect([29_999, 1].map(asking)).toEqual([[], [sooner]]);
  made.wait(GRACE_MS);
  expect(made.ending).toEqual([`t${sooner}-0-0`]);
  expect(made.asked()).toHaveLength(1);
});
