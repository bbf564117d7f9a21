import { describe, expect, test } from "vitest";
import { Bench } from "../broker.test-support.ts";
import type { PodFacts, RetryFacts } from "../messages.ts";

const RETRY: RetryFacts = { limit: 2, backoffMs: 1_000, maxBackoffMs: 3_000, onNodeLost: "Retry" };

/** Task `t` of one instance, which runs on `n`. */
function running(retry: Partial<RetryFacts> = {}, more: Parameters<Bench["task"]>[1] = {}): Bench {
  const bench = Bench.open().framework("f").node("n", { cpu: 9 });
  bench.task("t", { retry: { ...RETRY, ...retry }, ...more }).settle();
  bench.pod("t-0-0", { phase: "Running", started: true });
  return bench;
}

const view = (bench: Bench) => bench.broker.taskView("t-uid")!;
const record = (bench: Bench) => bench.apply({ type: "task-recorded", uid: "t-uid", version: view(bench).version });

describe("how an attempt ends", () => {
  const failed = { phase: "Failed", started: true } as const;
  test.each<{ name: string; pod: Partial<PodFacts>; reason: string; again: boolean }>([
    { name: "a code other than zero", pod: { ...failed, exitCode: 3 }, reason: "exit-code", again: true },
    { name: "no code at all", pod: failed, reason: "pod-failed", again: true },
    { name: "eviction", pod: { ...failed, reason: "Evicted" }, reason: "evicted", again: true },
    {
      name: "a restart of its node",
      pod: { ...failed, exitCode: 255, reason: "Unknown" },
      reason: "node-lost",
      again: true,
    },
    {
      name: "a container that its kubelet cannot find",
      pod: { ...failed, exitCode: 137, reason: "ContainerStatusUnknown" },
      reason: "node-lost",
      again: true,
    },
    { name: "deletion by somebody", pod: { ...failed, deleting: true }, reason: "pod-deleted", again: true },
    { name: "a kubelet's door", pod: { phase: "Failed", reason: "OutOfcpu" }, reason: "kubelet-refused", again: true },
  ])("$name", ({ pod, reason, again }) => {
    const bench = Bench.open().framework("f").node("n", { cpu: 9 }).task("t", { retry: RETRY }).settle();
    bench.pod("t-0-0", pod);
    expect(view(bench).lastFailures).toMatchObject([{ index: 0, attempt: 0, node: "n", reason }]);
    expect(bench.all("event")).toMatchObject([{ reason, severity: "Warning" }]);
    bench.node("n", { cpu: 9 }).wait(1_000);
    expect(bench.all("create-pod").at(-1)!.attempt.attempt).toBe(again ? 1 : 0);
  });

  test("success is for good", () => {
    const bench = running();
    bench.pod("t-0-0", { phase: "Succeeded" });
    expect(view(bench)).toMatchObject({ state: "Finished", succeededIndexes: "0", lastFailures: [] });
    expect(bench.broker.nextTickMs(bench.nowMs)).toBe(bench.nowMs);
    bench.settle();
    expect(bench.all("create-pod")).toHaveLength(1);
    expect(bench.claims("task")).toEqual([]);
  });

  test("the finalizer goes when the end is recorded, and not before", () => {
    const bench = running();
    const before = view(bench).version;
    bench.pod("t-0-0", { phase: "Succeeded" });
    bench.apply({ type: "task-recorded", uid: "t-uid", version: before });
    expect(bench.all("release-pod")).toEqual([]);
    record(bench);
    expect(bench.all("release-pod")).toMatchObject([{ key: "ns/t-0-0" }]);
  });
});

