import { describe, expect, test } from "vitest";
import { Bench } from "../broker.test-support.ts";
import type { NodeFacts } from "../messages.ts";

const OFFERS = { scheduler: "Offers" } as const;

describe("nothing new goes to a node", () => {
  test.each<{ name: string; change: Partial<NodeFacts>; why: string }>([
    { name: "that is not ready", change: { ready: false }, why: "not ready" },
    { name: "that is cordoned", change: { closed: "cordoned" }, why: "cordoned" },
    { name: "that is not selected", change: { closed: "not-selected" }, why: "not selected" },
    { name: "that settles for ever", change: { closed: "settling", settledAtMs: Number.MAX_VALUE }, why: "settling" },
    { name: "with a taint", change: { taints: [{ key: "k", effect: "NoSchedule" }] }, why: "with taint k" },
  ])("$name", ({ change, why }) => {
    const made = Bench.open().framework("f").node("n", { cpu: 9 }, change).task("t").settle();
    expect(made.all("create-pod")).toEqual([]);
    expect(made.broker.explainTask("t-uid")).toMatchObject({
      reason: "no-node",
      message: expect.stringContaining(why),
    });
    made.node("n", { cpu: 9 }).settle();
    expect(made.all("create-pod")).toHaveLength(1);
  });

  test.each<{ name: string; change: Partial<NodeFacts> }>([
    { name: "is not ready any more", change: { ready: false } },
    { name: "is cordoned", change: { closed: "cordoned" } },
  ])("and what was offered there is rescinded when it $name", ({ change }) => {
    const made = Bench.open().framework("f", OFFERS).node("n", { cpu: 9 }).task("t").settle();
    expect(made.openOffers()).toHaveLength(1);
    made.node("n", { cpu: 9 }, change);
    expect(made.all("close-offer")).toMatchObject([{ phase: "Rescinded" }]);
  });

  test("that is gone, and what was offered there is rescinded", () => {
    const made = Bench.open().framework("f", OFFERS).node("n", { cpu: 9 }).task("t").settle();
    made.apply({ type: "node-gone", name: "n" });
    expect(made.all("close-offer")).toMatchObject([{ phase: "Rescinded", message: "node n is gone" }]);
    made.apply({ type: "node-gone", name: "n" });
    expect(made.all("close-offer")).toHaveLength(1);
  });

  test("until it has settled: then by itself", () => {
    const made = Bench.open().framework("f");
    made
      .node("n", { cpu: 9 }, { closed: "settling", settledAtMs: made.nowMs + 500 })
      .task("t")
      .settle();
    made.wait(499);
    expect(made.all("create-pod")).toEqual([]);
    made.wait(1);
    expect(made.all("create-pod")).toHaveLength(1);
  });

  test("beyond what is left after the headroom", () => {
    const made = Bench.open({ headroom: { cpu: 2 } })
      .framework("f")
      .node("n", { cpu: 9 })
      .task("t", { instances: 20 });
    expect(made.settle().all("create-pod")).toHaveLength(7);
  });

  test("that is over-full in one resource, not even for another", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 4, memory: 4 });
    made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "n", requests: { cpu: 5 } } });
    made.asking("t", { memory: 1 }).settle();
    expect(made.all("create-pod")).toEqual([]);
    expect(made.broker.explainTask("t-uid")?.message).toContain("1 over-full");
  });
});

describe("a node whose kubelet refused a pod", () => {
  const refused = () => {
    const made = Bench.open().framework("f").node("n", { cpu: 9 });
    made.task("t", { retry: { limit: 0, backoffMs: 0, maxBackoffMs: 0, onNodeLost: "Never" } }).settle();
    made.pod("t-0-0", { phase: "Failed", reason: "OutOfcpu" });
    return made.settle();
  };
  const again = (made: Bench) => made.settle().all("create-pod").length === 2;

  test("is closed", () => {
    expect(refused().all("create-pod")).toHaveLength(1);
  });

  test("opens when it is seen anew", () => {
    expect(again(refused().node("n", { cpu: 9 }))).toBe(true);
  });

  test("opens when a foreign pod there is seen: that was why", () => {
    const made = refused();
    made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "n", requests: { cpu: 1 } } });
    expect(again(made)).toBe(true);
  });

  test("opens after a while: what it was may never be told", () => {
    const made = refused().wait(29_999);
    expect(again(made)).toBe(false);
    expect(again(made.wait(1))).toBe(true);
  });
});

