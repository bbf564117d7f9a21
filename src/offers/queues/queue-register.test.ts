import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { QueueFacts, QueueRecord } from "./queue-facts.ts";
import { QueueRegister, type Standing } from "./queue-register.ts";

/** `at`: the second of its creation. */
interface Said extends Partial<Omit<QueueFacts, "guarantee" | "limit">> {
  readonly at?: number;
  readonly cpu?: number;
  readonly most?: number;
}

function queue(name: string, { at = 0, cpu, most, ...rest }: Said = {}): QueueFacts {
  return {
    name,
    weight: 1,
    guarantee: cpu === undefined ? {} : { cpu: cpu * 1_000 },
    limit: most === undefined ? {} : { cpu: most * 1_000 },
    namespaces: [],
    createdAtMs: at * 1_000,
    ...rest,
  };
}

/** A register, and what is seen of it after each thing that it sees. */
class Scene {
  readonly register = new QueueRegister();

  constructor(open = true) {
    if (open) this.opens();
  }

  opens(): this {
    this.register.open();
    return this;
  }

  sees(...queues: QueueFacts[]): this {
    for (const each of queues) this.recalls(each, undefined);
    return this;
  }

  recalls(each: QueueFacts, record: QueueRecord | undefined): this {
    this.register.observe(each, record);
    return this;
  }

  loses(name: string): this {
    this.register.gone(name);
    return this;
  }

  /** The guarantee in force, in CPUs; undefined: nothing of the queue is. */
  cpuOf(name: string): number | undefined {
    const { inForce, lastGood } = this.register.get(name)!;
    return inForce ? (lastGood!.guarantee.cpu ?? 0) / 1_000 : undefined;
  }

  inForce(...names: string[]): boolean[] {
    return names.map((name) => this.register.get(name)!.inForce);
  }

  problem(name: string): string | undefined {
    return this.register.get(name)!.problem;
  }
}

function permutations<T>(list: readonly T[]): T[][] {
  if (list.length <= 1) return [[...list]];
  return list.flatMap((first, i) =>
    permutations([...list.slice(0, i), ...list.slice(i + 1)]).map((rest) => [first, ...rest]),
  );
}

describe("two creations at once that together exceed their parent", () => {
  const top = queue("top", { cpu: 10 });
  const early = queue("z", { parent: "top", cpu: 6, at: 1 });
  const late = queue("a", { parent: "top", cpu: 5, at: 2 });
  const sameSecond = queue("zz", { parent: "top", cpu: 5, at: 1 });
  const said = (total: number, left: number) =>
    `with it, the queues below top would be guaranteed ${total} cpu, above the guarantee of top, which is 10 cpu: ` +
    `${left} cpu are left; guarantee no more here, less to others, or raise that guarantee`;

  test("the one that comes second is refused, and says what is left", () => {
    for (const [first, second] of [
      [early, late],
      [late, early],
    ] as const) {
      const scene = new Scene().sees(top, first, second);
      expect(scene.inForce("top", first.name, second.name)).toEqual([true, true, false]);
      expect(scene.problem(second.name)).toBe(second === late ? said(11, 4) : said(11, 5));
    }
  });

  test.each([
    { name: "the younger one", other: late },
    { name: "the younger one, though its name comes first", other: queue("x", { parent: "top", cpu: 5, at: 2 }) },
    { name: "of the same second, the one whose name comes later", other: sameSecond },
  ])("where nothing else tells them apart, $name is refused, whichever is seen first", ({ other }) => {
    for (const order of permutations([top, early, other])) {
      const scene = new Scene(false).sees(...order).opens();
      expect(scene.inForce("top", early.name, other.name)).toEqual([true, true, false]);
      expect(scene.problem(other.name)).toBe(said(11, 4));
    }
    expect(new Scene().sees(other, early, top).inForce(early.name, other.name)).toEqual([true, false]);
  });

  test("the same where what they exceed is farther up, and the queues between state nothing", () => {
    const all = [top, queue("left", { parent: "top" }), queue("right", { parent: "top" })];
    for (const order of permutations([...all, { ...early, parent: "left" }, { ...late, parent: "right" }])) {
      expect(
        new Scene(false)
          .sees(...order)
          .opens()
          .inForce("z", "a"),
      ).toEqual([true, false]);
    }
  });

  test("once the first is deleted, or asks for less, the other comes into force by itself", () => {
    const scene = new Scene().sees(top, late, early);
    expect(scene.loses("z").cpuOf("a")).toBe(5);
    const again = new Scene().sees(top, early, late).sees({ ...early, guarantee: { cpu: 5_000 } });
    expect([again.cpuOf("z"), again.cpuOf("a"), again.problem("a")]).toEqual([5, 5, undefined]);
  });

  test("what is said to be left is what comes into force, and not a bit more", () => {
    const scene = new Scene().sees(top, early, { ...late, guarantee: { cpu: 4_001 } });
    expect(scene.problem("a")).toContain(": 4 cpu are left");
    expect(scene.sees({ ...late, guarantee: { cpu: 4_000 } }).cpuOf("a")).toBe(4);
  });
});

