import { describe, expect, test } from "vitest";
import { Bench } from "../broker.test-support.ts";
import type { FrameworkFacts, PodFacts, RecordedTask, TaskFacts } from "../messages.ts";

const REQUESTS = { cpu: 2, pods: 1 };
const retry = { limit: 0, backoffMs: 1_000, maxBackoffMs: 4_000, onNodeLost: "Never" } as const;

const placed = (made: Bench, name = "t") =>
  made.all("create-pod").filter(({ attempt }) => attempt.taskUid === `${name}-uid`).length;
const view = (made: Bench, name = "t") => made.broker.taskView(`${name}-uid`)!;

function task(made: Bench, change: Partial<TaskFacts> = {}): Bench {
  return made.asking("t", REQUESTS, { instances: 4, gang: { minimum: 4 }, retry, ...change });
}

/** Two nodes of 4 CPUs, and a gang of four 2-CPU instances whose creates are on their way. */
function underWay(): Bench {
  const made = Bench.open().framework("f").node("n0", { cpu: 4 }).node("n1", { cpu: 4 });
  made.held.add("create-pod");
  return task(made).settle();
}

const creates = (made: Bench) => made.all("create-pod").filter(({ attempt }) => attempt.taskUid === "t-uid");
const refuse = (made: Bench, at: number, byQuota: boolean) =>
  made.apply({ type: "pod-refused", attempt: creates(made)[at]!.attempt, message: "no", byQuota });
const undone = (made: Bench) => made.all("event").filter(({ reason }) => reason === "gang-undone");
/** Pods that the operator has asked the end of. */
const deleted = (made: Bench) => made.all("delete-pod").map(({ key }) => key.slice(3));
/** The node tells the end of a pod that was deleted. */
function ends(made: Bench, name: string, phase: PodFacts["phase"] = "Failed"): void {
  made.pod(name, { phase, deleting: true, started: true });
}