describe("facts outrank offers", () => {
  /** Three offers of 2 each on a node of 6, the first the oldest. */
  function three(): Bench {
    const made = Bench.open().node("n", { cpu: 6 }).framework("f", OFFERS);
    for (const name of ["a", "b", "c"]) made.asking(name, { cpu: 2 }, { priority: 1 }).settle();
    return made;
  }
  const left = (made: Bench) => made.openOffers().map(({ key }) => key.at(-1));
  const foreign = (made: Bench, cpu: number) =>
    made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "n", requests: { cpu } } });

  test.each([
    { cpu: 0, stay: ["0", "1", "2"] },
    { cpu: 1, stay: ["0", "1"] },
    { cpu: 2, stay: ["0", "1"] },
    { cpu: 3, stay: ["0"] },
    { cpu: 6, stay: [] },
    { cpu: 9, stay: [] },
  ])("a foreign pod of $cpu leaves the older offers as far as they fit", ({ cpu, stay }) => {
    const made = three();
    made.held.add("publish-offer");
    foreign(made, cpu);
    expect(left(made)).toEqual(stay);
  });

  test("what is on its way back already is counted", () => {
    const made = three();
    made.held.add("close-offer").add("publish-offer");
    foreign(made, 1);
    foreign(made, 2);
    expect(made.all("close-offer")).toHaveLength(1);
    foreign(made, 3);
    expect(made.all("close-offer")).toHaveLength(2);
  });

  test("a pod that the API server made larger than it was asked for", () => {
    const made = Bench.open().node("n", { cpu: 4 }).framework("g").asking("u", { cpu: 1 }, { of: "g" });
    made.held.add("create-pod");
    made.settle().framework("f", OFFERS).asking("t", { cpu: 2 }).settle();
    expect(made.claims("offer")).toEqual(["n: 2"]);
    made.create(made.last("create-pod")!, { requests: { cpu: 3, pods: 1 } });
    expect(made.last("close-offer")).toMatchObject({
      phase: "Rescinded",
      message: "node n has less room than offered",
    });
  });

  test("a node that shrinks", () => {
    const made = three();
    made.held.add("publish-offer");
    made.node("n", { cpu: 4 });
    expect(left(made)).toEqual(["0", "1"]);
  });

  test("tasks stay where they are, and nothing more comes until there is room", () => {
    const made = Bench.open().node("n", { cpu: 4 }).framework("f").task("t", { instances: 3 }).settle();
    made.node("n", { cpu: 2 }).task("u").settle();
    expect(made.all("delete-pod")).toEqual([]);
    expect(made.all("create-pod")).toHaveLength(3);
    made.finish("t-0-0");
    made.finish("t-1-0");
    expect(made.settle().all("create-pod")).toHaveLength(4);
  });

  test("a pod that is pinned to a node counts only as far as it fits", () => {
    const made = Bench.open().node("n", { cpu: 4 }).framework("f");
    const pod = { uid: "p", node: "n", requests: { cpu: 5 }, pinned: true };
    made.apply({ type: "foreign-pod-observed", pod });
    expect(made.claims("foreign")).toEqual([]);
    made.apply({ type: "foreign-pod-observed", pod: { ...pod, requests: { cpu: 3 } } });
    expect(made.claims("foreign")).toEqual(["n: 3"]);
    made.task("t", { instances: 4 }).settle();
    expect(made.all("create-pod")).toHaveLength(1);
    made.apply({ type: "foreign-pod-gone", uid: "p" });
    made.apply({ type: "foreign-pod-gone", uid: "p" });
    expect(made.settle().all("create-pod")).toHaveLength(4);
  });
});

