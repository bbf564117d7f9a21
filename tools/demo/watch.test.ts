import { beforeEach, describe, expect, test } from "vitest";
import { type Expected, type PodEvent, Referee, seenPod } from "./watch.ts";

const amounts = (cpu: number, pods = 110) =>
  new Map([
    ["cpu", cpu * 1000],
    ["pods", pods * 1000],
  ]);
const task: Expected = { uid: "t", key: "ns/task", instances: 2 };

let referee: Referee;
beforeEach(() => {
  referee = new Referee(
    new Map([
      ["a", amounts(4)],
      ["b", amounts(4)],
    ]),
  );
});

interface Change {
  readonly node?: string;
  readonly phase?: string;
  readonly index?: number;
  readonly cpu?: number;
  readonly taskUid?: string | undefined;
}

const pod = (
  uid: string,
  { node = "a", phase = "Running", index = 0, cpu = 1, ...more }: Change = {},
): PodEvent["pod"] => {
  const owner = "taskUid" in more ? more.taskUid : "t";
  return {
    uid,
    key: `ns/${uid}`,
    phase,
    queue: "q",
    requests: amounts(cpu, 1),
    ...(node === "" ? {} : { node }),
    ...(owner === undefined ? {} : { run: { task: owner, index: `${index}` } }),
  };
};
const added = (uid: string, change?: Change) => referee.apply({ type: "ADDED", pod: pod(uid, change) });
const modified = (uid: string, change?: Change) => referee.apply({ type: "MODIFIED", pod: pod(uid, change) });
const deleted = (uid: string, change?: Change) => referee.apply({ type: "DELETED", pod: pod(uid, change) });

/** An instance's whole life. */
function runs(uid: string, index: number): void {
  added(uid, { index, phase: "Pending" });
  modified(uid, { index });
  modified(uid, { index, phase: "Succeeded" });
}
const violations = () => referee.verdict([task]).violations;

describe("the referee is content", () => {
  test("when each instance had one pod that succeeded", () => {
    runs("x", 0);
    runs("y", 1);
    expect(referee.verdict([task])).toEqual({ once: 2, expected: 2, unsuccessful: 0, violations: [] });
    expect(referee.succeeded(task)).toBe(2);
  });

  test("when the pods are gone by now", () => {
    runs("x", 0);
    runs("y", 1);
    modified("x", { phase: "Succeeded" });
    deleted("x", { phase: "Succeeded" });
    deleted("y", { index: 1, phase: "Succeeded" });
    expect(referee.verdict([task])).toEqual({ once: 2, expected: 2, unsuccessful: 0, violations: [] });
  });

  test("when an attempt failed and the next one succeeded: it says how many failed", () => {
    added("x");
    modified("x", { phase: "Failed" });
    runs("x2", 0);
    runs("y", 1);
    expect(referee.verdict([task])).toEqual({ once: 2, expected: 2, unsuccessful: 1, violations: [] });
  });

  test("with a full node, and with what takes the room of a pod that has ended", () => {
    added("x", { cpu: 4 });
    modified("x", { cpu: 4, phase: "Succeeded" });
    added("y", { index: 1, cpu: 4 });
    modified("y", { index: 1, cpu: 4, phase: "Succeeded" });
    expect(violations()).toEqual([]);
  });

  test("with pods that are not bound yet, however many", () => {
    for (const uid of ["x", "y", "z"]) added(uid, { node: "", cpu: 4, taskUid: undefined });
    expect(referee.verdict([]).violations).toEqual([]);
  });
});

