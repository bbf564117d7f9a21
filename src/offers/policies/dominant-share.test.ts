import { describe, expect, test } from "vitest";
import { Bench } from "../broker.test-support.ts";
import { Lines } from "../lines.ts";
import { NodeTable } from "../nodes/nodes.ts";
import { ShapeTable } from "../nodes/shapes.ts";
import { Descent } from "../queues/descent.ts";
import { QueueTree } from "../queues/queues.ts";
import { type Quantities, ResourceTable } from "../resources.ts";
import { dominantShareOf } from "./dominant-share.ts";

interface Asks {
  readonly requests: Quantities;
  readonly weight?: number;
}

/** Instances that each framework got of one node, all with demand without end; observed in this order or the reverse. */
function shareOut(node: Quantities, asks: Record<string, Asks>, reversed: boolean): Record<string, number> {
  const made = Bench.open().node("n", { pods: 100_000, ...node });
  const entries = Object.entries(asks);
  for (const [name, { requests, weight = 1 }] of reversed ? entries.reverse() : entries) {
    made.framework(name, { queues: [{ name: "default", weight }] });
    made.asking(`t-${name}`, requests, { of: name, instances: 2_000 });
  }
  made.settle();
  const counts: Record<string, number> = {};
  for (const { framework } of made.all("create-pod")) {
    const name = framework.slice("ns/".length);
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

describe.each([false, true])("dominant resource fairness (reversed: %s)", (reversed) => {
  test.each([
    {
      name: "the paper's example",
      node: { cpu: 9, memory: 18 },
      asks: { a: { requests: { cpu: 1, memory: 4 } }, b: { requests: { cpu: 3, memory: 1 } } },
      got: { a: 3, b: 2 },
    },
    {
      name: "one wants three times as much of one resource",
      node: { cpu: 30, memory: 30 },
      asks: { a: { requests: { cpu: 1, memory: 3 } }, b: { requests: { cpu: 1, memory: 1 } } },
      got: { a: 5, b: 15 },
    },
    {
      name: "4 and 1, 1 and 8",
      node: { cpu: 100, memory: 100 },
      asks: { a: { requests: { cpu: 4, memory: 1 } }, b: { requests: { cpu: 1, memory: 8 } } },
      got: { a: 20, b: 10 },
    },
    {
      name: "weights of 3 and 1",
      node: { cpu: 1_000, memory: 1_000 },
      asks: { a: { requests: { cpu: 1, memory: 1 }, weight: 3 }, b: { requests: { cpu: 1, memory: 1 } } },
      got: { a: 750, b: 250 },
    },
    {
      name: "the count of pods is no resource to be fair about",
      node: { cpu: 10, memory: 100, pods: 12 },
      asks: { a: { requests: { cpu: 1, memory: 0 } }, b: { requests: { cpu: 0, memory: 1 } } },
      got: { a: 2, b: 10 },
    },
  ])("$name", ({ node, asks, got }) => {
    expect(shareOut(node, asks as Record<string, Asks>, reversed)).toEqual(got);
  });
});

/** Who is served in which order, from what they hold of ⟨100, 100⟩. */
function order(holdings: readonly (readonly [name: string, cpu: number, memory: number, weight?: number])[]): string[] {
  const resources = new ResourceTable();
  const nodes = new NodeTable(resources);
  const tree = new QueueTree(resources);
  const allocatable = { cpu: 100, memory: 100 };
  const facts = { name: "n", uid: "u", labels: {}, taints: [], ready: true, allocatable };
  nodes.observe(facts, 0);
  tree.observe({ name: "q", weight: 1, guarantee: {}, limit: {}, namespaces: ["*"] });
  const policy = new Descent(tree.root, nodes, new Lines(new ShapeTable(nodes)));
  const claimants = holdings.map(([name, cpu, memory, weight = 1]) => {
    const claimant = tree.claimant(name, "q");
    claimant.weight = weight;
    claimant.held("task", resources.vector({ cpu, memory }), 1, 1);
    return claimant;
  });
  policy.begin(claimants);
  const served: string[] = [];
  for (let next = policy.next(); next !== undefined; next = policy.next()) {
    served.push(next.framework);
    policy.block(next);
  }
  return served;
}

describe("order", () => {
  test.each([
    {
      name: "by dominant share",
      holdings: [
        ["a", 5, 5],
        ["b", 6, 6],
        ["c", 1, 1],
        ["d", 3, 1],
      ],
      served: "cdab",
    },
    {
      name: "divided by weight",
      holdings: [
        ["a", 5, 5],
        ["b", 6, 6, 2],
        ["c", 4, 4],
        ["d", 10, 20, 10],
      ],
      served: "dbca",
    },
    {
      name: "equal shares by name",
      holdings: [
        ["b", 5, 1],
        ["c", 1, 5],
        ["a", 5, 5],
      ],
      served: "abc",
    },
  ] as const)("$name", ({ holdings, served }) => {
    expect(order(holdings).join("")).toBe(served);
    expect(order([...holdings].reverse()).join("")).toBe(served);
  });
});

describe("a dominant share", () => {
  interface Given {
    readonly total?: readonly number[];
    readonly saturated?: readonly boolean[];
    readonly weight?: number;
  }
  /** Of 10 CPUs, 60 of memory and 90 pods. */
  const share = ({ total = [100, 200, 100], saturated = [], weight = 1 }: Given) =>
    dominantShareOf(Float64Array.of(10, 60, 90), weight, { total: Float64Array.from(total), saturated });

  test.each<{ name: string; given: Given; is: number }>([
    { name: "is the largest of the shares, but for that of pods", given: {}, is: 0.3 },
    { name: "is divided by the weight", given: { weight: 3 }, is: 0.1 },
    { name: "is not that of what nobody can get more of", given: { saturated: [false, true] }, is: 0.1 },
    {
      name: "does not care whether anybody can get more of something else",
      given: { saturated: [true, false] },
      is: 0.3,
    },
    { name: "is not that of what no open node has", given: { total: [100, 0, 100] }, is: 0.1 },
  ])("$name", ({ given, is }) => {
    expect(share(given)).toBe(is);
  });
});

describe("a tree of queues", () => {
  /** Queues under n1 and n2, each with a framework of its name that asks for so much without end. */
  function tree(nodes: Quantities, leaves: Record<string, { parent: string; requests: Quantities }>): Bench {
    const made = Bench.open().node("n", { pods: 10_000, ...nodes });
    for (const parent of new Set(Object.values(leaves).map((leaf) => leaf.parent))) made.queue(parent);
    for (const [name, { parent, requests }] of Object.entries(leaves)) {
      made.queue(name, { parent }).framework(name, { queues: [{ name, weight: 1 }] });
      made.asking(`t-${name}`, requests, { of: name, instances: 500 });
    }
    return made.settle();
  }
  const got = (made: Bench, queue: string) => made.all("create-pod").filter((effect) => effect.queue === queue).length;

  test("a queue whose one child has all the CPU gets its half of the GPUs for the other", () => {
    const made = tree(
      { cpu: 10, "example.com/gpu": 10 },
      {
        n1: { parent: "top1", requests: { "example.com/gpu": 1 } },
        n21: { parent: "top2", requests: { cpu: 1 } },
        n22: { parent: "top2", requests: { "example.com/gpu": 1 } },
      },
    );
    expect([got(made, "n1"), got(made, "n21"), got(made, "n22")]).toEqual([5, 10, 5]);
  });

  test("siblings share evenly at each level, however many children they have", () => {
    const one = { cpu: 1 };
    const made = tree(
      { cpu: 24 },
      {
        a: { parent: "x", requests: one },
        b: { parent: "y", requests: one },
        c: { parent: "y", requests: one },
        d: { parent: "y", requests: one },
      },
    );
    expect(["a", "b", "c", "d"].map((queue) => got(made, queue))).toEqual([12, 4, 4, 4]);
  });

  test("what was held before counts, also what a queue without demand holds", () => {
    const made = Bench.open().node("n", { cpu: 12 }).queue("x").queue("y");
    for (const [name, parent] of [
      ["x1", "x"],
      ["x2", "x"],
      ["y1", "y"],
    ] as const) {
      made.queue(name, { parent }).framework(name, { queues: [{ name, weight: 1 }] });
    }
    made.asking("t0", { cpu: 1 }, { of: "x1", instances: 4 }).settle();
    made.asking("t1", { cpu: 1 }, { of: "x2", instances: 9 }).asking("t2", { cpu: 1 }, { of: "y1", instances: 9 });
    made.settle();
    expect(["x1", "x2", "y1"].map((queue) => got(made, queue))).toEqual([4, 2, 6]);
  });
});
