import { describe, expect, test } from "vitest";
import { ReclaimBench } from "./reclaim.test-support.ts";

const GRACE_MS = 30_000;

/** One CPU, which `b` has and `a` is guaranteed. */
function taken(change: Parameters<ReclaimBench["cpu"]>[4] = {}): ReclaimBench {
  const made = ReclaimBench.of({ a: { guarantee: { cpu: 1 } }, b: {} }).node("n", { cpu: 1 });
  made.cpu("b", "tb", 1, 1, change).settle().run();
  return made.cpu("a", "ta", 1).settle();
}

describe("an instance whose room is taken back", () => {
  test("is lost for that reason, uses up no retry, and waits for room without a back-off", () => {
    const made = taken({ retry: { limit: 0, backoffMs: 60_000, maxBackoffMs: 60_000, onNodeLost: "Never" } });
    made.wait(GRACE_MS).terminate();
    expect(made.broker.taskView("tb-uid")).toMatchObject({
      state: "Pending",
      failedIndexes: "",
      attempts: [{ indexes: "0", ended: 1, failed: 0 }],
      lastFailures: [{ reason: "reclaimed", message: expect.stringContaining("queue a") }],
    });
    expect(made.all("event").at(-1)).toMatchObject({ about: { kind: "Task", key: "ns/tb" }, reason: "reclaimed" });
    made.node("m", { cpu: 1 }).settle();
    expect(made.all("create-pod").at(-1)).toMatchObject({ attempt: { taskUid: "tb-uid", attempt: 1 }, node: "m" });
  });

  test("keeps its room until its pod is gone", () => {
    const made = taken().wait(GRACE_MS);
    expect(made.all("delete-pod")).toEqual([
      { type: "delete-pod", key: "ns/tb-0-0", uid: made.pods.get("tb-0-0")!.uid, reclaimedFor: "a" },
    ]);
    made.wait(3_600_000);
    expect(made.placed()).toEqual(["tb-0"]);
    expect(made.all("delete-pod")).toHaveLength(1);
    expect(made.terminate().placed()).toEqual(["ta-0"]);
  });

  test("that ends well before that has ended well", () => {
    const made = taken().wait(GRACE_MS);
    made.pod("tb-0-0", { phase: "Succeeded" });
    expect(made.broker.taskView("tb-uid")).toMatchObject({ state: "Finished" });
    expect(made.settle().placed()).toEqual(["ta-0"]);
  });

  test("and that is killed as well is killed for good", () => {
    const made = taken().wait(GRACE_MS);
    made.task("tb", { of: "b", kill: {}, templateKey: 'ns/{"pods":1,"cpu":1}' });
    made.terminate();
    expect(made.broker.taskView("tb-uid")).toMatchObject({ state: "Killed" });
  });

  test("whose pod is still being made is deleted once that is known", () => {
    const made = ReclaimBench.of({ a: { guarantee: { cpu: 1 } }, b: {} }).node("n", { cpu: 1 });
    made.held.add("create-pod");
    made.cpu("b", "tb", 1).settle().cpu("a", "ta", 1).settle().wait(GRACE_MS);
    expect(made.all("delete-pod")).toEqual([]);
    made.create(made.last("create-pod")!);
    expect(made.ending).toEqual(["tb-0-0"]);
    expect(made.terminate().broker.taskView("tb-uid")?.lastFailures).toMatchObject([{ reason: "reclaimed" }]);
  });

  test("may be taken back as often as may be, and a kubelet that refuses it later still counts from one", () => {
    const made = ReclaimBench.of({ a: { guarantee: { cpu: 1 } }, b: { reclaim: { graceMs: 0 } } }).node("n", {
      cpu: 1,
    });
    made.cpu("b", "tb", 1, 1, { retry: { limit: 0, backoffMs: 0, maxBackoffMs: 0, onNodeLost: "Never" } }).settle();
    for (let n = 0; n < 25; n++) {
      made.run().cpu("a", `ta${n}`, 1).settle().terminate();
      expect(made.placed()).toEqual([`ta${n}-0`]);
      made.finish(`ta${n}-0-0`);
      made.settle();
    }
    made.pod("tb-0-25", { phase: "Failed", reason: "OutOfcpu" });
    made.wait(60_000);
    expect(made.placed()).toEqual(["tb-0"]);
  });
});