describe("a node that stops answering", () => {
  /** Tasks of a patient and of an impatient framework on `n`. */
  function both(): Bench {
    const made = Bench.open().node("n", { cpu: 9 }).framework("f", { unreachableAfterMs: 10_000 });
    made.framework("g", { unreachableAfterMs: 30_000 }).task("t").task("u", { of: "g" }).settle();
    for (const name of ["t-0-0", "u-0-0"]) made.pod(name, { phase: "Running", started: true });
    return made;
  }
  const states = (made: Bench) => ["t-uid", "u-uid"].map((uid) => made.broker.taskView(uid)!.state);

  test("has unreachable instances after each framework's patience, and running ones when it is back", () => {
    const made = both().node("n", { cpu: 9 }, { ready: false });
    expect(states(made.wait(9_999))).toEqual(["Running", "Running"]);
    expect(states(made.wait(1))).toEqual(["Unreachable", "Running"]);
    made.node("n", { cpu: 9 }, { ready: false, labels: { seen: "again" } });
    expect(states(made.wait(20_000))).toEqual(["Unreachable", "Unreachable"]);
    expect(states(made.node("n", { cpu: 9 }))).toEqual(["Running", "Running"]);
    expect(states(made.wait(100_000))).toEqual(["Running", "Running"]);
    expect(made.all("delete-pod")).toEqual([]);
  });

  test("that comes back in time has lost nothing, even if its object was gone", () => {
    const made = both();
    made.apply({ type: "node-gone", name: "n" });
    expect(states(made)).toEqual(["Unreachable", "Unreachable"]);
    made.wait(39_999).node("n", { cpu: 9 });
    expect(states(made.wait(100_000))).toEqual(["Running", "Running"]);
  });

  test("whose object is gone for 40 s has lost its instances; their room went with it", () => {
    const made = both();
    made.apply({ type: "node-gone", name: "n" });
    made.wait(40_000);
    expect(states(made)).toEqual(["Lost", "Lost"]);
    expect(made.claims("task")).toEqual([]);
    expect(made.broker.clusterView()).toMatchObject({ nodes: { open: 0, closed: 0, overfull: 0 }, allocatable: {} });
  });

  test("for however long has lost nothing while its object is there", () => {
    const made = Bench.open().node("n", { cpu: 9 }).framework("f", { unreachableAfterMs: 60_000 }).task("t").settle();
    made.pod("t-0-0", { phase: "Running", started: true });
    made.node("n", { cpu: 9 }, { ready: false }).wait(600_000);
    expect(made.broker.taskView("t-uid")!.state).toBe("Unreachable");
    expect(made.all("delete-pod")).toEqual([]);
  });

  test("has its 40 s from when its object went, however long it was not ready before", () => {
    const made = both().node("n", { cpu: 9 }, { ready: false }).wait(25_000);
    made.apply({ type: "node-gone", name: "n" });
    expect(states(made.wait(39_999))).toEqual(["Unreachable", "Unreachable"]);
    expect(states(made.wait(1))).toEqual(["Lost", "Lost"]);
  });

  test("and a create that is under way: it settles first, then it is lost", () => {
    const made = Bench.open().node("n", { cpu: 9 }).framework("f");
    made.held.add("create-pod");
    made.task("t").settle().apply({ type: "node-gone", name: "n" });
    made.wait(60_000);
    expect(made.broker.taskView("t-uid")!.state).toBe("Unreachable");
    made.create(made.last("create-pod")!);
    made.wait(40_000);
    expect(made.broker.taskView("t-uid")).toMatchObject({ lastFailures: [{ reason: "node-lost" }] });
  });

  test("an index of a lost node runs again only once its pod is gone", () => {
    const made = Bench.open().node("n", { cpu: 9 }).framework("f");
    made.task("t", { retry: { limit: 0, backoffMs: 0, maxBackoffMs: 0, onNodeLost: "Retry" } }).settle();
    made.pod("t-0-0", { phase: "Running", started: true });
    made.apply({ type: "node-gone", name: "n" });
    made.wait(40_000).node("m", { cpu: 9 }).wait(100_000);
    expect(made.all("create-pod")).toHaveLength(1);
    expect(made.broker.explainTask("t-uid")).toMatchObject({ reason: "node-lost" });
    made.podGone("t-0-0");
    expect(made.settle().all("create-pod")).toMatchObject([{ node: "n" }, { node: "m", attempt: { attempt: 1 } }]);
  });

  test("a lost attempt that ended well after all counts, if it was not made again", () => {
    const made = Bench.open().node("n", { cpu: 9 }).framework("f");
    made.task("t", { retry: { limit: 0, backoffMs: 0, maxBackoffMs: 0, onNodeLost: "Retry" } }).settle();
    made.pod("t-0-0", { phase: "Running", started: true });
    made.apply({ type: "node-gone", name: "n" });
    made.wait(40_000).node("m", { cpu: 9 });
    made.pod("t-0-0", { phase: "Succeeded", deleting: true });
    expect(made.broker.taskView("t-uid")).toMatchObject({ state: "Finished", counts: { finished: 1, lost: 0 } });
    made.podGone("t-0-0");
    expect(made.settle().all("create-pod")).toHaveLength(1);
  });
});

test("the answer to an old offer does not go to a new machine that took the place of a lost one", () => {
  const made = Bench.open()
    .node("n", { cpu: 9 })
    .framework("f", { ...OFFERS, concurrency: "Optimistic" })
    .task("t");
  const offer = made.settle().openOffers()[0]!;
  made.held.add("close-offer");
  made.apply({ type: "node-gone", name: "n" });
  made.node("m", { cpu: 9 });
  made.accept(offer, [{ task: "t", slice: "s0", count: 1 }], { refuseMs: 60_000 });
  expect(made.all("create-pod")).toEqual([]);
  expect(made.last("close-offer")).toMatchObject({ phase: "Refused", reason: "lost-race" });
  expect(made.settle().openOffers().at(-1)!.slices).toMatchObject([{ node: "m" }]);
});

test("nor to the machine that has its place in the books, when the lost one is back", () => {
  const made = Bench.open()
    .node("n", { cpu: 9 })
    .framework("f", { ...OFFERS, concurrency: "Optimistic" })
    .task("t");
  const offer = made.settle().openOffers()[0]!;
  made.held.add("close-offer");
  made.apply({ type: "node-gone", name: "n" });
  made.node("m", { cpu: 9 }).node("n", { cpu: 9 });
  made.accept(offer, [{ task: "t", slice: "s0", count: 1 }]);
  expect(made.all("create-pod").filter(({ node }) => node !== "n")).toEqual([]);
  expect(made.last("close-offer")).toMatchObject({ phase: "Refused", reason: "lost-race" });
});

test("resources that become known later are counted from then on", () => {
  const made = Bench.open()
    .framework("f")
    .node("n", { cpu: 9 })
    .asking("t", { cpu: 1, "example.com/fpga": 1 })
    .settle();
  expect(made.all("create-pod")).toEqual([]);
  const many = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`example.com/r${i}`, 1]));
  made.node("m", { cpu: 9, "example.com/fpga": 1, ...many }).settle();
  expect(made.all("create-pod")).toMatchObject([{ node: "m" }]);
  expect(made.broker.clusterView().inconsistencies).toBe(0);
});
