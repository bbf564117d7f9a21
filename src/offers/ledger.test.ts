import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Claim, Ledger } from "./ledger.ts";
import { NodeTable } from "./nodes/nodes.ts";
import { ResourceTable } from "./resources.ts";

/** Two nodes of 10 CPU and 10 memory. */
function table(): { ledger: Ledger; nodes: NodeTable; claim: (id: string, node: number, cpu: number) => Claim } {
  const resources = new ResourceTable();
  const nodes = new NodeTable(resources);
  for (const name of ["a", "b"]) {
    const allocatable = { cpu: 10, memory: 10 };
    nodes.observe({ name, uid: name, allocatable, labels: {}, taints: [], ready: true }, 0);
  }
  const claim = (id: string, node: number, cpu: number): Claim => ({
    id,
    kind: "task",
    node,
    vector: resources.vector({ cpu, memory: 1 }),
    instances: 1,
    holder: undefined,
  });
  return { ledger: new Ledger(nodes), nodes, claim };
}

const ids = (claims: Iterable<Claim>) => [...claims].map(({ id }) => id).sort();

describe("commit", () => {
  test("takes what fits, in order, and names what does not", () => {
    const { ledger, claim } = table();
    const rejected = ledger.commit({ add: [claim("x", 0, 6), claim("y", 0, 6), claim("z", 0, 4)], atomic: false });
    expect(ids(rejected)).toEqual(["y"]);
    expect(ids(ledger.claims())).toEqual(["x", "z"]);
  });

  test("all or nothing: one that does not fit leaves everything as it was", () => {
    const { ledger, claim, nodes } = table();
    ledger.commit({ add: [claim("old", 0, 5)], atomic: true });
    const before = [...nodes.free];
    const add = [claim("x", 0, 6), claim("y", 1, 11)];
    expect(ids(ledger.commit({ remove: ["old"], add, atomic: true }))).toEqual(["y"]);
    expect(ids(ledger.claims())).toEqual(["old"]);
    expect([...nodes.free]).toEqual(before);
  });

  test("all or nothing: nothing is tried after the first that does not fit", () => {
    const { ledger, claim } = table();
    expect(ids(ledger.commit({ add: [claim("x", 0, 11), claim("y", 0, 12)], atomic: true }))).toEqual(["x"]);
  });

  test("may only take out, or do nothing", () => {
    const { ledger, claim } = table();
    ledger.commit({ add: [claim("x", 0, 5), claim("y", 1, 5)], atomic: true });
    expect(ledger.commit({ remove: ["x"], atomic: true })).toEqual([]);
    expect(ledger.commit({ atomic: true })).toEqual([]);
    expect(ids(ledger.claims())).toEqual(["y"]);
  });

  test("what goes out makes room for what comes in, in one step", () => {
    const { ledger, claim } = table();
    ledger.commit({ add: [claim("offer", 0, 10)], atomic: true });
    const add = [claim("x", 0, 5), claim("y", 0, 5)];
    expect(ledger.commit({ remove: ["offer"], add, atomic: true })).toEqual([]);
    expect(ids(ledger.onNode(0))).toEqual(["x", "y"]);
  });

  test("promises nothing on a node that is gone, not even nothing", () => {
    const { ledger, claim, nodes } = table();
    nodes.gone(nodes.get("a")!);
    expect(ids(ledger.commit({ add: [{ ...claim("x", 0, 0), vector: new Float64Array(8) }], atomic: true }))).toEqual([
      "x",
    ]);
  });

  test("does not forget what is not there, nor add what is: both are bugs of ours", () => {
    const { ledger, claim } = table();
    expect(() => ledger.commit({ remove: ["none"], atomic: true })).toThrow("the claim exists");
    ledger.commit({ add: [claim("x", 0, 1)], atomic: true });
    expect(() => ledger.commit({ add: [claim("x", 0, 1)], atomic: true })).toThrow("the claim is new");
  });
});

