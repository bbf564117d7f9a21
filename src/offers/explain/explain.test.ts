import { describe, expect, test } from "vitest";
import { Bench } from "../broker.test-support.ts";

const why = (made: Bench, task = "t") => made.broker.explainTask(`${task}-uid`);

describe("why a task waits", () => {
  test("the numbers are true: what is said to be lacking is what starts it, and not a bit less", () => {
    const made = Bench.open().framework("f").node("a", { cpu: 2_500 }).node("b", { cpu: 1_000 });
    made.asking("t", { cpu: 4_000 }).settle();
    expect(why(made)).toEqual({
      reason: "no-node",
      message: "2 nodes: 2 insufficient cpu (needs 4, largest free 2.5)",
    });
    made.node("a", { cpu: 2_500 + 1_400 }).settle();
    expect(made.all("create-pod")).toEqual([]);
    made.node("a", { cpu: 2_500 + 1_500 }).settle();
    expect(made.all("create-pod")).toHaveLength(1);
  });

  test("the same state gives the same text, however late it is asked for", () => {
    const made = Bench.open().framework("f", { scheduler: "Offers" }).node("n", { cpu: 1 }).node("m", { cpu: 9_000 });
    made.asking("t", { cpu: 2_000 }).settle();
    made.decline(made.openOffers()[0]!, 100_000);
    made.settle();
    const before = why(made);
    expect(before?.message).toMatch(
      /^2 nodes: 1 filtered by a refusal until \d\d:\d\d:\d\dZ, 1 insufficient cpu \(needs 2, largest free 0.001\)$/,
    );
    made.wait(40_000);
    expect(why(made)).toEqual(before);
  });

  test("each node drops out at the first check that it fails", () => {
    const made = Bench.open().framework("f");
    const constraints = { nodeSelector: { disk: "ssd" } };
    const labels = { disk: "ssd" };
    made.node("cordoned", { cpu: 9 }, { closed: "cordoned", labels }).node("other", { cpu: 9 });
    made.node("tainted", { cpu: 9 }, { labels, taints: [{ key: "gpu", effect: "NoSchedule" }] });
    made.node("full", { cpu: 9, memory: 1_024 }, { labels }).node("small", { cpu: 1, memory: 9_216 }, { labels });
    made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "full", requests: { cpu: 10 } } });
    made.asking("t", { cpu: 2, memory: 2_048 }, { constraints }).settle();
    expect(why(made)?.message).toBe(
      "5 nodes: 1 cordoned, 1 insufficient cpu (needs 0.002, largest free 0.001), 1 not matching the constraints, 1 over-full, 1 with taint gpu that is not tolerated",
    );
  });

  test("a node that lacks two things is no better off with one of them: both are told, as the nearest has them", () => {
    const made = Bench.open().framework("f");
    made.node("far", { cpu: 3_000, memory: 1_024 }).node("near", { cpu: 2_000, memory: 3_072.5 * 1_024 });
    made.node("half", { cpu: 9_000, memory: 1_024 });
    made.asking("t", { cpu: 4_000, memory: 4_096 * 1_024 }).settle();
    expect(why(made)?.message).toBe(
      "3 nodes: 2 insufficient cpu and memory (needs 4 and 4096Mi, the nearest has 2 and 3072.5Mi), 1 insufficient memory (needs 4096Mi, largest free 1Mi)",
    );
    made.node("near", { cpu: 4_000, memory: 4_096 * 1_024 - 1 }).settle();
    expect(why(made)?.message).toContain("insufficient memory (needs 4096Mi, largest free 4095.9Mi)");
    made.node("near", { cpu: 4_000, memory: 4_096 * 1_024 }).settle();
    expect(made.all("create-pod")).toHaveLength(1);
  });

  test("a node with less than its framework takes offers of says so", () => {
    const made = Bench.open().framework("f", { scheduler: "Offers", minimum: { cpu: 8_000 } });
    made.node("n", { cpu: 5_000 }).node("m", { cpu: 1_000 }).asking("t", { cpu: 2_000 }).settle();
    expect(why(made)).toEqual({
      reason: "no-node",
      message:
        "2 nodes: 1 below the framework's minimum of cpu (needs 8, largest free 5), 1 insufficient cpu (needs 8, largest free 1)",
    });
    made.node("n", { cpu: 8_000 }).settle();
    expect(made.openOffers()).toHaveLength(1);
  });

  test("room that its framework is shown already is not shown to it twice", () => {
    const made = Bench.open().framework("f", { scheduler: "Offers", concurrency: "Optimistic", maxOutstanding: 9 });
    made.node("n", { cpu: 3 }).asking("t", { cpu: 2 }, { instances: 2 }).settle();
    expect(made.openOffers()).toHaveLength(1);
    expect(why(made)).toEqual({ reason: "no-node", message: "1 nodes: 1 offered to it already" });
  });

  test("a resource that no node has is called by its name", () => {
    const made = Bench.open()
      .framework("f")
      .node("n", { cpu: 3 })
      .asking("t", { cpu: 1, "example.com/fpga": 2 })
      .settle();
    expect(why(made)?.message).toBe("1 nodes: 1 insufficient example.com/fpga (needs 2, largest free 0)");
  });

  test.each<{ name: string; reason: string; message: RegExp; make: (made: Bench) => void }>([
    {
      name: "its framework is suppressed",
      reason: "suppressed",
      message: /^framework ns\/f is suppressed$/,
      make: (made) => made.framework("f", { suppressed: true }).task("t"),
    },
    {
      name: "it waits for an answer",
      reason: "waiting-for-answer",
      message: /^room for 1 instances is offered and not answered$/,
      make: (made) => made.framework("f", { scheduler: "Offers" }).node("n", { cpu: 1 }).task("t"),
    },
    {
      name: "its framework holds as many offers as it may",
      reason: "waiting-for-answer",
      message: /^1 offers are open, it may hold 1/,
      make: (made) =>
        made
          .framework("f", { scheduler: "Offers", maxOutstanding: 1 })
          .node("n", { cpu: 9 })
          .task("a")
          .settle()
          .task("t"),
    },
    {
      name: "its queue is at its limit",
      reason: "over-limit",
      message: /^queue default: 2 asked, 1 left of its limit 3 \(cpu\)$/,
      make: (made) =>
        made
          .queue("default", { limit: { cpu: 3_000 } })
          .framework("f")
          .node("n", { cpu: 9_000 })
          .asking("a", { cpu: 2_000 })
          .settle()
          .asking("t", { cpu: 2_000 }),
    },
    {
      name: "it asks for more than its queue's limit",
      reason: "over-limit",
      message: /^queue default: 4 asked, 3 left of its limit 3 \(cpu\): raise it, or ask for less$/,
      make: (made) =>
        made
          .queue("default", { limit: { cpu: 3_000 } })
          .framework("f")
          .node("n", { cpu: 9_000 })
          .asking("t", { cpu: 4_000 }),
    },
    {
      name: "there is no node at all",
      reason: "no-node",
      message: /^0 nodes: none$/,
      make: (made) => made.framework("f").task("t"),
    },
    {
      name: "nothing waits",
      reason: "placed",
      message: /^nothing waits$/,
      make: (made) => made.framework("f").node("n", { cpu: 1 }).task("t"),
    },
    {
      name: "others stand before it",
      reason: "no-node",
      message: /; 1 tasks of its shape stand before it$/,
      make: (made) => made.framework("f").task("first", { createdAtMs: 1 }).task("t"),
    },
  ])("$name: $reason", ({ reason, message, make }) => {
    const made = Bench.open();
    make(made);
    made.settle();
    expect(why(made)).toMatchObject({ reason, message: expect.stringMatching(message) });
  });

  test("of a task that nobody knows nothing is said", () => {
    expect(why(Bench.open())).toBeUndefined();
  });
});

