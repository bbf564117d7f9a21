import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Lines } from "../lines.ts";
import { NodeTable } from "../nodes/nodes.ts";
import { type Order, POLICIES } from "../policies/registry.ts";
import { counted, Scene } from "../policies/serving.test-support.ts";
import { type Quantities, ResourceTable } from "../resources.ts";
import { Descent } from "./descent.ts";
import type { Head } from "./heads.ts";
import { type Claimant, QueueTree } from "./queues.ts";

const GPU = "example.com/gpu";
const ORDERS = Object.keys(POLICIES) as Order[];

describe("orders mix in one tree", () => {
  /** The example of hierarchical DRF: n1 wants GPUs; n2 has one child with all the CPUs and one that wants GPUs. */
  function starvation(scene: Scene, above: string | undefined, facts: object = {}): Scene {
    const parent = above === undefined ? {} : { parent: above };
    scene.leaf("n1").queue("n2", { ...parent, ...facts });
    scene.leaf("n21", { parent: "n2" }).leaf("n22", { parent: "n2" });
    scene.wants("n1", { asks: { [GPU]: 1 } }).wants("n22", { asks: { [GPU]: 1 } });
    return scene.wants("n21", { asks: { cpu: 1 } });
  }
  const pool = { cpu: 10, [GPU]: 10, memory: 10 };

  test("the GPUs are shared evenly beside a queue that serves first in, first out", () => {
    const scene = starvation(new Scene(pool), undefined).queue("n3", { order: "Fifo" });
    scene.framework("old", "n3").framework("new", "n3");
    scene.wants("new", { asks: { memory: 1 }, createdAtMs: 2 });
    scene.wants("old", { asks: { memory: 1 }, createdAtMs: 1, instances: 7 });
    expect(counted(scene.served())).toEqual({ n1: 5, n21: 10, n22: 5, old: 7, new: 3 });
  });

  test.each(ORDERS)("they are shared evenly where a queue of order %s stands between", (order) => {
    const between = { order, ...(order === "Fair" && { fairResource: "cpu" }) };
    const scene = new Scene(pool).queue("between", between).leaf("idle", { parent: "between" });
    expect(counted(starvation(scene, "between").served())).toEqual({ n1: 5, n21: 10, n22: 5 });
  });

  test("what one child holds beyond its own need of CPUs does not starve the other of GPUs, with others in between", () => {
    // CPUs are left, so that they go on counting: only rescaling keeps n2's share down to that of the child that is behind.
    const scene = new Scene({ cpu: 1_000, [GPU]: 10 }).queue("between", { order: "Priority" });
    starvation(scene, "between");
    const served = scene.served();
    const gpus = served.filter((name) => name !== "n21");
    expect(counted(gpus)).toEqual({ n1: 5, n22: 5 });
  });

  test("a queue that serves one after the other is worth what it uses, not what its last child does", () => {
    const scene = new Scene({ cpu: 24 }).queue("x", { order: "Fifo" }).leaf("y");
    scene.framework("first", "x").framework("second", "x");
    scene.wants("second", { asks: { cpu: 1 }, createdAtMs: 2 }).wants("first", { asks: { cpu: 1 }, createdAtMs: 1 });
    scene.wants("y", { asks: { cpu: 1 } });
    expect(counted(scene.served())).toEqual({ first: 12, y: 12 });
  });

  test("hierarchical DRF under capacity under priority", () => {
    const scene = new Scene({ cpu: 16, memory: 160 }, { order: "Priority" });
    scene.queue("prod", { order: "Capacity" }).leaf("batch");
    scene
      .queue("web", { parent: "prod", guarantee: { cpu: 4 } })
      .leaf("etl", { parent: "prod", guarantee: { cpu: 8 } });
    scene.leaf("a", { parent: "web" }).leaf("b", { parent: "web", weight: 2 });
    const one = { cpu: 1, memory: 1 };
    scene
      .wants("batch", { asks: one, priority: 1, instances: 2 }, "urgent")
      .wants("batch", { asks: one, priority: -1 });
    // Its priority is that of the first Task anywhere below: prod comes before what is left of batch.
    for (const name of ["a", "b"]) scene.wants(name, { asks: one, instances: 9 });
    scene.wants("etl", { asks: one, instances: 9 });
    const served = scene.served();
    expect(served.slice(0, 2)).toEqual(["batch", "batch"]);
    // 14 are left, at a third for web and two thirds for etl; and a third of that for a.
    expect(counted(served)).toEqual({ batch: 2, etl: 9, a: 2, b: 3 });
  });

  test("among queues, age counts by the first Task below, in whatever order they serve it themselves", () => {
    const scene = new Scene({ cpu: 4 }, { order: "Fifo" }).queue("shared").leaf("single");
    scene.framework("busy", "shared").framework("patient", "shared").holds("patient", { cpu: 1 }, 1);
    scene.wants("busy", { asks: { cpu: 1 }, createdAtMs: 3, instances: 1 });
    scene.wants("single", { asks: { cpu: 1 }, createdAtMs: 2, instances: 1 });
    scene.wants("patient", { asks: { cpu: 1 }, createdAtMs: 1, instances: 1 });
    expect(scene.served()).toEqual(["busy", "patient", "single"]);
  });

  test("who turns offers down stands behind its siblings, and puts its queue before no other by its age", () => {
    const scene = new Scene({ cpu: 9 }, { order: "Fifo" }).queue("q", { order: "Capacity" }).leaf("other");
    const queues = [{ name: "q", weight: 1 }];
    scene.made.framework("decliner", { queues, scheduler: "Offers" }).framework("willing", { queues });
    scene.wants("decliner", { asks: { cpu: 9 }, instances: 1, createdAtMs: 1 });
    for (let i = 0; i < 3; i++) {
      scene.settled();
      scene.made.decline(scene.made.openOffers("decliner")[0]!, 0);
    }
    scene.wants("other", { asks: { cpu: 1 }, createdAtMs: 2, instances: 5 });
    scene.wants("willing", { asks: { cpu: 1 }, createdAtMs: 3 });
    expect(scene.served().join(" ")).toBe("other other other other other willing willing willing willing");
  });

  test("an order that changes holds from the next round on", () => {
    const scene = new Scene({ cpu: 2 })
      .queue("q", { order: "Capacity" })
      .leaf("a", { parent: "q", guarantee: { cpu: 2 } });
    scene.leaf("b", { parent: "q" }).holds("a", { cpu: 1 }, 1);
    scene.queue("q", { order: "DominantShare" }).queue("a", { parent: "q" });
    scene.wants("a", { asks: { cpu: 1 } }).wants("b", { asks: { cpu: 1 } });
    expect(scene.served()).toEqual(["b"]);
  });
});