describe("what is in force stays so", () => {
  const tree = () =>
    new Scene().sees(
      queue("top", { cpu: 10 }),
      queue("a", { parent: "top", cpu: 4 }),
      queue("b", { parent: "top", cpu: 5 }),
    );

  test.each<{ name: string; change: QueueFacts; problem: string | RegExp; repair: QueueFacts }>([
    {
      name: "when its own change exceeds the parent's guarantee",
      change: queue("a", { parent: "top", cpu: 6 }),
      problem: /11 cpu, above the guarantee of top, which is 10 cpu: 5 cpu are left/,
      repair: queue("b", { parent: "top", cpu: 4 }),
    },
    {
      name: "when the change exceeds its own limit",
      change: queue("a", { parent: "top", cpu: 5, most: 4 }),
      problem: "its guarantee of 5 cpu is above its limit of 4 cpu: lower the guarantee or raise the limit",
      repair: queue("a", { parent: "top", cpu: 5, most: 5 }),
    },
    {
      name: "when the change leaves less than those below are guaranteed",
      change: queue("top", { cpu: 8 }),
      problem: "the queues below it are guaranteed 9 cpu, above its guarantee of 8 cpu: raise that or lower theirs",
      repair: queue("b", { parent: "top", cpu: 4 }),
    },
    {
      name: "when the change limits it to less than those below are guaranteed",
      change: queue("top", { most: 8 }),
      problem: "the queues below it are guaranteed 9 cpu, above its limit of 8 cpu: raise that or lower theirs",
      repair: queue("b", { parent: "top", cpu: 4 }),
    },
    {
      name: "when the change would hang it below itself",
      change: queue("top", { cpu: 10, parent: "a" }),
      problem: "it would be below itself (top, a, top): correct the parent of one of these queues",
      repair: queue("a", { cpu: 20 }),
    },
    {
      name: "when the change names a parent that does not exist",
      change: queue("a", { parent: "nobody", cpu: 3 }),
      problem: "its parent nobody does not exist: create that queue or correct spec.parent",
      repair: queue("nobody"),
    },
    {
      name: "when the change breaks a rule that admission did not see",
      change: queue("a", { invalid: "spec.weight: wrong" }),
      problem: "spec.weight: wrong",
      repair: queue("a", { parent: "top", cpu: 2 }),
    },
  ])("$name; once that is repaired, the change comes into force", ({ change, problem, repair }) => {
    const scene = tree();
    const before = scene.register.get(change.name)!.lastGood;
    scene.sees(change);
    expect(scene.register.get(change.name)).toMatchObject({
      inForce: true,
      lastGood: before,
      problem: expect.anything(),
    });
    expect(scene.problem(change.name)).toMatch(problem);
    expect(scene.inForce("top", "a", "b")).toEqual([true, true, true]);
    scene.sees(repair);
    expect(scene.problem(change.name)).toBeUndefined();
  });

  test("against one that is older and was refused before, when there is room again", () => {
    const scene = new Scene().sees(queue("top", { cpu: 10 }), queue("first", { parent: "top", cpu: 7, at: 1 }));
    scene.sees(queue("old", { parent: "top", cpu: 8, at: 2 }), queue("young", { parent: "top", cpu: 3, at: 3 }));
    scene.loses("first");
    expect(scene.inForce("old", "young")).toEqual([false, true]);
    expect(scene.loses("young").inForce("old")).toEqual([true]);
  });

  test("against one that is older and has just found its parent", () => {
    const scene = new Scene().sees(queue("top", { cpu: 10 }), queue("old", { parent: "typo", cpu: 8, at: 1 }));
    scene.sees(queue("young", { parent: "top", cpu: 3, at: 2 }), queue("old", { parent: "top", cpu: 8, at: 1 }));
    expect(scene.inForce("old", "young")).toEqual([false, true]);
    // Or whose parent has just been created.
    scene.sees(queue("older", { parent: "gap", cpu: 9, at: 0 }), queue("gap", { parent: "top", at: 9 }));
    expect(scene.inForce("older", "gap", "young")).toEqual([false, true, true]);
  });

  test("against one that is older and was in force before it, once that finds its parent again", () => {
    const scene = new Scene().sees(queue("top", { cpu: 10 }), queue("under", { parent: "top" }), queue("else"));
    scene.sees(queue("old", { parent: "under", cpu: 8, at: 1 }), queue("young", { parent: "top", cpu: 3, at: 2 }));
    expect(scene.loses("under").inForce("old", "young")).toEqual([false, true]);
    expect(scene.sees(queue("under", { parent: "top" })).inForce("old", "young")).toEqual([false, true]);
    expect(scene.loses("else").inForce("old", "young")).toEqual([false, true]);
    // Nor under the next leader.
    const next = new Scene(false);
    for (const name of ["top", "under", "old", "young"]) {
      const { declared, lastGood, inForce } = scene.register.get(name)!;
      next.recalls(declared, lastGood && { lastGood, inForce });
    }
    expect(next.opens().inForce("old", "young")).toEqual([false, true]);
  });

  test("one change makes room for another", () => {
    const scene = tree().sees(queue("a", { parent: "top", cpu: 6 }), queue("b", { parent: "top", cpu: 4 }));
    expect([scene.cpuOf("a"), scene.cpuOf("b")]).toEqual([6, 4]);
  });

  test("below a parent that is deleted it does not, and comes back with it, the change that was refused still waiting", () => {
    const scene = tree()
      .sees(queue("a", { parent: "top", cpu: 6 }))
      .loses("top");
    expect(scene.inForce("a", "b")).toEqual([false, false]);
    expect(scene.problem("b")).toBe("its parent top does not exist: create that queue or correct spec.parent");
    scene.sees(queue("top", { cpu: 9 }));
    expect([scene.cpuOf("a"), scene.cpuOf("b")]).toEqual([4, 5]);
  });
});

