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
  for (let n = 0; n < 4; n++) made.wait(GRACE_MS).terminate();
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
