import { describe, expect, test } from "vitest";
import { QueueTree } from "../queues/queues.ts";
import { type Quantities, ResourceTable } from "../resources.ts";
import { Entitlement, isCovered } from "./entitlement.ts";
import { UsageAhead } from "./usage-ahead.ts";

interface Stands {
  readonly parent?: string;
  readonly guarantee?: Quantities;
  readonly uses?: Quantities;
}

/** Queues as they stand, and one of them asks for an instance. Those above come first. */
function asks(queues: Record<string, Stands>, claimant: string, request: Quantities) {
  const resources = new ResourceTable();
  const tree = new QueueTree(resources);
  for (const [name, { parent, guarantee = {} }] of Object.entries(queues)) {
    const facts = { name, weight: 1, guarantee, limit: {}, namespaces: ["*"] };
    tree.observe(parent === undefined ? facts : { ...facts, parent });
  }
  for (const [name, { uses = {} }] of Object.entries(queues)) {
    tree.claimant(`ns/${name}`, name).held("task", resources.vector(uses), 1, 1);
  }
  const vector = (amounts: Quantities) => resources.vector(amounts);
  const queue = (name: string) => tree.queues.get(name)!;
  const ahead = new UsageAhead(tree);
  const entitlement = new Entitlement(tree, ahead, queue(claimant), vector(request));
  return {
    entitlement,
    ahead,
    queue,
    vector,
    covered: isCovered(tree, ahead, queue(claimant), vector(request)),
    eligible: (victim: string, holds: Quantities, lacking: Quantities) =>
      entitlement.eligible(entitlement.contest(queue(victim))!, vector(holds), vector(lacking)),
    mayHave: (victim: string) => entitlement.mayHave(queue(victim)),
  };
}

describe("a guarantee covers an instance", () => {
  test.each([
    { name: "up to all of it", a: { guarantee: { cpu: 4 }, uses: { cpu: 2 } }, covered: true },
    { name: "not beyond it", a: { guarantee: { cpu: 4 }, uses: { cpu: 3 } }, covered: false },
    { name: "not where it names nothing of what is asked for", a: { guarantee: { gpu: 4 } }, covered: false },
    { name: "not where there is none", a: {}, covered: false },
    {
      name: "though more of something else is used than is guaranteed",
      a: { guarantee: { cpu: 4, gpu: 1 }, uses: { gpu: 3 } },
      covered: true,
    },
    {
      name: "not where only one of two that it names is left",
      a: { guarantee: { cpu: 4, memory: 4 }, uses: { memory: 4 } },
      covered: false,
    },
  ])("$name", ({ a, covered }) => {
    const asked = asks({ a, b: {} }, "a", { cpu: 2, memory: 1 });
    expect([asked.covered, asked.entitlement.isCovered]).toEqual([covered, covered]);
    expect(asked.entitlement.covers(asked.queue("a"))).toBe(covered);
    expect(asked.entitlement.covers(asked.queue("b"))).toBe(false);
  });

  test("in what it names and is asked for, and in nothing else", () => {
    const { entitlement, queue } = asks({ a: { guarantee: { cpu: 4, gpu: 4 }, uses: { cpu: 1 } } }, "a", {
      cpu: 4,
      memory: 1,
    });
    expect([0, 1, 2].map((r) => entitlement.excess(queue("a"), r))).toEqual([1, 0, 0]);
    expect([0, 1, 2].map((r) => entitlement.coversIn(r))).toEqual([false, false, false]);
    const less = asks({ a: { guarantee: { cpu: 4, gpu: 4 }, uses: { cpu: 1 } } }, "a", { cpu: 3, memory: 1 });
    expect([0, 1, 2].map((r) => less.entitlement.coversIn(r))).toEqual([true, false, false]);
  });
});

