import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { frameworkFacts, taskFacts } from "../broker.test-support.ts";
import type { Quantities, Vector } from "../resources.ts";
import type { Bidder } from "../round.ts";
import { State } from "../state.ts";
import { Bitset } from "../structures/bitset.ts";
import { Assignment } from "../tasks/assignment.ts";
import { Tasks } from "../tasks/tasks.ts";
import type { Part } from "./gang.ts";
import { type Found, GangSearch } from "./gang-search.ts";

interface NodeSketch {
  readonly cpu: number;
  readonly memory: number;
  readonly zone?: string;
}

interface PartSketch {
  readonly cpu: number;
  readonly memory?: number;
  readonly missing: number;
  /** May differ by so many between zones. */
  readonly maxSkew?: number;
  /** Only in this zone. */
  readonly zone?: string;
}

interface BidderSketch {
  readonly maxNodes?: number;
  /** What a slice has at least. */
  readonly minimum?: Quantities | undefined;
  readonly refuses?: readonly number[] | undefined;
  /** CPUs of what it is shown and does not hold, by node. */
  readonly shown?: ReadonlyMap<number, number> | undefined;
}

/** Nodes with nothing on them, and Tasks of one gang that ask for places on them. */
class Site {
  readonly state = new State({ term: "t1", placements: {} });
  readonly search = new GangSearch(this.state);
  readonly parts: readonly Part[];

  constructor(nodes: readonly NodeSketch[], parts: readonly PartSketch[]) {
    const { state } = this;
    nodes.forEach(({ zone = "a", ...allocatable }, n) => {
      const facts = { name: `n${n}`, uid: `n${n}`, labels: { zone }, taints: [], ready: true };
      state.nodes.observe({ ...facts, allocatable: { ...allocatable, pods: 100 } }, 0);
    });
    state.tree.observe({ name: "default", weight: 1, guarantee: {}, limit: {}, namespaces: ["*"] });
    state.framework("ns/f").facts = frameworkFacts("f");
    const assignment = new Assignment(state);
    const tasks = new Tasks(state, assignment);
    this.parts = parts.map(({ missing, maxSkew, zone, memory = 0, cpu }, i) => {
      const requests = { cpu, memory, pods: 1 };
      const spread = maxSkew === undefined ? [] : [{ topologyKey: "zone", maxSkew, over: "Task" as const }];
      const constraints = { spread, ...(zone === undefined ? {} : { nodeSelector: { zone } }) };
      const facts = taskFacts(`t${i}`, { instances: missing, requests, templateKey: `ns/${i}`, constraints });
      tasks.observe(facts);
      assignment.sized(facts.templateKey, requests);
      return { task: state.tasks.get(facts.uid)!, missing };
    });
  }

  bidder({ maxNodes = 64, minimum, refuses, shown }: BidderSketch = {}): Bidder {
    const { resources, nodes } = this.state;
    const least = resources.vector(minimum ?? {});
    const refused = refuses === undefined ? undefined : new Bitset(nodes.capacity);
    for (const node of refuses ?? []) refused!.add(node);
    const bidder: Partial<Bidder> = {
      maxNodes,
      levels: undefined,
      refused,
      shown: shown === undefined ? undefined : resources.vector({}),
      shownOn: (node) => resources.vector({ cpu: shown?.get(node) ?? 0 }),
      first: ({ request }) =>
        minimum === undefined ? request : request.map((amount, r) => Math.max(amount, least[r] ?? 0)),
    };
    return bidder as Bidder;
  }

  own(cpus: ReadonlyMap<number, number> = new Map()): Map<number, Vector> {
    return new Map([...cpus].map(([node, cpu]) => [node, this.state.resources.vector({ cpu })]));
  }

  find(sketch: BidderSketch = {}, own?: ReadonlyMap<number, number>): Found {
    this.search.begin();
    return this.again(sketch, own);
  }

  /** In the same round. */
  again(sketch: BidderSketch = {}, own?: ReadonlyMap<number, number>, parts = this.parts): Found {
    return this.search.find(this.bidder(sketch), parts, this.own(own), true);
  }
}

/** As "2 t0 on 1": so many instances of which Task, on which node. */
const shown = ({ places }: Found) =>
  places.map(({ task, node, count }) => `${count} ${task.uid.slice(0, 2)} on ${node}`);

const node = fc.record({ cpu: fc.nat({ max: 8 }), memory: fc.nat({ max: 8 }) });
const nodes = fc.array(node, { minLength: 1, maxLength: 5 });
const part = fc.record({
  cpu: fc.integer({ min: 1, max: 3 }),
  memory: fc.nat({ max: 2 }),
  missing: fc.integer({ min: 1, max: 8 }),
});
const byNode = fc
  .array(fc.tuple(fc.nat({ max: 4 }), fc.nat({ max: 3 })), { maxLength: 2 })
  .map((list) => new Map(list));
