import { describe, expect, test } from "vitest";
import { Bench } from "../broker.test-support.ts";
import { parseIndexes } from "../structures/indexes.ts";

/** Task `t` of so many instances on a large node, all running. */
function running(instances: number, change: Parameters<Bench["task"]>[1] = {}): Bench {
  const made = Bench.open()
    .framework("f")
    .node("n", { cpu: 999, pods: 999 })
    .task("t", { instances, ...change })
    .settle();
  for (const name of made.pods.keys()) made.pod(name, { phase: "Running", started: true });
  return made;
}

const view = (made: Bench) => made.broker.taskView("t-uid")!;
const retry = { limit: 0, backoffMs: 0, maxBackoffMs: 0, onNodeLost: "Retry" } as const;

describe("kill", () => {
  test("of everything: what runs is deleted, what waits never starts", () => {
    const made = running(3, { parallelism: 2 }).task("t", { instances: 3, parallelism: 2, kill: {} });
    expect(made.all("delete-pod")).toHaveLength(2);
    expect(view(made)).toMatchObject({ state: "Killing", failedIndexes: "2", counts: { killed: 1, running: 2 } });
    for (const name of ["t-0-0", "t-1-0"]) made.pod(name, { phase: "Failed", exitCode: 143, deleting: true });
    expect(view(made)).toMatchObject({ state: "Killed", counts: { killed: 3 } });
    expect(made.settle().all("create-pod")).toHaveLength(2);
    expect(made.all("event")).toEqual([]);
  });

  test("by indexes, with a grace", () => {
    const made = running(4).task("t", { instances: 4, kill: { indexes: "1-2,9", gracePeriodSeconds: 5 } });
    expect(made.all("delete-pod")).toMatchObject([
      { key: "ns/t-1-0", gracePeriodSeconds: 5 },
      { key: "ns/t-2-0", gracePeriodSeconds: 5 },
    ]);
    expect(view(made).state).toBe("Running");
  });

  test("is asked once, however often the Task is seen", () => {
    const made = running(1).task("t", { kill: {} }).task("t", { kill: {} }).task("t", { kill: {}, priority: 3 });
    expect(made.all("delete-pod")).toHaveLength(1);
  });

  test("of a pod that is still being created waits for it", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 9 });
    made.held.add("create-pod");
    made.task("t").settle().task("t", { kill: {} });
    expect(made.all("delete-pod")).toEqual([]);
    made.create(made.last("create-pod")!);
    expect(made.all("delete-pod")).toMatchObject([{ key: "ns/t-0-0" }]);
  });

  test("of a pod that is then refused ends it", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 9 });
    made.held.add("create-pod");
    made.task("t").settle().task("t", { kill: {} });
    const { attempt } = made.last("create-pod")!;
    made.apply({ type: "pod-refused", attempt, message: "quota" });
    expect(view(made)).toMatchObject({ state: "Killed", counts: { killed: 1 } });
  });

  test("of one that ends well all the same finds it finished", () => {
    const made = running(1).task("t", { kill: {} });
    made.pod("t-0-0", { phase: "Succeeded", deleting: true });
    expect(view(made)).toMatchObject({ state: "Finished", succeededIndexes: "0" });
  });

  test("of an index that waits for a lost pod to go: it does not start when that has gone", () => {
    const made = running(1, { retry });
    made.apply({ type: "node-gone", name: "n" });
    made.wait(40_000).node("m", { cpu: 9 });
    made.task("t", { retry, kill: {} });
    expect(view(made)).toMatchObject({ state: "Killed", counts: { killed: 1, pending: 0 } });
    made.podGone("t-0-0");
    expect(made.settle().all("create-pod")).toHaveLength(1);
  });

  test("of an index in its back-off ends the wait", () => {
    const made = running(1, { retry: { ...retry, limit: 5, backoffMs: 9_000, maxBackoffMs: 9_000 } });
    made.pod("t-0-0", { phase: "Failed", exitCode: 1 });
    made.task("t", { retry, kill: { indexes: "0" } }).wait(60_000);
    expect(view(made).state).toBe("Killed");
    expect(made.all("create-pod")).toHaveLength(1);
  });
});

describe("parallelism", () => {
  test("holds as many running, lowest indexes first", () => {
    const made = running(5, { parallelism: 2 });
    expect(made.all("create-pod").map(({ attempt }) => attempt.index)).toEqual([0, 1]);
    expect(made.broker.explainTask("t-uid")).toMatchObject({ reason: "parallelism" });
    made.finish("t-1-0");
    made.settle();
    expect(made.all("create-pod").map(({ attempt }) => attempt.index)).toEqual([0, 1, 2]);
  });

  test("raised, it starts more; lowered, it ends nothing", () => {
    const made = running(5, { parallelism: 2 }).task("t", { instances: 5, parallelism: 4 }).settle();
    expect(made.all("create-pod")).toHaveLength(4);
    made.task("t", { instances: 5, parallelism: 1 }).settle();
    expect(made.all("delete-pod")).toEqual([]);
    made.finish("t-0-0");
    expect(made.settle().all("create-pod")).toHaveLength(4);
  });
});

