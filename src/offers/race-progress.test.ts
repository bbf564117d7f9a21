import { describe, expect, test } from "vitest";
import { Clockwork } from "./clockwork.test-support.ts";
import type { RaceRules } from "./messages.ts";

const MODES: readonly RaceRules[] = [
  { conflict: "ResourceFit", transaction: "Incremental" },
  { conflict: "ResourceFit", transaction: "AllOrNothing" },
  { conflict: "Version", transaction: "Incremental" },
  { conflict: "Version", transaction: "AllOrNothing" },
];

/** 100 CPUs, of which the one queue may use 60; `quick` thinks for 10 ms, `slow` for a second. */
function pair(optimistic: RaceRules, instances: { quick: number; slow: number }): Clockwork {
  const world = Clockwork.open().queue("default", { limit: { cpu: 60 } }) as Clockwork;
  for (let n = 0; n < 10; n++) world.node(`n${n}`, { cpu: 10 });
  for (const name of ["quick", "slow"] as const) {
    world.framework(name, { scheduler: "Offers", concurrency: "Optimistic", optimistic });
    world.behaves(name, { thinkMs: name === "quick" ? 10 : 1_000, runMs: 500 });
    world.asking(`t-${name}`, { cpu: 1 }, { of: name, instances: instances[name] });
  }
  return world;
}

/** U ≤ L, and no node holds more than it has. */
function holds(world: Clockwork): void {
  const { allocated, offered } = world.broker.queueView("default")!;
  expect((allocated.cpu ?? 0) + (offered.cpu ?? 0)).toBeLessThanOrEqual(60);
  expect(world.broker.clusterView()).toMatchObject({ inconsistencies: 0, nodes: { overfull: 0 } });
}

describe.each(MODES)(
  "two that share a limit of 60 %, one 100 times as quick, under $conflict, $transaction",
  (rules) => {
    test("never use more than the limit at any step, lose races, and finish", () => {
      const world = pair(rules, { quick: 1_000, slow: 300 });
      const done = () => world.finished("quick") === 1_000 && world.finished("slow") === 300;
      world.run(600_000, done, () => holds(world));
      expect([world.finished("quick"), world.finished("slow")]).toEqual([1_000, 300]);
      expect(world.broker.clusterView().lostRaces).toBeGreaterThan(0);
    });

    // Takes 4 s. Without offers of its own after lost races, it takes 27 s to 94 s, the end of the quick one's 10,000.
    test("the slow one gets on while the quick one's work has no end", () => {
      const world = pair(rules, { quick: 10_000, slow: 20 });
      expect(world.run(600_000, () => world.finished("slow") === 20)).toBeLessThan(10_000);
      expect(world.broker.taskView("t-quick-uid")!.counts.pending).toBeGreaterThan(5_000);
    });

    test("one alone loses nothing, however often its nodes tell that they live", () => {
      const world = pair(rules, { quick: 300, slow: 1 }).framework("slow", { suppressed: true }) as Clockwork;
      world.behaves("quick", { thinkMs: 1_000, runMs: 700 });
      let beats = 0;
      const beat = () => {
        for (let n = 0; n < 10; n++) world.node(`n${n}`, { cpu: 10 }, { labels: { beat: `${beats}` } });
        beats++;
        world.in(90, beat);
      };
      beat();
      world.run(600_000, () => world.finished("quick") === 300);
      expect(world.finished("quick")).toBe(300);
      expect(beats).toBeGreaterThan(50);
      expect(world.broker.clusterView().lostRaces).toBe(0);
    });
  },
);
