import { beforeEach, describe, expect, test } from "vitest";
import { Bidders } from "./bidders.ts";
import { frameworkFacts, taskFacts } from "./broker.test-support.ts";
import type { Hold } from "./holds.ts";
import type { Line } from "./lines.ts";
import { Offers } from "./offers.ts";
import { State } from "./state.ts";
import { Assignment } from "./tasks/assignment.ts";
import { Tasks } from "./tasks/tasks.ts";

/** Two nodes of 4 CPUs, a Builtin framework `f` and an Offers framework `o`, each with one Task of three 2-CPU instances. */
class World {
  readonly state = new State({ term: "t1", placements: { BinPack: { score: () => 0, rotate: false } } });
  readonly #assignment = new Assignment(this.state);
  readonly #tasks = new Tasks(this.state, this.#assignment);
  readonly offers = new Offers(this.state, this.#tasks, this.#assignment);
  readonly #bidders = new Bidders(this.state, this.#tasks, this.offers);

  constructor() {
    const { state } = this;
    state.opened = true;
    for (const name of ["n0", "n1"]) {
      const allocatable = { cpu: 4_000, memory: 1_000, pods: 10 };
      state.nodes.observe({ name, uid: name, allocatable, labels: {}, taints: [], ready: true }, 0);
    }
    state.tree.observe({ name: "default", weight: 1, guarantee: {}, limit: {}, namespaces: ["*"] });
    state.framework("ns/f").facts = frameworkFacts("f");
    state.framework("ns/o").facts = frameworkFacts("o", { scheduler: "Offers", maxOutstanding: 4 });
    state.framework("ns/o").outstandingLimit = 4;
    for (const name of ["f", "o"]) {
      const facts = taskFacts(`t${name}`, { framework: `ns/${name}`, instances: 3, requests: { cpu: 2_000, pods: 1 } });
      this.#tasks.observe(facts);
      this.#assignment.sized(facts.templateKey, facts.requests);
    }
  }

  line(of: string): Line {
    const claimant = this.state.tree.claimant(`ns/${of}`, "default");
    return [...this.state.lines.of(claimant)][0]!;
  }

  hold(of: string, cpu: number): Hold | undefined {
    return this.state.holds.place(this.line(of), 0, this.state.resources.vector({ cpu, pods: 1 }));
  }

  redeem(): number {
    const granted = this.state.holds.redeem(this.#bidders.begin());
    this.offers.publishDrafts();
    return granted;
  }

  claims(): string[] {
    return [...this.state.ledger.claims()].map(({ kind, node }) => `${kind} on n${node}`);
  }
}

let world: World;
beforeEach(() => {
  world = new World();
});

describe("a hold", () => {
  test("takes room from everybody, and counts as its claimant's usage", () => {
    expect(world.hold("f", 2_000)).toBeDefined();
    expect(world.state.nodes.freeVector(0)[0]).toBe(2_000);
    expect(world.line("f").claimant.usage[0]).toBe(2_000);
    expect(world.line("f").claimant.parent?.holding[0]).toBe(2_000);
    expect(world.hold("o", 4_000)).toBeUndefined();
  });

  test("is told of when it comes, changes and goes: it stands in the statuses of its framework and queue", () => {
    const { state } = world;
    const told = () =>
      state.drainEffects().flatMap((effect) => {
        if (effect.type === "framework-changed") return [effect.key];
        return effect.type === "queue-changed" ? [effect.name] : [];
      });
    const both = ["ns/f", "default"];
    told();
    const hold = world.hold("f", 1_000)!;
    expect(told()).toEqual(both);
    state.holds.resize(hold, state.resources.vector({ cpu: 1_000, pods: 1 }));
    expect(told()).toEqual([]);
    state.holds.resize(hold, state.resources.vector({ cpu: 2_000, pods: 1 }));
    expect(told()).toEqual(both);
    state.holds.release(hold);
    expect(told()).toEqual(both);
  });

  test("that is whole becomes a launch of a Builtin framework, on its node", () => {
    world.hold("f", 2_000);
    expect(world.redeem()).toBe(1);
    expect(world.claims()).toEqual(["task on n0"]);
    expect(world.line("f").held).toBe(0);
  });

  test("that is whole becomes an exclusive offer to a framework that answers, optimistic or not", () => {
    world.state.framework("ns/o").facts = frameworkFacts("o", { scheduler: "Offers", concurrency: "Optimistic" });
    world.hold("o", 2_000);
    expect(world.redeem()).toBe(1);
    expect(world.claims()).toEqual(["offer on n0"]);
    expect([...world.state.offers.values()].map(({ concurrency }) => concurrency)).toEqual(["Exclusive"]);
    expect(world.line("o").outstanding).toBe(1);
  });

  test("is offered with the least that its framework wants of a slice, and without where a limit forbids that", () => {
    for (const [cpu, offered] of [
      [3_000, 3_000],
      [2_500, 2_000],
    ] as const) {
      world = new World();
      const minimum = { cpu: 3_000 };
      world.state.framework("ns/o").facts = frameworkFacts("o", { scheduler: "Offers", maxOutstanding: 4, minimum });
      world.state.tree.queues.get("default")!.limit = world.state.resources.limits({ cpu });
      world.state.tree.bounded = true;
      world.hold("o", 2_000);
      expect(world.redeem()).toBe(1);
      expect(world.line("o").claimant.usage[0]).toBe(offered);
    }
  });

  test("that is not whole stays, until it has grown", () => {
    const hold = world.hold("f", 500)!;
    expect(world.redeem()).toBe(0);
    expect(world.claims()).toEqual(["hold on n0"]);
    expect(world.state.holds.resize(hold, world.state.resources.vector({ cpu: 5_000, pods: 1 }))).toBe(false);
    expect(world.state.nodes.freeVector(0)[0]).toBe(3_500);
    expect(world.state.holds.resize(hold, world.line("f").request)).toBe(true);
    expect(world.line("f").held).toBe(1);
    expect(world.redeem()).toBe(1);
  });

  test("is released when nothing waits for it any more", () => {
    const line = world.line("f");
    world.hold("f", 2_000);
    world.hold("f", 1_000);
    line.outstanding = 3;
    expect(world.redeem()).toBe(0);
    expect(world.claims()).toEqual([]);
    expect([line.holds, line.held]).toEqual([0, 0]);
  });

  test.each([
    { name: "the node closes", change: (w: World) => w.state.nodes.gone(w.state.nodes.at(0)) },
    {
      name: "its framework is suppressed",
      change: (w: World) => {
        w.state.framework("ns/f").facts = frameworkFacts("f", { suppressed: true });
      },
    },
    {
      name: "its queue's limit has come below it",
      change: (w: World) => {
        const queue = w.state.tree.queues.get("default")!;
        queue.limit = w.state.resources.limits({ cpu: 1_000 });
      },
    },
  ])("is released when $name", ({ change }) => {
    world.hold("f", 2_000);
    change(world);
    expect(world.redeem()).toBe(0);
    expect(world.claims()).toEqual([]);
  });

  test("keeps its line while there is no demand for a moment", () => {
    const line = world.line("f");
    world.hold("f", 1_000);
    line.ready = 0;
    world.state.lines.dropIfEmpty(line);
    expect(world.line("f")).toBe(line);
  });

  test("is found by the line that it stands for", () => {
    const [mine] = [world.hold("f", 1_000), world.hold("o", 1_000)];
    expect(world.state.holds.of(world.line("f"))).toEqual([mine]);
    expect([...world.state.holds.all()]).toHaveLength(2);
  });

  test("that is cut is not whole any more, and one that is asked for what it has stays as it is", () => {
    const hold = world.hold("f", 2_000)!;
    const { holds, resources } = world.state;
    expect(holds.resize(hold, resources.vector({ cpu: 2_000, pods: 1 }))).toBe(true);
    expect(world.line("f").held).toBe(1);
    expect(holds.resize(hold, resources.vector({ cpu: 500, pods: 1 }))).toBe(true);
    expect([world.line("f").held, world.line("f").holds]).toEqual([0, 1]);
    expect(holds.resize(hold, resources.vector({ cpu: 3_000, pods: 1 }))).toBe(true);
    expect(world.line("f").held).toBe(1);
  });

  test("asks for a round when it becomes whole and when its room is free again, and goes once", () => {
    const { state } = world;
    state.dirty = false;
    const hold = world.hold("f", 500)!;
    expect(state.dirty).toBe(false);
    state.holds.resize(hold, world.line("f").request);
    expect(state.dirty).toBe(true);
    state.dirty = false;
    for (const _ of ["once", "twice"]) state.holds.release(hold);
    expect(state.dirty).toBe(true);
    expect([world.line("f").holds, world.line("f").held, state.holds.size]).toEqual([0, 0, 0]);
  });

  test("is exchanged for what starts there, whole or not at all", () => {
    const { holds, ledger, resources } = world.state;
    const all = [world.hold("f", 2_000)!, world.hold("f", 1_000)!];
    const claim = (cpu: number) => ({ ...all[0]!.claim, id: "task/t/0", vector: resources.vector({ cpu, pods: 1 }) });
    expect(holds.exchange(all, [claim(5_000)])).toBe(false);
    expect(holds.of(world.line("f"))).toEqual(all);
    expect(holds.exchange(all, [claim(4_000)])).toBe(true);
    expect([...ledger.claims()].map(({ id }) => id)).toEqual(["task/t/0"]);
    expect([world.line("f").holds, world.line("f").held, holds.size]).toEqual([0, 0, 0]);
  });

  test("on a node that closes is released, and no other", () => {
    world.hold("f", 1_000);
    world.state.holds.releaseOn(1);
    expect(world.claims()).toEqual(["hold on n0"]);
    world.state.holds.releaseOn(0);
    expect(world.claims()).toEqual([]);
  });

  test("on a node that its framework refuses is released", () => {
    world.hold("o", 1_000);
    world.state.refusals.add(world.state.framework("ns/o"), [1], 1_000);
    world.redeem();
    expect(world.claims()).toEqual(["hold on n0"]);
    world.state.refusals.add(world.state.framework("ns/o"), [0], 1_000);
    world.redeem();
    expect(world.claims()).toEqual([]);
  });

  test("that becomes an instance ends the wait of its line", () => {
    const line = world.line("f");
    Object.assign(line, { waitingSinceMs: 5, vainHolds: 2 });
    world.hold("f", 2_000);
    world.redeem();
    expect([line.waitingSinceMs, line.vainHolds]).toEqual([undefined, 0]);
  });

  test("was all that was left of its line, when nothing waits any more", () => {
    const line = world.line("f");
    const hold = world.hold("f", 1_000)!;
    line.ready = 0;
    world.state.holds.release(hold);
    expect([...world.state.lines.of(line.claimant)]).toEqual([]);
  });
});
