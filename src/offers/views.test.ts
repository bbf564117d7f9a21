import { describe, expect, test } from "vitest";
import { Bench } from "./broker.test-support.ts";
import type { QueueFacts } from "./queues/queue-facts.ts";

const why = (made: Bench, task = "t") => made.broker.explainTask(`${task}-uid`);

describe("what a queue says of itself", () => {
  const cpu = (cores: number) => ({ cpu: cores * 1_000 });

  test.each<{ name: string; make: (made: Bench) => void; problem: string | undefined }>([
    { name: "nothing where nothing is wrong", make: (made) => made.queue("q"), problem: undefined },
    {
      name: "a guarantee above its limit",
      make: (made) => made.queue("q", { guarantee: { ...cpu(5), memory: 1 }, limit: cpu(4) }),
      problem:
        "its guarantee of 5 cpu is above its limit of 4 cpu: lower the guarantee or raise the limit; it is not in force",
    },
    {
      name: "less than it guarantees to those below it, and what is in force instead",
      make: (made) =>
        made
          .queue("q", { guarantee: cpu(6), generation: 3 })
          .queue("a", { parent: "q", guarantee: cpu(6) })
          .queue("q", { guarantee: cpu(5), generation: 4 }),
      problem:
        "the queues below it are guaranteed 6 cpu, above its guarantee of 5 cpu: raise that or lower theirs; what was " +
        "declared before (generation 3) stays in force",
    },
    {
      name: "nothing where it has what they have",
      make: (made) => made.queue("q", { guarantee: cpu(5) }).queue("a", { parent: "q", guarantee: cpu(5) }),
      problem: undefined,
    },
    {
      name: "no parent",
      make: (made) => made.queue("q", { parent: "nobody" }),
      problem: "its parent nobody does not exist: create that queue or correct spec.parent; it is not in force",
    },
  ])("$name", ({ make, problem }) => {
    const made = Bench.open();
    make(made);
    expect(made.broker.queueView("q")!.rejected).toEqual(problem && { reason: "queue-invalid", message: problem });
  });

  test("where nothing of it is in force, nothing is served, and its tasks say why", () => {
    const made = Bench.open()
      .queue("q", { guarantee: cpu(5), limit: cpu(4) })
      .node("n", cpu(9));
    made.framework("f", { queues: [{ name: "q", weight: 1 }] }).task("t", { instances: 9 });
    expect(made.settle().all("create-pod")).toEqual([]);
    expect(why(made)).toMatchObject({
      reason: "queue-invalid",
      message: expect.stringMatching(/^queue q: its guarantee of 5 cpu is above its limit of 4 cpu: lower/),
    });
    made.queue("q", { guarantee: cpu(4), limit: cpu(4) });
    expect(made.settle().all("create-pod")).toHaveLength(9);
  });

  test("who lists it or a queue below it, with tasks or without, and how many are below it", () => {
    const made = Bench.open().queue("top").queue("a", { parent: "top" }).queue("b", { parent: "top" });
    const lists = (...names: string[]) => ({ queues: names.map((name) => ({ name, weight: 1 })) });
    made.framework("f", lists("a", "b")).framework("g", lists("b")).framework("h", lists("default"));
    const counted = (name: string) => {
      const { frameworks, queues } = made.broker.queueView(name)!;
      return [frameworks, queues];
    };
    expect(["top", "a", "b", "default"].map(counted)).toEqual([
      [2, 2],
      [1, 0],
      [2, 0],
      [1, 0],
    ]);
    const from = made.effects.length;
    made.framework("f", lists("default"));
    expect([counted("top"), counted("a")]).toEqual([
      [1, 2],
      [0, 0],
    ]);
    // It is written, too: by what is written, admission knows that a queue is not in use.
    const urgent = (since: number) => {
      const changed = made.all("queue-changed", since);
      return new Set(changed.filter((effect) => effect.urgent).map(({ name }) => name));
    };
    expect(urgent(from)).toEqual(new Set(["a", "b", "default", "top"]));
    const then = made.effects.length;
    made.apply({ type: "framework-gone", key: "ns/g" });
    expect(urgent(then)).toEqual(new Set(["b", "top"]));
    const last = made.effects.length;
    made.apply({ type: "queue-gone", name: "a" });
    expect(urgent(last)).toEqual(new Set(["top"]));
    made.task("t", { framework: "ns/h" });
    expect(urgent(last)).toEqual(new Set(["top"]));
  });

  test("that a new term goes by what was in force, not by who is older", () => {
    const made = new Bench();
    const facts = { weight: 1, limit: {}, namespaces: ["*"], parent: "top", guarantee: cpu(6) };
    const [old, young] = [
      { ...facts, name: "old", createdAtMs: 1 },
      { ...facts, name: "young", createdAtMs: 2 },
    ];
    const top = { name: "top", weight: 1, guarantee: cpu(10), limit: {}, namespaces: ["*"] };
    const recorded = (queue: QueueFacts) => ({ recorded: { lastGood: queue, inForce: true } });
    made.apply({ type: "queue-observed", queue: top, ...recorded(top) });
    made.queue("old", old);
    made.apply({ type: "queue-observed", queue: young, ...recorded(young) });
    made.apply({ type: "opened" });
    expect(made.broker.queueView("young")).toMatchObject({ inForce: true });
    expect(made.broker.queueView("old")).toMatchObject({ inForce: false, rejected: { reason: "queue-invalid" } });
    const told = made.all("queue-changed").map(({ name }) => name);
    expect(told).toEqual(expect.arrayContaining(["old", "young"]));
  });

  test("what its frameworks want and hold, also of those that are gone, and who is to count in its fairness", () => {
    const made = Bench.open().queue("a").queue("b").queue("c").node("n", { cpu: 4 });
    for (const name of ["a", "b"]) made.framework(name, { queues: [{ name, weight: 1 }] });
    made.asking("ta", { cpu: 1 }, { of: "a", instances: 4 }).settle();
    expect(made.broker.queueView("a")!.fairnessError).toBe(0);
    // b wants something, c nothing.
    made.asking("tb", { cpu: 1 }, { of: "b" }).settle();
    expect(["a", "b", "c"].map((name) => made.broker.queueView(name)!.fairnessError)).toEqual([0.5, 0.5, 0]);
    made.apply({ type: "framework-gone", key: "ns/a" });
    expect(made.broker.queueView("a")).toMatchObject({ frameworks: 0, counts: { running: 4 }, allocated: { cpu: 4 } });
    expect(made.broker.frameworkView("ns/a")).toBeUndefined();
  });
});

