import { beforeEach, describe, expect, test } from "vitest";
import { frameworkFacts, taskFacts } from "../broker.test-support.ts";
import { isWhole } from "../holds.ts";
import type { Line } from "../lines.ts";
import type { TaskFacts } from "../messages.ts";
import type { Bidder } from "../round.ts";
import { State } from "../state.ts";
import { Bitset } from "../structures/bitset.ts";
import { Assignment } from "../tasks/assignment.ts";
import { Tasks } from "../tasks/tasks.ts";
import type { Found } from "./gang-search.ts";
import { Gathering } from "./gathering.ts";
import type { Turn } from "./long-waits.ts";

/** Four nodes of 8 CPUs, of which so many are free: the rest is used by tasks that will end. */
class World {
  readonly state = new State({ term: "t1", placements: {} });
  readonly gathering = new Gathering(this.state);
  readonly refused: Bitset;
  readonly #assignment = new Assignment(this.state);
  readonly #tasks = new Tasks(this.state, this.#assignment);
  turn!: Turn;

  constructor(free: readonly number[]) {
    const { state } = this;
    state.opened = true;
    for (const [n, cpu] of free.entries()) {
      this.node(n, 8);
      this.free(n, cpu);
    }
    this.refused = new Bitset(state.nodes.capacity);
    state.tree.observe({ name: "default", weight: 1, guarantee: {}, limit: {}, namespaces: ["*"] });
    state.framework("ns/f").facts = frameworkFacts("f");
  }

  /** The node is of so many CPUs. */
  node(n: number, cpu: number): void {
    const labels = { zone: n === 1 ? "b" : "a" };
    const facts = { name: `n${n}`, uid: `n${n}`, labels, taints: [], ready: true };
    this.state.nodes.observe({ ...facts, allocatable: { cpu, memory: 8, pods: 100 } }, 0);
  }

  /** More of the node's memory is used than it has by now. */
  overfill(node: number): void {
    const { ledger, resources } = this.state;
    const vector = resources.vector({ memory: 9 });
    ledger.observe({ id: `over/${node}`, kind: "task", node, vector, instances: 1, holder: undefined });
  }

  /** So many CPUs of the node are free now, beside what is held. */
  free(node: number, cpu: number, kind: "task" | "foreign" = "task"): void {
    const { ledger, resources } = this.state;
    const held = [...ledger.onNode(node)].reduce(
      (sum, claim) => sum + (claim.kind === "hold" ? claim.vector[0]! : 0),
      0,
    );
    const vector = resources.vector({ cpu: 8 - cpu - held });
    ledger.observe({ id: `used/${node}`, kind, node, vector, instances: 1, holder: undefined });
  }

  /** A Task of such instances. */
  task(name: string, cpu: number, change: Partial<TaskFacts> = {}): void {
    const facts = taskFacts(name, { requests: { cpu, pods: 1 }, templateKey: `ns/${cpu}`, ...change });
    this.#tasks.observe(facts);
    this.#assignment.sized(facts.templateKey, facts.requests);
  }

  /** It is the turn of a Task of such instances. */
  waits(cpu: number, change: Partial<TaskFacts> = {}): Line {
    this.task("t", cpu, change);
    const line = this.state.tasks.get("t-uid")!.line!;
    this.turn = { waiter: line.gang ?? line, line, sinceMs: 0, untilMs: 1, holds: new Set() };
    return line;
  }

  get bidder(): Bidder {
    const bidder: Partial<Bidder> = { claimant: this.turn.line.claimant, refused: this.refused };
    return bidder as Bidder;
  }

  /** Room gathers for it, as it does at the beginning of each round. */
  gather(): string[] {
    this.state.room.refresh();
    this.gathering.forLine(this.turn, this.bidder);
    return this.held();
  }

