import { describe, expect, test } from "vitest";
import { ReclaimBench } from "./reclaim.test-support.ts";

const GRACE_MS = 30_000;

/** Nodes of 4 CPUs, and `b` borrows. */
function cluster(nodes: number, guarantee = 4, b = {}): ReclaimBench {
  const made = ReclaimBench.of({ a: { guarantee: { cpu: guarantee } }, b });
  for (let n = 0; n < nodes; n++) made.node(`n${n}`, { cpu: 4 });
  return made;
}

/** A program's gang of three runs on the only node, and 2 CPUs of it are asked back. */
function ofThree(): ReclaimBench {
  const made = cluster(1).answering("b", { slack: 1 }).settle();
  made
    .cpu("b", "gang", 1, 3, { gang: { minimum: 3 } })
    .settle()
    .accepting("b", "gang")
    .run();
  return made.cpu("a", "due", 2).settle();
}

describe("what starts together and is taken back", () => {
  test("goes as a whole, on all nodes, and starts anew as a whole", () => {
    const made = cluster(2);
    made
      .cpu("b", "gang", 2, 4, { gang: { minimum: 4 } })
      .settle()
      .run();
    made.cpu("a", "due", 2).settle().wait(GRACE_MS);
    expect(made.ending).toEqual(["gang-0-0", "gang-1-0", "gang-2-0", "gang-3-0"]);
    const [first] = made.ending;
    made.pod(first!, { phase: "Failed", exitCode: 143 });
    made.podGone(first!);
    // There is room for one of it, and more is on its way: it does not come back in part.
    made.node("extra", { cpu: 2 }).settle();
    expect(made.placed().filter((name) => name.startsWith("gang"))).toEqual(["gang-1", "gang-2", "gang-3"]);
    made.terminate();
    expect(made.placed()).toEqual(["due-0"]);
    made.apply({ type: "task-recorded", uid: "gang-uid", version: made.broker.taskView("gang-uid")!.version });
    made.settle();
    expect(made.placed().filter((name) => name.startsWith("gang"))).toHaveLength(4);
    expect(made.wait(600_000).ending).toEqual([]);
  });

  test("stays where single tasks do as well, though they are dearer", () => {
    const made = cluster(1);
    made
      .cpu("b", "gang", 1, 2, { gang: { minimum: 2 }, priority: 0 })
      .settle()
      .run();
    made.cpu("b", "single", 2, 1, { priority: 5 }).settle().run();
    made.cpu("a", "due", 2).settle().wait(GRACE_MS);
    expect(made.ending).toHaveLength(made.ending[0] === "single-0-0" ? 1 : 2);
    made.terminate();
    expect(made.used("a")).toBe(2);
  });

  test("gives what is beyond its minimum first, one by one, the newest first", () => {
    const made = cluster(1);
    made
      .cpu("b", "gang", 1, 4, { gang: { minimum: 2 } })
      .settle()
      .run()
      .wait(1_000);
    made.cpu("a", "due", 1).settle().wait(GRACE_MS);
    expect(made.ending).toHaveLength(1);
    made.terminate();
    expect(made.placed().filter((name) => name.startsWith("gang"))).toHaveLength(3);
    // Both of its minimum, where one of them would have to go.
    made.cpu("a", "more", 3).settle().wait(GRACE_MS).terminate();
    expect(made.placed()).toEqual(["due-0", "more-0"]);
  });

  test("is not halved when more is asked back while what is beyond its minimum goes", () => {
    const made = cluster(1);
    made
      .cpu("b", "gang", 1, 4, { gang: { minimum: 2 } })
      .settle()
      .run()
      .wait(1_000);
    made.cpu("a", "due", 1, 2).settle().wait(GRACE_MS);
    expect(made.ending).toHaveLength(2);
    made.cpu("a", "more", 1).settle().wait(GRACE_MS);
    expect(made.ending).toHaveLength(4);
  });

  test("is not halved when one beyond its minimum is killed", () => {
    const made = cluster(1);
    made
      .cpu("b", "gang", 1, 4, { gang: { minimum: 2 } })
      .settle()
      .run()
      .wait(1_000);
    made.apply({ type: "task-observed", task: { ...made.tasks.get("gang-uid")!, kill: { indexes: "3" } } });
    expect(made.ending).toEqual(["gang-3-0"]);
    made.cpu("a", "due", 1, 3).settle().wait(GRACE_MS).terminate().terminate();
    expect(made.placed()).toEqual(["due-0", "due-1", "due-2"]);
  });

  test("may not be given in half while what is beyond its minimum goes", () => {
    const made = cluster(1).answering("b", { slack: 1 }).settle();
    made
      .cpu("b", "gang", 1, 4, { gang: { minimum: 2 } })
      .settle()
      .accepting("b", "gang")
      .accepting("b", "gang")
      .run();
    made.cpu("a", "due", 1, 2).settle().wait(GRACE_MS);
    expect(made.ending).toHaveLength(2);
    made.cpu("a", "more", 1).settle();
    const stays = [0, 1, 2, 3].find((index) => !made.ending.includes(`gang-${index}-0`));
    made.give(made.asked()[0]!, [{ task: "gang", indexes: String(stays) }]);
    expect(made.ending).toHaveLength(2);
  });

  test("is asked for as a whole, and may not be given in half", () => {
    const made = ofThree();
    expect(made.asked()).toMatchObject([{ inverse: { candidates: [{ task: "gang", indexes: "0-2" }] } }]);
    made.give(made.asked()[0]!, [{ task: "gang", indexes: "0-1" }]);
    expect(made.ending).toEqual([]);
    made.wait(GRACE_MS);
    expect(made.ending).toHaveLength(3);
  });

  test("is given whole at once, where its framework says so", () => {
    const made = ofThree();
    made.give(made.asked()[0]!, [{ task: "gang", indexes: "0-2" }]);
    expect(made.ending).toHaveLength(3);
  });

  test("may be given in part as far as enough of it stays", () => {
    const made = cluster(1).answering("b", { slack: 1 }).settle();
    made
      .cpu("b", "gang", 1, 4, { gang: { minimum: 2 } })
      .settle()
      .accepting("b", "gang")
      .accepting("b", "gang")
      .run();
    made.cpu("a", "due", 2).settle();
    made.give(made.asked()[0]!, [{ task: "gang", indexes: "0-1" }]);
    expect(made.ending).toEqual(["gang-0-0", "gang-1-0"]);
  });

  test("is too young as long as one of it is", () => {
    const made = cluster(1, 4, { reclaim: { minimumRuntimeMs: 60_000 } });
    made.cpu("b", "gang", 2, 2, { gang: { minimum: 2 } }).settle();
    const [first, second] = [...made.pods.keys()];
    made.pod(first!, { phase: "Running", started: true, startedAtMs: made.nowMs });
    made.wait(30_000).pod(second!, { phase: "Running", started: true, startedAtMs: made.nowMs });
    made.cpu("a", "due", 2).settle().wait(59_999);
    expect(made.asked()).toEqual([]);
    made.wait(1);
    expect(made.asked()).toHaveLength(1);
  });

  test("goes whole though its queue is above its guarantee only before, not after each of it", () => {
    const made = cluster(1, 4, { guarantee: { cpu: 3 } });
    made
      .cpu("b", "gang", 1, 4, { gang: { minimum: 4 } })
      .settle()
      .run();
    made.cpu("a", "due", 1).settle().wait(GRACE_MS);
    expect(made.ending).toHaveLength(4);
  });

  test("stays once its queue has no more than it is due", () => {
    const made = cluster(1);
    made
      .cpu("b", "gang", 2, 2, { gang: { minimum: 2 } })
      .settle()
      .run();
    made.cpu("a", "due", 2).settle();
    expect(made.asked()).toHaveLength(1);
    made.queue("b", { guarantee: { cpu: 4 } }).settle();
    expect([made.asked(), made.wait(GRACE_MS).ending]).toEqual([[], []]);
  });

  test("counts once, however many of it are on the node", () => {
    const made = cluster(1);
    made
      .cpu("b", "gang", 1, 2, { gang: { minimum: 2 }, priority: 0 })
      .settle()
      .run();
    made.cpu("b", "single", 1, 2, { priority: 5 }).settle().run();
    made.cpu("a", "due", 3).settle().wait(GRACE_MS);
    expect(made.ending).toHaveLength(3);
  });

  test("goes with what has joined it since, though leaders change", () => {
    const made = cluster(1);
    const retry = { limit: 1, backoffMs: 1, maxBackoffMs: 1, onNodeLost: "Never" } as const;
    made
      .cpu("b", "gang", 2, 2, { gang: { minimum: 2 }, retry })
      .settle()
      .run();
    made.cpu("a", "due", 4).settle();
    made.node("extra", { cpu: 2 }).settle();
    const [first, second] = [...made.pods.keys()];
    made.pod(first!, { phase: "Failed", exitCode: 1 });
    made.wait(1);
    made.apply({ type: "task-recorded", uid: "gang-uid", version: made.broker.taskView("gang-uid")!.version });
    made.wait(100);
    expect(made.pods.get("gang-0-1")?.node).toBe("extra");
    made.wait(GRACE_MS);
    expect(made.ending).toEqual([second]);
    const next = made.successor("2");
    expect(next.ending).toEqual([second, "gang-0-1"]);
    next.terminate();
    expect(next.placed().filter((name) => name.startsWith("gang"))).toEqual([]);
    expect(made.terminate().ending).toEqual(["gang-0-1"]);
    made.terminate();
    expect(made.placed().filter((name) => name.startsWith("gang"))).toEqual([]);
  });

  test("stays but for what was beyond its minimum, though leaders change while that goes", () => {
    const made = cluster(1);
    made
      .cpu("b", "gang", 1, 4, { gang: { minimum: 3 } })
      .settle()
      .run()
      .wait(1_000);
    made.cpu("a", "due", 1).settle().wait(GRACE_MS);
    const next = made.successor("2");
    expect([made.ending, next.ending]).toEqual([["gang-3-0"], ["gang-3-0"]]);
    expect(next.wait(60_000).ending).toEqual(["gang-3-0"]);
  });

  test.each([
    { minimum: 4, cpu: 2, due: 2 },
    { minimum: 3, cpu: 1, due: 4 },
  ])("starts anew as a whole though leaders change while all of it goes: $minimum of 4", ({ minimum, cpu, due }) => {
    // Four of it fill the nodes.
    const made = cluster(cpu);
    made.cpu("b", "gang", cpu, 4, { gang: { minimum } }).settle().run();
    made.cpu("a", "due", due).settle().wait(GRACE_MS);
    expect(made.ending).toHaveLength(4);
    const next = made.successor("2");
    const [first] = next.ending;
    next.pod(first!, { phase: "Failed", exitCode: 143 });
    next.podGone(first!);
    next.node("extra", { cpu: 2 }).settle();
    expect(next.placed().filter((name) => name.startsWith("gang"))).toHaveLength(3);
  });
});

