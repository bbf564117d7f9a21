import { expect, test } from "vitest";
import type { OfferDraft } from "../messages.ts";
import { ReclaimBench } from "./reclaim.test-support.ts";

const GRACE_MS = 30_000;

/** `b` runs two instances of one CPU on each of two nodes, or these; `a` is guaranteed 2. */
function borrowed(): ReclaimBench {
  const made = ReclaimBench.of({ a: { guarantee: { cpu: 2 } }, b: {}, c: {} });
  for (const n of ["n1", "n2"]) made.node(n, { cpu: 2 }, { labels: { n } });
  return made;
}

const on = (n: string) => ({ constraints: { nodeSelector: { n } } });

test("what is given where the one who is due may not run does not do", () => {
  const made = borrowed();
  for (const n of ["n1", "n2"]) made.cpu("b", n, 2, 1, on(n));
  made.settle().run().cpu("a", "due", 2, 1, on("n1")).settle();
  const [asked] = made.asked() as [OfferDraft];
  made.give(asked, [{ task: "n2", indexes: "0" }]);
  expect(made.ending).toEqual([]);
  expect(made.wait(GRACE_MS).ending).toEqual(["n1-0-0"]);
});

test("what is given may be elsewhere than what was asked for", () => {
  const made = borrowed();
  for (const n of ["n1", "n2"]) made.cpu("b", n, 2, 1, on(n));
  made.settle().run().cpu("a", "due", 2).settle();
  const [asked] = made.asked() as [OfferDraft];
  const other = asked.slices[0]!.node === "n1" ? "n2" : "n1";
  made.give(asked, [{ task: other, indexes: "0" }]);
  expect(made.ending).toEqual([`${other}-0-0`]);
  expect(made.terminate().pods.get("due-0-0")?.node).toBe(other);
});

test("nobody gives what another runs", () => {
  const made = borrowed();
  made.cpu("c", "other", 2, 1, on("n2")).settle().run().wait(1_000);
  made.cpu("b", "own", 2, 1, on("n1")).settle().run().cpu("a", "due", 2).settle();
  const [asked] = made.asked("b") as [OfferDraft];
  made.give(asked, [{ task: "other", indexes: "0" }]);
  expect(made.ending).toEqual([]);
  expect(made.wait(GRACE_MS).ending).toEqual(["own-0-0"]);
});

test("an answer that gives nothing leaves what one victim makes room for as it was, for several too", () => {
  const made = borrowed();
  for (const n of ["n1", "n2"]) made.cpu("b", n, 2, 1, on(n));
  made.settle().run().cpu("a", "due", 1, 2).settle();
  made.give(made.asked()[0]!, []);
  expect(made.all("publish-offer")).toHaveLength(1);
  made.wait(GRACE_MS);
  expect(made.ending).toHaveLength(1);
  expect(made.terminate().used("a")).toBe(2);
  expect(made.all("close-offer").map(({ phase }) => phase)).toEqual(["Refused"]);
});

test("one victim that is given makes room for several, and all of that is held", () => {
  const made = ReclaimBench.of({ a: { guarantee: { cpu: 3 } }, b: {} }).node("n", { cpu: 3 });
  made.cpu("b", "tb", 3).settle().run().cpu("a", "due", 1, 3).settle();
  made.give(made.asked()[0]!, [{ task: "tb", indexes: "0" }]);
  expect(made.ending).toEqual(["tb-0-0"]);
  made.pod("tb-0-0", { phase: "Failed", exitCode: 143 });
  expect(made.keptFor("a")).toBe(3);
  expect(made.terminate().used("a")).toBe(3);
});

test("what makes room for one of two that a single victim is asked for does not go", () => {
  const made = borrowed();
  made.cpu("c", "full", 1, 1, { ...on("n2"), priority: 9 }).cpu("b", "small", 1, 1, on("n2"));
  made.settle().run().wait(1_000).cpu("b", "large", 2, 1, on("n1")).settle().run().cpu("a", "due", 1, 2).settle();
  const [asked] = made.asked() as [OfferDraft];
  expect(asked.inverse).toMatchObject({ instances: 2, candidates: [{ task: "large" }] });
  made.give(asked, [{ task: "small", indexes: "0" }]);
  expect(made.ending).toEqual([]);
  expect(made.wait(GRACE_MS).ending).toEqual(["large-0-0"]);
});

test("what was offered and leaves is part of the room beside what is given", () => {
  const made = ReclaimBench.of({ a: { guarantee: { cpu: 2 } }, b: {} })
    .answering("b")
    .node("n", { cpu: 2 });
  made.cpu("b", "tb", 1).settle().accepting("b", "tb").run();
  made.answering("b", { demand: [{ instances: 1, resources: { cpu: 1 } }], offerTimeoutMs: 3_600_000 }).settle();
  expect(made.openOffers("b")).toHaveLength(1);
  made.held.add("close-offer");
  made.cpu("a", "due", 2).settle();
  expect(made.all("close-offer").at(-1)).toMatchObject({
    phase: "Rescinded",
    reason: "rescinded",
    message: "queue a has less than its guarantee",
  });
  made.give(made.asked()[0]!, [{ task: "tb", indexes: "0" }]);
  expect(made.ending).toEqual(["tb-0-0"]);
  made.held.clear();
  made.apply({ type: "offer-closed", key: made.openOffers("b")[0]!.key });
  expect(made.terminate().used("a")).toBe(2);
});