  /** The same for a gang, of which so many now fit on these nodes. */
  gatherGang(places: readonly (readonly [node: number, count: number, task?: string])[]): string[] {
    this.state.room.refresh();
    const task = (name = "t") => this.state.tasks.get(`${name}-uid`)!;
    const found: Partial<Found> = { places: places.map(([node, count, name]) => ({ task: task(name), node, count })) };
    this.gathering.forGang(this.turn, this.bidder, found as Found);
    return this.held();
  }

  /** CPUs held on which node, as far as the turn and the ledger agree. */
  held(): string[] {
    expect([...this.state.holds.all()].sort()).toEqual([...this.turn.holds].sort());
    return [...this.turn.holds].map(({ claim: { node, vector } }) => `${vector[0]} on n${node}`).sort();
  }
}

describe("for one large instance", () => {
  let world: World;
  beforeEach(() => {
    world = new World([1, 5, 3, 0]);
    world.waits(6);
  });

  test("what is free is held on the node that lacks least", () => {
    expect(world.gather()).toEqual(["5 on n1"]);
    expect(world.gather()).toEqual(["5 on n1"]);
  });

  test("it grows there as others end, up to what is asked for", () => {
    world.gather();
    world.free(1, 2);
    expect(world.gather()).toEqual(["6 on n1"]);
    expect(world.state.nodes.freeVector(1)[0]).toBe(1);
  });

  test("it moves to a node where all of it fits, and to no other", () => {
    world.gather();
    world.free(2, 5.5);
    expect(world.gather()).toEqual(["5 on n1"]);
    world.free(2, 6);
    expect(world.gather()).toEqual(["6 on n2"]);
    expect(world.state.nodes.freeVector(1)[0]).toBe(5);
  });

  test("it stays where all of it fits, and of equal nodes takes the first", () => {
    world.free(2, 5);
    expect(world.gather()).toEqual(["5 on n1"]);
    world.free(1, 1);
    world.free(2, 6);
    expect(world.gather()).toEqual(["6 on n1"]);
  });

  test("it is not given back where others took more of the node than there is", () => {
    world.gather();
    world.free(1, -1);
    expect(world.gather()).toEqual(["5 on n1"]);
  });

  test("nothing is held where none of it is free", () => {
    for (const node of [0, 1, 2]) world.free(node, 0);
    expect(world.gather()).toEqual([]);
  });

  test("a node where it never fits, beside what is not Proffer's, is not considered", () => {
    world.free(1, 5, "foreign");
    expect(world.gather()).toEqual(["3 on n2"]);
  });

  test("nor is one that is too small, or of which others use more than there is of anything", () => {
    world.node(1, 5);
    world.state.ledger.forget("used/1");
    expect(world.gather()).toEqual(["3 on n2"]);
    world.state.holds.release([...world.turn.holds][0]!);
    world.turn.holds.clear();
    world.overfill(2);
    expect(world.gather()).toEqual(["1 on n0"]);
  });

  test("nor is one where its spread does not let it stand", () => {
    world = new World([1, 5, 3, 0]);
    world.waits(6, { constraints: { spread: [{ topologyKey: "zone", maxSkew: 1, over: "Framework" }] } });
    world.turn.line.shape.spread[0]!.counts.join("another", 1);
    expect(world.gather()).toEqual(["3 on n2"]);
  });

  test("nor is one that is refused, or over-full", () => {
    world.refused.add(1);
    expect(world.gather()).toEqual(["3 on n2"]);
    world.state.holds.release([...world.turn.holds][0]!);
    world.turn.holds.clear();
    world.free(2, -1);
    expect(world.gather()).toEqual(["1 on n0"]);
  });

  test("a node on which it has gathered in vain is tried last", () => {
    world.gather();
    world.gathering.avoid(world.turn);
    expect(world.held()).toEqual([]);
    expect(world.gather()).toEqual(["3 on n2"]);
    world.gathering.avoid(world.turn);
    expect(world.gather()).toEqual(["1 on n0"]);
    world.gathering.avoid(world.turn);
    expect(world.gather()).toEqual(["5 on n1"]);
  });

  test("what is whole has not gathered in vain", () => {
    world.free(1, 6);
    world.gather();
    world.gathering.avoid(world.turn);
    expect(world.held()).toEqual(["6 on n1"]);
  });

  test("nothing is held past its queue's limit", () => {
    world.state.tree.observe({ name: "default", weight: 1, guarantee: {}, limit: { cpu: 5 }, namespaces: ["*"] });
    expect(world.gather()).toEqual(["5 on n1"]);
    world.free(1, 1);
    expect(world.gather()).toEqual(["5 on n1"]);
    world.state.tree.observe({ name: "default", weight: 1, guarantee: {}, limit: { cpu: 6 }, namespaces: ["*"] });
    expect(world.gather()).toEqual(["6 on n1"]);
  });
});