describe("why a framework gets nothing more", () => {
  test.each<{ name: string; reason: string; make: (made: Bench) => void }>([
    { name: "it wants nothing", reason: "no-demand", make: () => {} },
    { name: "it is suppressed", reason: "suppressed", make: (made) => made.framework("f", { suppressed: true }) },
    { name: "no node fits", reason: "no-node", make: (made) => made.asking("t", { cpu: 10 }) },
    {
      name: "its only task may not take part",
      reason: "invalid-task",
      make: (made) => made.task("t", { invalid: "x" }),
    },
    {
      name: "its tasks run as many as they may",
      reason: "parallelism",
      make: (made) => made.task("t", { instances: 2, parallelism: 1 }),
    },
    {
      name: "its queue is not its own",
      reason: "queue-not-allowed",
      make: (made) => made.queue("default", { namespaces: ["other"] }),
    },
    {
      name: "offers may not be published",
      reason: "not-published",
      make: (made) => {
        made.framework("f", { scheduler: "Offers" }).task("t");
        made.apply({ type: "publishing", allowed: false });
      },
    },
  ])("$name: $reason", ({ reason, make }) => {
    const made = Bench.open().framework("f").node("n", { cpu: 9 });
    make(made);
    made.settle();
    expect(made.broker.frameworkView("ns/f")!.why).toMatchObject({ reason });
  });
});

