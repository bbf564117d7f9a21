import { describe, expect, test } from "vitest";
import { ResourceTable } from "../resources.ts";
import type { Constraints } from "./constraints.ts";
import { NodeTable } from "./nodes.ts";
import { ShapeTable } from "./shapes.ts";

const owner = { task: "t", framework: "ns/f" };
const spread = (topologyKey: string, over: "Task" | "Framework" = "Framework"): Constraints => ({
  spread: [{ topologyKey, maxSkew: 1, over }],
});

function setUp() {
  const resources = new ResourceTable();
  const nodes = new NodeTable(resources);
  const shapes = new ShapeTable(nodes);
  const facts = { uid: "n-uid", allocatable: { cpu: 4, pods: 9 }, taints: [], ready: true };
  nodes.observe({ ...facts, name: "n", labels: { disk: "ssd", zone: "a" } }, 0);
  const use = (cpu: number, constraints: Constraints = {}, by = owner) =>
    shapes.use(resources.vector({ cpu, pods: 1 }), constraints, by);
  return { resources, nodes, shapes, use };
}

describe("equal requests under equal constraints are one shape", () => {
  test.each<{ name: string; a: Constraints; b: Constraints; same: boolean }>([
    { name: "none at all", a: {}, b: { nodeSelector: {}, tolerations: [], nodeAffinity: [] }, same: true },
    {
      name: "a selector in another order",
      a: { nodeSelector: { disk: "ssd", zone: "a" } },
      b: { nodeSelector: { zone: "a", disk: "ssd" } },
      same: true,
    },
    {
      name: "another selector",
      a: { nodeSelector: { disk: "ssd" } },
      b: { nodeSelector: { disk: "hdd" } },
      same: false,
    },
    {
      name: "an affinity that names no label",
      a: { nodeAffinity: [] },
      b: { nodeAffinity: [{ matchExpressions: [] }] },
      same: false,
    },
    { name: "a toleration", a: {}, b: { tolerations: [{ key: "k", operator: "Exists" }] }, same: false },
    { name: "a spread", a: {}, b: spread("zone"), same: false },
  ])("$name: $same", ({ a, b, same }) => {
    const { use } = setUp();
    expect(use(1, a) === use(1, b)).toBe(same);
    expect(use(1, a)).not.toBe(use(2, a));
  });

  test("a spread over a Task is that Task's own, one over a framework all its Tasks'", () => {
    const { use } = setUp();
    const other = { task: "u", framework: "ns/f" };
    expect(use(1, spread("zone", "Task"))).not.toBe(use(1, spread("zone", "Task"), other));
    expect(use(1, spread("zone"))).toBe(use(1, spread("zone"), other));
  });
});

describe("shapes that nobody uses", () => {
  test("are kept as long as they are few, and are then forgotten with all that was theirs alone", () => {
    const { shapes, use } = setUp();
    const used = use(1, spread("zone"));
    const idle = use(3, { ...spread("disk"), nodeSelector: { disk: "ssd" } });
    shapes.release(idle);
    shapes.prune(2);
    const again = use(3, { ...spread("disk"), nodeSelector: { disk: "ssd" } });
    expect(again).toBe(idle);
    shapes.release(again);
    shapes.prune(1);
    const fresh = use(3, { ...spread("disk"), nodeSelector: { disk: "ssd" } });
    expect(fresh).not.toBe(idle);
    expect([fresh.size === idle.size, fresh.where === idle.where]).toEqual([false, false]);
    expect(fresh.spread[0]!.counts).not.toBe(idle.spread[0]!.counts);
    expect(use(1, spread("zone"))).toBe(used);
  });

  test("leave to others what they shared: the size, the nodes, and who is spread with them", () => {
    const { shapes, use } = setUp();
    const used = use(2, spread("zone"));
    const idle = use(3, spread("zone"));
    expect([idle.size === used.size, idle.where === used.where]).toEqual([true, true]);
    used.spread[0]!.counts.join("one", 0);
    shapes.release(idle);
    shapes.prune(0);
    const fresh = use(3, spread("zone"));
    expect(fresh).not.toBe(idle);
    expect([fresh.size, fresh.where, fresh.spread[0]]).toEqual([used.size, used.where, used.spread[0]]);
    expect(fresh.spread[0]!.counts.in("a")).toBe(1);
  });

  test("are not told of nodes any more", () => {
    const { nodes, shapes, use } = setUp();
    const idle = use(1, { nodeSelector: { disk: "ssd" } });
    expect([...idle.where.admits]).toEqual([0]);
    shapes.release(idle);
    shapes.prune(0);
    nodes.gone(nodes.get("n")!);
    expect([...idle.where.admits]).toEqual([0]);
    expect([...use(1, { nodeSelector: { disk: "ssd" } }).where.admits]).toEqual([]);
  });
});

describe("a node where it did not fit", () => {
  test("is passed over until it gains room, by its shape alone or by all of its size", () => {
    const { nodes, resources, shapes, use } = setUp();
    // Both are of the size 2.
    const [three, two] = [use(3), use(2)];
    for (const shape of [three, two]) shapes.asked(shape, 1);
    nodes.take(0, resources.vector({ cpu: 2 }), 1);
    shapes.failed(three, 0);
    expect([shapes.hasCandidate(three), shapes.hasCandidate(two), shapes.isFull(two.size)]).toEqual([
      false,
      true,
      false,
    ]);
    nodes.take(0, resources.vector({ cpu: 1 }), 1);
    shapes.failed(two, 0);
    expect([shapes.hasCandidate(two), shapes.isFull(two.size), shapes.anyLeft()]).toEqual([false, true, false]);
    nodes.take(0, resources.vector({ cpu: 1 }), -1);
    shapes.gained(nodes.drainGained());
    expect([three.exhausted, shapes.hasCandidate(two), shapes.anyLeft()]).toEqual([true, true, true]);
  });

  test("is looked at again by a shape that nobody asked for in between", () => {
    const { shapes, use } = setUp();
    const shape = use(9);
    shapes.asked(shape, 1);
    shapes.failed(shape, 0);
    expect(shapes.hasCandidate(shape)).toBe(false);
    shapes.asked(shape, -1);
    expect([...shapes.active]).toEqual([]);
    shapes.asked(shape, 1);
    expect(shapes.hasCandidate(shape)).toBe(true);
  });
});
