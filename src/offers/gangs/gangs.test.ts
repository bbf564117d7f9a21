import { describe, expect, test } from "vitest";
import { Bench } from "../broker.test-support.ts";

const gang = (minimum: number) => ({ gang: { minimum } });
const inGroup = (size: number, name = "g") => ({ group: { name, size } });

/** A cluster of so many nodes of so many CPUs, and a Builtin framework `f`. */
function cluster(nodes: number, cpu: number): Bench {
  const made = Bench.open().framework("f");
  for (let n = 0; n < nodes; n++) made.node(`n${n}`, { cpu });
  return made;
}

/** Indexes of a task that have been given a place, by name. */
const placed = (made: Bench, name: string) =>
  made.all("create-pod").filter(({ attempt }) => attempt.taskUid === `${name}-uid`).length;

const view = (made: Bench, name: string) => made.broker.taskView(`${name}-uid`)!;
const why = (made: Bench, name: string) => made.broker.explainTask(`${name}-uid`)!;
/** The status of the Task stands as it is now. */
const record = (made: Bench, name: string) =>
  made.apply({ type: "task-recorded", uid: `${name}-uid`, version: view(made, name).version });

describe("instances that start together", () => {
  test("start all at once, across nodes", () => {
    const made = cluster(3, 4)
      .asking("t", { cpu: 2 }, { instances: 5, ...gang(5) })
      .settle();
    expect(placed(made, "t")).toBe(5);
    expect(view(made, "t").startedTogether).toBe(true);
  });

  test("do not start while one of them has no place, and take nothing from others", () => {
    const made = cluster(2, 4)
      .asking("t", { cpu: 2 }, { instances: 5, ...gang(5) })
      .settle();
    expect(placed(made, "t")).toBe(0);
    expect(made.broker.clusterView().free).toMatchObject({ cpu: 8 });
    made.asking("small", { cpu: 1 }).settle();
    expect(placed(made, "small")).toBe(1);
  });

  test("start once room for all of them is there", () => {
    const made = cluster(2, 4)
      .asking("t", { cpu: 2 }, { instances: 5, ...gang(5) })
      .settle();
    made.node("n2", { cpu: 4 }).settle();
    expect(placed(made, "t")).toBe(5);
  });

  test("those past the minimum start when there is room for them, once the others have started", () => {
    const made = cluster(2, 4)
      .asking("t", { cpu: 2 }, { instances: 6, ...gang(3) })
      .settle();
    expect(placed(made, "t")).toBe(4);
    made.node("n2", { cpu: 2 }).settle();
    expect(placed(made, "t")).toBe(5);
  });

  test("none past the minimum starts while the pods of a start are not all there", () => {
    const made = cluster(3, 4);
    made.held.add("create-pod");
    made.asking("t", { cpu: 2 }, { instances: 6, ...gang(3) }).settle();
    expect(placed(made, "t")).toBe(3);
    expect(why(made, "t")).toEqual({
      reason: "gang-starting",
      message: "gang of 3: 3 have their places, the rest follows",
    });
  });

  test("in a domain each, where they are spread", () => {
    const made = Bench.open().framework("f");
    const zones = ["a", "a", "b", "c"];
    for (const [n, zone] of zones.entries()) made.node(`n${n}`, { cpu: 2 }, { labels: { zone } });
    const constraints = { spread: [{ topologyKey: "zone", maxSkew: 1, over: "Task" as const }] };
    made.asking("t", { cpu: 1 }, { instances: 6, ...gang(6), constraints }).settle();
    const at = new Map<string, number>();
    for (const { node } of made.all("create-pod")) {
      const zone = zones[Number(node.slice(1))]!;
      at.set(zone, (at.get(zone) ?? 0) + 1);
    }
    expect(Object.fromEntries(at)).toEqual({ a: 2, b: 2, c: 2 });
    made.asking("more", { cpu: 1 }, { instances: 3, ...gang(3), constraints }).settle();
    expect(placed(made, "more")).toBe(0);
  });

  test("two that each need more than half of the cluster: one, then the other", () => {
    const made = cluster(4, 2);
    for (const name of ["a", "b"]) made.asking(name, { cpu: 1 }, { instances: 5, ...gang(5) });
    made.settle();
    expect([placed(made, "a"), placed(made, "b")]).toEqual([5, 0]);
    for (let index = 0; index < 5; index++) made.finish(`a-${index}-0`);
    made.settle();
    expect(placed(made, "b")).toBe(5);
  });

  test("a queue's limit holds for all of them together", () => {
    const made = cluster(4, 4).queue("default", { limit: { cpu: 7 } });
    made.asking("t", { cpu: 2 }, { instances: 4, ...gang(4) }).settle();
    expect(placed(made, "t")).toBe(0);
    made.queue("default", { limit: { cpu: 8 } }).settle();
    expect(placed(made, "t")).toBe(4);
  });

  test("a guarantee is kept back for all of them, or for none", () => {
    const made = Bench.open()
      .framework("f")
      .queue("own", { guarantee: { cpu: 6 } });
    made.framework("g", { queues: [{ name: "own", weight: 1 }] }).node("n", { cpu: 8 });
    made.asking("t", { cpu: 5 }, { of: "f" }).settle();
    made.asking("gang", { cpu: 2 }, { of: "g", instances: 3, ...gang(3) });
    made.asking("rest", { cpu: 1 }, { of: "f", instances: 3 }).settle();
    // 3 are free, all of them kept back: 6 are guaranteed and asked for.
    expect(placed(made, "rest")).toBe(0);
    made.asking("large", { cpu: 2 }, { of: "g", instances: 4, ...gang(4), createdAtMs: 0 });
    made.apply({ type: "task-gone", uid: "gang-uid" });
    made.settle();
    // 8 together are more than the guarantee: nothing is kept back for a part of them.
    expect(placed(made, "rest")).toBe(3);
  });
});