test("a fact needs no room, and an over-full node has none for anyone", () => {
  const { ledger, claim, nodes } = table();
  ledger.observe(claim("fact", 0, 11));
  expect(nodes.overfull(0)).toBe(true);
  expect(nodes.fits(0, new Float64Array(8))).toBe(false);
  ledger.observe(claim("fact", 0, 3));
  expect(nodes.overfull(0)).toBe(false);
  ledger.forget("fact");
  ledger.forget("fact");
  expect(ledger.size).toBe(0);
});

test("a claim grows as far as it fits, and takes no vector that is another's along", () => {
  const { ledger, claim } = table();
  const [first, more] = [claim("x", 0, 4), claim("y", 0, 4).vector];
  expect(ledger.claim(first)).toBe(true);
  expect(ledger.grow(first, more)).toBe(true);
  expect(ledger.grow(first, more)).toBe(false);
  expect([...ledger.claims()].map(({ vector, instances }) => [vector[0], instances])).toEqual([[8, 2]]);
  expect(ledger.claim(claim("z", 0, 3))).toBe(false);
  expect(more[0]).toBe(4);
});

test("only a claim that stands can grow: anything else is a bug of ours", () => {
  const { ledger, claim } = table();
  const gone = claim("x", 0, 1);
  expect(() => ledger.grow(gone, gone.vector)).toThrow("the claim stands");
  ledger.claim(claim("x", 0, 1));
  expect(() => ledger.grow(gone, gone.vector)).toThrow("the claim stands");
});

describe("a node's version, by which whoever was shown it knows that less is left of it,", () => {
  const made = () => {
    const { ledger, claim, nodes } = table();
    ledger.claim(claim("old", 0, 4));
    return { ledger, claim, versions: () => [nodes.at(0).version, nodes.at(1).version] };
  };
  type Made = ReturnType<typeof made>;

  test.each<{ name: string; does: (world: Made) => unknown; rises: readonly [number, number] }>([
    { name: "rises with a claim", does: ({ ledger, claim }) => ledger.claim(claim("x", 1, 1)), rises: [0, 1] },
    { name: "not where that does not fit", does: ({ ledger, claim }) => ledger.claim(claim("x", 0, 7)), rises: [0, 0] },
    {
      name: "rises with each claim of a commit, and with no other",
      does: ({ ledger, claim }) =>
        ledger.commit({ remove: ["old"], add: [claim("x", 0, 1), claim("y", 1, 11), claim("z", 0, 1)], atomic: false }),
      rises: [2, 0],
    },
    {
      name: "not with a commit that is taken back",
      does: ({ ledger, claim }) => ledger.commit({ add: [claim("x", 1, 1), claim("y", 0, 7)], atomic: true }),
      rises: [0, 0],
    },
    {
      name: "rises as a claim grows",
      does: ({ ledger, claim }) => ledger.grow(ledger.get("old")!, claim("y", 0, 1).vector),
      rises: [1, 0],
    },
    {
      name: "not where it does not grow",
      does: ({ ledger, claim }) => ledger.grow(ledger.get("old")!, claim("y", 0, 7).vector),
      rises: [0, 0],
    },
    { name: "rises with a new fact", does: ({ ledger, claim }) => ledger.observe(claim("x", 1, 1)), rises: [0, 1] },
    {
      name: "rises with a fact that takes more than before",
      does: ({ ledger, claim }) => ledger.observe(claim("old", 0, 5)),
      rises: [1, 0],
    },
    {
      name: "not with one that takes as much or less",
      does: ({ ledger, claim }) => [4, 3].map((cpu) => ledger.observe(claim("old", 0, cpu))),
      rises: [0, 0],
    },
    {
      name: "rises with one that has moved there",
      does: ({ ledger, claim }) => ledger.observe(claim("old", 1, 4)),
      rises: [0, 1],
    },
    {
      name: "rises with what is expected there, and fits",
      does: ({ ledger, claim }) => ledger.expect(claim("x", 1, 1)),
      rises: [0, 1],
    },
    {
      name: "not with what is expected to take less than before",
      does: ({ ledger, claim }) => ledger.expect(claim("old", 0, 3)),
      rises: [0, 0],
    },
    { name: "not as a claim ends", does: ({ ledger }) => ledger.forget("old"), rises: [0, 0] },
  ])("$name", ({ does, rises }) => {
    const world = made();
    const before = world.versions();
    does(world);
    expect(world.versions().map((version, node) => version - before[node]!)).toEqual(rises);
  });
});