describe("the referee finds", () => {
  test("an instance that ran twice, one after the other", () => {
    runs("x", 0);
    runs("x2", 0);
    runs("y", 1);
    const { once, violations: found } = referee.verdict([task]);
    expect(once).toBe(1);
    expect(found).toContain("ns/task, index 0: 2 pods succeeded instead of one");
    expect(found).toContain("ns/x2: t/0 was started again after its success");
  });

  test("the same when the first pod is gone long since", () => {
    runs("x", 0);
    deleted("x", { phase: "Succeeded" });
    runs("x2", 0);
    runs("y", 1);
    expect(violations()).toContain("ns/task, index 0: 2 pods succeeded instead of one");
  });

  test("an instance that ran twice at once, even if one of them came to nothing", () => {
    added("x");
    added("x2", { node: "b" });
    modified("x2", { node: "b", phase: "Failed" });
    modified("x", { phase: "Succeeded" });
    runs("y", 1);
    expect(violations()).toEqual(["ns/x2: 2 pods of t/0 at once"]);
  });

  test("an instance that never ran", () => {
    runs("x", 0);
    expect(violations()).toEqual(["ns/task, index 1: 0 pods succeeded instead of one"]);
  });

  test("a pod that was deleted before it succeeded", () => {
    added("x");
    deleted("x");
    runs("y", 1);
    const verdict = referee.verdict([task]);
    expect([verdict.once, verdict.unsuccessful]).toEqual([1, 1]);
  });

  test("an index and a task that nobody asked for", () => {
    runs("x", 0);
    runs("y", 1);
    runs("z", 2);
    added("w", { taskUid: "stranger" });
    expect(violations()).toEqual([
      "a pod ran for t/2, which nobody asked for",
      "a pod ran for stranger/0, which nobody asked for",
    ]);
  });

  test.each([
    { name: "by a pod that is created there", act: () => added("y", { index: 1, cpu: 2 }) },
    {
      name: "by a pod that is bound there later",
      act: () => {
        added("y", { index: 1, cpu: 2, node: "" });
        modified("y", { index: 1, cpu: 2 });
      },
    },
    {
      name: "by a pod that grows",
      act: () => {
        added("y", { index: 1 });
        modified("y", { index: 1, cpu: 2 });
      },
    },
    { name: "by a pod of nobody's task", act: () => added("y", { cpu: 2, taskUid: undefined }) },
  ])("a node that is over-committed $name", ({ act }) => {
    added("x", { cpu: 3 });
    act();
    modified("x", { cpu: 3, phase: "Succeeded" });
    expect(violations()).toContain("node a is over-committed by ns/y: cpu 5 of 4");
  });

  test("more pods on a node than it may have", () => {
    referee = new Referee(new Map([["a", amounts(4, 1)]]));
    added("x");
    added("y", { index: 1 });
    expect(violations()).toContain("node a is over-committed by ns/y: pods 2 of 1");
  });

  test("a pod on a node that does not exist", () => {
    added("x", { node: "nowhere" });
    expect(violations()).toContain("ns/x is on nowhere, which is no node");
  });
});

test("shares and utilisation are those of the pods that live", () => {
  added("x", { cpu: 3 });
  expect([referee.shares().get("q"), referee.utilisation("cpu")]).toEqual([3 / 8, 3 / 8]);
  added("y", { index: 1, cpu: 1, node: "b" });
  expect(referee.shares().get("q")).toBe(0.5);
  modified("x", { cpu: 3, phase: "Succeeded" });
  deleted("y", { index: 1, cpu: 1, node: "b" });
  expect([referee.shares().get("q"), referee.utilisation("cpu")]).toEqual([0, 0]);
});

test("what counts of a pod is read from the object", () => {
  const object = {
    metadata: {
      uid: "u",
      name: "p",
      namespace: "ns",
      labels: { "proffer.dev/index": "7", "proffer.dev/queue": "research" },
      ownerReferences: [{ kind: "Task", uid: "t" }],
    },
    spec: {
      nodeName: "a",
      containers: [{ resources: { requests: { cpu: "1500m" } } }, { resources: { requests: { cpu: "1" } } }],
    },
    status: { phase: "Running" },
  };
  expect(seenPod(object)).toEqual({
    uid: "u",
    key: "ns/p",
    node: "a",
    phase: "Running",
    run: { task: "t", index: "7" },
    queue: "research",
    requests: new Map([
      ["cpu", 2_500],
      ["pods", 1_000],
    ]),
  });
  expect(seenPod({ metadata: { uid: "u", name: "p", namespace: "ns" }, spec: { containers: [] } })).toEqual({
    uid: "u",
    key: "ns/p",
    phase: "Pending",
    requests: new Map([["pods", 1_000]]),
  });
});
