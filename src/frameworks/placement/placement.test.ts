import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { binPack } from "./bin-pack.ts";
import { spread } from "./spread.ts";

const vector = (...values: number[]) => Float64Array.from(values);

describe("bin-pack and spread", () => {
  test.each([
    { name: "an empty node", free: vector(8, 16), total: vector(8, 16), used: 0 },
    { name: "a full node", free: vector(0, 0), total: vector(8, 16), used: 1 },
    { name: "half the cpu, all the memory used", free: vector(4, 0), total: vector(8, 16), used: 0.75 },
    { name: "only cpu and memory count", free: vector(8, 16, 0), total: vector(8, 16, 4), used: 0 },
    { name: "a resource that the node lacks does not count", free: vector(4, 0), total: vector(8, 0), used: 0.5 },
    { name: "an over-full node is full", free: vector(-4, 0), total: vector(8, 16), used: 1 },
    { name: "one resource at all", free: vector(2), total: vector(8), used: 0.75 },
  ])("$name", ({ free, total, used }) => {
    expect(binPack(free, total, 0, free.length)).toBe(used);
    expect(spread(free, total, 0, free.length)).toBe(1 - used);
  });

  test("a node without cpu and memory scores nothing either way", () => {
    expect(binPack(vector(0, 0, 3), vector(0, 0, 4), 0, 3)).toBe(0);
    expect(spread(vector(0, 0, 3), vector(0, 0, 4), 0, 3)).toBe(0);
  });

  test("of two nodes, one prefers the fuller and the other the emptier, and both stay within 0 and 1", () => {
    const node = fc.record({
      total: fc.tuple(fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 1, max: 1e12 })),
      fraction: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(node, node, (a, b) => {
        const total = vector(...a.total, 0, ...b.total, 0);
        const free = vector(
          ...a.total.map((whole) => whole * a.fraction),
          5,
          ...b.total.map((whole) => whole * b.fraction),
          7,
        );
        for (const placement of [binPack, spread]) {
          const [first, second] = [placement(free, total, 0, 3), placement(free, total, 3, 3)];
          expect(Math.min(first, second)).toBeGreaterThanOrEqual(0);
          expect(Math.max(first, second)).toBeLessThanOrEqual(1);
          const emptierIsFirst = a.fraction > b.fraction + 1e-9;
          if (emptierIsFirst) expect(first > second).toBe(placement === spread);
        }
      }),
    );
  });
});