describe("a pod that its node cannot start", () => {
  const stuck = { phase: "Pending", reason: "ErrImagePull", message: "no such image" } as const;
  const placed = (instances: number) =>
    Bench.open().framework("f").node("n", { cpu: 9 }).task("t", { instances, retry: RETRY }).settle();

  test("is why its Task waits, in the node's first words: it tries on, and says it differently each time", () => {
    const bench = placed(1);
    bench.pod("t-0-0", stuck);
    const said = { reason: "not-starting", message: "on n: ErrImagePull: no such image" };
    expect([view(bench).state, view(bench).stuck]).toEqual(["Starting", said]);
    expect(bench.broker.explainTask("t-uid")).toEqual(said);
    const { version } = view(bench);
    bench.pod("t-0-0", { ...stuck, reason: "ImagePullBackOff", message: "back-off" });
    expect(view(bench)).toMatchObject({ version, stuck: said });
  });

  test("is so no more when it runs, is being deleted, or has ended", () => {
    for (const change of [
      { phase: "Running", started: true },
      { ...stuck, deleting: true },
      { phase: "Failed", exitCode: 1 },
    ] as const) {
      const bench = placed(1);
      bench.pod("t-0-0", stuck);
      bench.pod("t-0-0", change);
      expect(view(bench).stuck).toBeUndefined();
    }
  });

  test("is told of one instance at a time", () => {
    const bench = placed(3);
    bench.pod("t-1-0", stuck);
    bench.pod("t-2-0", { ...stuck, message: "another" });
    expect(view(bench).stuck?.message).toBe("instance 1 on n: ErrImagePull: no such image");
    bench.pod("t-1-0", { phase: "Running", started: true });
    expect(view(bench).stuck?.message).toBe("instance 2 on n: ErrImagePull: another");
  });

  test("that is only being prepared is not stuck", () => {
    const bench = placed(1);
    bench.pod("t-0-0", { phase: "Pending", reason: "ContainerCreating" });
    expect(view(bench).stuck).toBeUndefined();
  });
});

test.each([
  { said: { exitCode: 3, reason: "Error" }, message: "" },
  { said: { exitCode: 3, reason: "Error", message: "boom" }, message: "boom" },
  { said: { exitCode: 137, reason: "OOMKilled" }, message: "OOMKilled: out of memory" },
  { said: { reason: "Evicted", message: "low on memory" }, message: "Evicted: low on memory" },
])("of $said people are told '$message'", ({ said, message }) => {
  const bench = running();
  bench.pod("t-0-0", { phase: "Failed", started: true, ...said });
  expect(view(bench).lastFailures[0]?.message).toBe(message);
});

