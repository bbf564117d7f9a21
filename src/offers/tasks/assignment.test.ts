import { describe, expect, test } from "vitest";
import { Bench } from "../broker.test-support.ts";

const why = (made: Bench, task = "t") => made.broker.explainTask(`${task}-uid`);
const created = (made: Bench) => made.settle().all("create-pod").length;

/** Task t, of framework f in queue q. */
const inQueue = (made: Bench): Bench => made.framework("f", { queues: [{ name: "q", weight: 1 }] }).task("t");

describe("a task takes no part", () => {
  test.each<{ name: string; reason: string; make: (made: Bench) => void; mend: (made: Bench) => void }>([
    {
      name: "that breaks a rule",
      reason: "invalid-task",
      make: (made) => made.task("t", { invalid: "hostPath" }),
      mend: (made) => made.task("t"),
    },
    {
      name: "without its framework",
      reason: "unknown-framework",
      make: (made) => made.task("t", { framework: "ns/none" }),
      mend: (made) => made.framework("none"),
    },
    {
      name: "without its queue",
      reason: "unknown-queue",
      make: (made) => made.framework("f", { queues: [{ name: "none", weight: 1 }] }).task("t"),
      mend: (made) => made.queue("none"),
    },
    {
      name: "in a queue that its framework does not list",
      reason: "queue-not-allowed",
      make: (made) => made.queue("q").task("t", { queue: "q" }),
      mend: (made) =>
        made.framework("f", {
          queues: [
            { name: "default", weight: 1 },
            { name: "q", weight: 1 },
          ],
        }),
    },
    {
      name: "in a queue that does not admit its namespace",
      reason: "queue-not-allowed",
      make: (made) => made.queue("default", { namespaces: ["other"] }).task("t"),
      mend: (made) => made.queue("default", { namespaces: ["ns"] }),
    },
    {
      name: "in a queue whose parent is missing",
      reason: "queue-invalid",
      make: (made) => inQueue(made.queue("q", { parent: "none" })),
      mend: (made) => made.queue("none"),
    },
    {
      name: "below a queue that is its own ancestor",
      reason: "queue-invalid",
      make: (made) => inQueue(made.queue("a", { parent: "b" }).queue("b", { parent: "a" }).queue("q", { parent: "a" })),
      mend: (made) => made.queue("b"),
    },
    {
      name: "above the priority that its queue allows",
      reason: "priority-too-high",
      make: (made) => made.queue("default", { maxPriority: 5 }).task("t", { priority: 6 }),
      mend: (made) => made.queue("default", { maxPriority: 6 }),
    },
  ])("$name", ({ reason, make, mend }) => {
    const made = Bench.open().framework("f").node("n", { cpu: 9 });
    make(made);
    expect(created(made)).toBe(0);
    expect(why(made)).toMatchObject({ reason });
    expect(made.broker.taskView("t-uid")!.rejected).toMatchObject({ reason });
    mend(made);
    expect(created(made)).toBe(1);
    expect(made.broker.taskView("t-uid")!.rejected).toBeUndefined();
  });

  test("in a queue that is full of tasks; one that ends lets the next one in, by priority and age", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 9 }).queue("default", { maxTasks: 2 });
    for (const name of ["a", "b"]) made.task(name);
    made.task("late", { createdAtMs: made.nowMs + 2 }).task("early", { createdAtMs: made.nowMs + 1 });
    expect(created(made)).toBe(2);
    expect(why(made, "late")).toMatchObject({ reason: "too-many-tasks" });
    made.finish("a-0-0");
    expect(created(made)).toBe(3);
    expect(made.last("create-pod")!.attempt.taskUid).toBe("early-uid");
    made.apply({ type: "task-gone", uid: "b-uid" });
    expect(created(made)).toBe(3);
    made.pod("b-0-0", { phase: "Failed", deleting: true });
    expect(created(made)).toBe(4);
    expect(why(made, "late")).toMatchObject({ reason: "placed" });
  });

  test("that changes its queue counts in the new one alone", () => {
    const made = Bench.open().queue("q", { maxTasks: 1 }).queue("r", { maxTasks: 1 });
    const queues = (first: string) =>
      ["q", "r"].sort((a) => (a === first ? -1 : 1)).map((name) => ({ name, weight: 1 }));
    made
      .framework("f", { queues: queues("q") })
      .task("t")
      .framework("f", { queues: queues("r") });
    made.task("u", { queue: "q" }).task("v");
    expect(why(made, "u")?.reason).not.toBe("too-many-tasks");
    expect(why(made, "v")).toMatchObject({ reason: "too-many-tasks" });
  });
});

