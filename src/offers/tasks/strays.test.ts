import { describe, expect, test } from "vitest";
import { Bench } from "../broker.test-support.ts";
import type { PodFacts } from "../messages.ts";

const RETRY = { limit: 0, backoffMs: 0, maxBackoffMs: 0, onNodeLost: "Retry" } as const;

/** Task `t` of one instance, which runs on `n`. */
function running(): Bench {
  const made = Bench.open().framework("f").node("n", { cpu: 9 }).task("t", { retry: RETRY }).settle();
  made.pod("t-0-0", { phase: "Running", started: true });
  return made;
}

/** A pod that says it is an instance of a Task that nobody knows. */
function orphan(change: Partial<PodFacts> = {}): PodFacts {
  const { pods } = running();
  return { ...pods.get("t-0-0")!, uid: "orphan", key: "ns/orphan", taskUid: "gone-uid", ...change };
}

const observe = (made: Bench, pod: PodFacts) => made.apply({ type: "pod-observed", pod });
const view = (made: Bench) => made.broker.taskView("t-uid")!;
const deleted = (made: Bench) => made.all("delete-pod").map(({ uid }) => uid);
const released = (made: Bench) => made.all("release-pod").map(({ uid }) => uid);

describe("of one index at most one pod lives: any other is to go", () => {
  test("one of the same attempt", () => {
    const made = running();
    observe(made, { ...made.pods.get("t-0-0")!, uid: "twin", key: "ns/twin" });
    expect(deleted(made)).toEqual(["twin"]);
    expect(made.claims("task")).toHaveLength(2);
    observe(made, { ...made.pods.get("t-0-0")!, uid: "twin", key: "ns/twin", phase: "Failed", exitCode: 1 });
    expect(view(made)).toMatchObject({ state: "Running", lastFailures: [] });
  });

  test("one of the next attempt, as long as the pod of a lost one is there", () => {
    const made = running();
    const old = made.pods.get("t-0-0")!;
    made.pod("t-0-0", { deleting: true, forced: true });
    observe(made, { ...old, uid: "early", key: "ns/t-0-1", attempt: 1 });
    expect(deleted(made)).toEqual(["early"]);
    expect(view(made).counts).toMatchObject({ running: 0, pending: 1 });
    expect(made.settle().all("create-pod")).toHaveLength(1);
  });

  test("of an index that has ended well", () => {
    const made = running();
    made.pod("t-0-0", { phase: "Succeeded" });
    observe(made, { ...made.pods.get("t-0-0")!, uid: "late", key: "ns/t-0-1", attempt: 1, phase: "Running" });
    expect(deleted(made)).toEqual(["late"]);
    expect(view(made)).toMatchObject({ state: "Finished", succeededIndexes: "0" });
  });
});

describe("a pod whose Task is gone", () => {
  test("counts as what it takes until it is gone, and is deleted once", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 4 }).task("t", { instances: 9 });
    observe(made, orphan({ requests: { cpu: 3, pods: 1 } }));
    observe(made, orphan({ requests: { cpu: 3, pods: 1 }, phase: "Running" }));
    expect(deleted(made)).toEqual(["orphan"]);
    expect(made.settle().all("create-pod")).toHaveLength(1);
    observe(made, orphan({ requests: { cpu: 1, pods: 1 } }));
    expect(made.settle().all("create-pod")).toHaveLength(3);
    made.apply({ type: "pod-gone", pod: orphan() });
    made.apply({ type: "pod-gone", pod: orphan() });
    expect(made.settle().all("create-pod")).toHaveLength(4);
  });

  test("that somebody deletes already is not deleted again", () => {
    const made = Bench.open();
    observe(made, orphan({ deleting: true }));
    expect(deleted(made)).toEqual([]);
  });

  test.each([
    { name: "when it has ended", change: { phase: "Succeeded" }, releases: ["orphan"] },
    { name: "when nobody waits for its end", change: { deleting: true, forced: true }, releases: ["orphan"] },
    { name: "not while it lives", change: { deleting: true }, releases: [] },
    { name: "not where it is off", change: { phase: "Failed", tracked: false }, releases: [] },
  ] as const)("loses the finalizer $name", ({ change, releases }) => {
    const made = Bench.open();
    observe(made, orphan(change));
    expect(released(made)).toEqual(releases);
  });

  test.each(["before the term is open", "after"])("is one that was seen %s", (when) => {
    const made = new Bench().queue("default");
    if (when === "after") made.apply({ type: "opened" });
    observe(made, orphan());
    observe(made, orphan({ uid: "came-and-went" }));
    made.apply({ type: "pod-gone", pod: orphan({ uid: "came-and-went" }) });
    if (when !== "after") {
      expect(deleted(made)).toEqual([]);
      made.apply({ type: "opened" });
      expect(deleted(made)).toEqual(["orphan"]);
    }
    expect(made.claims("task")).toEqual(["n: 1"]);
  });

  test("on a node that is lost is let go, and no other", () => {
    const made = Bench.open().node("n", { cpu: 9 }).node("m", { cpu: 9 });
    observe(made, orphan());
    observe(made, orphan({ uid: "untracked", key: "ns/untracked", tracked: false }));
    observe(made, orphan({ uid: "elsewhere", key: "ns/elsewhere", node: "m" }));
    made.apply({ type: "node-gone", name: "n" });
    made.wait(39_999);
    expect([released(made), made.claims("task")]).toEqual([[], ["m: 1", "n: 1", "n: 1"]]);
    made.wait(1);
    expect(made.all("delete-pod").filter(({ gracePeriodSeconds }) => gracePeriodSeconds === 0)).toMatchObject([
      { uid: "orphan" },
      { uid: "untracked" },
    ]);
    expect([released(made), made.claims("task")]).toEqual([["orphan"], ["m: 1"]]);
  });
});