test("of tasks that start together one alone is not given", () => {
  const made = borrowed();
  const group = { name: "g", size: 2 };
  made.cpu("b", "t1", 2, 1, { group }).cpu("b", "t2", 2, 1, { group }).settle().run();
  made.cpu("a", "due", 2).settle();
  const [asked] = made.asked() as [OfferDraft];
  made.give(asked, [{ task: "t1", indexes: "0" }]);
  expect(made.ending).toEqual([]);
  expect(made.wait(GRACE_MS).ending.sort()).toEqual(["t1-0-0", "t2-0-0"]);
});

test("what one gives waits for what another is asked for, where only both make the room", () => {
  const made = borrowed();
  made.cpu("b", "tb", 1, 1, on("n1")).cpu("c", "tc", 1, 1, on("n1")).settle().run();
  made
    .cpu("c", "full", 2, 1, { ...on("n2"), priority: 9 })
    .settle()
    .run();
  made.cpu("a", "due", 2, 1, on("n1")).settle();
  const [ofB, ofC] = [made.asked("b"), made.asked("c")].flat() as [OfferDraft, OfferDraft];
  made.give(ofB, [{ task: "tb", indexes: "0" }]);
  expect(made.ending).toEqual([]);
  made.give(ofC, [{ task: "tc", indexes: "0" }]);
  expect(made.ending.sort()).toEqual(["tb-0-0", "tc-0-0"]);
  expect(made.all("close-offer").map(({ phase }) => phase)).toEqual(["Accepted", "Accepted"]);
  expect(made.terminate().used("a")).toBe(2);
});

test("what one gives that is enough alone ends what another is asked for", () => {
  const made = borrowed();
  made.cpu("b", "other", 2, 1, { ...on("n2"), priority: 9 }).settle();
  made.cpu("b", "tb", 1, 1, on("n1")).cpu("c", "tc", 1, 1, on("n1")).settle().run().cpu("a", "due", 2).settle();
  const [ofB, ofC] = [made.asked("b"), made.asked("c")].flat() as [OfferDraft, OfferDraft];
  made.give(ofB, [{ task: "other", indexes: "0" }]);
  expect(made.ending).toEqual(["other-0-0"]);
  const ends = new Map(made.all("close-offer").map(({ key, phase }) => [key, phase]));
  expect([ends.get(ofB.key), ends.get(ofC.key)]).toEqual(["Accepted", "Rescinded"]);
  expect(made.terminate().used("a")).toBe(2);
});

test("what leaves by itself is part of the room beside what is given, and its queue is not charged for it", () => {
  const made = ReclaimBench.of({ a: { guarantee: { cpu: 6 } }, b: {} }).node("n", { cpu: 6 });
  made.cpu("a", "old", 2).settle().cpu("b", "tb", 2, 2).settle().run();
  made.apply({ type: "task-observed", task: { ...made.tasks.get("old-uid")!, kill: {} } });
  made.cpu("a", "due", 4).settle();
  expect(made.asked()[0]?.inverse?.candidates).toMatchObject([{ indexes: "1" }]);
  made.give(made.asked()[0]!, [{ task: "tb", indexes: "0" }]);
  expect(made.ending).toEqual(["old-0-0", "tb-0-0"]);
  expect(made.terminate().used("a")).toBe(4);
});

test("what is given in a domain that is full for the one who is due does not do", () => {
  const made = borrowed();
  const spread = [{ topologyKey: "n", maxSkew: 1, over: "Task" as const }];
  made.node("n1", { cpu: 3 }, { labels: { n: "n1" } });
  for (const n of ["n1", "n2"]) made.cpu("b", n, 2, 1, on(n));
  made.settle().run().cpu("a", "due", 1, 2, { constraints: { spread } }).settle();
  expect(made.used("a")).toBe(1);
  made.give(made.asked()[0]!, [{ task: "n1", indexes: "0" }]);
  expect(made.ending).toEqual([]);
  expect(made.wait(GRACE_MS).ending).toEqual(["n2-0-0"]);
});

test("an answer that the leader before has not seen is heard once it is known what for", () => {
  const before = borrowed();
  for (const n of ["n1", "n2"]) before.cpu("b", n, 2, 1, on(n));
  before.settle().run().cpu("a", "due", 2).settle();
  const [{ key, slices }] = before.asked() as [OfferDraft];
  const other = slices[0]!.node === "n1" ? "n2" : "n1";
  const release = [{ task: other, indexes: "0" }];
  before.answers.set(key, { by: "user-b", decision: "Accept", launches: [], refuseMs: 0, release });
  const made = before.successor("t2");
  expect(made.ending).toEqual([`${other}-0-0`]);
  expect(made.all("close-offer")).toMatchObject([{ key, phase: "Accepted", released: release }]);
});

test("nobody answers for a framework that is gone: the deadline stands", () => {
  const made = borrowed();
  for (const n of ["n1", "n2"]) made.cpu("b", n, 2, 1, on(n));
  made.settle().run().cpu("a", "due", 2).settle();
  const [asked] = made.asked() as [OfferDraft];
  made.apply({ type: "framework-gone", key: "ns/b" });
  made.give(asked, [{ task: "n1", indexes: "0" }]);
  expect(made.ending).toEqual([]);
  expect(made.wait(GRACE_MS).ending).toHaveLength(1);
});