describe("from the start", () => {
  test.each<{ name: string; queues: QueueFacts[]; problems: Record<string, string> }>([
    {
      name: "queues that stand on each other are not in force, and say where the circle is",
      queues: [queue("hen", { parent: "egg" }), queue("egg", { parent: "hen" }), queue("chick", { parent: "hen" })],
      problems: {
        hen: "it would be below itself (hen, egg, hen): correct the parent of one of these queues",
        egg: "it would be below itself (egg, hen, egg): correct the parent of one of these queues",
        chick: "its parent hen is not in force: the condition Accepted of that queue says why",
      },
    },
    {
      name: "a guarantee of what the queue above does not name is not covered by it",
      queues: [queue("top", { cpu: 10 }), queue("a", { parent: "top", guarantee: { memory: 1_024 } } as Said)],
      problems: {
        a:
          "with it, the queues below top would be guaranteed 1Mi memory, above the guarantee of top, which is 0 memory: " +
          "0 memory are left; guarantee no more here, less to others, or raise that guarantee",
      },
    },
    {
      name: "a queue that states no guarantee has what its children have, up to its limit",
      queues: [queue("top", { most: 5 }), queue("a", { parent: "top", cpu: 3 }), queue("b", { parent: "top", cpu: 3 })],
      problems: { b: expect.stringContaining("above the limit of top, which is 5 cpu: 2 cpu are left") },
    },
    { name: "the root has no bounds", queues: [queue("a", { cpu: 1e6 }), queue("b", { cpu: 1e6 })], problems: {} },
  ])("$name", ({ queues, problems }) => {
    for (const order of permutations(queues)) {
      const scene = new Scene(false).sees(...order).opens();
      const found = queues.flatMap(({ name }) =>
        scene.problem(name) === undefined ? [] : [[name, scene.problem(name)]],
      );
      expect(Object.fromEntries(found)).toEqual(problems);
    }
  });
});

