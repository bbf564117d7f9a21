import { describe, expect, test } from "vitest";
import { Bench } from "./broker.test-support.ts";
import type { Placement } from "./options.ts";

/** Emptiest first by CPU, equal ones in turn; fullest first, in order; and one whose scores make no sense. */
const emptiest: Placement = { score: (free, total, at) => free[at]! / total[at]!, rotate: true };
const fullest: Placement = { score: (free, total, at) => 1 - free[at]! / total[at]!, rotate: false };
const senseless: Placement = {
  score: (_free, _total, at) => (at === 0 ? Number.NaN : at === 8 ? -7 : 99),
  rotate: false,
};

function bench(placement: Placement, nodes: number, cpu = 10): Bench {
  const made = Bench.open({ placements: { P: placement } }).framework("f", { placement: "P" });
  for (let i = 0; i < nodes; i++) made.node(`n${i}`, { cpu });
  return made;
}

const nodesOf = (made: Bench) =>
  made
    .settle()
    .all("create-pod")
    .map(({ node }) => node);

describe("a placement", () => {
  test("that spreads takes equal nodes in turn, round after round", () => {
    const made = bench(emptiest, 3, 1_000);
    expect(nodesOf(made.task("t", { instances: 4 }))).toEqual(["n0", "n1", "n2", "n0"]);
    expect(nodesOf(made.task("u", { instances: 3 })).slice(4)).toEqual(["n1", "n2", "n0"]);
  });

  test("that spreads prefers the emptier node over the next in turn", () => {
    const made = bench(emptiest, 2);
    made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "n0", requests: { cpu: 5 } } });
    expect(nodesOf(made.task("t", { instances: 5 }))).toEqual(["n1", "n1", "n1", "n1", "n1"]);
  });

  test("that packs fills one node before it begins the next", () => {
    const made = bench(fullest, 3, 2);
    made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "n2", requests: { cpu: 1 } } });
    expect(nodesOf(made.task("t", { instances: 5 }))).toEqual(["n2", "n0", "n0", "n1", "n1"]);
  });

  test("with scores out of bounds places all the same", () => {
    const made = bench(senseless, 3, 1);
    expect(nodesOf(made.task("t", { instances: 3 })).sort()).toEqual(["n0", "n1", "n2"]);
  });

  test("is that of instances that start together as well", () => {
    const together = { instances: 4, gang: { minimum: 4 } };
    expect(nodesOf(bench(emptiest, 3).task("t", together)).sort()).toEqual(["n0", "n0", "n1", "n2"]);
    const made = bench(fullest, 3, 4);
    made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "n2", requests: { cpu: 2 } } });
    expect(nodesOf(made.task("t", together)).sort()).toEqual(["n0", "n0", "n2", "n2"]);
  });

  test("that nobody knows is the first there is", () => {
    const made = bench(fullest, 2).framework("f", { placement: "Unheard-of" });
    expect(nodesOf(made.task("t", { instances: 2 }))).toEqual(["n0", "n0"]);
  });
});