describe("views", () => {
  test("of a framework: what it holds, what it is offered, what it wants", () => {
    const made = Bench.open().node("n", { cpu: 8 }).framework("f", { scheduler: "Offers" });
    made.asking("t", { cpu: 2 }, { instances: 3 }).settle();
    made.accept(made.openOffers()[0]!, [{ task: "t", slice: "s0", count: 1 }], { refuseMs: 0 });
    made.settle();
    expect(made.broker.frameworkView("ns/f")).toMatchObject({
      queue: "default",
      dominantShare: 0.75,
      allocated: { cpu: 2, pods: 1 },
      offered: { cpu: 4, pods: 2 },
      demand: { cpu: 4, pods: 2 },
      counts: { pending: 2, starting: 1 },
      offers: { open: 1, accepted: 1 },
    });
    expect(made.broker.frameworks()).toEqual(["ns/f"]);
    expect(made.broker.frameworkView("ns/none")).toBeUndefined();
  });

  test("of a queue: what is offered does not run", () => {
    const made = Bench.open().node("n", { cpu: 8 }).framework("f", { scheduler: "Offers" });
    made.asking("t", { cpu: 2 }, { instances: 3 }).settle();
    made.accept(made.openOffers()[0]!, [{ task: "t", slice: "s0", count: 1 }]);
    made.settle();
    expect(made.openOffers()).toHaveLength(1);
    expect(made.broker.queueView("default")).toMatchObject({ counts: { pending: 2, running: 1 } });
  });

  test("of queues: sums of what is below, and how far each is from its fair part", () => {
    const made = Bench.open()
      .queue("top")
      .queue("a", { parent: "top" })
      .queue("b", { parent: "top" })
      .node("n", { cpu: 10 });
    for (const name of ["a", "b"]) made.framework(name, { queues: [{ name, weight: 1 }] });
    made.asking("t", { cpu: 1 }, { of: "a", instances: 8 }).settle();
    made.asking("u", { cpu: 1 }, { of: "b", instances: 8 }).settle();
    expect(made.broker.queueView("top")).toMatchObject({
      allocated: { cpu: 10 },
      frameworks: 2,
      counts: { pending: 6, running: 10 },
    });
    expect(made.broker.queueView("a")).toMatchObject({ dominantShare: 0.8, parent: "top" });
    expect(made.broker.queueView("a")!.fairnessError).toBeCloseTo(0.3);
    expect(made.broker.queueView("b")!.fairnessError).toBeCloseTo(0.3);
    expect(made.broker.queues().sort()).toEqual(["a", "b", "default", "top"]);
    expect(made.broker.queueView("none")).toBeUndefined();
  });

  test("of the cluster", () => {
    const made = Bench.open().node("n", { cpu: 8, pods: 9 }).node("m", { cpu: 8 }, { ready: false }).framework("f");
    made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "n", requests: { cpu: 3, pods: 1 } } });
    made.asking("t", { cpu: 2 }).settle();
    expect(made.broker.clusterView()).toMatchObject({
      nodes: { open: 1, closed: 1, overfull: 0 },
      allocatable: { cpu: 8, pods: 9 },
      foreign: { cpu: 3, pods: 1 },
      allocated: { cpu: 2, pods: 1 },
      free: { cpu: 3, pods: 7 },
      grants: 1,
      inconsistencies: 0,
    });
  });

  test("of offers that ended: once each", () => {
    const made = Bench.open().node("n", { cpu: 8 }).framework("f", { scheduler: "Offers" }).task("t").settle();
    made.nowMs += 500;
    made.accept(made.openOffers()[0]!, [{ task: "t", slice: "s0", count: 1 }]);
    expect(made.broker.drainEndedOffers()).toEqual([
      { framework: "ns/f", phase: "Accepted", openMs: 500, launched: 1 },
    ]);
    expect(made.broker.drainEndedOffers()).toEqual([]);
  });
});
