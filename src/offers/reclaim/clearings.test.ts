import { expect, test } from "vitest";
import { ReclaimBench } from "./reclaim.test-support.ts";

const GRACE_MS = 30_000;

/** `a` is due so much; `b` borrows; `c` has just what it is guaranteed, and `d` is due 2 elsewhere. */
const cluster = (due: number) =>
  ReclaimBench.of({
    a: { guarantee: { cpu: due } },
    b: {},
    c: { guarantee: { cpu: 2 } },
    d: { guarantee: { cpu: 2 } },
  });

test("what is free and not needed beside the victims is others' until it is; then fewer have to go", () => {
  const made = cluster(5).node("n", { cpu: 7 });
  made.cpu("b", "tb", 2, 2).cpu("c", "tc", 2).settle().run();
  made.cpu("a", "due", 5).settle();
  expect(made.keptFor("a")).toBe(1);
  made.finish("tc-0-0");
  made.settle();
  expect(made.keptFor("a")).toBe(1);
  expect(made.wait(GRACE_MS).ending).toEqual(["tb-1-0"]);
  expect(made.keptFor("a")).toBe(3);
  expect(made.terminate().used("a")).toBe(5);
});

test("one victim and what is free beside it make room for two: the free part is kept", () => {
  const made = cluster(4).node("n", { cpu: 4 });
  made.cpu("b", "tb", 3).settle().run();
  made.cpu("a", "due", 2, 2).settle();
  expect(made.used("a")).toBe(0);
  expect([made.asked()[0]?.inverse?.instances, made.keptFor("a")]).toEqual([2, 1]);
  made.cpu("b", "small", 1).settle().wait(GRACE_MS).terminate();
  expect([made.used("a"), made.used("b")]).toEqual([4, 0]);
});

test("what was kept of what is free is free again once there is nothing to be had beside it", () => {
  const made = cluster(4).node("n", { cpu: 4 });
  made.cpu("b", "tb", 2).settle().run().cpu("a", "due", 4).settle();
  expect(made.keptFor("a")).toBe(2);
  made.queue("b", { guarantee: { cpu: 4 } }).settle();
  expect([made.keptFor("a"), made.asked()]).toEqual([0, []]);
});

test("nobody is ended for demand that has gone in the moment in which it was due", () => {
  const made = cluster(2).node("n", { cpu: 2 });
  made.cpu("b", "tb", 1, 2).settle().run().cpu("a", "t1", 1).cpu("a", "t2", 1).settle();
  made.nowMs += GRACE_MS;
  made.apply({ type: "task-gone", uid: "t1-uid" });
  made.settle();
  expect(made.ending).toHaveLength(1);
});

test("nobody is ended for a guarantee that has gone in the moment in which it was due", () => {
  const made = cluster(2).node("n", { cpu: 2 });
  made.cpu("b", "tb", 2).settle().run().cpu("a", "due", 2).settle();
  made.nowMs += GRACE_MS;
  made.queue("a", { guarantee: { cpu: 1 } }).settle();
  expect([made.asked(), made.ending]).toEqual([[], []]);
});

test("a lower guarantee covers less, what is on its way already included", () => {
  const made = cluster(4).node("n", { cpu: 4 });
  made.cpu("b", "tb", 2, 2).settle().run().cpu("a", "t1", 2).settle().wait(10_000);
  made
    .cpu("a", "t2", 2)
    .settle()
    .wait(GRACE_MS - 10_000);
  expect([made.ending, made.asked().length]).toEqual([["tb-1-0"], 1]);
  made.queue("a", { guarantee: { cpu: 3 } }).settle();
  expect([made.asked(), made.wait(GRACE_MS).ending]).toEqual([[], ["tb-1-0"]]);
});

test("of two instances that one victim makes room for a lower guarantee covers one", () => {
  const made = cluster(2).node("n", { cpu: 2 });
  made.cpu("b", "tb", 2).settle().run().cpu("a", "due", 1, 2).settle();
  made
    .queue("a", { guarantee: { cpu: 1 } })
    .settle()
    .wait(GRACE_MS);
  made.pod("tb-0-0", { phase: "Failed", exitCode: 143 });
  expect(made.keptFor("a")).toBe(1);
});

test("what starts together keeps nothing once no more is taken back for one of its tasks, though others have something", () => {
  const made = cluster(4)
    .node("n", { cpu: 4 }, { labels: { is: "n" } })
    .node("m", { cpu: 2 }, { labels: { is: "m" } });
  const there = { constraints: { nodeSelector: { is: "n" } } };
  made.cpu("b", "tb", 2, 2, there).settle().cpu("b", "other", 2, 1, { priority: 9 }).settle().run();
  for (const name of ["t1", "t2"]) made.cpu("a", name, 2, 1, { ...there, group: { name: "g", size: 2 } });
  made.cpu("d", "td", 2, 1, { constraints: { nodeSelector: { is: "m" } } }).settle();
  expect(made.asked()).toHaveLength(2);
  made.pod("tb-0-0", { phase: "Succeeded" });
  made.settle();
  expect(made.keptFor("a")).toBe(2);
  made.queue("a").settle();
  expect([made.keptFor("a"), made.asked().map(({ inverse }) => inverse?.queue)]).toEqual([0, ["d"]]);
});

test("a gang of which there is enough room without it stays, though it has more elsewhere", () => {
  const made = cluster(4)
    .node("n1", { cpu: 6 }, { labels: { n: "1" } })
    .node("n2", { cpu: 2 }, { labels: { n: "2" } });
  const on = (n: string) => ({ constraints: { nodeSelector: { n } } });
  made
    .cpu("b", "single", 2, 1, { ...on("1"), priority: 0 })
    .cpu("c", "tc", 2, 1, on("1"))
    .settle()
    .run();
  const group = { name: "g", size: 2 };
  made
    .cpu("b", "g1", 2, 1, { ...on("1"), group, priority: 1 })
    .cpu("b", "g2", 2, 1, { ...on("2"), group, priority: 1 });
  made.settle().run().cpu("a", "due", 4).settle();
  expect(
    made
      .asked()
      .flatMap(({ inverse }) => inverse!.candidates.map(({ task }) => task))
      .sort(),
  ).toEqual(["g1", "g2", "single"]);
  made.finish("tc-0-0");
  made.settle().wait(GRACE_MS);
  expect(made.ending).toEqual(["single-0-0"]);
});