describe("after the start", () => {
  const started = (instances: number, minimum = instances) =>
    cluster(2, 4).asking(
      "t",
      { cpu: 2 },
      {
        instances,
        ...gang(minimum),
        retry: { limit: 3, backoffMs: 1_000, maxBackoffMs: 1_000, onNodeLost: "Retry" },
      },
    );
  const fail = (made: Bench, name: string) => made.pod(name, { phase: "Failed", started: true, exitCode: 1 });

  test("one that fails is tried again on its own, as long as another lives", () => {
    const made = started(4).settle();
    fail(made, "t-1-0");
    made.wait(1_000);
    expect(made.pods.has("t-1-1")).toBe(true);
    expect(view(made, "t").startedTogether).toBe(true);
  });

  test("when none lives any more they start together anew, once the status says so", () => {
    const made = started(4).settle();
    for (let index = 0; index < 4; index++) fail(made, `t-${index}-0`);
    made.wait(1_000);
    expect(placed(made, "t")).toBe(4);
    expect(view(made, "t").startedTogether).toBe(false);
    const message = "task t: its status does not say yet that none runs";
    expect(why(made, "t")).toEqual({ reason: "gang-not-ready", message });
    record(made, "t");
    made.settle();
    expect(placed(made, "t")).toBe(8);
  });

  test("those that have ended for good are not waited for", () => {
    const made = started(4).settle();
    made.finish("t-0-0");
    for (let index = 1; index < 4; index++) fail(made, `t-${index}-0`);
    made.wait(1_000);
    record(made, "t");
    made.node("n2", { cpu: 4 }).settle();
    expect(placed(made, "t")).toBe(7);
  });

  test("they start anew only when as many as the minimum may start at once", () => {
    const made = started(3).settle();
    for (let index = 0; index < 3; index++) {
      fail(made, `t-${index}-0`);
      made.wait(200);
    }
    record(made, "t");
    made.wait(600);
    // The first two have waited long enough by now.
    const message = "task t: 3 start together, 2 of them may start now";
    expect(why(made, "t")).toEqual({ reason: "gang-not-ready", message });
    expect(placed(made, "t")).toBe(3);
    made.wait(200);
    record(made, "t");
    made.settle();
    expect(placed(made, "t")).toBe(6);
  });

  test("killed ones do not come back", () => {
    const made = started(4).settle();
    made.asking("t", { cpu: 2 }, { instances: 4, ...gang(4), kill: {} });
    for (let index = 0; index < 4; index++) made.podGone(`t-${index}-0`);
    made.settle();
    expect(view(made, "t").state).toBe("Killed");
    expect(placed(made, "t")).toBe(4);
  });
});

