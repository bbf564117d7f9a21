import { describe, expect, test } from "vitest";
import { claimId, type Instance, isLeaving, staged } from "./instance.ts";

const place = { index: 3, attempt: 1, node: 0, nodeName: "n0", vector: Float64Array.of(1), placedAtMs: 7 };

describe("an instance", () => {
  test("that has just got its place runs nowhere yet, and nobody has asked for its end", () => {
    expect(staged(place)).toEqual({
      ...place,
      state: "staging",
      unreachable: false,
      killing: false,
      recalled: false,
      reclaimedFor: undefined,
      deleting: false,
      pod: undefined,
      started: false,
      runsSinceMs: undefined,
    });
    expect(isLeaving(staged(place))).toBe(false);
  });

  test.each<{ name: string; change: Partial<Instance>; leaves: boolean }>([
    { name: "that we kill leaves", change: { killing: true }, leaves: true },
    { name: "whose pod is being deleted leaves", change: { deleting: true }, leaves: true },
    { name: "that is recalled with its gang leaves", change: { recalled: true }, leaves: true },
    { name: "that gives its room back leaves", change: { reclaimedFor: "q" }, leaves: true },
    { name: "whose node cannot be reached stays", change: { unreachable: true }, leaves: false },
    { name: "that runs stays", change: { state: "running", started: true, runsSinceMs: 9 }, leaves: false },
  ])("$name", ({ change, leaves }) => {
    expect(isLeaving({ ...staged(place), ...change })).toBe(leaves);
  });

  test("has a claim of its own, as long as its Task has the same uid", () => {
    expect(claimId("uid", 3)).toBe("task/uid/3");
  });
});
