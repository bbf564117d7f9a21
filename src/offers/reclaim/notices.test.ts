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

  test("none that does, or says no, is told anything", () => {
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
