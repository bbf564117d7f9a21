import { describe, expect, test } from "vitest";
import { Bench, podFacts } from "./broker.test-support.ts";
import type { Input } from "./messages.ts";

const pod = podFacts({ uid: "p", key: "ns/p", taskUid: "nobody" });
const offer = { key: "ns/f-t1-9", uid: "o", framework: "ns/f", queue: "default", phase: "Open", slices: [] } as const;

describe("news of what the broker does not know (any more) change nothing", () => {
  const late: readonly Input[] = [
    { type: "node-gone", name: "nowhere" },
    { type: "foreign-pod-gone", uid: "nobody" },
    { type: "queue-gone", name: "nobody" },
    { type: "framework-gone", key: "ns/nobody" },
    { type: "task-gone", uid: "nobody" },
    { type: "task-recorded", uid: "nobody", version: 9 },
    { type: "pod-gone", pod },
    { type: "pod-refused", attempt: { taskUid: "nobody", index: 0, attempt: 0 }, message: "late" },
    { type: "offer-gone", key: "ns/nobody" },
    { type: "offer-published", key: "ns/nobody", uid: "u" },
    { type: "offer-unpublished", key: "ns/nobody", message: "late" },
    { type: "offer-closed", key: "ns/nobody" },
    { type: "offer-observed", offer: { ...offer, term: "t1" } },
    { type: "offer-observed", offer: { ...offer, term: "t0", phase: "Expired" } },
    { type: "template-sized", templateKey: "ns/nobody", requests: { cpu: 1 } },
    { type: "template-refused", templateKey: "ns/nobody", message: "late" },
    { type: "template-refused", templateKey: "ns/nobody", message: "late", gone: true },
  ];

  test.each(late.map((input) => ({ name: input.type, input })))("$name", ({ input }) => {
    const made = Bench.open().framework("f", { scheduler: "Offers" }).node("n", { cpu: 2 }).task("t").settle();
    const [claims, view] = [made.claims("offer"), made.broker.taskView("t-uid")];
    const told = made.apply(input).filter(({ type }) => type !== "queue-changed" && type !== "framework-changed");
    expect(told).toEqual([]);
    made.settle();
    expect([made.claims("offer"), made.broker.taskView("t-uid")]).toEqual([claims, view]);
    expect(made.broker.clusterView().inconsistencies).toBe(0);
    // Neither does it keep the name for ever.
    expect(made.broker.frameworks()).toEqual(["ns/f"]);
    expect(made.broker.nextTickMs(made.nowMs)).toBeGreaterThan(made.nowMs);
  });
});

describe("an end that is told twice", () => {
  const one = (): Bench =>
    Bench.open().framework("f", { scheduler: "Offers" }).node("n", { cpu: 2 }).task("t").settle();

  test("of an offer that expires while it is being rescinded is one end", () => {
    const made = one();
    made.held.add("close-offer");
    made.apply({ type: "queue-gone", name: "default" });
    made.wait(60_000);
    expect(made.all("close-offer")).toMatchObject([{ phase: "Rescinded" }]);
    expect(made.broker.frameworkView("ns/f")!.offers).toMatchObject({ rescinded: 1, expired: 0 });
  });

  test("of an offer that is deleted while its end is being written counts once", () => {
    const made = one();
    made.held.add("close-offer");
    const { key } = made.openOffers()[0]!;
    made.wait(30_000);
    made.apply({ type: "offer-gone", key });
    made.apply({ type: "offer-closed", key });
    expect(made.broker.frameworkView("ns/f")!.offers).toMatchObject({ expired: 1, rescinded: 0 });
    expect(made.claims("offer")).toEqual([]);
  });

  test("of an offer that is deleted while it is open is a rescission, and its room is free at once", () => {
    const made = one();
    const [offered] = made.openOffers();
    made.held.add("publish-offer");
    made.apply({ type: "offer-gone", key: offered!.key });
    expect(made.broker.frameworkView("ns/f")!.offers).toMatchObject({ rescinded: 1 });
    expect(made.claims("offer")).toEqual([]);
    // And an answer to it comes too late.
    made.accept(offered!, [{ task: "t", slice: "s0", count: 1 }]);
    expect(made.all("create-pod")).toEqual([]);
  });

  test("of an offer that is closed though nothing ended it changes nothing: an answer still counts", () => {
    const made = one();
    const [offered] = made.openOffers();
    made.apply({ type: "offer-closed", key: offered!.key });
    made.accept(offered!, [{ task: "t", slice: "s0", count: 1 }]);
    expect(made.all("create-pod")).toHaveLength(1);
  });

  test("of a pod whose end is on its way to the record, told by older news, is none", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 2 }).task("t").settle();
    made.finish("t-0-0");
    made.pod("t-0-0", { phase: "Running" });
    made.pod("t-0-0", { phase: "Succeeded" });
    expect(made.all("release-pod")).toEqual([]);
    expect(made.all("delete-pod")).toEqual([]);
    expect(made.broker.taskView("t-uid")).toMatchObject({ state: "Finished", counts: { finished: 1, running: 0 } });
  });
});