describe("a victim may go", () => {
  const a = { guarantee: { cpu: 4, memory: 4 } };
  const both = { cpu: 1, memory: 1 };
  const asked = (b: Stands) => asks({ a, b }, "a", both);

  test.each([
    { name: "for what it holds", holds: { cpu: 1 }, lacking: { cpu: 1 }, may: true },
    { name: "not for what it does not hold", holds: { memory: 1 }, lacking: { cpu: 1 }, may: false },
    { name: "not for what is not lacking", holds: both, lacking: {}, may: false },
    {
      name: "not for what its queue has no more of than it is due",
      holds: both,
      lacking: { memory: 1 },
      may: false,
    },
    { name: "where one of two is borrowed", holds: both, lacking: both, may: true },
    {
      name: "not where what is borrowed is lacking, but not held",
      holds: { memory: 1 },
      lacking: both,
      may: false,
    },
  ])("$name", ({ holds, lacking, may }) => {
    const stands = asked({ guarantee: { cpu: 1, memory: 2 }, uses: { cpu: 2, memory: 2 } });
    expect(stands.eligible("b", holds, lacking)).toBe(may);
  });

  test.each([
    { name: "both are above", leaf: 2, above: 4, may: true },
    { name: "only the one above is", leaf: 3, above: 4, may: false },
    { name: "only the lower one is", leaf: 2, above: 5, may: false },
  ])("where every queue on its side is above its guarantee: $name", ({ leaf, above, may }) => {
    const stands = asks(
      {
        a: { guarantee: { cpu: 4 } },
        top: { guarantee: { cpu: above } },
        leaf: { parent: "top", guarantee: { cpu: leaf }, uses: { cpu: 3 } },
        sibling: { parent: "top", uses: { cpu: 2 } },
      },
      "a",
      { cpu: 1 },
    );
    expect(stands.eligible("leaf", { cpu: 1 }, { cpu: 1 })).toBe(may);
    expect(stands.mayHave("leaf")).toBe(may);
  });
});

describe("anything of a queue may be had", () => {
  test("only as long as it is above its guarantee", () => {
    const { ahead, mayHave, queue, vector } = asks({ a: { guarantee: { cpu: 4 } }, b: { uses: { cpu: 1 } } }, "a", {
      cpu: 1,
    });
    expect(mayHave("b")).toBe(true);
    ahead.shift(queue("b"), vector({ cpu: 1 }), -1);
    expect(mayHave("b")).toBe(false);
    ahead.shift(queue("b"), vector({ cpu: 1 }), 1);
    expect(mayHave("b")).toBe(true);
    expect(mayHave("a")).toBe(false);
  });

  // The one who asks is due the CPUs, and one memory more than its parent is due: siblings would have to give that first.
  test.each([
    { name: "a sibling borrows as much", rich: { uses: { memory: 1 } }, due: 2, may: true },
    { name: "nobody uses it", rich: {}, due: 1, may: false },
    {
      name: "the sibling is due what it uses",
      rich: { guarantee: { memory: 1 }, uses: { memory: 1 } },
      due: 2,
      may: false,
    },
    { name: "the sibling is due more", rich: { guarantee: { memory: 2 }, uses: { memory: 1 } }, due: 2, may: false },
    {
      name: "the sibling borrows a part of what it uses",
      rich: { guarantee: { memory: 1 }, uses: { memory: 2 } },
      due: 3,
      may: true,
    },
    { name: "the sibling borrows too little", rich: { uses: { memory: 1 } }, due: 1, may: false },
  ])("of others, where the guarantee above could cover it: $name", ({ rich, may, due }) => {
    const { mayHave } = asks(
      {
        top: { guarantee: { cpu: 6, memory: due } },
        poor: { parent: "top", guarantee: { cpu: 6 }, uses: { cpu: 4, memory: 1 } },
        rich: { parent: "top", ...rich },
        other: { uses: { cpu: 3 } },
      },
      "poor",
      { cpu: 2, memory: 1 },
    );
    expect(mayHave("other")).toBe(may);
  });

  test("of others, but not for a queue with no guarantee for what a sibling has of the one above", () => {
    const { mayHave } = asks(
      {
        top: { guarantee: { cpu: 2 } },
        poor: { parent: "top" },
        rich: { parent: "top", uses: { cpu: 2 } },
        other: { uses: { cpu: 3 } },
      },
      "poor",
      { cpu: 2 },
    );
    expect([mayHave("rich"), mayHave("other")]).toEqual([false, false]);
  });

  test("of others not at all, where the guarantee above names nothing of it", () => {
    const { mayHave, entitlement, queue } = asks(
      { top: {}, poor: { parent: "top" }, other: { uses: { cpu: 3 } } },
      "poor",
      { cpu: 2 },
    );
    expect(mayHave("other")).toBe(false);
    expect(entitlement.contest(queue("other"))?.own).toBe(queue("top"));
  });
});
