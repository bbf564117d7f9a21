import { describe, expect, test } from "vitest";
import type { OfferDraft } from "../messages.ts";
import { ReclaimBench } from "./reclaim.test-support.ts";

const GRACE_MS = 30_000;

/** `b` answers offers and runs eight instances of one CPU, four on each of two nodes; `a` is guaranteed 2 and wants them. */
function borrowed(a: { readonly instances?: number; readonly cpu?: number } = {}): ReclaimBench {
  const made = ReclaimBench.of({ a: { guarantee: { cpu: 2 } }, b: {} }).answering("b");
  for (const n of ["n1", "n2"]) made.node(n, { cpu: 4 });
  made.cpu("b", "tb", 1, 8).settle().accepting("b", "tb").run();
  return made.cpu("a", "ta", a.cpu ?? 2, a.instances ?? 1).settle();
}

const ended = (made: ReclaimBench) => made.all("close-offer").map(({ phase, released }) => ({ phase, released }));
const on = (made: ReclaimBench, node: string) =>
  [...made.pods].filter(([name, pod]) => name.startsWith("tb") && pod.node === node).map(([, { index }]) => index);

describe("an inverse offer", () => {
  test("that is accepted ends what its framework has chosen, at once", () => {
    const made = borrowed();
    const [asked] = made.asked("b") as [OfferDraft];
    const [first, second] = on(made, "n1") as [number, number];
    made.give(asked, [{ task: "tb", indexes: `${first},${second}` }]);
    expect(made.ending.sort()).toEqual([`tb-${first}-0`, `tb-${second}-0`].sort());
    expect(ended(made).at(-1)).toEqual({
      phase: "Accepted",
      released: [{ task: "tb", indexes: `${first}-${second}` }],
    });
    made.terminate();
    expect(made.used("a")).toBe(2);
    expect(made.wait(600_000).ending).toEqual([]);
  });

  test("ends nothing that is not needed, however much is given", () => {
    const made = borrowed();
    made.give(made.asked()[0]!, [{ task: "tb", indexes: "0-7" }]);
    expect(made.ending).toHaveLength(2);
    expect(made.all("close-offer").at(-1)?.phase).toBe("Accepted");
  });

  test.each([
    { name: "too little", release: [{ task: "tb", indexes: "0" }] },
    { name: "what does not fit together on one node", release: [{ task: "tb", indexes: "APART" }] },
    { name: "what is not its own", release: [{ task: "ta", indexes: "0" }] },
    { name: "what does not exist", release: [{ task: "tb", indexes: "8-99" }] },
    { name: "of tasks that do not exist", release: [{ task: "nobody", indexes: "0" }] },
  ])("that is accepted with $name leaves the deadline as it was", ({ release }) => {
    const made = borrowed();
    const apart = `${on(made, "n1")[0]},${on(made, "n2")[0]}`;
    made.give(
      made.asked()[0]!,
      release.map(({ task, indexes }) => ({ task, indexes: indexes.replace("APART", apart) })),
    );
    expect(made.ending).toEqual([]);
    expect(made.all("event").at(-1)).toMatchObject({
      about: { kind: "Framework", key: "ns/b" },
      reason: "answer-refused",
    });
    made.wait(GRACE_MS - 1);
    expect(made.ending).toEqual([]);
    made.wait(1);
    expect(made.ending).toHaveLength(2);
    expect(made.all("close-offer").at(-1)?.phase).toBe("Refused");
  });

  test("that is accepted in part leaves the deadline of the rest", () => {
    const made = borrowed({ cpu: 1, instances: 2 });
    const [asked] = made.asked();
    expect(asked?.inverse?.instances).toBe(2);
    made.give(asked!, [{ task: "tb", indexes: "3" }]);
    expect(made.ending).toEqual(["tb-3-0"]);
    made.wait(GRACE_MS);
    expect(made.ending).toHaveLength(2);
  });

  test("is nobody else's to accept", () => {
    const made = borrowed();
    made.accept(made.asked()[0]!, [], { by: "mallory", release: [{ task: "tb", indexes: "0-1" }] });
    made.settle();
    expect(made.ending).toEqual([]);
    expect(made.wait(GRACE_MS).ending).toHaveLength(2);
  });

  test.each([
    { name: "declined", phase: "Declined", answer: (made: ReclaimBench) => made.decline(made.asked()[0]!, 0) },
    { name: "ignored", phase: "Expired", answer: () => undefined },
  ])("that is $name ends in the operator's choice when its time is over", ({ answer, phase }) => {
    const made = borrowed();
    answer(made);
    made.settle().wait(GRACE_MS - 1);
    expect(made.ending).toEqual([]);
    made.wait(1);
    expect(made.ending).toHaveLength(2);
    expect(ended(made).at(-1)).toMatchObject({ phase, released: [{ task: "tb" }] });
  });

  test("is rescinded when it is not needed any more, and its victims run on", () => {
    const made = borrowed();
    made.node("n3", { cpu: 2 }).settle();
    expect(made.used("a")).toBe(2);
    expect(ended(made).at(-1)).toEqual({ phase: "Rescinded", released: [] });
    expect(made.wait(600_000).ending).toEqual([]);
    expect(made.keptFor("a")).toBe(0);
  });

  test.each([
    {
      name: "the demand has gone",
      change: (made: ReclaimBench) => made.apply({ type: "task-gone", uid: "ta-uid" }),
    },
    { name: "the guarantee is lower", change: (made: ReclaimBench) => made.queue("a", { guarantee: { cpu: 1 } }) },
    { name: "nobody borrows any more", change: (made: ReclaimBench) => made.queue("b", { guarantee: { cpu: 8 } }) },
    {
      name: "the borrower's queue is deleted",
      change: (made: ReclaimBench) => made.apply({ type: "queue-gone", name: "b" }),
    },
    { name: "its own queue is deleted", change: (made: ReclaimBench) => made.apply({ type: "queue-gone", name: "a" }) },
    {
      name: "its framework is suppressed",
      change: (made: ReclaimBench) => made.framework("a", { queues: [{ name: "a", weight: 1 }], suppressed: true }),
    },
  ])("is rescinded when $name", ({ change }) => {
    const made = borrowed();
    change(made);
    made.settle();
    expect(made.asked()).toEqual([]);
    expect(made.wait(600_000).ending).toEqual([]);
    expect(made.keptFor("a")).toBe(0);
  });

  test("asks for less where the demand is less", () => {
    const made = borrowed({ cpu: 1, instances: 2 });
    made.task("ta", { of: "a", instances: 2, parallelism: 1, templateKey: 'ns/{"pods":1,"cpu":1}' }).settle();
    made.wait(GRACE_MS);
    expect(made.ending).toHaveLength(1);
  });

  test("counts what ends by itself meanwhile: that room is held too, and fewer have to go", () => {
    const made = borrowed();
    const [name] = [...made.pods].filter(([, { node }]) => node === made.asked()[0]!.slices[0]!.node).at(-1)!;
    made.finish(name);
    made.settle();
    expect(made.keptFor("a")).toBe(1);
    made.wait(GRACE_MS);
    expect(made.ending).toHaveLength(1);
    made.terminate();
    expect(made.used("a")).toBe(2);
  });

  test("stands though somebody deletes its object, or it cannot be made", () => {
    const made = borrowed();
    made.apply({ type: "offer-gone", key: made.asked()[0]!.key });
    made.settle().wait(GRACE_MS);
    expect(made.ending).toHaveLength(2);

    const other = ReclaimBench.of({ a: { guarantee: { cpu: 1 } }, b: {} }).node("n", { cpu: 1 });
    other.held.add("publish-offer");
    other.cpu("b", "tb", 1).settle().cpu("a", "ta", 1).settle();
    const { offer } = other.last("publish-offer")!;
    other.apply({ type: "offer-unpublished", key: offer.key, message: "exceeded quota" });
    other.settle().wait(GRACE_MS);
    expect(other.ending).toEqual(["tb-0-0"]);
  });

  test("goes to each borrower whose tasks are to go, and what one gives does not hurry the other", () => {
    const made = ReclaimBench.of({ a: { guarantee: { cpu: 2 } }, b: {}, c: {} }).node("n", { cpu: 2 });
    made.cpu("b", "tb", 1).cpu("c", "tc", 1).settle().cpu("a", "ta", 2).settle();
    expect(made.asked().map(({ framework }) => framework)).toEqual(["ns/b", "ns/c"]);
    made.give(made.asked("b")[0]!, [{ task: "tb", indexes: "0" }]);
    expect(made.ending).toEqual([]);
    made.wait(GRACE_MS);
    expect(made.ending.sort()).toEqual(["tb-0-0", "tc-0-0"]);
    expect(ended(made).map(({ phase }) => phase)).toEqual(["Accepted", "Expired"]);
  });

  test("gives as much time as the borrower's queue says, or the nearest above it", () => {
    const made = ReclaimBench.of({
      a: { guarantee: { cpu: 1 } },
      top: { reclaim: { graceMs: 5_000 } },
      b: { parent: "top", reclaim: { minimumRuntimeMs: 0 } },
    }).node("n", { cpu: 1 });
    made.cpu("b", "tb", 1).settle().cpu("a", "ta", 1).settle();
    expect(made.asked()[0]?.expiresAtMs).toBe(made.nowMs + 5_000);
    expect(made.wait(5_000).ending).toEqual(["tb-0-0"]);
  });

  test("is not made where the queue gives no time", () => {
    const made = ReclaimBench.of({ a: { guarantee: { cpu: 1 } }, b: { reclaim: { graceMs: 0 } } }).node("n", {
      cpu: 1,
    });
    made.cpu("b", "tb", 1).settle().cpu("a", "ta", 1).settle();
    expect(made.all("publish-offer")).toEqual([]);
    expect(made.ending).toEqual(["tb-0-0"]);
  });
});

