import fc from "fast-check";
import { expect, test } from "vitest";
import { Clockwork } from "../clockwork.test-support.ts";
import { HOLD_AFTER_MS as BUSY_HOLD, Busy, TASK_MS } from "./busy.test-support.ts";

const HOLD_AFTER_MS = 20_000;

interface GangOf {
  readonly cpu: number;
  readonly scheduler: "Builtin" | "Offers";
  readonly runMs: number;
  readonly atMs: number;
}

const gangs = fc.array(
  fc.record({
    cpu: fc.integer({ min: 1, max: 3 }),
    scheduler: fc.constantFrom("Builtin", "Offers"),
    runMs: fc.integer({ min: 1, max: 30_000 }),
    atMs: fc.integer({ min: 0, max: 10_000 }),
  }) as fc.Arbitrary<GangOf>,
  { minLength: 2, maxLength: 5 },
);

/**
 * Each gang needs more than half of the cluster, and small tasks are always there to take what becomes free. With parts of
 * two gangs started, or room held for two of them, neither would ever get the rest.
 */
test("gangs that each need more than half of the cluster all start in turn, whole, whoever else is served meanwhile", () => {
  const nodes = fc.array(fc.integer({ min: 3, max: 6 }), { minLength: 1, maxLength: 4 });
  const small = fc.record({
    instances: fc.integer({ min: 0, max: 200 }),
    runMs: fc.integer({ min: 500, max: 15_000 }),
  });
  fc.assert(
    fc.property(nodes, gangs, small, (cpus, all, crowd) => {
      const made = Clockwork.open({ holdAfterMs: HOLD_AFTER_MS }).framework("crowd") as Clockwork;
      for (const [n, cpu] of cpus.entries()) made.node(`n${n}`, { cpu });
      made.behaves("crowd", { thinkMs: 0, runMs: crowd.runMs });
      if (crowd.instances > 0) made.asking("t-crowd", { cpu: 1 }, { of: "crowd", instances: crowd.instances });
      const sizes = all.map(({ cpu, scheduler, runMs, atMs }, n) => {
        const most = cpus.reduce((sum, has) => sum + Math.floor(has / cpu), 0);
        const size = Math.floor(most / 2) + 1;
        made.framework(`g${n}`, { scheduler }).behaves(`g${n}`, { thinkMs: 100, runMs });
        const task = { of: `g${n}`, instances: size, gang: { minimum: size } };
        made.in(atMs, () => void made.asking(`t-g${n}`, { cpu }, { ...task, createdAtMs: made.nowMs }));
        return size;
      });
      const placed = (n: number) => [...made.pods.values()].filter(({ taskUid }) => taskUid === `t-g${n}-uid`).length;
      const isOver = () => sizes.every((size, n) => made.finished(`g${n}`) === size);
      const maxMs = 24 * 3_600_000;
      const tookMs = made.run(maxMs, isOver, () => {
        for (const [n, size] of sizes.entries()) expect([0, size]).toContain(placed(n));
      });
      expect(tookMs).toBeLessThan(maxMs);
    }),
    { numRuns: 40 },
  );
});

test("a gang of 50 among 500 small tasks that refill without end starts within holdAfter and the longest task", () => {
  const busy = new Busy(50, 10, {}, 40);
  busy.made
    .asking("t", { cpu: 1 }, { of: "f", instances: 50, gang: { minimum: 50 }, createdAtMs: busy.made.nowMs })
    .settle();
  const fromMs = busy.made.nowMs;
  busy.run(BUSY_HOLD - 1);
  expect(busy.placed("t")).toBe(0);
  expect(busy.why("t").reason).toBe("no-node");
  busy.run(1 + TASK_MS);
  expect(busy.placed("t")).toBe(50);
  expect(busy.startedAtMs.get("t")! - fromMs).toBeLessThanOrEqual(BUSY_HOLD + TASK_MS);
  expect(busy.made.all("delete-pod")).toEqual([]);
});
