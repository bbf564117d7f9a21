import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ReclaimBench } from "./reclaim.test-support.ts";

const GRACE_MS = 30_000;

describe("what starts together, spread over domains, and is due", () => {
  const constraints = { spread: [{ topologyKey: "zone", maxSkew: 1, over: "Task" as const }] };
  const spread = (minimum: number) => ({ gang: { minimum }, constraints });
  /** Zones x and y of 4 CPUs each; what runs in x has the lower priority. */
  function zones(guarantee: number, y: "b" | "c" = "b"): ReclaimBench {
    const c = { guarantee: { cpu: 4 } };
    const made = ReclaimBench.of({ a: { guarantee: { cpu: guarantee } }, b: {}, c });
    for (const zone of ["x", "y"]) made.node(zone, { cpu: 4 }, { labels: { zone } });
    made.cpu("b", "tx", 1, 4, { constraints: { nodeSelector: { zone: "x" } } });
    made.cpu(y, "ty", 1, 4, { constraints: { nodeSelector: { zone: "y" } }, priority: 5 });
    return made.settle().run();
  }
  const ended = (made: ReclaimBench, task: string) => made.ending.filter((name) => name.startsWith(task)).length;

  test("has as much room made in each domain as it needs there", () => {
    const made = zones(4);
    made.cpu("a", "gang", 1, 4, spread(4)).settle().wait(GRACE_MS);
    expect([ended(made, "tx"), ended(made, "ty")]).toEqual([2, 2]);
    made.terminate();
    expect(made.used("a")).toBe(4);
    expect(made.wait(600_000).ending).toEqual([]);
  });

  test("has what is free in one domain beside what is made in the other", () => {
    const made = zones(4);
    made.node("z", { cpu: 2 }, { labels: { zone: "x" } });
    made.cpu("a", "gang", 1, 4, spread(4)).settle().wait(GRACE_MS);
    expect([ended(made, "tx"), ended(made, "ty")]).toEqual([0, 2]);
    made.terminate();
    expect(made.used("a")).toBe(4);
  });

  test("has nothing taken back for it where one domain would have too little", () => {
    const made = zones(4, "c");
    made.cpu("a", "gang", 1, 4, spread(4)).settle().wait(GRACE_MS);
    expect([made.asked(), made.ending]).toEqual([[], []]);
    // Nothing has changed: nothing leads to another round.
    expect(made.broker.nextTickMs(made.nowMs)).toBeGreaterThan(made.nowMs + 1_000);
  });

  test("has room made once those who give have run for as long as they may", () => {
    const made = zones(4).queue("b", { reclaim: { minimumRuntimeMs: 60_000 } });
    made.cpu("a", "gang", 1, 4, spread(4)).settle().wait(59_000);
    expect(made.asked()).toEqual([]);
    expect(made.broker.explainTask("gang-uid")).toEqual({
      reason: "minimum-runtime",
      message: expect.stringMatching(/^gang of 4: what could be taken back for queue a may run until \S+Z at least$/),
    });
    made.wait(1_000).wait(GRACE_MS);
    expect([ended(made, "tx"), ended(made, "ty")]).toEqual([2, 2]);
  });

  test("has nothing taken back for it beyond what its queue is guaranteed", () => {
    const made = zones(3);
    made.cpu("a", "gang", 1, 4, spread(4)).settle().wait(GRACE_MS);
    expect([made.asked(), made.ending]).toEqual([[], []]);
  });

  test("has a group's instances of several shapes where they may go", () => {
    const made = zones(6);
    const group = { name: "g", size: 2 };
    made.cpu("a", "large", 2, 2, { group, constraints }).cpu("a", "small", 1, 2, { group, constraints });
    made.settle();
    for (const task of ["large", "small"]) {
      expect(made.broker.explainTask(`${task}-uid`)).toEqual({
        reason: "asked-back",
        message: expect.stringMatching(
          /^group g of 2 tasks: room on [xy] is kept for it by ns\/b in queue b, asked back by \S+Z$/,
        ),
      });
    }
    made.wait(GRACE_MS).terminate();
    expect(made.used("a")).toBe(6);
    expect([made.used("b"), made.wait(600_000).ending]).toEqual([2, []]);
  });
});

/** Zones with nodes, on each of which `b` runs some tasks; and a gang that is due. */
const worlds = fc.record({
  zones: fc.array(
    fc.array(fc.record({ free: fc.nat({ max: 2 }), tasks: fc.nat({ max: 4 }) }), { minLength: 1, maxLength: 2 }),
    {
      minLength: 2,
      maxLength: 3,
    },
  ),
  size: fc.integer({ min: 1, max: 2 }),
  instances: fc.integer({ min: 2, max: 6 }),
  maxSkew: fc.integer({ min: 1, max: 2 }),
  guarantee: fc.integer({ min: 2, max: 12 }),
});

describe("a decision for what is spread, in whatever cluster", () => {
  test("ends something if and only if all of it starts by that, and then nothing more", () => {
    fc.assert(
      fc.property(worlds, ({ zones, size, instances, maxSkew, guarantee }) => {
        const made = ReclaimBench.of({ a: { guarantee: { cpu: guarantee } }, b: {} });
        const most = zones.map((nodes, z) => {
          nodes.forEach(({ free, tasks }, n) => {
            const node = `${z}-${n}`;
            made.node(node, { cpu: free + tasks }, { labels: { zone: `${z}`, node } });
            made.cpu("b", `t${node}`, 1, tasks, { constraints: { nodeSelector: { node } } }).settle();
          });
          return nodes.reduce((sum, { free, tasks }) => sum + Math.floor((free + tasks) / size), 0);
        });
        made.run();
        const constraints = { spread: [{ topologyKey: "zone", maxSkew, over: "Task" as const }] };
        made.cpu("a", "gang", size, instances, { gang: { minimum: instances }, constraints }).settle();
        const startsAtOnce = made.used("a") > 0;
        made.wait(GRACE_MS);
        const [least] = [...most].sort((a, b) => a - b);
        const room = most.reduce((sum, count) => sum + Math.min(count, least! + maxSkew), 0);
        const could = room >= instances && size * instances <= guarantee;
        expect(startsAtOnce || made.ending.length > 0).toBe(startsAtOnce || could);
        made.terminate();
        expect(made.used("a")).toBe(startsAtOnce || could ? size * instances : 0);
        expect(made.wait(600_000).ending).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