describe("templates", () => {
  test("are sized once for all tasks that share them; until then their tasks wait", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 9 });
    made.held.add("size-template").add("create-pod");
    made.task("t").task("u").task("v", { templateKey: "ns/other" });
    expect(made.all("size-template")).toMatchObject([{ templateKey: "ns/plain" }, { templateKey: "ns/other" }]);
    expect(why(made)).toMatchObject({ reason: "sizing" });
    expect(created(made)).toBe(0);
    made.apply({ type: "template-sized", templateKey: "ns/plain", requests: { cpu: 3, pods: 1 } });
    expect(created(made)).toBe(2);
    expect(made.broker.clusterView().free.cpu).toBe(3);
  });

  test("that are refused are tried again after a minute", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 9 });
    made.held.add("size-template");
    made.task("t").apply({ type: "template-refused", templateKey: "ns/plain", message: "exceeded quota" });
    expect(why(made)).toEqual({ reason: "template-refused", message: "exceeded quota" });
    made.wait(59_999);
    expect(made.all("size-template")).toHaveLength(1);
    made.held.clear();
    made.wait(1);
    expect(made.all("size-template")).toHaveLength(2);
    expect(created(made)).toBe(1);
  });

  test("whose Task went before it was asked are asked for with another", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 9 });
    made.held.add("size-template");
    made.task("t").task("u").apply({ type: "task-gone", uid: "t-uid" });
    made.apply({ type: "template-refused", templateKey: "ns/plain", message: "gone", gone: true });
    expect(made.last("size-template")).toMatchObject({ taskUid: "u-uid" });
  });
});

describe("queues", () => {
  test("that go take their demand with them, not what runs; that come back find it counted", () => {
    const made = Bench.open()
      .queue("q", { limit: { cpu: 2 } })
      .node("n", { cpu: 9 });
    made
      .framework("f", { queues: [{ name: "q", weight: 1 }] })
      .task("t", { instances: 4 })
      .settle();
    made.apply({ type: "queue-gone", name: "q" });
    expect(why(made)).toMatchObject({ reason: "unknown-queue" });
    expect(made.claims("task")).toHaveLength(2);
    made.queue("q", { limit: { cpu: 3 } });
    expect(created(made)).toBe(3);
    expect(made.broker.queueView("q")).toMatchObject({ allocated: { cpu: 3 }, counts: { pending: 1 } });
  });

  test("hold what was started in them, also when its framework is gone: nobody gets more by deleting it", () => {
    const made = Bench.open()
      .queue("q", { limit: { cpu: 3 } })
      .node("n", { cpu: 99 });
    const queues = [{ name: "q", weight: 1 }];
    made.framework("f", { queues }).task("t", { instances: 9 }).settle();
    made.apply({ type: "framework-gone", key: "ns/f" });
    expect(made.broker.queueView("q")).toMatchObject({ allocated: { cpu: 3 }, frameworks: 0 });
    expect(made.broker.queueView("default")).toMatchObject({ allocated: {} });
    made.framework("g", { queues }).task("u", { of: "g", instances: 9 });
    expect(created(made)).toBe(3);
    made.finish("t-0-0");
    expect(created(made)).toBe(4);
  });

  test("that are hung elsewhere take what they use along", () => {
    const made = Bench.open().queue("a").queue("b").queue("q", { parent: "a" }).node("n", { cpu: 9 });
    made
      .framework("f", { queues: [{ name: "q", weight: 1 }] })
      .task("t", { instances: 4 })
      .settle();
    made.queue("q", { parent: "b" });
    expect(made.broker.queueView("a")).toMatchObject({ allocated: {} });
    expect(made.broker.queueView("b")).toMatchObject({ allocated: { cpu: 4 } });
  });

  test("that contradict each other say so, and what was declared before goes on", () => {
    const made = Bench.open().queue("a").queue("b", { parent: "a" }).node("n", { cpu: 9 });
    made
      .framework("f", { queues: [{ name: "b", weight: 1 }] })
      .task("t")
      .settle();
    made.queue("a", { parent: "b" });
    expect(made.broker.queueView("a")!.rejected).toMatchObject({ reason: "queue-invalid" });
    expect(made.all("delete-pod")).toEqual([]);
    made.task("u");
    expect(created(made)).toBe(2);
    expect(made.broker.frameworkView("ns/f")!.rejected).toBeUndefined();
    expect(made.broker.queueView("a")).toMatchObject({ allocated: { cpu: 2 }, inForce: true });
    made.queue("a");
    expect(made.broker.queueView("a")!.rejected).toBeUndefined();
  });

  test("that lose their parent go on with what runs and start nothing, until it is back", () => {
    const made = Bench.open()
      .queue("top", { limit: { cpu: 3 } })
      .queue("q", { parent: "top" })
      .node("n", { cpu: 9 });
    made.framework("f", { queues: [{ name: "q", weight: 1 }] }).task("t", { instances: 4 });
    expect(created(made)).toBe(3);
    made.apply({ type: "queue-gone", name: "top" });
    expect(created(made)).toBe(3);
    expect(made.claims("task")).toHaveLength(3);
    expect(why(made)).toMatchObject({
      reason: "queue-invalid",
      message: "queue q: its parent top does not exist: create that queue or correct spec.parent",
    });
    made.queue("top", { limit: { cpu: 4 } });
    expect(created(made)).toBe(4);
  });

  test("hold a framework's weight down to what they allow", () => {
    const made = Bench.open().queue("default", { maxFrameworkWeight: 1 }).node("n", { cpu: 10 });
    made.framework("greedy", { queues: [{ name: "default", weight: 9 }] }).framework("other");
    made
      .asking("t", { cpu: 1 }, { of: "greedy", instances: 10 })
      .asking("u", { cpu: 1 }, { of: "other", instances: 10 });
    made.settle();
    expect(made.all("create-pod").filter(({ framework }) => framework === "ns/greedy")).toHaveLength(5);
    const lowered = () => ["greedy", "other"].map((name) => made.broker.frameworkView(`ns/${name}`)!.lowered);
    expect(lowered()).toEqual([[{ queue: "default", weight: 9, most: 1 }], []]);
    made.queue("default", { maxFrameworkWeight: 9 });
    expect(lowered()).toEqual([[], []]);
  });

  test("a framework that leaves a queue loses what was offered to it there", () => {
    const made = Bench.open().queue("q").node("n", { cpu: 9 });
    made
      .framework("f", { scheduler: "Offers", queues: [{ name: "q", weight: 1 }] })
      .task("t")
      .settle();
    expect(made.openOffers()).toHaveLength(1);
    made.framework("f", { scheduler: "Offers", queues: [{ name: "default", weight: 1 }] });
    expect(made.last("close-offer")).toMatchObject({ phase: "Rescinded" });
    expect(made.settle().openOffers()).toMatchObject([{ queue: "default" }]);
  });
});

