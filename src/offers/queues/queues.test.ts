import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ClaimKind } from "../ledger.ts";
import { ResourceTable, type Vector } from "../resources.ts";
import type { QueueFacts } from "./queue-facts.ts";
import { Claimant, Queue, QueueTree } from "./queues.ts";

const NAMES = ["a", "b", "c", "d"];
const step = fc.oneof(
  fc.record({
    what: fc.constant("observe" as const),
    name: fc.constantFrom(...NAMES),
    parent: fc.option(fc.constantFrom(...NAMES), { nil: undefined }),
    guarantee: fc.option(fc.nat(9), { nil: undefined }),
    limit: fc.option(fc.nat(20), { nil: undefined }),
  }),
  fc.record({ what: fc.constant("gone" as const), name: fc.constantFrom(...NAMES) }),
  fc.record({
    what: fc.constant("claim" as const),
    queue: fc.constantFrom(...NAMES),
    framework: fc.constantFrom("f", "g"),
    kind: fc.constantFrom("task" as const, "hold" as const, "offer" as const),
    resource: fc.nat(11),
    instances: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({ what: fc.constant("release" as const), pick: fc.nat() }),
  fc.record({ what: fc.constant("widen" as const) }),
);

interface Held {
  readonly claimant: Claimant;
  readonly kind: ClaimKind;
  readonly resource: string;
  readonly vector: Vector;
  readonly instances: number;
}

const RESOURCES = ["cpu", "memory", ...Array.from({ length: 10 }, (_, n) => `example.com/r${n}`)];

/** A tree and what is held in it, written down once more. */
class Grove {
  readonly resources = new ResourceTable();
  readonly tree = new QueueTree(this.resources);
  readonly declared = new Map<string, QueueFacts>();
  readonly held: Held[] = [];

  constructor() {
    this.tree.open();
  }

  play(steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[], look: () => void = () => {}): this {
    for (const each of steps) {
      if (each.what === "observe") {
        const { name, parent, guarantee, limit } = each;
        const facts = { name, weight: 2, namespaces: [], ...(parent !== undefined && { parent }) };
        const bounds = {
          guarantee: guarantee === undefined ? {} : { cpu: guarantee },
          limit: limit === undefined ? {} : { cpu: limit },
        };
        this.declared.set(name, { ...facts, ...bounds });
        this.tree.observe(this.declared.get(name)!);
      } else if (each.what === "gone") {
        if (this.declared.delete(each.name)) this.tree.gone(each.name);
      } else if (each.what === "claim") {
        const claimant = this.tree.claimant(each.framework, each.queue);
        const resource = RESOURCES[each.resource]!;
        const entry = {
          ...each,
          claimant,
          resource,
          vector: this.resources.vector({ [resource]: 10 * each.instances }),
        };
        this.held.push(entry);
        this.#count(entry, 1);
      } else if (each.what === "release") {
        const [entry] = this.held.splice(each.pick % Math.max(1, this.held.length), 1);
        if (entry !== undefined) this.#count(entry, -1);
      } else {
        for (const name of RESOURCES) this.resources.known({ [name]: 1 });
      }
      look();
    }
    return this;
  }

  #count({ claimant, kind, vector, instances }: Held, sign: 1 | -1): void {
    claimant.held(kind, vector, instances, sign);
  }

  /** Is the one queue the other, or in force below it? "": the root. */
  #isBelow(name: string, above: string): boolean {
    const { standing } = this.tree.queues.get(name) ?? {};
    if (standing === undefined || name === above) return standing !== undefined;
    if (!standing.inForce) return false;
    const { parent } = standing.lastGood!;
    return parent === undefined ? above === "" : this.#isBelow(parent, above);
  }

  /** What is held in the queue and those below it. */
  in(queue: Queue): Held[] {
    return this.held.filter(({ claimant }) => this.#isBelow(claimant.queueName, queue.name));
  }
}

const total = (vector: Vector) => vector.reduce((sum, amount) => sum + amount, 0);
const instancesOf = (held: readonly Held[]) => held.reduce((sum, { instances }) => sum + instances, 0);
const of = (held: readonly Held[], ...kinds: ClaimKind[]) =>
  instancesOf(held.filter(({ kind }) => kinds.length === 0 || kinds.includes(kind)));

describe("whatever is declared and held, in whichever order,", () => {
  test("what is held in a queue is what is held below it, and a claimant holds its own", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 12, maxLength: 30 }), (steps) => {
        const grove = new Grove();
        const { tree, resources } = grove;
        grove.play(steps, () => {
          for (const queue of [tree.root, ...tree.queues.values()]) {
            const held = grove.in(queue);
            expect(total(queue.usage)).toBe(10 * of(held));
            expect(total(queue.allocated)).toBe(10 * of(held, "task"));
            expect(total(queue.holding)).toBe(10 * of(held, "hold"));
            expect(queue.instances).toBe(of(held));
            const cpus = held.filter(({ resource }) => resource === "cpu");
            expect(queue.usage[resources.index("cpu")]).toBe(10 * of(cpus));
            for (const vector of [queue.usage, queue.allocated, queue.holding, queue.guarantee, queue.limit]) {
              expect(vector.length).toBe(resources.width);
            }
          }
          for (const claimant of tree.claimants.values()) {
            const held = grove.held.filter((each) => each.claimant === claimant);
            expect(total(claimant.usage)).toBe(10 * of(held));
            expect(total(claimant.allocated)).toBe(10 * of(held, "task"));
            expect(total(claimant.holding)).toBe(10 * of(held, "hold"));
            expect([claimant.instances, claimant.placed]).toEqual([of(held), of(held, "task")]);
            expect(claimant.parent).toBe(tree.queues.get(claimant.queueName));
            expect(claimant.parent === undefined || claimant.parent.claimants.has(claimant)).toBe(true);
          }
        });
      }),
      { numRuns: 200 },
    );
  });

  test("what is in force stands in the tree, and nothing else", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 12, maxLength: 30 }), (steps) => {
        const grove = new Grove();
        const { tree, resources } = grove;
        const cpu = resources.index("cpu");
        grove.play(steps, () => {
          expect([...tree.queues.keys()].sort()).toEqual([...grove.declared.keys()].sort());
          const all = [...tree.queues.values()];
          for (const queue of all) {
            const { standing, facts } = queue;
            expect(queue.rejected).toBe(standing!.inForce ? undefined : "queue-invalid");
            expect(facts).toBe(standing!.inForce ? standing!.lastGood : grove.declared.get(queue.name));
            const above = facts!.parent === undefined ? tree.root : tree.queues.get(facts!.parent);
            expect(queue.parent).toBe(standing!.inForce ? above : undefined);
            for (const other of [tree.root, ...all]) expect(other.children.has(queue)).toBe(other === queue.parent);
            expect(queue.limit[cpu]).toBe(facts!.limit.cpu ?? Number.POSITIVE_INFINITY);
            expect(queue.weight).toBe(2);
            const below = [...queue.children].reduce((sum, { guarantee }) => sum + guarantee[cpu]!, 0);
            const stated = facts!.guarantee.cpu ?? below;
            expect(queue.guarantee[cpu]).toBe(standing!.inForce ? stated : 0);
            const path = [...tree.path(queue)].map(({ name }) => name);
            expect(path).toEqual([
              queue.name,
              ...(queue.parent === undefined ? [] : [...tree.path(queue.parent)].map(({ name }) => name)),
            ]);
            expect(path).not.toContain("");
          }
          const guaranteed = all.some(({ guarantee }) => guarantee[cpu]! > 0);
          expect(tree.guaranteed).toBe(guaranteed);
          expect(tree.bounded).toBe(guaranteed || all.some(({ facts }) => facts!.limit.cpu !== undefined));
        });
      }),
      { numRuns: 200 },
    );
  });
});