describe("what is offered and not answered", () => {
  test("goes before tasks, without asking, and to whom it was taken back for", () => {
    const made = ReclaimBench.of({ a: { guarantee: { cpu: 2 } }, b: {} }).answering("b");
    made.node("n", { cpu: 4 }).cpu("b", "old", 1, 2).settle().accepting("b", "old").run().wait(5_000);
    made.answering("b", { demand: [{ instances: 2, resources: { cpu: 1 } }], offerTimeoutMs: 3_600_000 }).settle();
    expect(made.openOffers("b")).toHaveLength(1);
    made.cpu("a", "ta", 2).settle();
    expect(made.asked()).toEqual([]);
    expect(made.openOffers("b")).toEqual([]);
    expect(made.used("a")).toBe(2);
    expect(made.wait(600_000).ending).toEqual([]);
  });

  test("and is accepted before it could be rescinded is what was accepted: something else has to go", () => {
    const made = ReclaimBench.of({ a: { guarantee: { cpu: 2 } }, b: {} })
      .answering("b")
      .node("n", { cpu: 2 });
    made.cpu("b", "tb", 1, 2).settle();
    const [offer] = made.openOffers("b") as [OfferDraft];
    made.held.add("close-offer");
    made.cpu("a", "ta", 2).settle();
    expect(made.all("close-offer")).toHaveLength(1);
    made.accept(offer, [{ task: "tb", slice: "s0", count: 2 }]);
    made.apply({ type: "offer-closed", key: offer.key });
    made.held.clear();
    made.settle();
    expect(made.placed()).toEqual(["tb-0", "tb-1"]);
    expect(made.asked()).toHaveLength(1);
    expect(made.wait(GRACE_MS).ending).toHaveLength(2);
  });
});