describe("a start of which some pods are refused", () => {
  test.each([{ byQuota: true }, { byQuota: false }])(
    "is undone: what was started ends, and all of it starts anew ($byQuota)",
    ({ byQuota }) => {
      const made = underWay();
      for (const effect of creates(made).slice(0, 3)) made.create(effect);
      made.apply({
        type: "task-observed",
        task: { ...taskFactsOf(made), retry: { ...retry, limit: 3 } },
      });
      refuse(made, 3, byQuota);
      made.settle();
      expect(deleted(made)).toEqual(["t-0-0", "t-1-0", "t-2-0"]);
      expect(made.last("event")).toEqual({
        type: "event",
        about: { kind: "Task", key: "ns/t", uid: "t-uid" },
        severity: "Warning",
        reason: "gang-undone",
        note: "gang of 4: not all that start together could be started; the 3 that were end and start anew",
      });
      expect(made.broker.explainTask("t-uid")?.reason).toBe(byQuota ? "quota-exceeded" : "back-off");
      for (const name of deleted(made)) ends(made, name);
      made.held.delete("create-pod");
      made.wait(1_000);
      expect(placed(made)).toBe(8);
      expect(view(made)).toMatchObject({ startedTogether: true, counts: { failed: 0, lost: 0 } });
    },
  );

  test("also ends those whose pod comes only afterwards", () => {
    const made = underWay();
    refuse(made, 3, true);
    made.settle();
    expect(deleted(made)).toEqual([]);
    for (const effect of creates(made).slice(0, 3)) made.create(effect);
    expect(deleted(made)).toEqual(["t-0-0", "t-1-0", "t-2-0"]);
  });

  test("counts what ended well meanwhile, and starts the others", () => {
    const made = underWay();
    for (const effect of creates(made).slice(0, 3)) made.create(effect);
    refuse(made, 3, true);
    made.settle();
    ends(made, "t-0-0", "Succeeded");
    ends(made, "t-1-0");
    ends(made, "t-2-0");
    made.held.delete("create-pod");
    made.wait(2_000);
    expect(view(made)).toMatchObject({ succeededIndexes: "0", startedTogether: true });
    expect(placed(made)).toBe(7);
  });

  test("is none any more where the one that was refused is given up: the others have started", () => {
    const made = underWay();
    for (const effect of creates(made).slice(0, 3)) made.create(effect);
    refuse(made, 3, false);
    made.settle();
    expect(deleted(made)).toEqual([]);
    expect(view(made)).toMatchObject({ startedTogether: true, counts: { failed: 1, starting: 3 } });
  });

  test("is undone for the whole group, whichever Task was refused", () => {
    const made = Bench.open().framework("f").node("n0", { cpu: 8 });
    made.held.add("create-pod");
    const group = { name: "g", size: 2 };
    made.asking("a", REQUESTS, { instances: 2, group, retry }).asking("b", REQUESTS, { instances: 2, group, retry });
    made.settle();
    const effects = made.all("create-pod");
    for (const effect of effects.slice(0, 3)) made.create(effect);
    made.apply({ type: "pod-refused", attempt: effects[3]!.attempt, message: "no", byQuota: true });
    made.settle();
    expect(deleted(made).length).toBe(3);
    const told = undone(made).map(({ about, note }) => [about.key, /the (\d) that were/.exec(note)?.[1]]);
    expect(told).toEqual([
      ["ns/a", "2"],
      ["ns/b", "1"],
    ]);
  });

  test("is undone for the rest of a group, though one of its Tasks was deleted meanwhile", () => {
    const made = Bench.open().framework("f").node("n0", { cpu: 8 });
    made.held.add("create-pod");
    const group = { name: "g", size: 2 };
    made.asking("a", REQUESTS, { instances: 2, group, retry }).asking("b", REQUESTS, { group, retry }).settle();
    const [first, second] = made.all("create-pod").filter(({ attempt }) => attempt.taskUid === "a-uid");
    made.create(first!);
    made.apply({ type: "task-gone", uid: "b-uid" });
    made.apply({ type: "pod-refused", attempt: second!.attempt, message: "no", byQuota: true });
    made.settle();
    expect(deleted(made)).toEqual(["a-0-0"]);
  });

  test("is told of no Task of which nothing lives", () => {
    const made = Bench.open().framework("f").node("n0", { cpu: 8 });
    made.held.add("create-pod");
    const group = { name: "g", size: 2 };
    for (const name of ["a", "b"]) made.asking(name, REQUESTS, { group, retry });
    made.settle();
    const effects = made.all("create-pod");
    made.create(effects.find(({ attempt }) => attempt.taskUid === "a-uid")!);
    const { attempt } = effects.find((effect) => effect.attempt.taskUid === "b-uid")!;
    made.apply({ type: "pod-refused", attempt, message: "no", byQuota: true });
    made.settle();
    expect(undone(made).map(({ about }) => about.key)).toEqual(["ns/a"]);
  });
});

function taskFactsOf(made: Bench): TaskFacts {
  return made.tasks.get("t-uid")!;
}

