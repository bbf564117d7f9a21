import { describe, expect, test } from "vitest";
import { Bench } from "../broker.test-support.ts";

const zones = (...names: string[]) => names.map((zone, i) => [`n${i}`, zone] as const);

function bench(scheduler: "Builtin" | "Offers", nodes: readonly (readonly [string, string])[]): Bench {
  const made = Bench.open().framework("f", { scheduler });
  for (const [name, zone] of nodes) made.node(name, { cpu: 100 }, { labels: { zone } });
  return made;
}

const spread = (maxSkew: number, over: "Task" | "Framework" = "Task") => ({
  constraints: { spread: [{ topologyKey: "zone", maxSkew, over }] },
});

/** How many creates went to each zone. */
function placed(made: Bench, nodes: readonly (readonly [string, string])[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { node } of made.all("create-pod")) {
    const zone = nodes.find(([name]) => name === node)![1];
    counts[zone] = (counts[zone] ?? 0) + 1;
  }
  return counts;
}

describe("spread", () => {
  test.each([
    {
      name: "evenly over three zones",
      nodes: zones("a", "b", "c"),
      instances: 9,
      maxSkew: 1,
      each: { a: 3, b: 3, c: 3 },
    },
    { name: "one more in some", nodes: zones("a", "b", "c"), instances: 10, maxSkew: 1, each: { a: 4, b: 3, c: 3 } },
    {
      name: "by zones, not by nodes",
      nodes: zones("a", "a", "a", "b"),
      instances: 4,
      maxSkew: 1,
      each: { a: 2, b: 2 },
    },
    { name: "within the skew, first nodes first", nodes: zones("a", "b"), instances: 4, maxSkew: 4, each: { a: 4 } },
  ])("Builtin: $name", ({ nodes, instances, maxSkew, each }) => {
    const made = bench("Builtin", nodes)
      .task("t", { instances, ...spread(maxSkew) })
      .settle();
    expect(placed(made, nodes)).toEqual(each);
  });

  test("a full zone holds the others back", () => {
    const made = bench("Builtin", zones("a")).node("small", { cpu: 1 }, { labels: { zone: "b" } });
    made.task("t", { instances: 9, ...spread(2) }).settle();
    expect(made.all("create-pod")).toHaveLength(4);
    expect(made.broker.explainTask("t-uid")?.message).toContain("spread over zone: a 3, b 1");
  });

  test("an end makes room for the next, wherever it was", () => {
    const nodes = zones("a", "b");
    const made = bench("Builtin", nodes)
      .task("t", { instances: 6, parallelism: 2, ...spread(1) })
      .settle();
    for (const index of [0, 1, 2, 3]) {
      made.finish(`t-${index}-0`);
      made.settle();
    }
    expect(placed(made, nodes)).toEqual({ a: 3, b: 3 });
  });

  test("a node without the label takes none", () => {
    const made = bench("Builtin", [])
      .node("bare", { cpu: 9 })
      .task("t", { instances: 2, ...spread(9) })
      .settle();
    expect(made.all("create-pod")).toEqual([]);
  });

  test.each([
    { name: "of equal constraints", constraints: {} },
    { name: "that are otherwise constrained", constraints: { nodeSelector: { disk: "ssd" } } },
  ])("over the framework, tasks $name count together", ({ constraints }) => {
    const nodes = zones("a", "b");
    const made = Bench.open().framework("f");
    for (const [name, zone] of nodes) made.node(name, { cpu: 100 }, { labels: { zone, disk: "ssd" } });
    made.task("t", { instances: 3, ...spread(1, "Framework") }).settle();
    const { spread: over } = spread(1, "Framework").constraints;
    made.task("u", { instances: 3, constraints: { ...constraints, spread: over } }).settle();
    expect(placed(made, nodes)).toEqual({ a: 3, b: 3 });
    expect(
      made
        .all("create-pod")
        .slice(3)
        .map(({ node }) => node),
    ).toEqual(["n1", "n0", "n1"]);
  });

  test("each constraint keeps to its own skew and its own nodes, whoever else is counted with it", () => {
    const made = Bench.open().framework("f", { scheduler: "Offers", maxOutstanding: 9 });
    made
      .node("n0", { cpu: 4 }, { labels: { zone: "a", disk: "ssd" } })
      .node("n1", { cpu: 4 }, { labels: { zone: "b" } });
    const over = spread(3, "Framework").constraints.spread;
    made.task("t", { constraints: { nodeSelector: { disk: "ssd" }, spread: over }, instances: 4 });
    made.task("u", { instances: 4, ...spread(1, "Framework") }).settle();
    const sum = (name: string) =>
      made
        .openOffers()
        .flatMap(({ slices }) => slices)
        .filter(({ node }) => node === name)
        .reduce((n, { resources }) => n + (resources.cpu ?? 0), 0);
    // Of t, zone a is the only domain; u may be one ahead of what both have in the other.
    expect([sum("n0"), sum("n1")]).toEqual([4, 4]);
  });

  test("what lives already counts when a constraint comes later", () => {
    const nodes = zones("a", "b");
    const made = bench("Builtin", nodes).task("t", { instances: 4, parallelism: 2 }).settle();
    expect(placed(made, nodes)).toEqual({ a: 2 });
    made
      .framework("f", { constraints: spread(1).constraints })
      .task("t", { instances: 4, parallelism: 4 })
      .settle();
    expect(placed(made, nodes)).toEqual({ a: 2, b: 2 });
  });

  test("an offer holds what may be launched on it all at once", () => {
    const nodes = zones("a", "b", "c");
    const made = bench("Offers", nodes)
      .task("t", { instances: 9, ...spread(1) })
      .settle();
    const [offer] = made.openOffers();
    expect(offer!.slices.map(({ resources }) => resources.cpu)).toEqual([3, 3, 3]);
    made.accept(
      offer!,
      offer!.slices.map(({ name }) => ({ task: "t", slice: name, count: 3 })),
    );
    expect(placed(made, nodes)).toEqual({ a: 3, b: 3, c: 3 });
  });

  test("part of an offer is refused where it would not be even", () => {
    const made = bench("Offers", zones("a", "b"))
      .task("t", { instances: 4, ...spread(1) })
      .settle();
    made.accept(made.openOffers()[0]!, [{ task: "t", slice: "s0", count: 2 }]);
    const launches = [{ refused: { reason: "constraint", message: "spread: a 0, b 0" } }];
    expect(made.last("close-offer")).toMatchObject({ phase: "Refused", launches });
  });

  test("offers that end count no more", () => {
    const made = bench("Offers", zones("a", "b"))
      .task("t", { instances: 4, ...spread(1) })
      .settle();
    for (let i = 0; i < 2; i++) {
      expect(made.openOffers()[0]!.slices.map(({ resources }) => resources.cpu)).toEqual([2, 2]);
      made.decline(made.openOffers()[0]!, 0);
      made.settle();
    }
  });

  test("what is spread gets no slack", () => {
    const made = bench("Offers", zones("a", "b")).framework("f", { scheduler: "Offers", slack: 3 });
    made.task("t", { instances: 2, ...spread(1) }).settle();
    expect(made.openOffers().map(({ slices }) => slices.map(({ resources }) => resources.cpu))).toEqual([[1, 1]]);
  });

  test("what lives on a node whose label goes counts where it was, until it ends", () => {
    const nodes = zones("a", "b");
    const made = bench("Builtin", nodes)
      .task("t", { instances: 9, parallelism: 2, ...spread(1) })
      .settle();
    expect(placed(made, nodes)).toEqual({ a: 1, b: 1 });
    made.node("n0", { cpu: 100 }, { labels: {} }).node("n2", { cpu: 100 }, { labels: { zone: "a" } });
    made.task("t", { instances: 9, parallelism: 4, ...spread(1) }).settle();
    expect(
      made
        .all("create-pod")
        .slice(2)
        .map(({ node }) => node)
        .sort(),
    ).toEqual(["n1", "n2"]);
  });

  test("a pod that turns up on a node without the label counts nowhere, and may go", () => {
    const made = bench("Builtin", zones("a", "b")).node("bare", { cpu: 9 });
    made.held.add("create-pod");
    made.task("t", { instances: 3, parallelism: 1, ...spread(1) }).settle();
    made.create(made.last("create-pod")!, { node: "bare" });
    made.held.clear();
    made.task("t", { instances: 3, parallelism: 3, ...spread(1) }).settle();
    expect(
      made
        .all("create-pod")
        .slice(1)
        .map(({ node }) => node)
        .sort(),
    ).toEqual(["n0", "n1"]);
    made.finish("t-0-0");
    expect(made.broker.clusterView().inconsistencies).toBe(0);
  });

  test("all launches of an answer count together: what would be ahead is refused", () => {
    for (const [counts, phase] of [
      [[2, 1], "Accepted"],
      [[3, 1], "Refused"],
    ] as const) {
      const made = bench("Offers", zones("a", "b"))
        .task("t", { instances: 9, ...spread(1) })
        .settle();
      const [offer] = made.openOffers();
      made.accept(
        offer!,
        counts.map((count, i) => ({ task: "t", slice: `s${i}`, count })),
      );
      expect(made.last("close-offer")).toMatchObject({ phase });
    }
  });

  test("a slice on a node that has lost its label since is refused", () => {
    const made = bench("Offers", zones("a", "b"));
    made.task("t", { instances: 2, ...spread(1) }).settle();
    const [offer] = made.openOffers();
    made.held.add("close-offer");
    made.node("n0", { cpu: 100 }, { labels: {} });
    made.accept(offer!, [{ task: "t", slice: "s0", count: 1 }]);
    expect(made.all("create-pod")).toEqual([]);
    expect(made.last("close-offer")).toMatchObject({ phase: "Refused", reason: "constraint" });
  });
});
