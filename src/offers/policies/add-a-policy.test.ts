import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PODS } from "../resources.ts";
import type { Policy } from "./policy.ts";
import { POLICIES } from "./registry.ts";
import { counted, Scene } from "./serving.test-support.ts";

// What docs/guide/add-a-policy.md shows, word for word.

/** The child with the fewest instances, divided by its weight. */
const leastInstances: Policy = {
  reads: "usage",
  rescales: false,
  rank(child) {
    child.key = (child.usage[PODS] ?? 0) / child.weight;
  },
};

test("the policy that the guide adds does what the guide says", () => {
  const registered = POLICIES as unknown as Record<string, () => Policy>;
  registered.LeastInstances = () => leastInstances;
  try {
    const order = "LeastInstances" as keyof typeof POLICIES;
    const scene = new Scene({ cpu: 9 }).queue("top", { order });
    scene.leaf("a", { parent: "top", weight: 2 }).leaf("b", { parent: "top" });
    for (const name of ["a", "b"]) scene.wants(name, { asks: { cpu: 1 } });
    expect(counted(scene.served())).toEqual({ a: 6, b: 3 });
  } finally {
    delete registered.LeastInstances;
  }
});

test("the guide shows this very policy", () => {
  const guide = readFileSync(join(import.meta.dirname, "../../../docs/guide/add-a-policy.md"), "utf8");
  const here = readFileSync(import.meta.filename, "utf8");
  const shown = /export (const leastInstances: Policy = \{\n[\s\S]*?\n\};)/.exec(guide)?.[1];
  expect(shown).toBeDefined();
  expect(here).toContain(shown);
});
