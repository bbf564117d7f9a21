import { describe, expect, test } from "vitest";
import { Bench, podFacts, START_MS } from "../broker.test-support.ts";
import type { PodFacts, RecordedTask, TaskFacts } from "../messages.ts";

// What the status of a Task says when a term begins is all that is left of pods that have gone.

const RETRY = { limit: 9, backoffMs: 1_000, maxBackoffMs: 8_000, onNodeLost: "Retry" } as const;

const nothing: RecordedTask = { succeededIndexes: "", failedIndexes: "", attempts: [] };

/** A new term that finds task `t` of five, with this on record, and these pods. */
function found(
  recorded: Partial<RecordedTask>,
  change: Partial<TaskFacts> = {},
  pods: readonly Partial<PodFacts>[] = [],
): Bench {
  const made = new Bench({ term: "t2" });
  made.queue("default").framework("f").node("n", { cpu: 99 });
  for (const pod of pods) made.apply({ type: "pod-observed", pod: podFacts(pod) });
  made.task("t", { instances: 5, retry: RETRY, recorded: { ...nothing, ...recorded }, ...change });
  made.apply({ type: "opened" });
  return made.settle();
}

const view = (made: Bench) => made.broker.taskView("t-uid")!;
const created = (made: Bench) => made.all("create-pod").map(({ attempt }) => [attempt.index, attempt.attempt]);

describe("an index on record", () => {
  test("as succeeded or failed never runs again", () => {
    const made = found({ succeededIndexes: "0-1", failedIndexes: "3" });
    expect(created(made)).toEqual([
      [2, 0],
      [4, 0],
    ]);
    expect(view(made)).toMatchObject({ succeededIndexes: "0-1", failedIndexes: "3", counts: { finished: 2 } });
  });

  test("whose pod is still there is let go at once", () => {
    const made = found({ succeededIndexes: "0" }, {}, [{ index: 0, phase: "Succeeded" }]);
    expect(made.all("release-pod")).toMatchObject([{ uid: "pod-0-0" }]);
    expect(view(made).counts).toMatchObject({ finished: 1 });
  });

  test("as tried runs the attempt that no name was used for", () => {
    const made = found({ attempts: [{ indexes: "1-2", ended: 3, failed: 3 }] }, { instances: 3 });
    expect(created(made)).toEqual([
      [0, 0],
      [1, 3],
      [2, 3],
    ]);
  });

  test("as tried less often than its pod says goes on from the pod: its names are used", () => {
    const made = found({ attempts: [{ indexes: "0", ended: 1, failed: 1 }] }, { instances: 1 }, [{ attempt: 4 }]);
    made.apply({ type: "pod-observed", pod: podFacts({ attempt: 4, phase: "Failed", exitCode: 1 }) });
    made.wait(RETRY.maxBackoffMs);
    expect(created(made)).toEqual([[0, 5]]);
  });

  test("counts failures up to the limit of retries, whoever led when they happened", () => {
    const retry = { ...RETRY, limit: 2 };
    const made = found({ attempts: [{ indexes: "0", ended: 2, failed: 2 }] }, { instances: 1, retry });
    expect(created(made)).toEqual([[0, 2]]);
    made.pod("t-0-2", { phase: "Failed", started: true, exitCode: 1 });
    expect(view(made)).toMatchObject({ state: "Failed", counts: { failed: 1 } });
  });
});

describe("how it went is told on", () => {
  test("by how many failed, were killed and were lost", () => {
    const counts = { failed: 1, killed: 1, lost: 1 };
    const made = found({ succeededIndexes: "0-1", failedIndexes: "2-4", counts });
    expect(view(made)).toMatchObject({ state: "Failed", counts: { finished: 2, ...counts, pending: 0 } });
  });

  test("all failed where nothing tells them apart", () => {
    expect(view(found({ failedIndexes: "0-4" })).counts).toMatchObject({ failed: 5 });
  });

  test("with the last five failures, and when it began and ended", () => {
    const failure = { index: 0, attempt: 0, node: "n", reason: "exit-code", message: "1", atMs: 7 } as const;
    const lastFailures = Array.from({ length: 6 }, (_, i) => ({ ...failure, index: i }));
    const made = found({ failedIndexes: "0-4", lastFailures, startedAtMs: 5, finishedAtMs: 9 });
    expect(view(made)).toMatchObject({ startedAtMs: 5, finishedAtMs: 9 });
    expect(view(made).lastFailures).toEqual(lastFailures.slice(0, 5));
  });
});