describe("a pod that nobody tracks", () => {
  const running = (): Bench => {
    const made = Bench.open().framework("f").node("n", { cpu: 2 });
    made.task("t", { retry: { limit: 0, backoffMs: 0, maxBackoffMs: 0, onNodeLost: "Retry" } }).settle();
    made.pod("t-0-0", { phase: "Running", started: true });
    return made;
  };
  const record = (made: Bench) =>
    made.apply({ type: "task-recorded", uid: "t-uid", version: made.broker.taskView("t-uid")!.version });

  test("is not let go when its end is recorded: its finalizer is off", () => {
    const made = running();
    made.pod("t-0-0", { phase: "Succeeded", tracked: false });
    record(made);
    expect(made.all("release-pod")).toEqual([]);
    expect(made.broker.taskView("t-uid")!.state).toBe("Finished");
  });

  test("nor where it ended well after it was lost", () => {
    const made = running();
    made.pod("t-0-0", { deleting: true, forced: true, tracked: false });
    made.pod("t-0-0", { phase: "Succeeded", tracked: false });
    record(made);
    expect(made.all("release-pod")).toEqual([]);
    expect(made.broker.taskView("t-uid")!.state).toBe("Finished");
  });

  test("nor where an older attempt is seen to have ended after a newer one", () => {
    const made = running();
    made.apply({ type: "pod-gone", pod: made.pods.get("t-0-0")! });
    made.settle();
    const newer = { ...made.pods.get("t-0-1")!, attempt: 3, uid: "newer", key: "ns/t-0-3" };
    made.apply({ type: "pod-gone", pod: made.pods.get("t-0-1")! });
    made.apply({ type: "pod-observed", pod: newer });
    made.apply({ type: "pod-observed", pod: { ...newer, attempt: 2, uid: "older", phase: "Failed", tracked: false } });
    record(made);
    expect(made.all("release-pod")).toEqual([]);
    expect(made.broker.taskView("t-uid")!.attempts).toMatchObject([{ indexes: "0", ended: 3 }]);
  });
});

describe("a pod that turns up when its instance is to end", () => {
  test("and is being deleted already is left to it, and counts as killed", () => {
    for (const change of [{ kill: {} }, { kill: { indexes: "0" } }, { deleting: true }]) {
      const made = Bench.open().framework("f").node("n", { cpu: 2 });
      made.held.add("create-pod");
      made.task("t").settle().task("t", change);
      made.create(made.last("create-pod")!, { deleting: true });
      expect(made.all("delete-pod")).toEqual([]);
      made.pod("t-0-0", { phase: "Failed", exitCode: 143 });
      expect(made.broker.taskView("t-uid")).toMatchObject({ state: "Killed", counts: { killed: 1 } });
    }
  });

  test("of an earlier term, deleted by that: killed, not lost", () => {
    for (const change of [{ kill: {} }, { kill: { indexes: "0" } }, { deleting: true }]) {
      const made = new Bench({ term: "t2" }).queue("default").framework("f").node("n", { cpu: 2 });
      made.task("t", { ...change, instances: 2, parallelism: 1 });
      made.apply({ type: "pod-observed", pod: { ...pod, taskUid: "t-uid", deleting: true } });
      made.apply({ type: "opened" });
      made.apply({ type: "pod-gone", pod: { ...pod, taskUid: "t-uid", deleting: true } });
      expect(made.broker.taskView("t-uid")!.counts).toMatchObject({
        killed: change.kill?.indexes === "0" ? 1 : 2,
        lost: 0,
      });
    }
  });

  test("of an index that is not meant is not touched", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 2 });
    made.held.add("create-pod");
    made
      .task("t")
      .settle()
      .task("t", { kill: { indexes: "1-9" } });
    made.create(made.last("create-pod")!);
    expect(made.all("delete-pod")).toEqual([]);
  });
});

describe("an alarm that has become pointless", () => {
  test("for a node that is gone is none", () => {
    const made = Bench.open();
    made.node("n", { cpu: 1 }, { closed: "settling", settledAtMs: made.nowMs + 500 });
    made.apply({ type: "node-gone", name: "n" });
    made.apply({ type: "foreign-pod-gone", uid: "x" });
    expect(made.wait(60_000).broker.nextTickMs(made.nowMs)).toBe(Number.POSITIVE_INFINITY);
  });

  test("for a template that was sized after all is none", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 2 });
    made.held.add("size-template");
    made.task("t").apply({ type: "template-refused", templateKey: "ns/plain", message: "quota" });
    made.apply({ type: "template-sized", templateKey: "ns/plain", requests: { cpu: 1, pods: 1 } });
    made.settle().wait(120_000);
    expect(made.all("size-template")).toHaveLength(1);
    expect(made.all("create-pod")).toHaveLength(1);
  });
});