const NAMES = ["a", "b", "c", "d", "e"];
const change = fc.record({
  name: fc.constantFrom(...NAMES),
  gone: fc.boolean(),
  parent: fc.option(fc.constantFrom(...NAMES, "nobody"), { nil: undefined, freq: 2 }),
  cpu: fc.option(fc.integer({ min: 0, max: 9 }), { nil: undefined }),
  most: fc.option(fc.integer({ min: 0, max: 12 }), { nil: undefined, freq: 1 }),
});

describe("whatever is declared, changed and deleted,", () => {
  /** Plays changes; tells of each what was in force before and is after. */
  function play(changes: readonly (typeof change extends fc.Arbitrary<infer T> ? T : never)[]) {
    const scene = new Scene();
    const created = new Map<string, number>();
    const steps = changes.map(({ name, gone, parent, cpu, most }, i) => {
      const before = standings(scene.register);
      const isNew = !created.has(name);
      if (gone && !isNew && i % 3 === 0) {
        created.delete(name);
        scene.loses(name);
        return { name, what: "deleted" as const, before, after: standings(scene.register) };
      }
      if (isNew) created.set(name, i);
      const said = {
        ...(parent && { parent }),
        ...(cpu !== undefined && { cpu }),
        ...(most !== undefined && { most }),
      };
      scene.sees(queue(name, { at: created.get(name)!, generation: i, ...said }));
      return {
        name,
        what: isNew ? ("created" as const) : ("changed" as const),
        before,
        after: standings(scene.register),
      };
    });
    return { scene, steps };
  }
  const standings = (register: QueueRegister) =>
    new Map(
      NAMES.flatMap((name): [string, Standing][] => (register.get(name) ? [[name, { ...register.get(name)! }]] : [])),
    );
  const inForce = (all: Map<string, Standing>) =>
    new Map(
      [...all].flatMap(([name, { inForce: is, lastGood }]): [string, QueueFacts][] => (is ? [[name, lastGood!]] : [])),
    );

  test("what is in force together contradicts itself nowhere", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 25 }), (changes) => {
        for (const { after } of play(changes).steps) consistent(inForce(after));
      }),
      { numRuns: 300 },
    );
  });

  test("nobody goes out of force but by a deletion, of itself or of a queue above", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 25 }), (changes) => {
        for (const { name, what, before, after } of play(changes).steps) {
          const [was, is] = [inForce(before), inForce(after)];
          const out = [...was.keys()].filter((other) => !is.has(other));
          const above = (other: string): string[] => {
            const parent = was.get(other)?.parent;
            return parent === undefined ? [] : [parent, ...above(parent)];
          };
          if (what === "deleted") for (const other of out) expect([other, ...above(other)]).toContain(name);
          else expect(out).toEqual([]);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("a new term that reads what was recorded, in any order, decides the same", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 25 }), fc.infiniteStream(fc.nat()), (changes, order) => {
        const { scene } = play(changes);
        const before = standings(scene.register);
        const next = new Scene(false);
        const places = [...before].map(([name, standing]) => ({ name, standing, place: order.next().value as number }));
        for (const { standing } of places.sort((a, b) => a.place - b.place)) {
          const { declared, lastGood, inForce: is } = standing;
          next.recalls({ ...declared }, lastGood && { lastGood: { ...lastGood }, inForce: is });
        }
        next.opens();
        const tell = (all: Map<string, Standing>) =>
          [...all].map(([name, { inForce: is, lastGood, problem }]) => [name, is, lastGood?.generation, problem]);
        expect(tell(standings(next.register)).sort()).toEqual(tell(before).sort());
      }),
      { numRuns: 300 },
    );
  });
});

/** The rules once more, in another way. */
function consistent(queues: Map<string, QueueFacts>): void {
  const due = (name: string, seen: string[] = []): number => {
    expect(seen, "a circle").not.toContain(name);
    const below = [...queues.values()].filter(({ parent }) => parent === name);
    const sum = below.reduce((total, child) => total + due(child.name, [...seen, name]), 0);
    const { guarantee, limit } = queues.get(name)!;
    const own = Object.keys(guarantee).length === 0 ? sum : guarantee.cpu!;
    expect(sum).toBeLessThanOrEqual(own);
    expect(own).toBeLessThanOrEqual((limit.cpu as number | undefined) ?? Number.POSITIVE_INFINITY);
    return own;
  };
  for (const { name, parent } of queues.values()) {
    if (parent !== undefined) expect(queues.has(parent)).toBe(true);
    due(name);
  }
}