describe("what starts together and is due", () => {
  test("has room made for all of it", () => {
    const made = cluster(2, 6);
    made.cpu("b", "tb", 1, 8).settle().run();
    made
      .cpu("a", "gang", 3, 2, { gang: { minimum: 2 } })
      .settle()
      .wait(GRACE_MS);
    expect(made.ending).toHaveLength(6);
    made.terminate();
    expect(made.used("a")).toBe(6);
    expect(made.wait(600_000).ending).toEqual([]);
  });

  test("has room made for all that its queue is guaranteed, though some of it is free beside the victims", () => {
    const made = ReclaimBench.of({ a: { guarantee: { cpu: 8 } }, b: {} });
    for (const node of ["n0", "n1"]) made.node(node, { cpu: 5 });
    made.cpu("b", "tb", 3, 2).settle().run();
    made
      .cpu("a", "gang", 4, 2, { gang: { minimum: 2 } })
      .settle()
      .wait(GRACE_MS);
    expect(made.ending).toHaveLength(2);
    made.terminate();
    expect(made.used("a")).toBe(8);
  });

  test("has what is free beside what is made", () => {
    const made = cluster(2, 6);
    made.cpu("b", "tb", 1, 4).settle().run();
    made
      .cpu("a", "gang", 3, 2, { gang: { minimum: 2 } })
      .settle()
      .wait(GRACE_MS)
      .terminate();
    expect(made.used("a")).toBe(6);
  });

  test("starts in what is kept for it, were there no other room at all", () => {
    const made = cluster(1);
    made.cpu("b", "tb", 2, 2).settle().run();
    made
      .cpu("a", "gang", 2, 2, { gang: { minimum: 2 } })
      .settle()
      .wait(GRACE_MS)
      .terminate();
    expect(made.placed()).toEqual(["gang-0", "gang-1"]);
  });

  test("starts in the round in which it can, though others find no room any more before its turn", () => {
    const made = ReclaimBench.of({ a: { guarantee: { cpu: 50 } }, b: {}, c: { guarantee: { cpu: 20 } } });
    made.node("n", { cpu: 40 }).cpu("b", "tb", 40).settle().run();
    made.node("rest", { cpu: 20 }).cpu("c", "before", 20).settle().run();
    made.node("m", { cpu: 10 });
    const group = { name: "g", size: 2 };
    made.cpu("a", "large", 40, 1, { group }).cpu("a", "small", 10, 1, { group }).settle();
    for (const cpu of [15, 16, 17]) made.cpu("c", `c${cpu}`, cpu);
    made.settle().wait(GRACE_MS);
    expect(made.ending).toEqual(["tb-0-0"]);
    made.pod("before-0-0", { phase: "Succeeded" });
    made.pod("tb-0-0", { phase: "Failed", exitCode: 143 });
    made.podGone("tb-0-0");
    made.apply({ type: "tick" });
    expect(made.placed()).toEqual(["c15-0", "large-0", "small-0"]);
  });

  test("has no more taken back for it when room for some of it is whole", () => {
    const made = cluster(2, 8);
    made.cpu("b", "tb", 2, 4).settle().run();
    made
      .cpu("a", "gang", 2, 2, { gang: { minimum: 2 } })
      .settle()
      .wait(GRACE_MS);
    const [first, ...others] = made.ending;
    made.pod(first!, { phase: "Failed", exitCode: 143 });
    made.podGone(first!);
    made.settle();
    expect([made.asked(), made.wait(GRACE_MS).ending]).toEqual([[], others]);
    expect(others).toHaveLength(1);
  });

  test("has room made for the rest when some of what was asked for ends by itself", () => {
    const made = cluster(1);
    made.cpu("b", "tb", 2, 2).settle().run();
    made.cpu("a", "gang", 2, 2, { gang: { minimum: 2 } }).settle();
    made.pod("tb-0-0", { phase: "Succeeded" });
    made.settle().wait(GRACE_MS).terminate();
    expect(made.placed()).toEqual(["gang-0", "gang-1"]);
  });

  test("keeps nothing once no more is taken back for the rest of it", () => {
    const made = cluster(1);
    made.cpu("b", "tb", 2, 2).settle().run();
    made.cpu("a", "gang", 2, 2, { gang: { minimum: 2 } }).settle();
    made.pod("tb-0-0", { phase: "Succeeded" });
    made.settle();
    expect(made.keptFor("a")).toBe(2);
    made.queue("a").cpu("b", "more", 2).settle();
    expect([made.keptFor("a"), made.used("b")]).toEqual([0, 4]);
  });

  test("has room made for all of it, however many that are", () => {
    const made = ReclaimBench.of({ a: { guarantee: { cpu: 1_001 } }, b: {} });
    made.node("n", { cpu: 1_001, pods: 2_000 });
    made.cpu("b", "tb", 1, 1_001).settle().run();
    made
      .cpu("a", "gang", 1, 1_001, { gang: { minimum: 1_001 } })
      .settle()
      .wait(GRACE_MS);
    expect(made.ending).toHaveLength(1_001);
  });

  test("leaves what does not make room for all of it to those behind it", () => {
    const made = cluster(1, 6);
    made.queue("c", { guarantee: { cpu: 4 } }).framework("c", { queues: [{ name: "c", weight: 1 }] });
    made.cpu("b", "tb", 1, 4).settle().run();
    made.node("own", { cpu: 4 }).cpu("c", "tc", 1, 4).settle().run();
    made
      .cpu("a", "gang", 3, 2, { gang: { minimum: 2 } })
      .cpu("a", "single", 2)
      .settle()
      .wait(GRACE_MS);
    expect(made.ending).toHaveLength(2);
  });

  test("has nothing taken back for it where not all of it would have room", () => {
    const made = cluster(1, 6);
    made.queue("c", { guarantee: { cpu: 4 } }).framework("c", { queues: [{ name: "c", weight: 1 }] });
    made.cpu("b", "tb", 1, 4).settle().run();
    made.node("own", { cpu: 4 }).cpu("c", "tc", 1, 4).settle().run();
    made
      .cpu("a", "gang", 3, 2, { gang: { minimum: 2 } })
      .settle()
      .wait(GRACE_MS);
    expect([made.asked(), made.ending]).toEqual([[], []]);
    // Nothing has changed: nothing leads to another round.
    expect(made.broker.nextTickMs(made.nowMs)).toBeGreaterThan(made.nowMs + 1_000);
  });
});
