import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Quantities } from "../resources.ts";
import { capacity } from "./capacity.ts";
import type { Contender } from "./policy.ts";
import { counted, Scene } from "./serving.test-support.ts";

const one = { cpu: 1 };

/** Queues under one that serves by capacity, with what they are guaranteed. */
function queues(cpu: number, guarantees: Record<string, Quantities>): Scene {
  const scene = new Scene({ cpu, memory: 100 }).queue("top", { order: "Capacity" });
  for (const [name, guarantee] of Object.entries(guarantees)) scene.leaf(name, { parent: "top", guarantee });
  return scene;
}

test("whoever has used the least part of its guarantee is served next, and past its guarantee the least so", () => {
  const scene = queues(12, { a: { cpu: 6 }, b: { cpu: 3 }, c: {} });
  for (const name of ["c", "b", "a"]) scene.wants(name, { asks: one });
  // By hand, a's parts of six and b's of three: at 2/6 and 1/3, and at 4/6 and 2/3, the one with fewer instances.
  expect(scene.served().join("")).toBe("abab" + "aabaa" + "baa");
});

test("who lacks any guaranteed resource comes before who has all of it, however much it holds of another", () => {
  const both = { cpu: 4, memory: 4 };
  const scene = queues(20, { lopsided: both, served: both, under: both });
  scene.holds("lopsided", { cpu: 6, memory: 1 }, 1).holds("served", { cpu: 2, memory: 2 }, 2);
  scene.holds("under", { cpu: 1, memory: 2 }, 1);
  for (const name of ["served", "lopsided", "under"]) scene.wants(name, { asks: one, instances: 1 });
  expect(scene.served()).toEqual(["under", "lopsided", "served"]);
});

test("who is guaranteed nothing comes last, and what nobody is guaranteed is served evenly", () => {
  const scene = queues(7, { a: {}, b: { cpu: 0 }, c: { cpu: 1 } });
  scene.holds("c", one, 2);
  for (const name of ["a", "b", "c"]) scene.wants(name, { asks: one, instances: name === "c" ? 2 : 9 });
  expect(scene.served()).toEqual(["c", "c", "a", "b", "a"]);
});

test("a queue that states no guarantee has the sum of its children's, and is served by that", () => {
  const scene = new Scene({ cpu: 9 }, { order: "Capacity" }).queue("sum").leaf("x", { guarantee: { cpu: 2 } });
  scene.leaf("y", { parent: "sum", guarantee: { cpu: 2 } }).leaf("z", { parent: "sum", guarantee: { cpu: 2 } });
  for (const name of ["x", "y", "z"]) scene.wants(name, { asks: one });
  expect(counted(scene.served())).toEqual({ x: 3, y: 3, z: 3 });
});

const vector = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 3, maxLength: 3 });

describe("keys, whatever is used and guaranteed,", () => {
  const ranked = (usage: number[], guarantee: number[]): Contender => {
    const shared = { usage: Float64Array.from(usage), guarantee: Float64Array.from(guarantee), weight: 1 };
    const child = { ...shared, shown: new Float64Array(0), head: undefined, tier: 0, key: 0 };
    capacity.rank(child, { total: new Float64Array(3), saturated: [] });
    return child;
  };
  test("are numbers, and only who is guaranteed something and lacks some of it is in front", () => {
    fc.assert(
      fc.property(vector, vector, (usage, guarantee) => {
        const { tier, key } = ranked(usage, guarantee);
        expect([tier, key].every(Number.isFinite)).toBe(true);
        const none = guarantee.every((due) => due === 0);
        const all = guarantee.every((due, r) => usage[r]! >= due);
        expect(tier).toBe(none ? 2 : all ? 1 : 0);
      }),
    );
  });

  test("do not fall when more is used", () => {
    fc.assert(
      fc.property(vector, vector, vector, (usage, more, guarantee) => {
        const [before, after] = [
          ranked(usage, guarantee),
          ranked(
            usage.map((u, r) => u + more[r]!),
            guarantee,
          ),
        ];
        expect([before.tier <= after.tier, before.key <= after.key]).toEqual([true, true]);
      }),
    );
  });
});

test("no queue is further into its guarantee than another that still wants something, by more than one instance", () => {
  const tenants = fc.array(
    fc.record({ due: fc.integer({ min: 1, max: 20 }), wants: fc.integer({ min: 0, max: 40 }) }),
    { minLength: 2, maxLength: 5 },
  );
  fc.assert(
    fc.property(tenants, fc.integer({ min: 1, max: 60 }), (list, cpu) => {
      const scene = queues(cpu, Object.fromEntries(list.map(({ due }, i) => [`q${i}`, { cpu: due }])));
      for (const [i, { wants }] of list.entries()) if (wants > 0) scene.wants(`q${i}`, { asks: one, instances: wants });
      const got = counted(scene.served());
      const part = (i: number, less = 0) => ((got[`q${i}`] ?? 0) - less) / list[i]!.due;
      for (const [i] of list.entries()) {
        for (const [j, { wants }] of list.entries()) {
          if ((got[`q${j}`] ?? 0) < wants) expect(part(i, 1)).toBeLessThanOrEqual(part(j));
        }
      }
    }),
    { numRuns: 60 },
  );
});