const leaf = fc.record({
  queue: fc.nat(5),
  cpu: fc.integer({ min: 1, max: 3 }),
  memory: fc.integer({ min: 0, max: 3 }),
  instances: fc.integer({ min: 1, max: 15 }),
  priority: fc.integer({ min: 0, max: 2 }),
  createdAtMs: fc.integer({ min: 1, max: 3 }),
});
const queue = fc.record({
  parent: fc.nat(5),
  order: fc.constantFrom(...ORDERS),
  weight: fc.integer({ min: 1, max: 3 }),
  guarantee: fc.integer({ min: 0, max: 6 }),
});
const trees = {
  top: fc.constantFrom(...ORDERS),
  queues: fc.array(queue, { minLength: 1, maxLength: 6 }),
  leaves: fc.array(leaf, { minLength: 1, maxLength: 7 }),
};
type Trees = { [K in keyof typeof trees]: (typeof trees)[K] extends fc.Arbitrary<infer T> ? T : never };

/** Queues below earlier ones only, or below none. */
const parentOf = (i: number, parent: number): string | undefined => (parent < i ? `q${parent}` : undefined);

describe("whatever tree, whatever orders,", () => {
  function scene({ top, queues, leaves }: Trees, reversed: boolean): Scene {
    const made = new Scene({ cpu: 30, memory: 30 }, { order: top, fairResource: "memory" });
    const steps = [
      ...queues.map(({ parent, order, weight }, i) => () => {
        const above = parentOf(i, parent);
        made.queue(`q${i}`, { order, fairResource: "cpu", weight, ...(above && { parent: above }) });
      }),
      ...leaves.map(
        ({ queue: at }, i) =>
          () =>
            void made.framework(`f${i}`, `q${at % queues.length}`),
      ),
      ...leaves.map(({ cpu, memory, queue: _, ...rest }, i) => () => {
        made.wants(`f${i}`, { asks: { cpu, memory }, ...rest });
      }),
    ];
    for (const step of reversed ? steps.reverse() : steps) step();
    return made;
  }

  test("the outcome does not hang on the order in which things were observed", () => {
    fc.assert(
      fc.property(fc.record(trees), (all) => {
        expect(scene(all, true).served()).toEqual(scene(all, false).served());
      }),
      { numRuns: 100 },
    );
  });

  test("nothing that anyone could use is left over", () => {
    fc.assert(
      fc.property(fc.record(trees), (all) => {
        const got = counted(scene(all, false).served());
        let [cpu, memory] = [30, 30];
        for (const [i, asks] of all.leaves.entries()) {
          cpu -= asks.cpu * (got[`f${i}`] ?? 0);
          memory -= asks.memory * (got[`f${i}`] ?? 0);
        }
        expect([cpu >= 0, memory >= 0]).toEqual([true, true]);
        for (const [i, asks] of all.leaves.entries()) {
          if ((got[`f${i}`] ?? 0) < asks.instances) expect(asks.cpu > cpu || asks.memory > memory).toBe(true);
        }
      }),
      { numRuns: 100 },
    );
  });

  test("keys kept along the paths choose as keys made from scratch would", () => {
    const step = fc.record({
      what: fc.constantFrom("grant", "grant", "grant", "block", "saturate", "retain"),
      pick: fc.nat(),
    });
    fc.assert(
      fc.property(fc.record(trees), fc.array(step, { minLength: 8, maxLength: 40 }), (all, steps) => {
        const [kept, fresh] = [new Side(all), new Side(all)];
        kept.begin(kept.claimants);
        const saturated: number[] = [];
        let left = kept.claimants.map(({ name }) => name);
        for (const { what, pick } of steps) {
          const next = kept.descent.next();
          // All that is known to the one is told to the other at once.
          fresh.begin(fresh.claimants.filter(({ name }) => left.includes(name)));
          for (const resource of saturated) fresh.descent.saturate(resource);
          expect(next?.name).toBe(fresh.descent.next()?.name);
          if (next === undefined) break;
          if (what === "saturate") {
            saturated.push(pick % 2);
            kept.descent.saturate(pick % 2);
          } else if (what === "retain") {
            left = left.filter((name) => name === next.name || name.length % 2 === pick % 2);
            kept.descent.retain(({ name }) => left.includes(name));
          } else if (what === "block") {
            left = left.filter((name) => name !== next.name);
            kept.descent.block(next);
          } else {
            for (const side of [kept, fresh]) side.grant(next.name, pick);
            kept.descent.update(next, { next: kept.heads.get(next.name) });
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});

/** A tree with its way down, and heads as if out of lines. */
class Side {
  readonly heads = new Map<string, Head>();
  readonly claimants: Claimant[];
  readonly descent: Descent;
  readonly #resources = new ResourceTable();
  readonly #asks = new Map<string, Quantities>();

  constructor({ top, queues, leaves }: Trees) {
    const nodes = new NodeTable(this.#resources);
    const allocatable = { cpu: 30, memory: 30 };
    nodes.observe({ name: "n", uid: "u", labels: {}, taints: [], ready: true, allocatable }, 0);
    const tree = new QueueTree(this.#resources, { order: top, fairResource: "memory" });
    for (const [i, { parent, order, weight, guarantee }] of queues.entries()) {
      const above = parentOf(i, parent);
      const facts = { name: `q${i}`, weight, order, guarantee: { cpu: guarantee }, limit: {}, namespaces: [] };
      tree.observe({ ...facts, ...(above && { parent: above }) });
    }
    this.claimants = leaves.map(({ queue: at, cpu, memory, priority, createdAtMs }, i) => {
      const claimant = tree.claimant(`f${i}`, `q${at % queues.length}`);
      claimant.penalised = i % 4 === 3;
      this.#asks.set(claimant.name, { cpu, memory });
      this.heads.set(claimant.name, { priority, createdAtMs, key: claimant.name, uid: "" });
      return claimant;
    });
    const lines = { first: ({ name }: Claimant) => ({ next: this.heads.get(name) }) };
    this.descent = new Descent(tree.root, nodes, lines as unknown as Lines);
  }

  begin(unblocked: readonly Claimant[]): void {
    this.descent.begin(unblocked);
  }

  /** One instance more, and another head. */
  grant(name: string, pick: number): void {
    const claimant = this.claimants.find((other) => other.name === name)!;
    claimant.held("task", this.#resources.vector(this.#asks.get(name)!), 1, 1);
    this.heads.set(name, { ...this.heads.get(name)!, priority: pick % 3, createdAtMs: pick % 5 });
  }
}
