import { describe, expect, test } from "vitest";
import type { OfferDraft } from "../messages.ts";
import { ReclaimBench } from "./reclaim.test-support.ts";

const GRACE_MS = 30_000;

/** `b` answers offers and runs four instances of one CPU on each of two nodes; `a` is guaranteed 2 and wants them. */
function borrowed(a: { readonly instances?: number; readonly cpu?: number } = {}): ReclaimBench {
  const made = ReclaimBench.of({ a: { guarantee: { cpu: 2 } }, b: {} }).answering("b");
  for (const n of ["n1", "n2"]) made.node(n, { cpu: 4 }, { labels: { rack: n } });
  made.cpu("b", "tb", 1, 8).settle().accepting("b", "tb").run();
  return made.cpu("a", "ta", a.cpu ?? 2, a.instances ?? 1).settle();
}

const notes = (made: ReclaimBench, reason: string) =>
  made
    .all("event")
    .flatMap((event) => (event.reason === reason ? [[event.about.key, event.severity, event.note]] : []));
const closed = (made: ReclaimBench) => {
  const { phase, message, released } = made.all("close-offer").at(-1)!;
  return { phase, message, released };
};

describe("an inverse offer says", () => {
  test("who wants what of whom, where, by when, and who goes if nobody answers", () => {
    const made = borrowed();
    const [asked, ...others] = made.asked() as [OfferDraft];
    expect(others).toEqual([]);
    const [{ node }] = asked.slices as [OfferDraft["slices"][number]];
    expect(asked).toEqual({
      key: expect.stringMatching(/^ns\/b-t1-back-\w+$/),
      framework: "ns/b",
      frameworkUid: "b-uid",
      queue: "b",
      term: "t1",
      concurrency: "Exclusive",
      slices: [{ name: "s0", node, nodeUid: `${node}-uid`, resources: { cpu: 2, pods: 2 }, labels: { rack: node } }],
      expiresAtMs: made.nowMs + GRACE_MS,
      answerers: ["user-b"],
      inverse: {
        queue: "a",
        each: { cpu: 2, pods: 1 },
        instances: 1,
        candidates: [{ task: "tb", slice: "s0", indexes: expect.stringMatching(/^\d-\d$/) }],
        message: "queue a has less than its guarantee, and this queue more than its own",
      },
    });
    const goes = asked.inverse!.candidates[0]!.indexes;
    made.wait(GRACE_MS);
    expect(made.ending).toHaveLength(2);
    expect(closed(made)).toEqual({
      phase: "Expired",
      message: "as the operator has chosen",
      released: [{ task: "tb", indexes: goes }],
    });
  });

  test("so to its framework in an event, too", () => {
    const made = borrowed();
    const key = made.asked()[0]!.key;
    const by = `${new Date(made.nowMs + GRACE_MS).toISOString().slice(11, 19)}Z`;
    expect(notes(made, "asked-back")).toEqual([
      ["ns/b", "Normal", `queue a asks for what it is guaranteed by ${by}: see offer ${key}`],
    ]);
  });

  test("what of each borrower is to go, and no more: one offer for each", () => {
    const made = ReclaimBench.of({ a: { guarantee: { cpu: 2 } }, b: {}, c: {} }).node("n", { cpu: 2 });
    made.cpu("b", "tb", 1).cpu("c", "tc", 1).settle().cpu("a", "ta", 2).settle();
    expect(made.asked().map(({ slices, inverse }) => [slices[0]!.resources, inverse!.candidates])).toEqual([
      [{ cpu: 1, pods: 1 }, [{ task: "tb", slice: "s0", indexes: "0" }]],
      [{ cpu: 1, pods: 1 }, [{ task: "tc", slice: "s0", indexes: "0" }]],
    ]);
  });

  test("how it ended: with what was given", () => {
    const made = borrowed();
    const [asked] = made.asked() as [OfferDraft];
    const { indexes } = asked.inverse!.candidates[0]!;
    made.give(asked, [{ task: "tb", indexes }]);
    expect(closed(made)).toEqual({
      phase: "Accepted",
      message: "as its answer says",
      released: [{ task: "tb", indexes }],
    });
    expect(notes(made, "answer-refused")).toEqual([]);
  });

  test("how it ended: with nothing, when that is not needed any more", () => {
    const made = borrowed();
    made.node("n3", { cpu: 2 }).settle();
    expect(closed(made)).toEqual({
      phase: "Rescinded",
      message: "queue a does not need it any more",
      released: [],
    });
  });
});