describe("an end", () => {
  test("is deleted after its time to live, not before", () => {
    const made = running(1, { ttlAfterFinishedMs: 5_000 });
    made.finish("t-0-0");
    made.wait(4_999);
    expect(made.all("delete-task")).toEqual([]);
    made.wait(1);
    expect(made.all("delete-task")).toMatchObject([{ key: "ns/t", uid: "t-uid" }]);
  });

  test("of a Task without a time to live stays", () => {
    const made = running(1);
    made.finish("t-0-0");
    made.wait(1e9);
    expect(made.all("delete-task")).toEqual([]);
  });

  test.each([
    { ends: [{ phase: "Succeeded" }, { phase: "Failed", exitCode: 1 }], state: "Failed" },
    { ends: [{ phase: "Succeeded" }, { phase: "Failed", reason: "Evicted" }], state: "Lost" },
    { ends: [{ phase: "Succeeded" }, { phase: "Succeeded" }], state: "Finished" },
  ] as const)("of a part is an end of the whole: $state", ({ ends, state }) => {
    const made = running(2);
    for (const [index, end] of ends.entries()) made.pod(`t-${index}-0`, { started: true, ...end });
    expect(view(made).state).toBe(state);
    expect(made.all("task-changed").at(-1)).toMatchObject({ urgent: true });
  });
});

describe("a pod whose end is on record", () => {
  const recorded = (made: Bench) =>
    made.apply({ type: "task-recorded", uid: "t-uid", version: made.broker.taskView("t-uid")!.version });

  test("is let go once, whatever older news of it comes late", () => {
    const made = running(1);
    made.finish("t-0-0");
    recorded(made);
    expect(made.all("release-pod")).toMatchObject([{ key: "ns/t-0-0" }]);
    // The cache lags behind our own write: the pod as it was before, with a detail more.
    made.pod("t-0-0", { finishedAtMs: 5 });
    made.apply({ type: "pod-created", pod: made.pods.get("t-0-0")! });
    expect(made.all("release-pod")).toHaveLength(1);
    made.pod("t-0-0", { tracked: false });
    made.podGone("t-0-0");
    expect(made.all("release-pod")).toHaveLength(1);
  });

  test("that carries the finalizer again after it was seen without is let go again", () => {
    const made = running(1);
    made.finish("t-0-0");
    recorded(made);
    made.pod("t-0-0", { tracked: false });
    // Somebody's write put it back: a fact, and not old news.
    made.pod("t-0-0", { tracked: true });
    expect(made.all("release-pod")).toHaveLength(2);
  });
});

describe("a Task that is deleted", () => {
  test("ends its pods; their finalizers go as they end, for there is nothing to record them in", () => {
    const made = running(2);
    made.apply({ type: "task-gone", uid: "t-uid" });
    expect(made.all("delete-pod")).toHaveLength(2);
    made.pod("t-0-0", { phase: "Failed", deleting: true });
    expect(made.all("release-pod")).toMatchObject([{ key: "ns/t-0-0" }]);
    expect(made.claims("task")).toHaveLength(1);
    made.pod("t-1-0", { phase: "Failed", deleting: true });
    expect(made.claims("task")).toEqual([]);
    expect(made.broker.taskView("t-uid")).toBeUndefined();
  });

  test("while its pods wait for a record: they are let go", () => {
    const made = running(1);
    made.finish("t-0-0");
    expect(made.all("release-pod")).toEqual([]);
    made.apply({ type: "task-gone", uid: "t-uid" });
    expect(made.all("release-pod")).toHaveLength(1);
  });

  test("in the background, first marked: nothing new starts", () => {
    const made = running(3, { parallelism: 1 }).task("t", { instances: 3, parallelism: 1, deleting: true });
    made.pod("t-0-0", { phase: "Failed", deleting: true });
    expect(made.settle().all("create-pod")).toHaveLength(1);
    expect(view(made).counts).toMatchObject({ killed: 3 });
  });

  test("whose pod turns up late: it is to go, and takes its room until then", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 9 });
    made.held.add("create-pod");
    made.task("t").settle().apply({ type: "task-gone", uid: "t-uid" });
    made.create(made.last("create-pod")!);
    expect(made.all("delete-pod")).toHaveLength(1);
    expect(made.claims("task")).toHaveLength(1);
    made.podGone("t-0-0");
    expect(made.claims("task")).toEqual([]);
  });
});