describe("retries", () => {
  test("wait twice as long each time, up to the bound, and end at the limit", () => {
    const bench = running({ limit: 4 });
    const waits: number[] = [];
    for (let attempt = 0; attempt < 5; attempt++) {
      bench.pod(`t-0-${attempt}`, { phase: "Failed", started: true, exitCode: 1 });
      bench.settle();
      const waited = bench.broker.nextTickMs(bench.nowMs) - bench.nowMs;
      if (waited !== Number.POSITIVE_INFINITY) waits.push(waited);
      if (attempt < 4) expect(bench.broker.explainTask("t-uid")?.reason).toBe("back-off");
      bench.wait(Math.min(waited, 10_000));
    }
    expect(waits).toEqual([1_000, 2_000, 3_000, 3_000]);
    expect(view(bench)).toMatchObject({ state: "Failed", failedIndexes: "0", counts: { failed: 1, pending: 0 } });
  });

  test.each([
    { onNodeLost: "Retry", state: "Pending" },
    { onNodeLost: "Never", state: "Lost" },
  ] as const)("eviction does not count against the limit, and is tried again by onNodeLost: $onNodeLost", (row) => {
    const bench = running({ limit: 0, onNodeLost: row.onNodeLost });
    bench.pod("t-0-0", { phase: "Failed", reason: "Evicted" });
    expect(view(bench).state).toBe(row.state);
  });

  test("what never ran is tried again whatever onNodeLost says, and not for ever", () => {
    const bench = running({ limit: 0, backoffMs: 0, onNodeLost: "Never" }, { instances: 2 });
    for (let attempt = 0; attempt <= 20; attempt++) {
      expect(view(bench).counts.lost).toBe(0);
      bench.pod(`t-1-${attempt}`, { phase: "Failed", reason: "UnexpectedAdmissionError" });
      bench.node("n", { cpu: 9 }).settle();
    }
    expect(view(bench).counts.lost).toBe(1);
  });

  test("a create that the API server refuses counts like a failure", () => {
    const bench = Bench.open().framework("f").node("n", { cpu: 9 });
    bench.held.add("create-pod");
    bench.task("t", { retry: { ...RETRY, limit: 0 } }).settle();
    const { attempt } = bench.last("create-pod")!;
    bench.apply({ type: "pod-refused", attempt, message: "a webhook" });
    expect(view(bench)).toMatchObject({ state: "Failed", lastFailures: [{ reason: "pod-refused" }] });
    expect(bench.claims("task")).toEqual([]);
  });

  test("a create that a quota refuses counts as no attempt and is made again, each time later", () => {
    const bench = Bench.open().framework("f").node("n", { cpu: 9 });
    bench.held.add("create-pod");
    bench.task("t", { retry: { ...RETRY, limit: 0, maxBackoffMs: 8_000 } }).settle();
    const waits: number[] = [];
    for (let times = 1; times <= 30; times++) {
      const { attempt } = bench.last("create-pod")!;
      expect(attempt).toMatchObject({ index: 0, attempt: 0 });
      bench.apply({ type: "pod-refused", attempt, message: "exceeded quota: few", byQuota: true });
      bench.settle();
      expect(bench.claims("task")).toEqual([]);
      expect(bench.broker.explainTask("t-uid")).toMatchObject({
        reason: "quota-exceeded",
        message: expect.stringContaining("exceeded quota: few; tried again at "),
      });
      const waited = bench.broker.nextTickMs(bench.nowMs) - bench.nowMs;
      waits.push(waited);
      expect(bench.all("create-pod")).toHaveLength(times);
      bench.wait(waited);
      expect(bench.all("create-pod")).toHaveLength(times + 1);
    }
    expect(waits.slice(0, 6)).toEqual([1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
    expect(view(bench)).toMatchObject({ state: "Staging", attempts: [], lastFailures: [], counts: { failed: 0 } });
    expect(bench.all("event")).toMatchObject([{ reason: "quota-exceeded", note: "exceeded quota: few" }]);
    bench.create(bench.last("create-pod")!);
    expect(view(bench).state).toBe("Starting");
  });

  test("after a quota's refusal one instance tries, and each that gets through lets twice as many try", () => {
    const bench = Bench.open().framework("f").node("n", { cpu: 99 });
    bench.held.add("create-pod");
    bench.task("t", { instances: 9, retry: RETRY }).settle();
    const refuse = (index: number) => {
      const attempt = { taskUid: "t-uid", index, attempt: 0 };
      bench.apply({ type: "pod-refused", attempt, message: "exceeded quota", byQuota: true });
    };
    const asked = () => bench.all("create-pod").map(({ attempt }) => attempt.index);
    for (let index = 0; index < 9; index++) refuse(index);
    expect(view(bench).counts).toMatchObject({ pending: 9, staging: 0 });
    bench.wait(1_000);
    expect(asked().slice(9)).toEqual([0]);
    bench.create(bench.last("create-pod")!);
    bench.settle();
    expect(asked().slice(10)).toEqual([1, 2]);
    bench.create(bench.last("create-pod")!);
    refuse(1);
    bench.settle();
    // Some got through in between, so the wait is the first again.
    expect(bench.broker.nextTickMs(bench.nowMs) - bench.nowMs).toBe(1_000);
    bench.wait(1_000);
    expect(asked().slice(12)).toEqual([1]);
  });

  test("what a quota keeps waiting can be killed, also while its pod is asked for", () => {
    const bench = Bench.open().framework("f").node("n", { cpu: 9 });
    bench.held.add("create-pod");
    bench.task("t", { instances: 2, retry: RETRY }).settle();
    const refuse = (index: number) =>
      bench.apply({
        type: "pod-refused",
        attempt: { taskUid: "t-uid", index, attempt: 0 },
        message: "exceeded quota",
        byQuota: true,
      });
    refuse(0);
    bench.task("t", { instances: 2, retry: RETRY, kill: {} });
    refuse(1);
    expect(view(bench)).toMatchObject({ state: "Killed", counts: { killed: 2 } });
    expect(bench.wait(10_000).all("create-pod")).toHaveLength(2);
  });

  test("an outcome that comes for an attempt of the past changes nothing", () => {
    const bench = running();
    bench.apply({ type: "pod-refused", attempt: { taskUid: "t-uid", index: 0, attempt: 0 }, message: "late" });
    bench.apply({ type: "pod-refused", attempt: { taskUid: "gone", index: 0, attempt: 0 }, message: "late" });
    expect(view(bench).state).toBe("Running");
  });
});

describe("pods that are deleted by force", () => {
  test("end at once, and their index runs again when the object is gone", () => {
    const bench = running({ backoffMs: 0 });
    bench.pod("t-0-0", { deleting: true, forced: true });
    bench.settle();
    expect(view(bench)).toMatchObject({ lastFailures: [{ reason: "pod-deleted" }], counts: { pending: 1 } });
    expect(bench.all("create-pod")).toHaveLength(1);
    record(bench);
    expect(bench.all("release-pod")).toHaveLength(1);
    bench.podGone("t-0-0");
    bench.settle();
    expect(bench.all("create-pod")).toMatchObject([{}, { attempt: { attempt: 1 } }]);
  });
});
