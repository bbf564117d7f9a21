import { describe, expect, test } from "vitest";
import { Bench, podFacts, taskFacts } from "./broker.test-support.ts";
import type { Input, OfferFacts, PodFacts } from "./messages.ts";

const ORDERS = ["tasks first", "pods first"] as const;

/** A new term that is shown these facts, in this order or in the reverse one. */
function newTerm(order: (typeof ORDERS)[number], facts: readonly Input[]): Bench {
  const bench = new Bench({ term: "t2" });
  bench.queue("default").framework("f");
  for (const input of order === "tasks first" ? facts : [...facts].reverse()) bench.apply(input);
  bench.apply({ type: "opened" });
  return bench;
}

const observed = (pod: PodFacts): Input => ({ type: "pod-observed", pod });
const task = (change: Parameters<typeof taskFacts>[1] = {}): Input => ({
  type: "task-observed",
  task: taskFacts("t", change),
});
const node: Input = {
  type: "node-observed",
  node: { name: "n", uid: "n-uid", allocatable: { cpu: 4, pods: 10 }, labels: {}, taints: [], ready: true },
};

describe("a new term", () => {
  test.each(ORDERS)("an instance that ended well before its Task was killed is not told as killed (%s)", (order) => {
    const bench = newTerm(order, [node, task({ kill: {}, instances: 2 }), observed(podFacts({ phase: "Succeeded" }))]);
    expect(bench.broker.taskView("t-uid")).toMatchObject({ succeededIndexes: "0", failedIndexes: "1" });
    expect(bench.all("release-pod")).toEqual([]);
    bench.apply({ type: "task-recorded", uid: "t-uid", version: bench.broker.taskView("t-uid")!.version });
    expect(bench.all("release-pod")).toHaveLength(1);
  });

  test.each(ORDERS)("a running instance of a killed Task is killed once (%s)", (order) => {
    const bench = newTerm(order, [node, task({ kill: {} }), observed(podFacts())]);
    expect(bench.all("delete-pod")).toMatchObject([{ uid: "pod-0-0" }]);
    expect(bench.broker.taskView("t-uid")).toMatchObject({ state: "Killing", failedIndexes: "" });
  });

  test.each(ORDERS)("an instance on a node that was never there in this term is lost in time (%s)", (order) => {
    const bench = newTerm(order, [task(), observed(podFacts())]);
    bench.wait(39_999);
    expect(bench.broker.taskView("t-uid")).toMatchObject({ state: "Unreachable" });
    bench.wait(1);
    expect(bench.broker.taskView("t-uid")).toMatchObject({ state: "Lost" });
    expect(bench.last("delete-pod")).toMatchObject({ uid: "pod-0-0", gracePeriodSeconds: 0 });
  });

  test.each(ORDERS)("a node that appears in time keeps its instances (%s)", (order) => {
    const bench = newTerm(order, [task(), observed(podFacts())]);
    bench.wait(30_000).apply(node);
    bench.wait(60_000);
    expect(bench.broker.taskView("t-uid")).toMatchObject({ state: "Running" });
  });

  test.each(ORDERS)(
    "what runs counts in the queue where it was started, though its framework is gone (%s)",
    (order) => {
      const bench = newTerm(order, [node, task(), observed(podFacts({ queue: "q" }))]);
      bench.queue("q").apply({ type: "framework-gone", key: "ns/f" });
      expect(bench.broker.queueView("default")).toMatchObject({ allocated: {} });
      expect(bench.broker.queueView("q")).toMatchObject({ allocated: { cpu: 1 } });
    },
  );

  test.each(["pod first", "task first"])("and where it was gone before, too (%s)", (order) => {
    const bench = new Bench({ term: "t2" }).queue("default").queue("q");
    const facts = [observed(podFacts({ queue: "q" })), task()];
    for (const input of order === "pod first" ? facts : facts.reverse()) bench.apply(input);
    bench.apply({ type: "opened" });
    expect(bench.broker.queueView("q")).toMatchObject({ allocated: { cpu: 1 } });
    bench.framework("f");
    expect(bench.broker.queueView("default")).toMatchObject({ allocated: { cpu: 1 } });
  });

  test("decides nothing before all facts are in", () => {
    const bench = new Bench({ term: "t2" });
    bench.queue("default").framework("f");
    bench.apply(node);
    bench.apply(task());
    expect(bench.broker.nextTickMs(bench.nowMs)).toBe(Number.POSITIVE_INFINITY);
    bench.apply({ type: "tick" });
    expect(bench.all("create-pod")).toEqual([]);
    bench.apply({ type: "opened" });
    expect(bench.settle().all("create-pod")).toHaveLength(1);
  });

  test("a pod without a Task on a node that is gone is let go, finalizer and all", () => {
    const bench = Bench.open();
    bench.apply(observed(podFacts({ deleting: true })));
    expect(bench.claims("task")).toEqual(["n: 1"]);
    bench.wait(40_000);
    expect(bench.all("delete-pod")).toMatchObject([{ uid: "pod-0-0", gracePeriodSeconds: 0 }]);
    expect(bench.all("release-pod")).toMatchObject([{ uid: "pod-0-0" }]);
    expect(bench.claims("task")).toEqual([]);
  });

  test("an answer of an earlier term is settled when it is known what its tasks' pods request", () => {
    const bench = new Bench({ term: "t2" });
    bench.held.add("size-template");
    bench.queue("default").framework("f", { scheduler: "Offers" });
    bench.apply(node);
    bench.apply(task({ instances: 3 }));
    const slices = [{ name: "s0", node: "n", nodeUid: "n-uid", resources: { cpu: 2, pods: 2 }, labels: {} }];
    const launches = [{ task: "t", slice: "s0", count: 2 }];
    const answer = { by: "user-f", decision: "Accept", launches, refuseMs: 0 } as const;
    const old = { key: "ns/f-t1-0", uid: "old", framework: "ns/f", queue: "default", term: "t1", slices, answer };
    bench.apply({ type: "offer-observed", offer: { ...old, phase: "Open" } });
    bench.apply({ type: "opened" });
    expect(bench.all("close-offer")).toEqual([]);
    bench.apply({ type: "template-sized", templateKey: "ns/plain", requests: { cpu: 1, pods: 1 } });
    expect(bench.all("close-offer")).toMatchObject([
      { key: old.key, phase: "Accepted", launches: [{ task: "t", slice: "s0", indexes: "0-1" }] },
    ]);
    expect(bench.all("create-pod").map(({ offer, node }) => [offer, node])).toEqual([
      ["old.0", "n"],
      ["old.0", "n"],
    ]);
  });

  test.each(ORDERS)("an index whose lost attempt may still run waits until that pod is gone (%s)", (order) => {
    const recorded = { succeededIndexes: "", failedIndexes: "", attempts: [{ indexes: "0", ended: 1, failed: 0 }] };
    const retry = { limit: 0, backoffMs: 0, maxBackoffMs: 0, onNodeLost: "Retry" } as const;
    const bench = newTerm(order, [node, task({ retry, recorded }), observed(podFacts({ deleting: true }))]);
    bench.settle();
    expect(bench.all("create-pod")).toEqual([]);
    expect(bench.broker.explainTask("t-uid")?.reason).toBe("node-lost");
    bench.apply({ type: "pod-gone", pod: podFacts({ deleting: true }) });
    bench.settle();
    expect(bench.all("create-pod")).toMatchObject([{ attempt: { index: 0, attempt: 1 } }]);
  });
});