describe("demand that is stated ahead of any task", () => {
  const wishes = (instances: number, cpu: number) => ({
    scheduler: "Offers" as const,
    demand: [{ instances, resources: { cpu } }],
  });

  test("is offered, in the framework's first queue, until it is withdrawn", () => {
    const made = Bench.open().node("n", { cpu: 9 }).framework("f", wishes(2, 3)).settle();
    expect(made.openOffers()).toMatchObject([{ queue: "default", slices: [{ resources: { cpu: 6, pods: 2 } }] }]);
    made.decline(made.openOffers()[0]!, 0);
    made.framework("f", { scheduler: "Offers" });
    expect(made.settle().openOffers()).toEqual([]);
  });

  test("may serve any task that fits", () => {
    const made = Bench.open().node("n", { cpu: 9 }).framework("f", wishes(1, 5)).settle();
    const [offer] = made.openOffers();
    made.asking("t", { cpu: 2 }, { instances: 2 });
    made.accept(offer!, [{ task: "t", slice: "s0", count: 2 }]);
    expect(made.last("close-offer")).toMatchObject({ phase: "Refused", reason: "too-large" });
    const pods = Bench.open().node("n", { cpu: 9 }).framework("f", wishes(2, 2)).settle();
    pods.asking("t", { cpu: 2 }, { instances: 2 });
    pods.accept(pods.openOffers()[0]!, [{ task: "t", slice: "s0", count: 2 }]);
    expect(pods.last("close-offer")).toMatchObject({ phase: "Accepted" });
  });

  test("moves with the framework's first queue", () => {
    const made = Bench.open().queue("q").node("n", { cpu: 9 }).framework("f", wishes(1, 1)).settle();
    made.framework("f", { ...wishes(1, 1), queues: [{ name: "q", weight: 1 }] }).settle();
    expect(made.openOffers()).toMatchObject([{ queue: "q" }]);
  });
});

describe("a slice", () => {
  test("holds no less than the framework can use", () => {
    const made = Bench.open().node("small", { cpu: 3 }).node("large", { cpu: 9 });
    made
      .framework("f", { scheduler: "Offers", minimum: { cpu: 4 } })
      .asking("t", { cpu: 1 }, { instances: 2 })
      .settle();
    expect(made.openOffers()).toMatchObject([{ slices: [{ node: "large", resources: { cpu: 5 } }] }]);
  });

  test("does not hold more than 64 nodes: the rest goes into another offer", () => {
    const made = Bench.open();
    for (let i = 0; i < 70; i++) made.node(`n${i}`, { cpu: 1 });
    made.framework("f", { scheduler: "Offers" }).asking("t", { cpu: 1 }, { instances: 70 }).settle();
    expect(made.openOffers().map(({ slices }) => slices.length)).toEqual([64, 6]);
  });
});
