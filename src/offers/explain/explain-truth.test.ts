import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Bench } from "../broker.test-support.ts";
import type { Quantities } from "../resources.ts";
import type { Change, ChangePart } from "../views.ts";

/**
 * What an explanation says must change, and nothing less, starts the task: in random small clusters, with a world made anew
 * for each change that is tried.
 */
interface World {
  readonly nodes: readonly { readonly cpu: number; readonly memory: number }[];
  /** What others take of the nodes, in turn. */
  readonly taken: readonly { readonly cpu: number; readonly memory: number }[];
  /** Run in the queue of the one that waits. */
  readonly running: number;
  readonly asked: { readonly cpu: number; readonly memory: number };
  readonly limit: { readonly cpu?: number | undefined; readonly memory?: number | undefined };
  readonly topLimit: { readonly cpu?: number | undefined };
  /** A queue beside it that waits for its framework, with room of its own. */
  readonly gold: { readonly guarantee: number; readonly wants: number };
  readonly cordoned: boolean;
  readonly minimum: number;
}

const amount = (min: number, max: number) => fc.integer({ min, max });
const some = (min: number, max: number) => fc.option(amount(min, max), { nil: undefined });
const worlds: fc.Arbitrary<World> = fc.record({
  nodes: fc.array(fc.record({ cpu: amount(2, 9), memory: amount(2, 9) }), { minLength: 1, maxLength: 4 }),
  taken: fc.array(fc.record({ cpu: amount(0, 4), memory: amount(0, 4) }), { maxLength: 6 }),
  running: amount(0, 2),
  asked: fc.record({ cpu: amount(1, 8), memory: amount(1, 8) }),
  limit: fc.record({ cpu: some(1, 8), memory: some(1, 8) }),
  topLimit: fc.record({ cpu: some(2, 24) }),
  gold: fc.record({ guarantee: amount(0, 20), wants: amount(0, 20) }),
  cordoned: fc.boolean(),
  minimum: fc.oneof(fc.constant(0), amount(1, 6)),
});

/** Much is kept back of what is free, and little else is in the way. */
const guarded: fc.Arbitrary<World> = fc
  .record({ world: worlds, guarantee: amount(6, 24), wants: amount(6, 24), cpu: amount(1, 3) })
  .map(({ world, guarantee, wants, cpu }) => ({
    ...world,
    asked: { cpu, memory: 1 },
    limit: {},
    gold: { guarantee, wants },
    minimum: 0,
  }));

const defined = (amounts: Record<string, number | undefined>): Quantities =>
  Object.fromEntries(Object.entries(amounts).filter((entry): entry is [string, number] => entry[1] !== undefined));
const sum = (a: Quantities, b: Quantities): Quantities =>
  Object.fromEntries([...new Set([...Object.keys(a), ...Object.keys(b)])].map((r) => [r, (a[r] ?? 0) + (b[r] ?? 0)]));

const negative = (amounts: Quantities): Quantities =>
  Object.fromEntries(Object.entries(amounts).map(([r, amount]) => [r, -amount]));