describe("offers of an earlier term", () => {
  const launches = [{ task: "t", slice: "s0", count: 5 }];
  const slices = [{ name: "s0", node: "n", nodeUid: "n-uid", resources: { cpu: 5, pods: 5 }, labels: {} }];
  const offer = (change: Partial<OfferFacts> = {}): OfferFacts => ({
    key: "ns/f-t1-0",
    uid: "old",
    framework: "ns/f",
    queue: "default",
    term: "t1",
    phase: "Open",
    slices,
    ...change,
  });
  const answer = { by: "user-f", decision: "Accept", launches, refuseMs: 0 } as const;
  const large: Input = {
    type: "node-observed",
    node: { name: "n", uid: "n-uid", allocatable: { cpu: 9, pods: 10 }, labels: {}, taints: [], ready: true },
  };
  /** A term that finds `pods` of the answer's five launches. */
  function found(facts: OfferFacts, pods: number, change: Partial<PodFacts> = {}, more: readonly Input[] = []): Bench {
    const bench = new Bench({ term: "t2" });
    bench.queue("default").framework("f", { scheduler: "Offers" });
    bench.apply(large);
    for (const input of more) bench.apply(input);
    bench.apply(task({ instances: 40 }));
    for (let index = 0; index < pods; index++) bench.apply(observed(podFacts({ index, offer: "old.0", ...change })));
    bench.apply({ type: "offer-observed", offer: facts });
    bench.apply({ type: "opened" });
    return bench;
  }

  test("without an answer are rescinded", () => {
    const bench = found(offer(), 0);
    expect(bench.all("close-offer")).toMatchObject([{ phase: "Rescinded", reason: "new-term", launches: [] }]);
  });

  test("that were declined stay declined", () => {
    const bench = found(offer({ answer: { ...answer, decision: "Decline", launches: [] } }), 0);
    expect(bench.all("close-offer")).toMatchObject([{ phase: "Declined" }]);
  });

  test("that have ended are left alone, and so is what is not open", () => {
    expect(found(offer({ phase: "Accepted", answer }), 5).all("close-offer")).toEqual([]);
  });

  test.each([{ pods: 0 }, { pods: 3 }, { pods: 5 }])(
    "five launches of which $pods were carried out: five in the end",
    (row) => {
      const bench = found(offer({ answer }), row.pods);
      expect(bench.all("create-pod")).toHaveLength(5 - row.pods);
      expect(bench.claims("task")).toHaveLength(5);
      expect(bench.all("close-offer")).toMatchObject([
        { phase: "Accepted", launches: [{ task: "t", slice: "s0", indexes: "0-4" }] },
      ]);
      for (const { offer: label } of bench.all("create-pod")) expect(label).toBe("old.0");
    },
  );

  test("each launch is told apart by its place in the answer, also where those before it were carried out", () => {
    const three = [1, 2, 1].map((count) => ({ task: "t", slice: "s0", count }));
    const pods = [
      { type: "pod-observed", pod: podFacts({ index: 0, offer: "old.0" }) },
      { type: "pod-observed", pod: podFacts({ index: 1, offer: "old.1" }) },
      // Two attempts of one index were one launch.
      { type: "pod-observed", pod: podFacts({ index: 1, attempt: 1, offer: "old.1", uid: "again", key: "ns/again" }) },
    ] as const;
    const bench = found(offer({ answer: { ...answer, launches: three } }), 0, {}, pods);
    expect(bench.all("create-pod").map(({ attempt, offer: label }) => [attempt.index, label])).toEqual([
      [2, "old.1"],
      [3, "old.2"],
    ]);
    expect(bench.last("close-offer")!.launches.map(({ indexes }) => indexes)).toEqual(["0", "1-2", "3"]);
  });

  test("are settled when all is in, however early they were seen", () => {
    const bench = new Bench({ term: "t2" });
    bench.queue("default").framework("f", { scheduler: "Offers" });
    bench.apply(large);
    bench.apply(task({ instances: 40 }));
    bench.apply({ type: "offer-observed", offer: offer({ answer }) });
    for (let index = 0; index < 3; index++) bench.apply(observed(podFacts({ index, offer: "old.0" })));
    expect(bench.all("create-pod")).toEqual([]);
    bench.apply({ type: "opened" });
    expect(bench.all("create-pod").map(({ attempt }) => attempt.index)).toEqual([3, 4]);
  });

  test("that are deleted while they wait for a size are rescinded: nothing is launched", () => {
    const bench = new Bench({ term: "t2" });
    bench.held.add("size-template");
    bench.queue("default").framework("f", { scheduler: "Offers" });
    bench.apply(large);
    bench.apply(task({ instances: 8 }));
    bench.apply({ type: "offer-observed", offer: offer({ answer }) });
    bench.apply({ type: "opened" });
    bench.apply({ type: "offer-gone", key: offer().key });
    bench.apply({ type: "template-sized", templateKey: "ns/plain", requests: { cpu: 1, pods: 1 } });
    expect(bench.all("create-pod")).toEqual([]);
    expect(bench.all("close-offer")).toEqual([]);
  });

  test("those that have ended meanwhile were carried out too", () => {
    const bench = found(offer({ answer }), 5, { phase: "Succeeded" });
    expect(bench.all("create-pod")).toEqual([]);
  });

  test("what finds no room any more is refused, the rest stays", () => {
    const pod = { uid: "p", node: "n", requests: { cpu: 5 } };
    const bench = found(offer({ answer }), 3, {}, [{ type: "foreign-pod-observed", pod }]);
    expect(bench.all("create-pod")).toHaveLength(1);
    expect(bench.all("close-offer")).toMatchObject([
      { phase: "Accepted", launches: [{ indexes: "0-3", refused: { reason: "lost-race" } }] },
    ]);
  });

  test("on a node that nobody has heard of in this term are refused", () => {
    const there = slices.map((slice) => ({ ...slice, node: "gone" }));
    const bench = found(offer({ answer, slices: there }), 0);
    expect(bench.all("close-offer")).toMatchObject([
      { phase: "Refused", launches: [{ indexes: "", refused: { reason: "lost-race" } }] },
    ]);
    expect(bench.all("create-pod")).toEqual([]);
  });

  test("of which nothing can be carried out are refused", () => {
    const bench = found(offer({ answer: { ...answer, by: "mallory" } }), 0);
    expect(bench.all("close-offer")).toMatchObject([
      { phase: "Refused", launches: [{ refused: { reason: "not-yours" } }] },
    ]);
    expect(bench.all("create-pod")).toEqual([]);
  });

  test("seen again before their end stands are told again, and not carried out twice", () => {
    const bench = found(offer({ answer }), 0);
    bench.apply({ type: "offer-observed", offer: offer({ answer }) });
    expect(bench.all("create-pod")).toHaveLength(5);
    expect(bench.all("close-offer")).toHaveLength(2);
  });

  test("answered only after the term began are settled then", () => {
    const bench = found(offer(), 0);
    bench.apply({ type: "offer-observed", offer: offer({ answer }) });
    expect(bench.all("create-pod")).toHaveLength(5);
    expect(bench.all("close-offer")).toMatchObject([{ phase: "Rescinded" }, { phase: "Accepted" }]);
  });

  test("hold no room of their own: what others were promised first is theirs", () => {
    const bench = found(offer({ answer: { ...answer, launches: [{ ...launches[0]!, slice: "s9" }] } }), 0);
    expect(bench.all("close-offer")).toMatchObject([{ launches: [{ refused: { reason: "unknown-slice" } }] }]);
    expect(bench.claims("offer")).toEqual([]);
  });
});

describe("an older attempt's pod", () => {
  test("seen after a newer one: both attempts count", () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ] as const) {
      const bench = new Bench({ term: "t2" });
      bench.queue("default").framework("f");
      bench.apply(node);
      bench.apply(task({ retry: { limit: 1, backoffMs: 0, maxBackoffMs: 0, onNodeLost: "Never" } }));
      const pods = [podFacts({ attempt: 0, phase: "Failed", exitCode: 1 }), podFacts({ attempt: 1 })];
      for (const i of order) bench.apply(observed(pods[i]!));
      bench.apply({ type: "opened" });
      expect(bench.broker.taskView("t-uid")).toMatchObject({
        state: "Running",
        attempts: [{ indexes: "0", ended: 1, failed: 1 }],
      });
      bench.apply(observed(podFacts({ attempt: 1, phase: "Failed", exitCode: 1 })));
      expect(bench.broker.taskView("t-uid")).toMatchObject({ state: "Failed" });
    }
  });
});