describe("a leader dies in the middle of a start", () => {
  /** What a new term finds: these pods, and what the status says. */
  function found(
    pods: readonly Partial<PodFacts>[],
    recorded?: Partial<RecordedTask>,
    change: Partial<TaskFacts> = {},
  ) {
    const made = new Bench({ term: "t2" });
    made.queue("default").framework("f");
    made.node("n0", { cpu: 4 }).node("n1", { cpu: 4 });
    const none = { succeededIndexes: "", failedIndexes: "", attempts: [] };
    made.held.add("size-template");
    task(made, { ...(recorded === undefined ? {} : { recorded: { ...none, ...recorded } }), ...change });
    for (const [at, pod] of pods.entries()) {
      const facts = { taskUid: "t-uid", index: at, attempt: 0, ...pod };
      made.adopt(`t-${facts.index}-${facts.attempt}`, { node: `n${at >> 1}`, requests: REQUESTS, ...facts });
    }
    return made;
  }
  function opened(made: Bench): Bench {
    made.apply({ type: "opened" });
    made.settle();
    made.apply({ type: "template-sized", templateKey: made.all("size-template")[0]!.templateKey, requests: REQUESTS });
    return made.settle();
  }

  test("the rest follows, before anybody else is served", () => {
    const made = found([{}, {}]);
    made.asking("other", REQUESTS, { instances: 4, priority: 10, createdAtMs: 0, templateKey: "ns/other" });
    opened(made);
    expect(placed(made)).toBe(2);
    expect(view(made).startedTogether).toBe(true);
    expect(deleted(made)).toEqual([]);
  });

  test("or all of it is undone, where there is no room for the rest", () => {
    const made = found([{}, {}]);
    made.apply({ type: "foreign-pod-observed", pod: { uid: "x", node: "n1", requests: { cpu: 3, pods: 1 } } });
    opened(made);
    expect(placed(made)).toBe(0);
    expect(deleted(made)).toEqual(["t-0-0", "t-1-0"]);
    for (const name of deleted(made)) ends(made, name);
    made.apply({ type: "foreign-pod-gone", uid: "x" });
    made.wait(1_000);
    expect(placed(made)).toBe(4);
  });

  test("or all of it is undone, where its framework has chosen the places itself", () => {
    const made = found([{}, {}]);
    made.framework("f", { scheduler: "Offers" });
    opened(made);
    expect([placed(made), deleted(made), made.openOffers()]).toEqual([0, ["t-0-0", "t-1-0"], []]);
  });

  test("a gang that had started goes on without the one that has failed since", () => {
    const made = found([{}, {}, {}], { startedTogether: true, failedIndexes: "3" });
    opened(made);
    expect(deleted(made)).toEqual([]);
    expect(view(made).startedTogether).toBe(true);
  });

  test("one of a gang that had started is tried again on its own", () => {
    const made = found([{}, {}, {}], { startedTogether: true, attempts: [{ indexes: "3", ended: 1, failed: 0 }] });
    made.apply({ type: "foreign-pod-observed", pod: { uid: "x", node: "n1", requests: { cpu: 2, pods: 1 } } });
    opened(made);
    expect([placed(made), deleted(made)]).toEqual([0, []]);
    made.apply({ type: "foreign-pod-gone", uid: "x" });
    made.settle();
    expect(placed(made)).toBe(1);
  });

  test("all pods are there, and nobody has said so: it has started", () => {
    const made = opened(found([{}, {}, {}, {}]));
    expect(view(made).startedTogether).toBe(true);
    expect([placed(made), deleted(made)]).toEqual([0, []]);
  });

  test("one of the pods has ended by now: it counts", () => {
    const made = opened(found([{}, {}, {}, { phase: "Failed", exitCode: 1 }]));
    expect(view(made)).toMatchObject({ startedTogether: true, counts: { failed: 1 } });
    expect(deleted(made)).toEqual([]);
  });

  test("an undoing that the leader had begun goes on, and costs no index", () => {
    const made = found([{ deleting: true }, { deleting: true, phase: "Failed" }, {}, {}]);
    opened(made);
    expect(deleted(made)).toEqual(["t-2-0", "t-3-0"]);
    for (const name of ["t-0-0", "t-2-0", "t-3-0"]) ends(made, name);
    made.wait(1_000);
    expect(placed(made)).toBe(4);
    expect(view(made).counts).toMatchObject({ lost: 0, failed: 0 });
  });

  test("none lives of a gang that had started: its status says so before it starts anew", () => {
    const made = found([], { startedTogether: true, attempts: [{ indexes: "0-3", ended: 1, failed: 0 }] });
    opened(made);
    expect(placed(made)).toBe(0);
    expect(view(made).startedTogether).toBe(false);
    made.apply({ type: "task-recorded", uid: "t-uid", version: view(made).version });
    made.settle();
    expect(placed(made)).toBe(4);
  });

  test("none lives of what it finds: it starts anew as a whole", () => {
    const made = opened(found([{ phase: "Failed" }, { phase: "Succeeded" }], {}, { retry: { ...retry, limit: 1 } }));
    made.wait(2_000);
    expect(placed(made)).toBe(3);
    expect(view(made)).toMatchObject({ succeededIndexes: "1", startedTogether: true });
  });

  test("what may not take part any more does not run on by halves", () => {
    const made = found([{}, {}]);
    made.apply({ type: "framework-gone", key: "ns/f" });
    made.apply({ type: "opened" });
    made.settle();
    expect(deleted(made)).toEqual(["t-0-0", "t-1-0"]);
  });

  test("a pod of the old leader that comes late is not left alone", () => {
    const made = opened(found([]));
    expect(placed(made)).toBe(4);
    const late = found([]);
    late.node("n0", { cpu: 2 }).node("n1", { cpu: 2 });
    opened(late);
    expect(placed(late)).toBe(0);
    late.adopt("t-0-0", { taskUid: "t-uid", index: 0, attempt: 0, node: "n0", requests: REQUESTS });
    late.settle();
    expect(deleted(late)).toEqual(["t-0-0"]);
  });
});