describe("an answer that does not do is told so:", () => {
  const told = (made: ReclaimBench) => notes(made, "answer-refused").map(([, severity, note]) => [severity, note]);
  const refused = (what: string) => [["Warning", `the answer to what queue a asks back: ${what}; the deadline stands`]];

  test("it gives too little", () => {
    const made = borrowed();
    made.give(made.asked()[0]!, [{ task: "tb", indexes: "0" }]);
    expect(told(made)).toEqual(refused("what it names does not make the room that is asked for"));
  });

  test("it gives enough for a part", () => {
    const made = borrowed({ cpu: 1, instances: 2 });
    made.give(made.asked()[0]!, [{ task: "tb", indexes: "3" }]);
    expect(told(made)).toEqual(refused("what it names makes only a part (1 of 2) of the room that is asked for"));
  });

  test("it is somebody else's", () => {
    const made = borrowed();
    made.accept(made.asked()[0]!, [], { by: "mallory", release: [{ task: "tb", indexes: "0-7" }] });
    made.settle();
    expect(told(made)).toHaveLength(1);
    expect(told(made)[0]![1]).toContain("mallory");
    expect(made.wait(GRACE_MS).ending).toHaveLength(2);
    expect(closed(made)).toMatchObject({ phase: "Refused", message: "as the operator has chosen" });
  });

  test("none that says no is told anything", () => {
    const made = borrowed();
    made.decline(made.asked()[0]!, 0);
    made.settle().wait(GRACE_MS);
    expect(told(made)).toEqual([]);
    expect(closed(made)).toMatchObject({ phase: "Declined" });
  });
});

test("the first answer counts", () => {
  const made = borrowed();
  const [asked] = made.asked() as [OfferDraft];
  const { indexes } = asked.inverse!.candidates[0]!;
  made.decline(asked, 0);
  made.settle().give(asked, [{ task: "tb", indexes }]);
  expect(made.ending).toEqual([]);
});

test("what an earlier leader has asked for is due when it said, and is not asked for again", () => {
  const made = borrowed();
  const [asked] = made.asked() as [OfferDraft];
  made.wait(GRACE_MS - 1_000);
  const next = made.successor("t2");
  expect(next.asked().map(({ key }) => key)).toEqual([asked.key]);
  next.wait(999);
  expect(next.ending).toEqual([]);
  next.wait(1);
  expect(next.ending).toHaveLength(2);
  expect(closed(next)).toMatchObject({ phase: "Expired" });
});

/** One CPU of `b` each that `a` is due, asked for at two times. */
function askedTwice(laterGraceMs: number): ReclaimBench {
  const made = ReclaimBench.of({ a: { guarantee: { cpu: 2 } }, b: {} }).node("n", { cpu: 2 });
  made.cpu("b", "tb", 1, 2).settle().run();
  made.cpu("a", "t1", 1).settle().wait(10_000);
  made.queue("b", { reclaim: { graceMs: laterGraceMs } });
  return made.cpu("a", "t2", 1).settle();
}

/** Keys of the inverse offers that were closed. */
const ended = (made: ReclaimBench) =>
  made.all("close-offer").flatMap(({ key }) => (key.includes("-back-") ? [key] : []));

describe("what earlier leaders have asked for", () => {
  test("at two times is due at two times", () => {
    const next = askedTwice(GRACE_MS).successor("t2");
    expect(next.asked()).toHaveLength(2);
    const ending = [19_999, 1, 9_999, 1].map((ms) => next.wait(ms).ending.length);
    expect(ending).toEqual([0, 1, 1, 2]);
    expect(next.all("publish-offer")).toEqual([]);
    expect(next.all("close-offer").map(({ phase, released }) => [phase, released?.length])).toEqual([
      ["Expired", 1],
      ["Expired", 1],
    ]);
  });

  test.each([
    { name: "the first", laterGraceMs: GRACE_MS, firstMs: 20_000 },
    { name: "the last", laterGraceMs: 5_000, firstMs: 5_000 },
  ])("and is needed in part only is due when the earliest of it is, be that $name that was asked", (row) => {
    const before = askedTwice(row.laterGraceMs);
    expect(before.asked()).toHaveLength(2);
    before.apply({ type: "task-gone", uid: "t2-uid" });
    const next = before.successor("t2").wait(row.firstMs - 1);
    expect(next.ending).toEqual([]);
    expect(next.wait(1).ending).toHaveLength(1);
    expect(next.wait(600_000).ending).toHaveLength(1);
  });

  test("counts though resources are written in another order, and those of which there is nothing too", () => {
    const before = borrowed();
    const [asked] = before.asked() as [OfferDraft];
    const each = { pods: 1, memory: 0, cpu: 2 };
    before.offers.set(asked.key, { ...asked, inverse: { ...asked.inverse!, each } });
    const next = before.successor("t2").wait(GRACE_MS);
    expect(next.all("publish-offer")).toEqual([]);
    expect(next.ending).toHaveLength(2);
  });

  test.each([
    { name: "for another queue", of: "d", cpu: 2 },
    { name: "for instances of another size", of: "a", cpu: 1 },
  ])("is of no use $name: that is asked for anew, with all its time", ({ of, cpu }) => {
    const before = ReclaimBench.of({ a: { guarantee: { cpu: 2 } }, b: {}, d: { guarantee: { cpu: 2 } } });
    before.node("n", { cpu: 4 }).cpu("b", "tb", 1, 4).settle().run();
    before.cpu("a", "old", 2).settle().wait(20_000);
    const [first] = before.asked() as [OfferDraft];
    before.apply({ type: "task-gone", uid: "old-uid" });
    before.offers.set(first.key, first);
    const next = before.successor("t2");
    next.cpu(of, "new", cpu).settle();
    expect(next.all("publish-offer").map(({ offer }) => offer.expiresAtMs)).toEqual([next.nowMs + GRACE_MS]);
    expect(next.wait(GRACE_MS - 1).ending).toEqual([]);
    expect(next.wait(1).ending).toHaveLength(cpu);
  });

  test("and has ended is not asked for again", () => {
    const before = borrowed();
    const [asked] = before.asked() as [OfferDraft];
    before.apply({ type: "task-gone", uid: "ta-uid" });
    before.offers.delete(asked.key);
    const next = before.successor("t2");
    next.apply({ type: "offer-observed", offer: { ...next.offerFacts(asked), phase: "Expired" } });
    next.settle().wait(60_000);
    expect([next.all("close-offer"), next.ending]).toEqual([[], []]);
  });
});