/** The world, with what is changed in it before the round that may start the task. */
class Made {
  readonly bench = Bench.open();
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
    const { bench } = this;
    this.#queues({}, {});
    for (const i of world.nodes.keys()) this.#node(`n${i}`, {}, world.cordoned && i === 0);
    world.taken.forEach((requests, i) => {
      const pod = { uid: `p${i}`, node: `n${i % world.nodes.length}`, requests };
      bench.apply({ type: "foreign-pod-observed", pod });
    });
    const minimum = defined({ cpu: world.minimum === 0 ? undefined : world.minimum });
    const scheduler = world.minimum === 0 ? "Builtin" : "Offers";
    const mine = [{ name: "batch", weight: 1 }];
    bench.framework("runs", { queues: mine }).framework("f", { queues: mine, scheduler, minimum });
    const gold = { queues: [{ name: "gold", weight: 1 }], scheduler: "Offers", maxOutstanding: 1 } as const;
    bench.framework("gold", { ...gold, offerTimeoutMs: 600_000 });
    if (world.running > 0) bench.asking("r", { cpu: 1, memory: 1 }, { of: "runs", instances: world.running });
    if (world.gold.wants > 0) bench.asking("g", { cpu: 1 }, { of: "gold" }).settle();
    // Its framework has not answered the first, so that the rest of what it wants waits.
    if (world.gold.wants > 1) bench.asking("g2", { cpu: 1 }, { of: "gold", instances: world.gold.wants - 1 });
    bench.settle();
    bench.asking("t", world.asked).settle();
  }

  /** All but `t` that could take what is changed has what it wants, or waits for an answer. */
  get isClean(): boolean {
    const isGoldOffered = this.#world.gold.wants === 0 || this.bench.openOffers("gold").length === 1;
    return isGoldOffered && this.bench.broker.pendingOf("r-uid") === 0 && !this.starts;
  }

  get starts(): boolean {
    const launched = this.bench.all("create-pod").some(({ attempt }) => attempt.taskUid === "t-uid");
    return launched || this.bench.openOffers("f").length > 0;
  }

  get reason(): string | undefined {
    return this.bench.broker.explainTask("t-uid")?.reason;
  }

  get change(): Change | undefined {
    const { broker, nowMs } = this.bench;
    return broker.outlookOfTask("t-uid", broker.explainTask("t-uid")!, nowMs)?.change;
  }

  apply(parts: readonly ChangePart[]): this {
    const limits: Record<string, Quantities> = {};
    const larger: Record<string, Quantities> = {};
    for (const part of parts) {
      if (part.type === "limit") limits[part.queue] = part.more;
      else if (part.type === "uncordon") larger[part.node] ??= {};
      else if ("more" in part) larger[part.node] = sum(larger[part.node] ?? {}, part.more);
      else throw new Error(`what is ${part.type}?`);
    }
    for (const [node, more] of Object.entries(larger)) this.#node(node, more, false);
    this.#queues(limits.top ?? {}, limits.batch ?? {});
    this.bench.settle();
    return this;
  }

  #node(name: string, more: Quantities, cordoned: boolean): void {
    const allocatable = sum({ pods: 110, ...this.#world.nodes[Number(name.slice(1))]! }, more);
    this.bench.node(name, allocatable, cordoned ? { closed: "cordoned" } : {});
  }

  #queues(top: Quantities, batch: Quantities): void {
    const { limit, topLimit, gold } = this.#world;
    this.bench.queue("top", { limit: limits(defined(topLimit), top) });
    this.bench.queue("gold", { parent: "top", guarantee: defined({ cpu: gold.guarantee || undefined }) });
    this.bench.queue("batch", { parent: "top", limit: limits(defined(limit), batch) });
  }
}

/** More of a limit that there is: what is not limited stays so. */
const limits = (before: Quantities, more: Quantities): Quantities =>
  Object.fromEntries(Object.entries(before).map(([r, bound]) => [r, bound + (more[r] ?? 0)]));

/** All changes that leave one unit of one amount out. */
function* lessByOne(parts: readonly ChangePart[]): Generator<ChangePart[]> {
  for (const [i, part] of parts.entries()) {
    if (!("more" in part)) continue;
    for (const [resource, wanted] of Object.entries(part.more)) {
      const less = { ...part, more: { ...part.more, [resource]: wanted - 1 } };
      yield parts.map((other, j) => (i === j ? less : other));
    }
  }
}

describe("what an explanation says must change", () => {
  test("starts the task in the next round, and one unit less of any part of it does not", () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(fc.oneof(worlds, guarded), (world) => {
        const made = new Made(world);
        if (!made.isClean) return;
        const { reason = "", change } = made;
        if (change === undefined) {
          expect(reason).toBe("no-node");
          return;
        }
        seen.set(reason, (seen.get(reason) ?? 0) + 1);
        expect(new Made(world).apply(change.parts).starts, change.text).toBe(true);
        for (const part of change.parts) {
          if (part.type !== "node" || !part.orLess) continue;
          const { cpu, memory } = sum(world.asked, negative(part.more)) as World["asked"];
          const others = change.parts.filter((other) => other !== part);
          expect(new Made({ ...world, asked: { cpu, memory } }).apply(others).starts, change.text).toBe(true);
        }
        for (const less of lessByOne(change.parts)) {
          expect(new Made(world).apply(less).starts, `${change.text}, but a unit less`).toBe(false);
        }
      }),
      { numRuns: 800 },
    );
    // Each of them often enough to mean something.
    expect(
      [...seen]
        .filter(([, times]) => times >= 10)
        .map(([reason]) => reason)
        .sort(),
    ).toEqual(["kept-back", "no-node", "over-limit"]);
  });
});