describe("pods", () => {
  test("claim what the API server made of them, where they are", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 9 }).node("m", { cpu: 9 });
    made.held.add("create-pod");
    made.task("t").settle();
    expect(made.claims("task")).toEqual(["n: 1"]);
    made.create(made.last("create-pod")!, { node: "m", requests: { cpu: 3, pods: 1 } });
    expect(made.claims("task")).toEqual(["m: 3"]);
  });

  test("that vanish are lost, and their index runs again where nothing had run", () => {
    const made = Bench.open()
      .framework("f")
      .node("n", { cpu: 9 })
      .task("t", { retry: { ...retry, onNodeLost: "Never" } });
    made.settle();
    made.podGone("t-0-0");
    made.settle();
    expect(made.all("create-pod")).toHaveLength(2);
    made.pod("t-0-1", { phase: "Running", started: true });
    made.podGone("t-0-1");
    expect(view(made)).toMatchObject({
      state: "Lost",
      lastFailures: [{ reason: "pod-deleted" }, { reason: "pod-deleted" }],
    });
  });

  test("of an index that has another pod are strays: deleted, once, and counted until they are gone", () => {
    const made = running(1);
    const stray = { ...made.pods.get("t-0-0")!, uid: "stray", key: "ns/stray", attempt: 4 };
    made.apply({ type: "pod-observed", pod: stray });
    made.apply({ type: "pod-observed", pod: stray });
    expect(made.all("delete-pod")).toMatchObject([{ uid: "stray" }]);
    expect(made.claims("task")).toHaveLength(2);
    made.apply({ type: "pod-observed", pod: { ...stray, phase: "Failed" } });
    expect(made.all("release-pod")).toMatchObject([{ uid: "stray" }]);
    expect(made.claims("task")).toHaveLength(1);
    expect(view(made).state).toBe("Running");
  });

  test("seen a second time change nothing", () => {
    const made = running(1);
    const { length } = made.effects;
    made.pod("t-0-0", {});
    made.task("t", { instances: 1 }).node("n", { cpu: 999, pods: 999 }).framework("f").queue("default").settle();
    expect(made.effects.slice(length).filter(({ type }) => !type.endsWith("-changed"))).toEqual([]);
  });
});

describe("statuses", () => {
  test("tell the state of one instance, its node and its attempt", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 9 });
    made.held.add("create-pod");
    made.task("t").settle();
    expect(view(made)).toMatchObject({ state: "Staging", node: "n", pod: { attempt: 0 } });
    made.create(made.last("create-pod")!);
    expect(view(made).state).toBe("Starting");
    made.pod("t-0-0", { phase: "Running", started: true, startedAtMs: 5 });
    expect(view(made)).toMatchObject({ state: "Running", startedAtMs: 5 });
  });

  test("keep the last five failures", () => {
    const made = running(1, { retry: { ...retry, limit: 9 } });
    for (let attempt = 0; attempt < 7; attempt++) {
      made.pod(`t-0-${attempt}`, { phase: "Failed", started: true, exitCode: attempt });
      made.settle();
    }
    expect(view(made).lastFailures.map(({ exitCode }) => exitCode)).toEqual(
      [6, 5, 4, 3, 2].map((n) => (n === 0 ? undefined : n)),
    );
  });

  /** Index -> ended attempts, as told. */
  function told(made: Bench): Map<number, number> {
    const entries = view(made).attempts.flatMap(({ indexes, ended }) =>
      [...parseIndexes(indexes, 1_000)].map((index) => [index, ended] as const),
    );
    return new Map(entries);
  }

  /** Instance i has failed i + 1 times, for i below 130. */
  function failing(backoffMs: number): Bench {
    const made = running(200, { retry: { ...retry, limit: 1_000 } });
    for (let index = 0; index < 130; index++) {
      for (let attempt = 0; attempt <= index; attempt++) {
        const last = attempt === index;
        if (last)
          made.task("t", { instances: 200, retry: { ...retry, limit: 1_000, backoffMs, maxBackoffMs: backoffMs } });
        made.pod(`t-${index}-${attempt}`, { phase: "Failed", started: true, exitCode: 1 });
        made.settle();
        if (last) made.task("t", { instances: 200, retry: { ...retry, limit: 1_000 } });
      }
    }
    return made;
  }

  test("tell attempts by groups of equal ones", () => {
    const made = running(4, { retry: { ...retry, limit: 9 } });
    for (const name of ["t-0-0", "t-1-0", "t-3-0", "t-3-1"]) {
      made.pod(name, { phase: "Failed", started: true, exitCode: 1 });
      made.settle();
    }
    expect(view(made).attempts).toEqual([
      { indexes: "0-1", ended: 1, failed: 1 },
      { indexes: "3", ended: 2, failed: 2 },
    ]);
  });

  test("tell of at most 64 groups; of what waits no fewer attempts than there were", () => {
    const made = failing(1_000_000);
    expect(view(made).attempts.length).toBeLessThanOrEqual(64);
    const ended = told(made);
    for (let index = 0; index < 130; index++) expect(ended.get(index)).toBeGreaterThanOrEqual(index + 1);
  });

  test("tell of at most 64 groups; of what runs no more attempts than there were", () => {
    const made = failing(0);
    expect(view(made).attempts.length).toBeLessThanOrEqual(64);
    const ended = told(made);
    for (let index = 0; index < 130; index++) expect(ended.get(index)).toBeLessThanOrEqual(index + 1);
  });
});
