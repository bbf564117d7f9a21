import { describe, expect, test } from "vitest";
import type { Condition } from "../../api/common.ts";
import type { Task, TaskFailure, TaskStatus } from "../../api/task.ts";
import { exitCodeOf, failedInstances, summaryLine, waitingLine } from "./outcome.ts";
import { type AttemptPod, attemptOf } from "./pods.ts";

function task(status: Partial<TaskStatus>): Task {
  return { metadata: { name: "t" }, spec: { instances: 3 }, status } as Task;
}

function pod(index: number, attempt: number, more: Partial<AttemptPod> = {}): AttemptPod {
  return { name: `${index}-${attempt}`, index, attempt, node: "n", started: true, over: true, failed: false, ...more };
}

function failure(index: number, attempt: number, more: Partial<TaskFailure> = {}): TaskFailure {
  return { index, attempt, reason: "exit-code", message: "", at: "2026-01-01T00:00:00Z", ...more };
}

const failed = (exitCode?: number, reason?: string): Partial<AttemptPod> => ({
  failed: true,
  ...(exitCode !== undefined && { exitCode }),
  ...(reason !== undefined && { reason }),
});

describe("the exit code", () => {
  test.each<[what: string, status: Partial<TaskStatus>, pods: AttemptPod[], code: number]>([
    [
      "is 0 when all succeeded, whatever failed on the way",
      { state: "Finished" },
      [pod(0, 0, failed(9)), pod(0, 1)],
      0,
    ],
    ["is that of the worst", { state: "Failed" }, [pod(0, 0, failed(2)), pod(1, 0, failed(7)), pod(2, 0)], 7],
    ["counts an instance's last attempt alone", { state: "Failed" }, [pod(0, 1, failed(2)), pod(0, 0, failed(9))], 2],
    [
      "leaves out who succeeded at last",
      { state: "Failed" },
      [pod(0, 0, failed(9)), pod(0, 1), pod(1, 0, failed(3))],
      3,
    ],
    ["is 1 where there is none", { state: "Failed" }, [pod(0, 0, failed())], 1],
    ["is 1 without any pod", { state: "Lost" }, [], 1],
    ["is 124 for a time-out", { state: "Failed" }, [pod(0, 0, failed(137, "DeadlineExceeded"))], 124],
    ["is never 0 for a failure", { state: "Failed" }, [pod(0, 0, failed(256))], 1],
    ["fits into a byte", { state: "Failed" }, [pod(0, 0, failed(-1))], 255],
    [
      "comes from the Task where pods are gone",
      { state: "Failed", lastFailures: [failure(1, 0, { exitCode: 5 })] },
      [],
      5,
    ],
    [
      "comes from the pod where both know, and from the Task where it knows of a later attempt",
      {
        state: "Failed",
        lastFailures: [
          failure(0, 0, { exitCode: 90 }),
          failure(1, 1, { exitCode: 4 }),
          failure(1, 0, { exitCode: 91 }),
        ],
      },
      [pod(0, 0, failed(3)), pod(1, 0, failed(92))],
      4,
    ],
    [
      "comes from the Task for a pod that was last seen running",
      { state: "Failed", lastFailures: [failure(0, 0, { exitCode: 6 })] },
      [pod(0, 0, { over: false })],
      6,
    ],
  ])("%s", (_, status, pods, code) => {
    expect(exitCodeOf(task(status), failedInstances(task(status), pods))).toBe(code);
  });
});

test("what happened to an instance is told with its node", () => {
  const told = failedInstances(
    task({ state: "Failed", lastFailures: [failure(3, 0, { reason: "evicted", message: "m" })] }),
    [pod(0, 0, failed(1)), pod(1, 0, failed(undefined, "Evicted")), pod(2, 0, failed(137, "DeadlineExceeded"))],
  );
  expect(told.map(({ what }) => what)).toEqual([
    "exit code 1 on n",
    "failed (Evicted) on n",
    "ran too long on n",
    "evicted: m",
  ]);
});

describe("what it waits for", () => {
  const condition = (type: string, status: "True" | "False"): Condition => ({
    type,
    status,
    reason: "Reason",
    message: "text",
    observedGeneration: 1,
    lastTransitionTime: "2026-01-01T00:00:00Z",
  });

  test.each<[conditions: Condition[], line: string | undefined]>([
    [[], undefined],
    [[condition("Accepted", "True")], undefined],
    [[condition("Waiting", "False")], undefined],
    [[condition("Accepted", "True"), condition("Waiting", "True")], "waiting (Reason): text"],
    [[condition("Accepted", "False"), condition("Waiting", "True")], "not accepted (Reason): text"],
  ])("is one line: %j", (conditions, line) => {
    expect(waitingLine(task({ conditions }))).toBe(line);
  });

  test("is nothing before anybody has looked at it", () => {
    expect(waitingLine({ metadata: { name: "t" } } as Task)).toBeUndefined();
  });
});

test("the summary says how it ended, and why if not well", () => {
  expect(summaryLine(task({ state: "Finished", progress: "3/3", why: "3 of 3 succeeded" }))).toBe(
    "task t: Finished (3/3)",
  );
  expect(summaryLine(task({ state: "Failed", progress: "1/3", why: "exit code 2" }))).toBe(
    "task t: Failed (1/3 succeeded): exit code 2",
  );
});

describe("a pod", () => {
  const metadata = { name: "p", labels: { "proffer.dev/index": "3", "proffer.dev/attempt": "1" } };
  const of = (status: object) => attemptOf({ metadata, spec: { nodeName: "n" }, status });
  const terminated = (exitCode: number, startedAt: string | null = "2026-01-01T00:00:00Z") => ({
    state: { terminated: { exitCode, startedAt } },
  });

  test("without an instance's labels is none of ours", () => {
    expect(attemptOf({ metadata: { name: "p" } })).toBeUndefined();
    const labels = { "proffer.dev/index": "x", "proffer.dev/attempt": "0" };
    expect(attemptOf({ metadata: { name: "p", labels } })).toBeUndefined();
  });

  test.each<[what: string, status: object, expected: Partial<AttemptPod>]>([
    ["has no log before it has started", { phase: "Pending" }, { started: false, over: false, failed: false }],
    ["has one once it runs", { phase: "Running", containerStatuses: [{ state: { running: {} } }] }, { started: true }],
    [
      "is over when it has succeeded",
      { phase: "Succeeded", containerStatuses: [terminated(0)] },
      { over: true, failed: false },
    ],
    [
      "tells the exit code of the container that failed",
      { phase: "Failed", containerStatuses: [terminated(0), terminated(7)] },
      { over: true, failed: true, exitCode: 7 },
    ],
    [
      "has no log if its container never started",
      { phase: "Failed", reason: "Evicted", containerStatuses: [terminated(137, null)] },
      { started: false, over: true, reason: "Evicted" },
    ],
  ])("%s", (_, status, expected) => {
    expect(of(status)).toMatchObject({ name: "p", index: 3, attempt: 1, node: "n", ...expected });
  });
});