describe("for all that starts together", () => {
  const gang = { instances: 3, gang: { minimum: 3 } };

  test("whole instances are held where they fit, and for the rest what is free on a node each", () => {
    const world = new World([4, 1, 2, 0]);
    world.waits(4, gang);
    expect(world.gatherGang([[0, 1]])).toEqual(["1 on n1", "2 on n2", "4 on n0"]);
    expect([...world.turn.holds].filter(isWhole)).toHaveLength(1);
    expect(world.gatherGang([[0, 1]])).toEqual(["1 on n1", "2 on n2", "4 on n0"]);
  });

  test("the rest gathers on the nodes that lack least, and grows there", () => {
    const world = new World([1, 3, 2, 0]);
    world.waits(4, { instances: 2, gang: { minimum: 2 } });
    expect(world.gatherGang([])).toEqual(["2 on n2", "3 on n1"]);
    world.free(1, 2);
    expect(world.gatherGang([])).toEqual(["2 on n2", "4 on n1"]);
  });

  test("what has gathered becomes whole where it fits now, and no more is held than that", () => {
    const world = new World([3, 0, 0, 0]);
    world.waits(4, { instances: 2, gang: { minimum: 2 } });
    expect(world.gatherGang([])).toEqual(["3 on n0"]);
    world.free(0, 5);
    expect(world.gatherGang([[0, 2]])).toEqual(["4 on n0", "4 on n0"]);
  });

  test("what fits elsewhere by now has nothing gather for it any more", () => {
    const world = new World([1, 2, 0, 0]);
    world.waits(4, { instances: 2, gang: { minimum: 2 } });
    expect(world.gatherGang([])).toEqual(["1 on n0", "2 on n1"]);
    world.free(3, 8);
    expect(world.gatherGang([[3, 2]])).toEqual(["4 on n3", "4 on n3"]);
  });

  test("where one gathers no other does, however much is left there", () => {
    const world = new World([3, 1, 0, 0]);
    world.waits(4, gang);
    expect(world.gatherGang([])).toEqual(["1 on n1", "3 on n0"]);
    world.free(0, 3);
    expect(world.gatherGang([[0, 1]])).toEqual(["1 on n1", "4 on n0"]);
  });

  test("what is held for one Task of a group is not held for another, nor twice for the same", () => {
    const world = new World([4, 0, 0, 0]);
    const group = { group: { name: "g", size: 2 } };
    world.task("older", 3, { ...group, createdAtMs: 0 });
    world.waits(4, group);
    expect(world.gatherGang([[0, 1]])).toEqual(["4 on n0"]);
    world.free(0, 4);
    expect(
      world.gatherGang([
        [0, 1],
        [0, 1, "older"],
      ]),
    ).toEqual(["3 on n0", "4 on n0"]);
  });

  test("on one node no more gathers than will fit there together", () => {
    const world = new World([7, 0, 0, 0]);
    world.waits(4, gang);
    expect(world.gatherGang([[0, 1]])).toEqual(["3 on n0", "4 on n0"]);
  });
});
