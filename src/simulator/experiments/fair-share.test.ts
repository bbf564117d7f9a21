import { describe, expect, test } from "vitest";
import { dominantShare, fairnessError } from "./fair-share.ts";

// The example of the DRF paper (NSDI'11): ⟨9 CPU, 18 GB⟩, A's tasks ⟨1, 4⟩, B's ⟨3, 1⟩; fair are 3 and 2 tasks.
const TOTAL = { cpu: 9, memory: 18 };
const a = (tasks: number) => ({ cpu: tasks, memory: 4 * tasks });
const b = (tasks: number) => ({ cpu: 3 * tasks, memory: tasks });

describe("the fairness error", () => {
  test.each([
    { name: "nothing is wrong where both have two thirds", held: [a(3), b(2)], error: 0 },
    { name: "what A lacks counts, not what B has too much", held: [a(1.5), b(2.5)], error: 1 / 3 },
    { name: "of two that have nothing each lacks its share", held: [a(0), b(0)], error: 4 / 3 },
  ])("$name", ({ held, error }) => {
    const tenants = [
      { held: held[0]!, wanted: a(100) },
      { held: held[1]!, wanted: b(100) },
    ];
    expect(fairnessError(tenants, TOTAL)).toBeCloseTo(error, 6);
  });

  test("nobody lacks what it does not want", () => {
    const tenants = [
      { held: a(1), wanted: a(1) },
      { held: b(0), wanted: b(0) },
    ];
    expect(fairnessError(tenants, TOTAL)).toBe(0);
  });

  test("what one does not want is due to the other", () => {
    const tenants = [
      { held: a(1), wanted: a(1) },
      { held: b(1), wanted: b(100) },
    ];
    // B's fair share is 8/9: A leaves 8 of the 9 CPUs.
    expect(fairnessError(tenants, TOTAL)).toBeCloseTo(8 / 9 - 3 / 9, 6);
  });

  test("a share is the greatest of its resources'", () => {
    expect(dominantShare(a(3), TOTAL)).toBeCloseTo(2 / 3);
    expect(dominantShare({}, TOTAL)).toBe(0);
  });
});