describe("the heir of a claim", () => {
  test("inherits once, when the claim has ended for good and its room is free", () => {
    const { ledger, claim } = table();
    const seen: unknown[] = [];
    ledger.claim(claim("x", 0, 10));
    ledger.bequeath("x", () => seen.push(ledger.get("x"), ledger.claim(claim("heir", 0, 10))));
    ledger.forget("none");
    expect(seen).toEqual([]);
    ledger.end("x");
    ledger.end("x");
    expect(seen).toEqual([undefined, true]);
  });

  test("inherits nothing from a claim that is replaced, or once disinherited", () => {
    const { ledger, claim } = table();
    let inherited = 0;
    ledger.claim(claim("x", 0, 10));
    ledger.bequeath("x", () => inherited++);
    ledger.observe(claim("x", 1, 5));
    expect(inherited).toBe(0);
    ledger.disinherit("x");
    ledger.end("x");
    expect(inherited).toBe(0);
  });
});

test("what is kept of each node is counted again: how many disagree with their claims", () => {
  const { ledger, claim, nodes } = table();
  ledger.claim(claim("x", 0, 3));
  ledger.claim(claim("y", 1, 3));
  expect(ledger.inconsistencies()).toBe(0);
  nodes.free[0]! += 1;
  nodes.free[1]! += 1;
  expect(ledger.inconsistencies()).toBe(1);
  nodes.free[nodes.width]! -= 1;
  expect(ledger.inconsistencies()).toBe(2);
});

test("whatever is done, what is free is what is left, and holders hold what their claims say", () => {
  const step = fc.record({
    type: fc.constantFrom("commit" as const, "observe" as const, "forget" as const, "resize" as const),
    id: fc.integer({ min: 0, max: 5 }),
    node: fc.integer({ min: 0, max: 1 }),
    cpu: fc.integer({ min: 0, max: 8 }),
    other: fc.integer({ min: 0, max: 5 }),
    atomic: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { ledger, nodes, claim } = table();
      const held = new Map<string, number>();
      for (const { type, id, node, cpu, other, atomic } of steps) {
        const name = `c${id}`;
        const holder = {
          held: (_: unknown, vector: Float64Array, instances: number, sign: number) => {
            held.set("cpu", (held.get("cpu") ?? 0) + sign * vector[0]!);
            held.set("instances", (held.get("instances") ?? 0) + sign * instances);
          },
        };
        const mine = { ...claim(name, node, cpu), holder };
        if (type === "observe") ledger.observe(mine);
        else if (type === "forget") ledger.forget(name);
        else if (type === "resize") {
          const allocatable = { cpu: cpu + 4, memory: 9 };
          const facts = { name: node === 0 ? "a" : "b", uid: "u", labels: {}, taints: [], ready: true, allocatable };
          nodes.observe(facts, 0);
        } else {
          const remove = other !== id && ledger.get(`c${other}`) !== undefined ? [`c${other}`] : [];
          if (ledger.get(name) === undefined) ledger.commit({ remove, add: [mine], atomic });
        }
        expect(ledger.inconsistencies()).toBe(0);
        const claims = [...ledger.claims()];
        expect(held.get("cpu") ?? 0).toBe(claims.reduce((sum, { vector }) => sum + vector[0]!, 0));
        expect(held.get("instances") ?? 0).toBe(claims.length);
        expect(ids(ledger.onNode(node))).toEqual(ids(claims.filter((each) => each.node === node)));
        const open = nodes.entries.filter((entry) => !nodes.overfull(entry!.index));
        expect(nodes.openFree[0]).toBe(open.reduce((sum, entry) => sum + nodes.freeVector(entry!.index)[0]!, 0));
      }
    }),
  );
});