const bidder = fc.record({
  maxNodes: fc.integer({ min: 1, max: 5 }),
  minimum: fc.option(fc.record({ cpu: fc.nat({ max: 4 }) }), { nil: undefined }),
  refuses: fc.option(fc.uniqueArray(fc.nat({ max: 4 }), { maxLength: 2 }), { nil: undefined }),
  shown: fc.option(byNode, { nil: undefined }),
});

/** Only nodes that there are. */
const existing = <T>(map: ReadonlyMap<number, T>, count: number) => new Map([...map].filter(([at]) => at < count));

describe("whatever is searched for, wherever,", () => {
  test("places are there, no more than asked for, and what they leave adds up", () => {
    fc.assert(
      fc.property(nodes, fc.array(part, { minLength: 1, maxLength: 3 }), bidder, byNode, (all, parts, sketch, held) => {
        const site = new Site(all, parts);
        const own = existing(held, all.length);
        const who = site.bidder(sketch);
        const found = site.find(sketch, own);
        const left = new Map<number, Vector>();
        const taken = site.state.resources.vector({});
        for (const { task, node, count } of found.places) {
          expect(sketch.refuses ?? []).not.toContain(node);
          const before = left.get(node);
          const vector = before ?? site.state.nodes.freeVector(node);
          if (before === undefined) vector[0]! += (own.get(node) ?? 0) - (sketch.shown?.get(node) ?? 0);
          for (let n = 0; n < count; n++) {
            const takes = n === 0 && before === undefined ? who.first(task.shape!) : task.shape!.request;
            for (const [r, amount] of takes.entries()) {
              vector[r]! -= amount;
              taken[r]! += amount;
            }
          }
          expect(Math.min(...vector)).toBeGreaterThanOrEqual(0);
          left.set(node, vector);
        }
        expect(left.size).toBeLessThanOrEqual(sketch.maxNodes);
        expect(new Map(found.left)).toEqual(left);
        expect(found.taken).toEqual(taken);
        const placed = (at: number) =>
          found.places.reduce((sum, { task, count }) => sum + (task === site.parts[at]!.task ? count : 0), 0);
        for (const [i, { missing }] of site.parts.entries()) expect(placed(i)).toBeLessThanOrEqual(missing);
        expect(found.placed).toBe(site.parts.reduce((sum, _, i) => sum + placed(i), 0));
        expect(found.wanted).toBe(parts.reduce((sum, { missing }) => sum + missing, 0));
        if (found.placed === found.wanted) expect(site.search.mayFit(site.parts, site.own(own))).toBe(true);
        // Nothing is changed: the same again finds the same.
        expect(shown(site.find(sketch, own))).toEqual(shown(found));
      }),
      { numRuns: 300 },
    );
  });

  test("of one shape as many are placed as there is room for on so many nodes", () => {
    fc.assert(
      fc.property(nodes, part, bidder, byNode, (all, one, sketch, held) => {
        const site = new Site(all, [one]);
        const own = existing(held, all.length);
        const least = Math.max(one.cpu, sketch.minimum?.cpu ?? 0);
        const fits = all.map(({ cpu, memory }, n) => {
          if (sketch.refuses?.includes(n) === true) return 0;
          const has = cpu + (own.get(n) ?? 0) - (sketch.shown?.get(n) ?? 0);
          if (has < least || memory < one.memory) return 0;
          const byCpu = 1 + Math.floor((has - least) / one.cpu);
          return one.memory === 0 ? byCpu : Math.min(byCpu, Math.floor(memory / one.memory));
        });
        // What is held for it is used first, and counts among its nodes.
        if (own.size > 0 && fits.filter((fit) => fit > 0).length > sketch.maxNodes) return;
        const most = fits.sort((a, b) => b - a).slice(0, sketch.maxNodes);
        const room = most.reduce((sum, fit) => sum + fit, 0);
        expect(site.find(sketch, own).placed).toBe(Math.min(one.missing, room));
      }),
      { numRuns: 300 },
    );
  });

  test("no zone is ahead of another by more than may be, and what was tried is not counted afterwards", () => {
    const zoned = fc.record({ cpu: fc.nat({ max: 4 }), memory: fc.constant(0), zone: fc.constantFrom("a", "b", "c") });
    const spread = fc.record({
      cpu: fc.integer({ min: 1, max: 2 }),
      missing: fc.integer({ min: 1, max: 8 }),
      maxSkew: fc.integer({ min: 1, max: 2 }),
    });
    const places = fc.array(zoned, { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(places, spread, byNode, fc.integer({ min: 1, max: 6 }), (all, one, held, maxNodes) => {
        const site = new Site(all, [one]);
        const own = existing(held, all.length);
        const found = site.find({ maxNodes }, own);
        const counts = new Map(all.map(({ zone }) => [zone, 0]));
        for (const { node, count } of found.places) counts.set(all[node]!.zone, counts.get(all[node]!.zone)! + count);
        expect(Math.max(...counts.values()) - Math.min(...counts.values())).toBeLessThanOrEqual(one.maxSkew);
        expect(shown(site.find({ maxNodes }, own))).toEqual(shown(found));
        if (found.tooWide || found.placed === one.missing) return;
        // Every zone that may take one more has no room for it.
        const least = Math.min(...counts.values());
        for (const [n, { cpu, zone }] of all.entries()) {
          if (counts.get(zone)! - least >= one.maxSkew) continue;
          const there = found.places.reduce((sum, { node, count }) => sum + (node === n ? count : 0), 0);
          expect(cpu + (own.get(n) ?? 0) - there * one.cpu).toBeLessThan(one.cpu);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("a search", () => {
  const node = (cpu: number, zone = "a") => ({ cpu, memory: 0, zone });

  test("ends with the first Task that finds no place for all, unless it is to tell how many would", () => {
    const site = new Site(
      [node(5)],
      [
        { cpu: 3, missing: 2 },
        { cpu: 1, missing: 2 },
      ],
    );
    expect(shown(site.search.find(site.bidder(), site.parts, site.own()))).toEqual(["1 t0 on 0"]);
    expect(shown(site.find())).toEqual(["1 t0 on 0", "2 t1 on 0"]);
  });

  test("places the larger first, by their part of what there is", () => {
    const site = new Site(
      [{ cpu: 10, memory: 100 }],
      [
        { cpu: 1, memory: 20, missing: 1 },
        { cpu: 3, memory: 1, missing: 1 },
        { cpu: 1, memory: 40, missing: 1 },
        { cpu: 3, memory: 1, missing: 1 },
      ],
    );
    expect(shown(site.find())).toEqual(["1 t2 on 0", "1 t1 on 0", "1 t3 on 0", "1 t0 on 0"]);
  });

  test("takes the nodes with most room only where the first ones are too many", () => {
    const nodes = [node(1), node(2), node(3)];
    expect(shown(new Site(nodes, [{ cpu: 1, missing: 4 }]).find({ maxNodes: 3 }))).toEqual([
      "1 t0 on 0",
      "2 t0 on 1",
      "1 t0 on 2",
    ]);
    const wide = new Site(nodes, [{ cpu: 1, missing: 4 }]).find({ maxNodes: 2 });
    expect([shown(wide), wide.tooWide]).toEqual([["3 t0 on 2", "1 t0 on 1"], false]);
    const never = new Site(nodes, [{ cpu: 1, missing: 6 }]).find({ maxNodes: 2 });
    expect([shown(never), never.tooWide, never.placed]).toEqual([["3 t0 on 2", "2 t0 on 1"], true, 5]);
  });

  test("uses what is held for the start before anything else", () => {
    const site = new Site([node(2), node(2)], [{ cpu: 2, missing: 2 }]);
    expect(shown(site.find({}, new Map([[1, 2]])))).toEqual(["2 t0 on 1"]);
  });

  test("stays where each Task may be", () => {
    const site = new Site([node(4, "a"), node(4, "b")], [{ cpu: 1, missing: 5, zone: "b" }]);
    expect(shown(site.find())).toEqual(["4 t0 on 1"]);
    expect(shown(site.find({}, new Map([[0, 1]])))).toEqual(["4 t0 on 1"]);
  });

  test("is spared where sums tell that there is too little, with what is held for it", () => {
    const site = new Site(
      [node(2), node(2)],
      [
        { cpu: 3, missing: 1 },
        { cpu: 1, missing: 2 },
      ],
    );
    expect(site.search.mayFit(site.parts, site.own())).toBe(false);
    expect(site.search.mayFit(site.parts, site.own(new Map([[0, 1]])))).toBe(true);
  });

  test("is not repeated for as many of a shape as did not fit, until a round begins", () => {
    const site = new Site([node(4)], [{ cpu: 1, missing: 5 }]);
    expect(site.find().placed).toBe(4);
    expect(site.again().placed).toBe(0);
    const [{ task }] = site.parts as [Part];
    expect(site.again({}, undefined, [{ task, missing: 4 }]).placed).toBe(4);
    site.search.begin();
    expect(site.again().placed).toBe(4);
  });

  test.each<{ name: string; bidder?: BidderSketch; own?: ReadonlyMap<number, number>; finds: number }>([
    { name: "who refuses a node", bidder: { refuses: [0] }, finds: 5 },
    { name: "whose slices have to be larger", bidder: { minimum: { cpu: 4 } }, finds: 2 },
    { name: "who is shown a part of it", bidder: { shown: new Map([[0, 2]]) }, finds: 6 },
    { name: "for whom room is held", own: new Map([[1, 1]]), finds: 9 },
  ])("for one $name says nothing of others, nor theirs of it", ({ bidder, own, finds }) => {
    const [before, after] = [0, 1].map(() => new Site([node(3), node(5)], [{ cpu: 1, missing: 9 }])) as [Site, Site];
    expect([before.find(bidder, own).placed, before.again().placed]).toEqual([finds, 8]);
    expect([after.find().placed, after.again(bidder, own).placed]).toEqual([8, finds]);
  });

  test("on fewer nodes than there are says nothing of all of them", () => {
    const site = new Site([node(3), node(5)], [{ cpu: 1, missing: 9 }]);
    expect([site.find({ maxNodes: 1 }).placed, site.again().placed]).toEqual([5, 8]);
  });

  test("that is in vain beside what it has placed before is not by itself, nor is one in which a spread stands in the way", () => {
    const beside = new Site(
      [node(5)],
      [
        { cpu: 3, missing: 1 },
        { cpu: 1, missing: 3 },
      ],
    );
    expect(beside.find().placed).toBe(3);
    expect(beside.again({}, undefined, beside.parts.slice(1)).placed).toBe(3);
    const spread = new Site([node(4, "a"), node(1, "b")], [{ cpu: 1, missing: 4, maxSkew: 1 }]);
    expect([spread.find().placed, spread.again().placed]).toEqual([3, 3]);
  });

  test("remembers the nodes on which there is no room at all, and only those", () => {
    const candidate = ({ state, parts }: Site) => state.shapes.hasCandidate(parts[0]!.task.shape!);
    const none = new Site([node(1)], [{ cpu: 2, missing: 1 }]);
    expect([candidate(none), none.find().placed, candidate(none)]).toEqual([true, 0, false]);
    for (const sketch of [{ minimum: { cpu: 3 } }, { shown: new Map([[0, 1]]) }]) {
      const less = new Site([node(2)], [{ cpu: 2, missing: 1 }]);
      expect([less.find(sketch).placed, candidate(less)]).toEqual([0, true]);
    }
    const used = new Site([node(2)], [{ cpu: 2, missing: 2 }]);
    expect([used.find().placed, candidate(used)]).toEqual([1, true]);
    // What is held for it is room for it as soon as it is given back.
    const held = new Site([node(1)], [{ cpu: 3, missing: 1 }]);
    expect([held.find({}, new Map([[0, 1]])).placed, candidate(held)]).toEqual([0, true]);
  });

  test("uses what is held for the next once one elsewhere has opened its domain again", () => {
    const site = new Site([node(0, "a"), node(2, "b")], [{ cpu: 1, missing: 4, maxSkew: 1 }]);
    // From here on it is known that without what is held there is no room in one of them.
    expect(shown(site.find())).toEqual(["1 t0 on 1"]);
    expect(shown(site.find({}, new Map([[0, 2]])))).toEqual(["1 t0 on 0", "1 t0 on 1", "1 t0 on 1", "1 t0 on 0"]);
  });

  test("with the nodes first that have most room, stays where it may be and takes none that is refused", () => {
    const nodes = [node(1), node(5), node(3), node(9, "b"), node(3)];
    const site = new Site(nodes, [{ cpu: 1, missing: 6, zone: "a" }]);
    expect(shown(site.find({ maxNodes: 2, refuses: [1] }))).toEqual(["3 t0 on 2", "3 t0 on 4"]);
  });

  test("with the nodes first that have most room goes through its domains in turn where it is spread", () => {
    const nodes = [node(1, "a"), node(1, "b"), node(3, "a"), node(2, "b")];
    const site = new Site(nodes, [{ cpu: 1, missing: 4, maxSkew: 1 }]);
    const found = site.find({ maxNodes: 2 });
    expect([shown(found), found.placed]).toEqual([["1 t0 on 2", "1 t0 on 3", "1 t0 on 2", "1 t0 on 3"], 4]);
  });

  test("takes nothing of a node that has less than nothing of what it does not even ask for", () => {
    const site = new Site([{ cpu: 4, memory: 4 }], [{ cpu: 1, missing: 1 }]);
    const { ledger, resources } = site.state;
    const vector = resources.vector({ memory: 5 });
    ledger.observe({ id: "x", kind: "foreign", node: 0, vector, instances: 1, holder: undefined });
    expect(site.find().placed).toBe(0);
  });
});