test("a claimant is the same until it is dropped, and its queue knows it no more then", () => {
  const grove = new Grove().play([{ what: "observe", name: "a", parent: undefined, guarantee: 0, limit: undefined }]);
  const { tree } = grove;
  const claimant = tree.claimant("f", "a");
  expect(tree.claimant("f", "a")).toBe(claimant);
  tree.dropClaimant(claimant);
  expect([...tree.queues.get("a")!.claimants]).toEqual([]);
  expect(tree.claimant("f", "a")).not.toBe(claimant);
  const homeless = tree.claimant("f", "nowhere");
  tree.dropClaimant(homeless);
  expect([...tree.claimants.keys()]).toEqual(["f a"]);
});

test("whoever changes the tree is told of the queues that it changes, and sees a new version", () => {
  const tree = new QueueTree(new ResourceTable());
  const facts = { name: "a", weight: 1, guarantee: {}, limit: {}, namespaces: [] };
  expect([...tree.observe({ ...facts, parent: "top" })]).toEqual(["a"]);
  const before = tree.version;
  expect([...tree.open()]).toEqual([]);
  expect([...tree.observe({ ...facts, name: "top" })].sort()).toEqual(["a", "top"]);
  expect([...tree.gone("top")]).toEqual(["a"]);
  expect(tree.version).toBeGreaterThan(before + 1);
});

const rival = fc.record({
  penalised: fc.boolean(),
  tier: fc.nat(1),
  key: fc.nat(1),
  instances: fc.nat(1),
  framework: fc.constantFrom("ns/a", "ns/b", "ns/c", "ns/d"),
});

test("of siblings comes first who is not penalised, then by key, by what it holds, and by name", () => {
  const rivals = fc.uniqueArray(rival, { minLength: 2, maxLength: 4, selector: ({ framework }) => framework });
  const rank = ({ penalised, tier, key, instances, name }: Claimant) =>
    [Number(penalised), tier, key, instances, name].join(" ");
  fc.assert(
    fc.property(rivals, (all) => {
      const queue = new Queue("q");
      const claimants = all.map(({ framework, ...rest }) =>
        Object.assign(new Claimant(new ResourceTable(), framework, "q"), rest),
      );
      for (const claimant of claimants) queue.line.append(claimant);
      queue.line.rebuild();
      const served: string[] = [];
      for (let { top } = queue.line; top !== undefined; { top } = queue.line) {
        served.push(rank(top as Claimant));
        queue.line.remove(top);
      }
      expect(served).toEqual(claimants.map(rank).sort());
    }),
  );
});

test("a tree without queues bounds nothing, and guarantees nothing", () => {
  const { bounded, guaranteed, root } = new QueueTree(new ResourceTable());
  expect([bounded, guaranteed, root.usage.length]).toEqual([false, false, 8]);
});