describe("of many nodes", () => {
  // More than a word of each bitset.
  test.each([emptiest, fullest])("those that come late are found, and those that are closed are not", (placement) => {
    const made = bench(placement, 0).task("t", { instances: 500 });
    for (let i = 0; i < 100; i++) {
      made.node(`n${i}`, { cpu: 1 }, i >= 40 && i < 90 ? { closed: "cordoned" } : {});
      if (i % 30 === 0) made.settle();
    }
    expect(nodesOf(made)).toHaveLength(50);
    for (let i = 40; i < 90; i++) made.node(`n${i}`, { cpu: 1 });
    expect(new Set(nodesOf(made)).size).toBe(100);
  });

  test("only those that are admitted are offered, wherever they stand", () => {
    const made = Bench.open().framework("f", { scheduler: "Offers", slack: 2 }).framework("g", { scheduler: "Offers" });
    for (let i = 0; i < 100; i++) made.node(`n${i}`, { cpu: 1 }, { labels: { half: i < 50 ? "low" : "high" } });
    made.asking("t", { cpu: 1 }, { instances: 5, constraints: { nodeSelector: { half: "high" } } });
    made.asking("u", { cpu: 1 }, { of: "g", instances: 5, constraints: { nodeSelector: { half: "low" } } }).settle();
    const offered = (framework: string) =>
      made.openOffers(framework).flatMap(({ slices }) => slices.map(({ node }) => Number(node.slice(1))));
    expect(Math.min(...offered("f"))).toBe(50);
    expect(offered("f")).toHaveLength(10);
    expect(Math.max(...offered("g"))).toBeLessThan(50);
  });

  test("spread and refused ones too", () => {
    const made = Bench.open().framework("f", { scheduler: "Offers" });
    for (let i = 0; i < 80; i++) made.node(`n${i}`, { cpu: 1 }, { labels: { zone: i < 40 ? "a" : "b" } });
    const spread = { constraints: { spread: [{ topologyKey: "zone", maxSkew: 1, over: "Task" as const }] } };
    made.asking("t", { cpu: 1 }, { instances: 4, ...spread }).settle();
    const zones = () =>
      made
        .openOffers()[0]!
        .slices.map(({ node }) => (Number(node.slice(1)) < 40 ? "a" : "b"))
        .sort();
    expect(zones()).toEqual(["a", "a", "b", "b"]);
    const refused = made.openOffers()[0]!.slices.map(({ node }) => node);
    made.decline(made.openOffers()[0]!, 60_000);
    made.settle();
    expect(zones()).toEqual(["a", "a", "b", "b"]);
    expect(made.openOffers()[0]!.slices.filter(({ node }) => refused.includes(node))).toEqual([]);
  });
});

describe("within a claimant", () => {
  test("tasks go by priority, age, name and UID, however they came", () => {
    const order = (names: readonly string[], change: (name: string) => object) => {
      const made = Bench.open().framework("f").node("n", { cpu: 99 });
      for (const name of names) made.task(name, { createdAtMs: 1, ...change(name) });
      return made
        .settle()
        .all("create-pod")
        .map(({ attempt }) => attempt.taskUid.replace("-uid", ""));
    };
    const names = ["c", "a", "d", "b"];
    expect(order(names, () => ({}))).toEqual(["a", "b", "c", "d"]);
    expect(order(names, (name) => ({ createdAtMs: -name.charCodeAt(0) }))).toEqual(["d", "c", "b", "a"]);
    expect(order(names, (name) => ({ priority: name === "d" ? 1 : 0 }))).toEqual(["d", "a", "b", "c"]);
    // A Task that was deleted and made again while its old self still ends.
    expect(order(names, () => ({ key: "ns/same" }))).toEqual(["a", "b", "c", "d"]);
  });

  test("tasks of different shapes too, and what is stated after them", () => {
    const demand = [6, 3].map((cpu) => ({ instances: 1, resources: { cpu } }));
    for (const [cpu, pods] of [
      [3, 2],
      [6, 3],
      [9, 3],
    ] as const) {
      const made = Bench.open().node("n", { cpu }).framework("f", { scheduler: "Offers", demand });
      made.asking("two", { cpu: 2 }, { priority: 1 }).asking("one", { cpu: 1 }).settle();
      // The tasks' 2 and 1, then the first of what is stated that fits.
      expect(made.openOffers()).toMatchObject([{ slices: [{ resources: { cpu, pods } }] }]);
    }
  });

  test("thousands of tasks that are served leave nothing behind them in the line", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 5_000, pods: 5_000 });
    for (let i = 0; i < 3_000; i++) made.task(`t${i}`, { createdAtMs: i });
    made.settle();
    expect(made.all("create-pod")).toHaveLength(3_000);
    made.task("last", { createdAtMs: -1 }).settle();
    expect(made.last("create-pod")!.attempt.taskUid).toBe("last-uid");
  });
});