test("a cluster tells of offers apart from what runs, and of nodes that facts have over-filled", () => {
  const made = Bench.open().node("n", { cpu: 8 }).node("m", { cpu: 2 }).framework("f", { scheduler: "Offers" });
  made.asking("t", { cpu: 2 }, { instances: 2 }).settle();
  made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "m", requests: { cpu: 3 } } });
  expect(made.broker.clusterView()).toMatchObject({
    nodes: { open: 2, closed: 0, overfull: 1 },
    offered: { cpu: 4 },
    allocated: {},
    foreign: { cpu: 3 },
    // What is over-full has nothing free.
    free: { cpu: 4 },
    openOffers: 1,
  });
});

test("what of a Task waits is told without looking at each instance", () => {
  const made = Bench.open().framework("f").node("n", { cpu: 2 }).task("t", { instances: 5 }).settle();
  expect([made.broker.pendingOf("t-uid"), made.broker.pendingOf("nobody")]).toEqual([3, 0]);
});

describe("why something waits", () => {
  test("behind others of a lower share, which are counted", () => {
    const made = Bench.open().node("n", { cpu: 9, memory: 4 });
    for (const name of ["a", "b", "c"]) made.framework(name);
    made.asking("ta", { cpu: 3 }, { of: "a" }).asking("tb", { cpu: 1 }, { of: "b" }).settle();
    // Nothing is decided yet for what comes now.
    made.asking("more", { cpu: 1 }, { of: "a" }).asking("tb2", { cpu: 1 }, { of: "b" });
    made.asking("tc", { cpu: 1 }, { of: "c" });
    expect(why(made, "more")).toEqual({
      reason: "in-line",
      message: "1 nodes fit; 2 stand before it in queue default",
    });
    expect(why(made, "tc")?.message).toBe("1 nodes fit; 0 stand before it in queue default");
    made.settle();
    expect(why(made, "more")).toEqual({ reason: "placed", message: "nothing waits" });
  });

  test("because a guarantee keeps back what is free", () => {
    const made = Bench.open()
      .queue("a", { guarantee: { cpu: 4 } })
      .queue("b");
    made.node("x", { cpu: 4 }, { labels: { zone: "x" } }).node("n", { cpu: 4 });
    made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "x", requests: { cpu: 4 } } });
    for (const name of ["a", "b"]) made.framework(name, { queues: [{ name, weight: 1 }] });
    made.asking("ta", { cpu: 4 }, { of: "a", constraints: { nodeSelector: { zone: "x" } } });
    made.asking("t", { cpu: 1 }, { of: "b" }).settle();
    expect(why(made)).toEqual({
      reason: "kept-back",
      message: "0.001 cpu asked, 0.004 free, 0.004 of it kept back for queue a",
    });
  });

  test("in a queue that is over its limit already: nothing is left, not less than nothing", () => {
    const made = Bench.open()
      .queue("q", { limit: { cpu: 4 } })
      .node("n", { cpu: 9 });
    made
      .framework("f", { queues: [{ name: "q", weight: 1 }] })
      .task("a", { instances: 4 })
      .settle();
    made
      .queue("q", { limit: { cpu: 2 } })
      .task("t")
      .settle();
    expect(why(made)).toEqual({
      reason: "over-limit",
      message: "queue q: 0.001 asked, 0 left of its limit 0.002 (cpu)",
    });
  });

  test("of a framework: what its tasks wait for that are not ready, else what hinders the first that is rejected", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 2 });
    const reason = () => made.broker.frameworkView("ns/f")!.why.reason;
    made.task("done").settle();
    made.finish("done-0-0");
    expect(reason()).toBe("no-demand");
    made.task("t", { retry: { limit: 1, backoffMs: 9_000, maxBackoffMs: 9_000, onNodeLost: "Never" } }).settle();
    made.pod("t-0-0", { phase: "Failed", exitCode: 1 });
    expect(reason()).toBe("back-off");
    made.task("bad", { invalid: "privileged" });
    expect(reason()).toBe("back-off");
    made.apply({ type: "task-gone", uid: "t-uid" });
    expect(reason()).toBe("invalid-task");
  });

  test("of a framework with an offer that holds all it wants: for the answer, or for nothing", () => {
    const made = Bench.open().framework("f", { scheduler: "Offers" }).node("n", { cpu: 2 }).task("t").settle();
    expect(made.broker.frameworkView("ns/f")!.why.reason).toBe("no-demand");
    made.task("u", { instances: 9 }).settle();
    expect(made.broker.frameworkView("ns/f")!.why.reason).toBe("no-node");
  });

  test("of a Task whose framework is gone, or was never there", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 0 }).task("t").settle();
    made.apply({ type: "framework-gone", key: "ns/f" });
    expect(why(made)).toMatchObject({ reason: "unknown-framework" });
    expect(made.broker.frameworks()).toEqual([]);
    made.apply({ type: "task-gone", uid: "t-uid" });
    expect(why(made)).toBeUndefined();
  });

  test("nodes that are equally far are told by the one with most free", () => {
    const made = Bench.open().framework("f").asking("t", { cpu: 4_000_000 });
    for (const [i, cpu] of [1_000, 1_001, 1_000].entries()) made.node(`n${i}`, { cpu });
    made.settle();
    expect(why(made)?.message).toBe("3 nodes: 3 insufficient cpu (needs 4000, largest free 1.001)");
  });

  test("nodes that are only known by their pods are no nodes", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 1 }).asking("t", { cpu: 4 });
    made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "elsewhere", requests: { cpu: 1 } } });
    expect(why(made.settle())?.message).toMatch(/^1 nodes: 1 insufficient cpu/);
  });
});

test("rounds are as far apart as was asked for, and the first is at once", () => {
  for (const [options, intervalMs] of [
    [{ roundMinIntervalMs: 200 }, 200],
    [{}, 0],
  ] as const) {
    const made = Bench.open(options).framework("f").node("n", { cpu: 9 }).task("a");
    expect(made.settle().all("create-pod")).toHaveLength(1);
    made.task("b");
    expect(made.broker.nextTickMs(made.nowMs)).toBe(made.nowMs + intervalMs);
    // Somebody's alarm rings in between.
    made.apply({ type: "tick" });
    expect(made.all("create-pod")).toHaveLength(intervalMs === 0 ? 2 : 1);
    expect(made.wait(intervalMs).all("create-pod")).toHaveLength(2);
  }
});