test("news of what this leader has ended come to nothing", () => {
  const made = borrowed();
  const [asked] = made.asked() as [OfferDraft];
  made.apply({ type: "task-gone", uid: "ta-uid" });
  made.settle();
  expect(ended(made)).toEqual([asked.key]);
  made.give(asked, [{ task: "tb", indexes: "0-7" }]).wait(60_000);
  expect([ended(made), made.ending]).toEqual([[asked.key], []]);
});

test("an object that somebody has deleted is not closed", () => {
  const made = borrowed();
  made.apply({ type: "offer-gone", key: made.asked()[0]!.key });
  made.settle().wait(GRACE_MS);
  expect(made.ending).toHaveLength(2);
  expect(ended(made)).toEqual([]);
});

test("each borrower is told what of its own was ended, and who is due, who they are", () => {
  const made = ReclaimBench.of({ a: { guarantee: { cpu: 2 } }, b: {}, c: {} }).node("n", { cpu: 2 });
  made.cpu("b", "tb", 1).settle().run().wait(1_000).cpu("c", "tc", 1).settle().run().cpu("a", "ta", 2).settle();
  expect(made.broker.explainTask("ta-uid")?.message).toContain("by ns/b in queue b, ns/c in queue c, asked back");
  made.wait(GRACE_MS);
  expect(made.all("close-offer").map(({ released }) => released)).toEqual([
    [{ task: "tb", indexes: "0" }],
    [{ task: "tc", indexes: "0" }],
  ]);
});

test("names stay short, and no two are the same", () => {
  const long = `${"x".repeat(38)}--${"y".repeat(20)}`;
  const made = ReclaimBench.of({ a: { guarantee: { cpu: 2 } }, [long]: {} }).node("n", { cpu: 2 });
  made.cpu(long, "tb", 1, 2).settle().cpu("a", "t1", 1).settle().wait(1).cpu("a", "t2", 1).settle();
  expect(made.asked().map(({ key }) => key)).toEqual([0, 1].map((n) => `ns/${"x".repeat(38)}-t1-back-${n}`));
});

test("of a framework that is gone nobody is asked, and its time is the same", () => {
  const made = ReclaimBench.of({ a: { guarantee: { cpu: 1 } }, b: {} }).node("n", { cpu: 1 });
  made.cpu("b", "tb", 1).settle().run();
  made.apply({ type: "framework-gone", key: "ns/b" });
  made.settle().cpu("a", "ta", 1).settle();
  expect(made.all("publish-offer")).toEqual([]);
  expect(made.wait(GRACE_MS - 1).ending).toEqual([]);
  expect(made.wait(1).ending).toEqual(["tb-0-0"]);
  expect(made.all("close-offer")).toEqual([]);
});

test("less demand leaves what is asked of one victim for several as it is, for those that still wait", () => {
  const made = ReclaimBench.of({ a: { guarantee: { cpu: 2 } }, b: {} }).node("n", { cpu: 2 });
  made.cpu("b", "tb", 2).settle().run().cpu("a", "ta", 1, 2).settle();
  expect(made.asked().map(({ inverse }) => inverse?.instances)).toEqual([2]);
  made.task("ta", { of: "a", instances: 2, parallelism: 1, templateKey: 'ns/{"pods":1,"cpu":1}' }).settle();
  made.wait(GRACE_MS);
  expect(made.ending).toEqual(["tb-0-0"]);
  made.cpu("b", "small", 1).settle().terminate();
  expect([made.used("a"), made.used("b"), made.keptFor("a")]).toEqual([1, 1, 0]);
});
