import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Queue, QueueTree } from "../queues/queues.ts";
import { ResourceTable, type Vector } from "../resources.ts";
import { Entitlement } from "./entitlement.ts";
import { ReclaimBench } from "./reclaim.test-support.ts";
import { UsageAhead } from "./usage-ahead.ts";

const amounts = (max: number) => fc.record({ cpu: fc.nat({ max }), memory: fc.nat({ max }) });
type Amounts = { readonly cpu: number; readonly memory: number };
/** Queues q0 to q5, each below one of those before it or below the root, with a guarantee and something that it uses. */
const trees = fc.array(fc.record({ parent: fc.nat(), guarantee: amounts(8), usage: amounts(8) }), {
  minLength: 2,
  maxLength: 6,
});

function treeOf(list: readonly { parent: number; guarantee: Amounts; usage: Amounts }[]): {
  tree: QueueTree;
  resources: ResourceTable;
  queues: Queue[];
} {
  const resources = new ResourceTable();
  const tree = new QueueTree(resources);
  const above = list.map(({ parent }, i) => parent % (i + 1));
  // What is said of a queue is what it has beyond what those below it are guaranteed.
  const guarantees = list.map(({ guarantee: { cpu, memory } }) => ({ cpu, memory }));
  for (let i = list.length - 1; i >= 0; i--) {
    if (above[i]! === i) continue;
    for (const resource of ["cpu", "memory"] as const) guarantees[above[i]!]![resource] += guarantees[i]![resource];
  }
  guarantees.forEach((guarantee, i) => {
    const stated = Object.fromEntries(Object.entries(guarantee).filter(([, amount]) => amount > 0));
    const facts = { name: `q${i}`, weight: 1, guarantee: stated, limit: {}, namespaces: ["*"] };
    tree.observe(above[i]! < i ? { ...facts, parent: `q${above[i]}` } : facts);
  });
  list.forEach(({ usage }, i) => {
    tree.claimant(`ns/f${i}`, `q${i}`).held("task", resources.vector(usage), 1, 1);
  });
  return { tree, resources, queues: list.map((_, i) => tree.queues.get(`q${i}`)!) };
}

/** Σ max(0, U − G) over these queues, in these resources. */
function excess(ahead: UsageAhead, queues: readonly Queue[], resources: readonly number[]): number {
  let sum = 0;
  for (const queue of queues) {
    for (const r of resources) sum += Math.max(0, (ahead.usage(queue)[r] ?? 0) - (queue.guarantee[r] ?? 0));
  }
  return sum;
}

const guaranteed = (queue: Queue, request: Vector) =>
  [0, 1].filter((r) => request[r]! > 0 && (queue.guarantee[r] ?? 0) > 0);