describe("a group of Tasks", () => {
  const driver = { instances: 1, ...inGroup(2) };
  const executors = { instances: 4, gang: { minimum: 2 }, ...inGroup(2) };

  test("starts when all of its Tasks are there, each with its minimum", () => {
    const made = cluster(2, 4).asking("driver", { cpu: 3 }, driver).settle();
    expect(placed(made, "driver")).toBe(0);
    expect(why(made, "driver")).toEqual({ reason: "gang-not-ready", message: "group g: 1 of its 2 tasks exist" });
    made.asking("executors", { cpu: 2 }, executors).settle();
    expect([placed(made, "driver"), placed(made, "executors")]).toEqual([1, 2]);
  });

  test("does not start by halves", () => {
    const made = cluster(1, 7).asking("other", { cpu: 1 }).settle();
    made.asking("driver", { cpu: 3 }, driver).asking("executors", { cpu: 2 }, executors).settle();
    expect([placed(made, "driver"), placed(made, "executors")]).toEqual([0, 0]);
    expect(why(made, "executors")).toEqual({
      reason: "no-node",
      message:
        "group g of 2 tasks: 2 of 3 fit now; with these on them 1 nodes: 1 insufficient cpu (needs 0.002, largest free 0.001)",
    });
    made.node("n1", { cpu: 2 }).settle();
    expect([placed(made, "driver"), placed(made, "executors")]).toEqual([1, 2]);
  });

  test("has to fit on the nodes that its Tasks may use, whatever others there are", () => {
    const made = cluster(9, 9).node("a", { cpu: 6 }, { labels: { pool: "a" } });
    const constraints = { nodeSelector: { pool: "a" } };
    made.asking("driver", { cpu: 3 }, { ...driver, constraints });
    made.asking("executors", { cpu: 2 }, { ...executors, constraints }).settle();
    expect(why(made, "driver")).toEqual({
      reason: "gang-too-large",
      message: "group g of 2 tasks: cpu 7m together, the nodes it may use have 6m; add nodes, or ask for less",
    });
    made.node("b", { cpu: 2 }, { labels: { pool: "a" } }).settle();
    expect([placed(made, "driver"), placed(made, "executors")]).toEqual([1, 2]);
  });

  test("waits for a member that may not take part", () => {
    const made = cluster(2, 4).asking("driver", { cpu: 1 }, driver);
    made.task("executors", { ...executors, invalid: "no container" }).settle();
    expect(placed(made, "driver")).toBe(0);
    expect(why(made, "driver")).toEqual({ reason: "gang-not-ready", message: "task executors: no container" });
  });

  test("takes no more than its size of Tasks, and none that says another size", () => {
    const made = cluster(3, 4);
    for (const [n, name] of ["a", "b", "c"].entries()) {
      made.asking(name, { cpu: 1 }, { ...inGroup(2), createdAtMs: n });
    }
    made.asking("d", { cpu: 1 }, { ...inGroup(3), createdAtMs: 9 }).settle();
    expect(["a", "b", "c", "d"].map((name) => placed(made, name))).toEqual([1, 1, 0, 0]);
    expect(["c", "d"].map((name) => why(made, name).reason)).toEqual(["group-invalid", "group-invalid"]);
  });

  test("lets the next Task in for one that is deleted before the start", () => {
    const made = cluster(1, 1);
    for (const [n, name] of ["a", "b", "c"].entries()) {
      made.asking(name, { cpu: 1 }, { ...inGroup(2), createdAtMs: n });
    }
    made.settle();
    made.apply({ type: "task-gone", uid: "a-uid" });
    made.node("n1", { cpu: 1 }).settle();
    expect(["b", "c"].map((name) => placed(made, name))).toEqual([1, 1]);
  });

  test("is made up anew when the Task that says another size is deleted", () => {
    const made = cluster(1, 4);
    made.asking("a", { cpu: 1 }, { ...inGroup(5), createdAtMs: 1 });
    for (const name of ["b", "c"]) made.asking(name, { cpu: 1 }, { ...inGroup(2), createdAtMs: 2 });
    made.settle();
    made.apply({ type: "task-gone", uid: "a-uid" });
    made.settle();
    expect([placed(made, "b"), placed(made, "c")]).toEqual([1, 1]);
  });

  test("goes on when a Task of it has ended", () => {
    const made = cluster(2, 4).asking("driver", { cpu: 1 }, driver).asking("executors", { cpu: 1 }, executors).settle();
    made.finish("driver-0-0");
    made.apply({ type: "task-gone", uid: "driver-uid" });
    made.finish("executors-0-0");
    made.settle();
    expect(placed(made, "executors")).toBe(4);
  });

  test("says of a Task that has ended what it was, when the others start anew", () => {
    const retry = { limit: 1, backoffMs: 0, maxBackoffMs: 0, onNodeLost: "Retry" as const };
    const made = cluster(1, 4)
      .asking("a", { cpu: 1 }, inGroup(2))
      .asking("b", { cpu: 1 }, { ...inGroup(2), retry });
    made.settle().finish("a-0-0");
    made.pod("b-0-0", { phase: "Failed", started: true, exitCode: 1 });
    expect(["a", "b"].map((name) => view(made, name).startedTogether)).toEqual([true, false]);
    // Once it has begun, it need not be there any more.
    made.apply({ type: "task-gone", uid: "a-uid" });
    record(made, "b");
    made.settle();
    expect(placed(made, "b")).toBe(2);
  });

  test("does not start from two queues, and says which", () => {
    const made = Bench.open().queue("other").node("n", { cpu: 9 });
    const queues = ["default", "other"].map((name) => ({ name, weight: 1 }));
    made.framework("f", { queues });
    made.asking("a", { cpu: 1 }, { ...inGroup(2), queue: "other", createdAtMs: 1 });
    made.asking("b", { cpu: 1 }, { ...inGroup(2), createdAtMs: 2 }).settle();
    expect([placed(made, "a"), placed(made, "b")]).toEqual([0, 0]);
    expect(why(made, "a")).toEqual({
      reason: "group-invalid",
      message: "group g: its tasks are in the queues other and default",
    });
  });

  test("of the same name in another framework is another group", () => {
    const made = cluster(1, 4).framework("g");
    made.asking("a", { cpu: 1 }, { ...inGroup(2) }).asking("b", { cpu: 1 }, { ...inGroup(2), of: "g" });
    made.settle();
    expect(["a", "b"].map((name) => why(made, name).message)).toEqual([
      "group g: 1 of its 2 tasks exist",
      "group g: 1 of its 2 tasks exist",
    ]);
    made.asking("c", { cpu: 1 }, inGroup(2, "h")).settle();
    expect(placed(made, "a") + placed(made, "b") + placed(made, "c")).toBe(0);
  });

  test("consists of its oldest Tasks, those of one age by their UID", () => {
    const made = cluster(3, 4);
    for (const [name, createdAtMs] of [
      ["c", 5],
      ["d", 1],
      ["b", 5],
    ] as const) {
      made.asking(name, { cpu: 1 }, { ...inGroup(2), createdAtMs });
    }
    made.settle();
    expect(["b", "c", "d"].map((name) => placed(made, name))).toEqual([1, 0, 1]);
  });

  test("takes a Task that has run rather than an older one that comes later", () => {
    const made = cluster(3, 4);
    for (const name of ["b", "c"]) made.asking(name, { cpu: 1 }, { ...inGroup(2), createdAtMs: 5 });
    made.settle();
    made.asking("a", { cpu: 1 }, { ...inGroup(2), createdAtMs: 1 }).settle();
    expect(["a", "b", "c"].map((name) => placed(made, name))).toEqual([0, 1, 1]);
    expect(why(made, "a").reason).toBe("group-invalid");
  });

  test("leaves nothing behind when all its Tasks are gone: others of its name are another one", () => {
    const made = cluster(1, 1);
    for (const name of ["a", "b"]) made.asking(name, { cpu: 1 }, { ...inGroup(2), createdAtMs: 5 });
    made.settle();
    for (const uid of ["a-uid", "b-uid"]) made.apply({ type: "task-gone", uid });
    made.asking("c", { cpu: 1 }, { ...inGroup(1), createdAtMs: 9 }).settle();
    expect(placed(made, "c")).toBe(1);
  });
});