test("a group had started where one of its Tasks says so: the leader died before the other did", () => {
  const made = new Bench({ term: "t2" });
  made.queue("default").framework("f").node("n0", { cpu: 2 });
  const group = { name: "g", size: 2 };
  const none = { succeededIndexes: "", failedIndexes: "" };
  const recorded = { ...none, startedTogether: true, attempts: [{ indexes: "0", ended: 1, failed: 0 }] };
  made.asking("a", REQUESTS, { group }).asking("b", REQUESTS, { group, recorded });
  made.adopt("a-0-0", { taskUid: "a-uid", node: "n0", requests: REQUESTS });
  made.apply({ type: "opened" });
  made.settle();
  expect([deleted(made), view(made, "a").startedTogether]).toEqual([[], true]);
});

test("a gang that does not start says that there is no room, or that it is kept back for others", () => {
  const made = Bench.open()
    .framework("f")
    .queue("gold", { guarantee: { cpu: 2 } })
    .node("n0", { cpu: 8 });
  made.framework("g", { queues: [{ name: "gold", weight: 1 }], scheduler: "Offers", concurrency: "Optimistic" });
  made.asking("kept", { cpu: 1 }, { of: "g", instances: 2 }).settle();
  const why = () => made.broker.explainTask("t-uid")?.reason;
  task(made).settle();
  expect(why()).toBe("kept-back");
  made.asking("more", { cpu: 1 }).settle();
  expect(why()).toBe("no-node");
});

describe("what is kept back for a gang that waits", () => {
  /** A framework runs on one of 9 CPUs and wants all others, of which 4 are guaranteed to a gang of four. */
  function tick(change: Partial<FrameworkFacts>): Bench {
    const made = Bench.open()
      .framework("f")
      .queue("gold", { guarantee: { cpu: 4 } });
    made.framework("g", { queues: [{ name: "gold", weight: 1 }], ...change }).node("n0", { cpu: 9 });
    made.asking("one", { cpu: 1 }).settle();
    made.asking("t", { cpu: 1 }, { of: "g", instances: 4, gang: { minimum: 4 } });
    made.asking("other", { cpu: 1 }, { instances: 8 }).apply({ type: "tick" });
    return made;
  }

  test("is so no more in the round in which it starts", () => {
    const made = tick({});
    expect([placed(made), placed(made, "other")]).toEqual([4, 4]);
  });

  test("is so as long as it is only shown to it", () => {
    const made = tick({ scheduler: "Offers", concurrency: "Optimistic" }).settle();
    expect([made.openOffers("g").length, placed(made, "other")]).toEqual([1, 4]);
  });
});

test("room that comes where it was looked for in vain is found", () => {
  const made = Bench.open().framework("f").node("n0", { cpu: 3 }).node("n1", { cpu: 3 });
  made.asking("t", REQUESTS, { instances: 3, gang: { minimum: 3 } }).settle();
  expect(placed(made)).toBe(0);
  made.node("n1", { cpu: 4 }).settle();
  expect(placed(made)).toBe(3);
});

test("a group of which one Task's size is not known yet is neither completed nor undone", () => {
  const made = new Bench({ term: "t2" });
  made.queue("default").framework("f").node("n0", { cpu: 8 });
  made.held.add("size-template");
  const group = { name: "g", size: 2 };
  for (const name of ["a", "b"]) made.asking(name, REQUESTS, { group, templateKey: `ns/${name}` });
  made.adopt("a-0-0", { taskUid: "a-uid", node: "n0", requests: REQUESTS });
  made.apply({ type: "opened" });
  made.settle();
  made.apply({ type: "template-sized", templateKey: "ns/a", requests: REQUESTS });
  made.settle();
  expect([deleted(made), placed(made, "b")]).toEqual([[], 0]);
  made.apply({ type: "template-sized", templateKey: "ns/b", requests: REQUESTS });
  made.settle();
  expect([deleted(made), placed(made, "b")]).toEqual([[], 1]);
});