describe("whoever is eligible, in whatever tree", () => {
  test("lets Φ fall by going, and leaves the claimant within its guarantee", () => {
    const victims = fc.array(fc.record({ of: fc.nat(), vector: amounts(4) }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(trees, fc.nat(), amounts(4), victims, (list, claimant, asked, gone) => {
        const { tree, resources, queues } = treeOf(list);
        const ahead = new UsageAhead(tree);
        const request = resources.vector(asked);
        const own = queues[claimant % queues.length]!;
        const entitlement = new Entitlement(tree, ahead, own, request);
        for (const { of, vector } of gone) {
          const victim = queues[of % queues.length]!;
          const contest = entitlement.contest(victim);
          const held = resources.vector(vector);
          const lacking = request.map((amount) => Math.sign(amount));
          if (contest === undefined || !entitlement.covers(contest.own)) continue;
          if (!entitlement.eligible(contest, held, lacking)) continue;
          const covered = guaranteed(contest.own, request);
          for (const r of covered) {
            expect((ahead.usage(contest.own)[r] ?? 0) + request[r]!).toBeLessThanOrEqual(contest.own.guarantee[r]!);
          }
          for (const queue of contest.path) {
            const before = excess(ahead, [queue], covered);
            ahead.shift(victim, held, -1);
            expect(excess(ahead, [queue], covered)).toBeLessThan(before);
            ahead.shift(victim, held, 1);
          }
          ahead.shift(victim, held, -1);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test("is of another branch of the tree than the claimant, and nobody is against himself", () => {
    fc.assert(
      fc.property(trees, fc.nat(), amounts(4), (list, claimant, asked) => {
        const { tree, resources, queues } = treeOf(list);
        const own = queues[claimant % queues.length]!;
        const entitlement = new Entitlement(tree, new UsageAhead(tree), own, resources.vector(asked));
        for (const victim of queues) {
          const contest = entitlement.contest(victim);
          const [above, mine] = [[...tree.path(victim)], [...tree.path(own)]];
          const isBelow = above.includes(own);
          expect(contest === undefined).toBe(isBelow);
          if (contest === undefined) continue;
          expect(mine).toContain(contest.own);
          for (const queue of contest.path) expect(mine).not.toContain(queue);
          expect(contest.path.at(-1)?.parent ?? victim).toBe(contest.own.parent);
        }
      }),
      { numRuns: 500 },
    );
  });
});

/** What may happen to a full cluster of two queues: tasks of some sizes on some nodes, and one that is due. */
const worlds = fc.record({
  guarantee: fc.integer({ min: 1, max: 10 }),
  own: fc.nat({ max: 6 }),
  free: fc.nat({ max: 3 }),
  sizes: fc.array(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 }), {
    minLength: 1,
    maxLength: 2,
  }),
  due: fc.integer({ min: 1, max: 8 }),
});
type World = typeof worlds extends fc.Arbitrary<infer T> ? T : never;

function worldOf({ guarantee, own, free, sizes }: World): ReclaimBench {
  const made = ReclaimBench.of({
    a: { guarantee: { cpu: guarantee } },
    b: { guarantee: { cpu: own }, reclaim: { graceMs: 0 } },
  });
  sizes.forEach((list, n) => {
    const node = `n${n}`;
    made.node(node, { cpu: list.reduce((sum, size) => sum + size, free) }, { labels: { node } });
    list.forEach((size, i) => {
      made.cpu("b", `t${n}-${i}`, size, 1, { constraints: { nodeSelector: { node } } }).settle();
    });
  });
  return made;
}

/** Is there a node, and victims there in some order, so that each is above what `b` is due before it goes? */
function couldFit({ guarantee, own, free, sizes, due }: World): boolean {
  if (due > guarantee) return false;
  const used = sizes.flat().reduce((sum, size) => sum + size, 0);
  const reaches = (list: readonly number[], room: number, usage: number): boolean =>
    room >= due ||
    (usage > own &&
      list.some((size, i) => reaches([...list.slice(0, i), ...list.slice(i + 1)], room + size, usage - size)));
  return sizes.some((list) => reaches(list, free, used));
}

describe("a decision in whatever cluster", () => {
  test("finds victims if and only if there is a legal set of them, and then the one who is due starts", () => {
    fc.assert(
      fc.property(worlds, (world) => {
        const made = worldOf(world);
        const before = made.used("b");
        made.cpu("a", "due", world.due).settle();
        const fits = made.used("a") > 0;
        const taken = made.ending.length > 0;
        expect(fits || taken).toBe(fits || couldFit(world));
        made.terminate();
        expect(made.used("a")).toBe(fits || taken ? world.due : 0);
        // What was taken, and no more than was needed: with any one of them less it would not have fit.
        expect(made.used("b")).toBeLessThanOrEqual(before);
      }),
      { numRuns: 500 },
    );
  });

  test("does not take for borrowed what has only gathered for a long wait", () => {
    const made = worldOf({ guarantee: 8, own: 3, free: 2, sizes: [[5, 2], [1]], due: 8 });
    made.cpu("a", "due", 8, 2).settle();
    made.terminate();
    expect([made.used("a"), made.used("b")]).toEqual([8, 1]);
    made.wait(600_000);
    expect(made.keptFor("a")).toBe(1);
    made.wait(3_600_000);
    expect(made.ending).toEqual([]);
  });

  test("takes nothing to and fro, though whoever gives wants it back at once and has less: evictions are bounded", () => {
    fc.assert(
      fc.property(worlds, fc.integer({ min: 1, max: 4 }), (world, instances) => {
        const made = worldOf(world);
        made.cpu("a", "due", world.due, instances).settle();
        let evictions = 0;
        while (made.ending.length > 0) {
          evictions += made.ending.length;
          expect(evictions).toBeLessThanOrEqual(world.sizes.flat().length);
          made.terminate();
        }
        made.wait(3_600_000);
        expect(made.ending).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