describe("a back-off that began under an earlier leader", () => {
  const failure = (change: object) =>
    ({ index: 0, attempt: 0, node: "n", reason: "exit-code", message: "", atMs: START_MS - 400, ...change }) as const;
  const tried = (ended: number) => [{ indexes: "0", ended, failed: ended }];

  test("goes on for the rest of its time, twice as long each time", () => {
    for (const [ended, restMs] of [
      [1, 600],
      [2, 1_600],
      [3, 3_600],
    ] as const) {
      const lastFailures = [failure({ attempt: ended - 1 })];
      const made = found({ attempts: tried(ended), lastFailures }, { instances: 1 });
      expect(made.broker.explainTask("t-uid")).toMatchObject({ reason: "back-off" });
      made.wait(restMs - 1);
      expect(created(made)).toEqual([]);
      expect(created(made.wait(1))).toEqual([[0, ended]]);
    }
  });

  test.each([
    { name: "that is over", recorded: { attempts: tried(1), lastFailures: [failure({ atMs: START_MS - 1_000 })] } },
    { name: "after an older attempt", recorded: { attempts: tried(2), lastFailures: [failure({ attempt: 0 })] } },
    { name: "of an index that nobody tried", recorded: { lastFailures: [failure({})] } },
  ])("is not waited for: $name", ({ recorded }) => {
    expect(created(found(recorded, { instances: 1 }))).toHaveLength(1);
  });

  test("of an index that has ended for good is none", () => {
    const made = found({ failedIndexes: "0", attempts: tried(1), lastFailures: [failure({})] }, { instances: 1 });
    expect(made.wait(60_000).all("create-pod")).toEqual([]);
    expect(view(made).state).toBe("Failed");
  });
});

describe("a Task that ended under an earlier leader", () => {
  test("is deleted when its time to live has passed since then", () => {
    const finishedAtMs = new Bench().nowMs - 4_000;
    const made = found({ succeededIndexes: "0-4", finishedAtMs }, { ttlAfterFinishedMs: 10_000 });
    made.wait(5_999);
    expect(made.all("delete-task")).toEqual([]);
    made.wait(1);
    expect(made.all("delete-task")).toMatchObject([{ key: "ns/t", uid: "t-uid" }]);
  });

  test("does not ask for a size, nor count against its queue's bound", () => {
    const made = new Bench({ term: "t2" });
    made.queue("default", { maxTasks: 1 }).framework("f").node("n", { cpu: 9 });
    made.task("old", { recorded: { ...nothing, succeededIndexes: "0" }, templateKey: "ns/old" });
    made.apply({ type: "opened" });
    made.task("new").settle();
    expect(made.all("size-template")).toMatchObject([{ templateKey: "ns/plain" }]);
    expect(made.all("create-pod")).toMatchObject([{ attempt: { taskUid: "new-uid" } }]);
  });
});

describe("a queue with a bound of Tasks, when a term begins", () => {
  /** Tasks `a` to `d`, made one after the other, of which those in `begun` have something on record. */
  function full(begun: readonly string[], priority: Readonly<Record<string, number>> = {}): string[] {
    const made = new Bench({ term: "t2" });
    made.queue("default", { maxTasks: 2 }).framework("f").node("n", { cpu: 99 });
    for (const [i, name] of ["d", "c", "b", "a"].entries()) {
      const recorded = { ...nothing, succeededIndexes: "0" };
      made.task(name, {
        instances: 2,
        createdAtMs: made.nowMs - i,
        priority: priority[name] ?? 0,
        ...(begun.includes(name) && { recorded }),
      });
    }
    made.apply({ type: "opened" });
    made.settle();
    return [...new Set(made.all("create-pod").map(({ attempt }) => attempt.taskUid.slice(0, 1)))].sort();
  }

  test.each([
    { name: "those that have begun go on, however many came before them", begun: ["c", "d"], runs: ["c", "d"] },
    { name: "then the oldest", begun: ["d"], runs: ["a", "d"] },
    { name: "of equals the oldest", begun: [], runs: ["a", "b"] },
    { name: "or the more important", begun: [], priority: { d: 1 }, runs: ["a", "d"] },
    { name: "of those that have begun, too", begun: ["a", "b", "c", "d"], runs: ["a", "b"] },
  ])("lets in as many as it may hold: $name", ({ begun, priority, runs }) => {
    expect(full(begun, priority)).toEqual(runs);
  });
});

test("the time to live that counts is the last one that was told", () => {
  const made = Bench.open().framework("f").node("n", { cpu: 9 }).task("t", { ttlAfterFinishedMs: 5_000 }).settle();
  made.finish("t-0-0");
  made.task("t", { ttlAfterFinishedMs: 9_000 }).wait(8_999);
  expect(made.all("delete-task")).toEqual([]);
  made.wait(1);
  expect(made.all("delete-task")).toHaveLength(1);
});

test("a Task that was deleted by hand before its time to live has passed is not deleted again", () => {
  const made = Bench.open().framework("f").node("n", { cpu: 9 }).task("t", { ttlAfterFinishedMs: 5_000 }).settle();
  made.finish("t-0-0");
  made.apply({ type: "task-gone", uid: "t-uid" });
  made.wait(60_000);
  expect(made.all("delete-task")).toEqual([]);
});