describe("a minimum runtime", () => {
  const young = (minimumRuntimeMs: number) => {
    const made = ReclaimBench.of({ a: { guarantee: { cpu: 1 } }, b: { reclaim: { minimumRuntimeMs } } });
    made.node("n", { cpu: 2 }).cpu("b", "tb", 1).settle().run().wait(10_000);
    return made.cpu("b", "tc", 1).settle().run().wait(10_000);
  };

  test("protects those that are younger, though they would go first", () => {
    const made = young(15_000).cpu("a", "ta", 1).settle();
    expect(made.asked()[0]?.inverse?.candidates).toMatchObject([{ task: "tb" }]);
    expect(made.wait(GRACE_MS).ending).toEqual(["tb-0-0"]);
  });

  test("that protects all of them makes the demand wait for the first that is old enough", () => {
    const made = young(60_000).cpu("a", "ta", 1).settle();
    expect(made.asked()).toEqual([]);
    expect(made.broker.explainTask("ta-uid")).toMatchObject({
      reason: "minimum-runtime",
      message: expect.stringMatching(/ 22:14:20Z /),
    });
    made.wait(39_999);
    expect(made.asked()).toEqual([]);
    made.wait(1);
    expect(made.asked()[0]?.inverse?.candidates).toMatchObject([{ task: "tb" }]);
  });

  test("is each attempt's own, and begins when it runs", () => {
    const made = ReclaimBench.of({ a: { guarantee: { cpu: 1 } }, b: { reclaim: { minimumRuntimeMs: 20_000 } } });
    made.node("n", { cpu: 1 }).cpu("b", "tb", 1).settle().wait(15_000).run().cpu("a", "ta", 1).settle();
    made.wait(19_999);
    expect(made.asked()).toEqual([]);
    expect(made.wait(1).asked()).toHaveLength(1);
  });

  test("does not keep a framework from giving up what is younger", () => {
    const made = young(15_000).cpu("a", "ta", 1).settle();
    made.give(made.asked()[0]!, [{ task: "tc", indexes: "0" }]);
    expect(made.ending).toEqual(["tc-0-0"]);
  });
});

describe("a change of leader", () => {
  test("every 25 s leaves a deadline of 30 s where it was", () => {
    let made = taken();
    const dueMs = made.asked()[0]!.expiresAtMs;
    made.wait(25_000);
    made = made.successor("t2");
    expect(made.asked()).toMatchObject([{ expiresAtMs: dueMs }]);
    expect(made.all("publish-offer")).toEqual([]);
    expect(made.all("close-offer")).toEqual([]);
    made.wait(dueMs - made.nowMs - 1);
    expect(made.ending).toEqual([]);
    made.wait(1);
    expect(made.ending).toEqual(["tb-0-0"]);
    made.wait(19_999);
    made = made.successor("t3");
    expect(made.terminate().placed()).toEqual(["ta-0"]);
    expect(made.broker.taskView("tb-uid")).toMatchObject({
      state: "Pending",
      lastFailures: [{ reason: "reclaimed" }],
    });
  });

  test("after which nobody needs it any more ends the inverse offer, but not before that is known", () => {
    const before = taken();
    before.wait(1_000);
    before.apply({ type: "task-gone", uid: "ta-uid" });
    const made = before.successor("t2");
    expect(made.asked()).toHaveLength(1);
    made.wait(9_999);
    expect(made.asked()).toHaveLength(1);
    made.wait(1);
    expect(made.asked()).toEqual([]);
    expect(made.wait(600_000).ending).toEqual([]);
  });

  test("does not lose an answer that the one before did not see", () => {
    const before = ReclaimBench.of({ a: { guarantee: { cpu: 1 } }, b: {} })
      .answering("b")
      .node("n", { cpu: 2 });
    before.cpu("b", "tb", 1, 2).settle().accepting("b", "tb").run().cpu("a", "ta", 1).settle();
    const [asked] = before.asked();
    const made = before.successor("t2");
    made.give(asked!, [{ task: "tb", indexes: "0" }]);
    expect(made.ending).toEqual(["tb-0-0"]);
    expect(made.all("close-offer").at(-1)?.phase).toBe("Accepted");
  });

  test("between the mark and the deletion leaves the pod alone until the deadline that stands", () => {
    const before = taken();
    const { uid } = before.pods.get("tb-0-0")!;
    before.pod("tb-0-0", { reclaimedFor: "a" });
    const made = before.successor("t2");
    expect(made.ending).toEqual([]);
    expect(made.wait(GRACE_MS).all("delete-pod")).toMatchObject([{ uid, reclaimedFor: "a" }]);
  });
});

describe("who waits for what is taken back", () => {
  test("is told by whom it is kept, and until when at the latest", () => {
    const made = taken();
    expect(made.broker.explainTask("ta-uid")).toEqual({
      reason: "asked-back",
      message: "room on n is kept for it by ns/b in queue b, asked back by 22:13:50Z",
    });
    made.wait(GRACE_MS);
    expect(made.broker.explainTask("ta-uid")).toEqual({
      reason: "asked-back",
      message: "room on n is kept for it, as soon as 1 that give it back have ended",
    });
  });

  test("what is asked back and what is ended is counted, and its framework told", () => {
    const made = taken();
    expect(made.all("event")).toMatchObject([
      { about: { kind: "Framework", key: "ns/b" }, reason: "asked-back", note: expect.stringContaining("22:13:50Z") },
    ]);
    made.wait(GRACE_MS);
    const inverseOfferEnds = { accepted: 0, refused: 0, declined: 0, expired: 1, rescinded: 0 };
    expect(made.broker.clusterView()).toMatchObject({ inverseOffers: 1, inverseOfferEnds, evictions: 1 });
  });
});
