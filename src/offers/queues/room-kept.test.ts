import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { frameworkFacts, taskFacts } from "../broker.test-support.ts";
import type { Line } from "../lines.ts";
import type { TaskFacts } from "../messages.ts";
import type { Limits, Quantities, Vector } from "../resources.ts";
import { State } from "../state.ts";
import { Assignment } from "../tasks/assignment.ts";
import type { Task } from "../tasks/task.ts";
import { Tasks } from "../tasks/tasks.ts";
import type { Claimant, Queue } from "./queues.ts";
import { Room } from "./room.ts";

const RESOURCES = ["cpu", "memory"] as const;
/** What a node of each zone has: of the second, little. */
const ZONES = { large: { cpu: 40, memory: 40 }, small: { cpu: 2, memory: 2 } } as const;

const few = fc.record({ cpu: fc.nat(12), memory: fc.nat(12) }, { requiredKeys: [] });
/** What is guaranteed beside what those below are, and how much more the limit allows. */
const bounds = fc.record({ guarantee: few, above: few });
type Bound = typeof bounds extends fc.Arbitrary<infer T> ? T : never;
const wish = fc.record({
  queue: fc.constantFrom("top", "left", "right", "other"),
  framework: fc.constantFrom("f", "g", "suppressed"),
  cpu: fc.nat(4),
  memory: fc.nat(4),
  instances: fc.integer({ min: 1, max: 4 }),
  /** 0: each on its own. Otherwise all that say the same start together. */
  group: fc.constantFrom(0, 0, 0, 1, 2),
  zone: fc.constantFrom("large", "large", "small"),
  priority: fc.nat(1),
  createdAtMs: fc.nat(3),
  /** Instances in open offers, and of these such as are only shown. */
  offered: fc.constantFrom(0, 0, 1, 2),
  shown: fc.nat(1),
});
type Wish = (typeof wish extends fc.Arbitrary<infer T> ? T : never) & {
  /** All that say the same are in one line, if they ask for the same; otherwise each has its own. */
  readonly alike?: string;
};
/** Queue "top" over "left" and "right", and "other" beside it. */
const site = fc.record({
  queues: fc.record({ top: bounds, left: bounds, right: bounds, other: bounds }),
  wishes: fc.array(wish, { minLength: 1, maxLength: 8 }),
  /** Instances that run before anything is reckoned, of which tasks. */
  before: fc.array(fc.nat(), { maxLength: 4 }),
  /** Of which task, and whether room is held for a part of an instance instead. */
  grants: fc.array(fc.record({ pick: fc.nat(), part: fc.constantFrom(false, false, true) }), { maxLength: 20 }),
  /** More kinds of resources turn up when all is there already. */
  widens: fc.boolean(),
});
type Site = typeof site extends fc.Arbitrary<infer T> ? T : never;

/** Of a queue's own bounds, and those of its children. */
function stated([own, ...below]: readonly Bound[]): { guarantee: Quantities; limit: Limits } {
  const guarantee: Record<string, number> = {};
  const limit: Record<string, number> = {};
  for (const name of RESOURCES) {
    const parts = [own!, ...below].map((bound) => bound.guarantee[name]);
    const sum = parts.reduce<number>((total, part) => total + (part ?? 0), 0);
    if (parts.some((part) => part !== undefined)) guarantee[name] = sum;
    if (own!.above[name] !== undefined) limit[name] = sum + own!.above[name];
  }
  return { guarantee, limit };
}

/** A tree of queues with Tasks that want to run on two nodes. */
class World {
  readonly state = new State({ term: "1", placements: {} });
  readonly tasks: Task[] = [];
  readonly #assignment = new Assignment(this.state);
  readonly #tasks = new Tasks(this.state, this.#assignment);

  constructor({ queues, wishes, widens }: Site) {
    const { state } = this;
    state.opened = true;
    for (const [name, bound] of Object.entries(queues)) {
      const parent = name === "left" || name === "right" ? { parent: "top" } : {};
      const { guarantee, limit } = stated(name === "top" ? [bound, queues.left, queues.right] : [bound]);
      state.tree.observe({ name, weight: 1, namespaces: ["*"], ...parent, guarantee, limit });
    }
    for (const [zone, allocatable] of Object.entries(ZONES)) {
      const facts = { name: zone, uid: zone, labels: { zone }, taints: [], ready: true };
      state.nodes.observe({ ...facts, allocatable: { ...allocatable, pods: 999 } }, 0);
    }
    for (const name of ["f", "g", "suppressed"]) {
      const own = Object.keys(queues).map((queue) => ({ name: queue, weight: 1 }));
      state.framework(`ns/${name}`).facts = frameworkFacts(name, { queues: own });
    }
    for (const [i, each] of wishes.entries()) this.#wants(i, each, wishes);
    for (const [i, { offered, shown }] of wishes.entries())
      this.#offered(this.tasks[i]!, offered, Math.min(offered, shown));
    if (widens) for (let n = 0; n < 9; n++) state.resources.known({ [`example.com/r${n}`]: 1 });
  }

  #wants(
    i: number,
    { offered: _, shown: __, alike = `${i}`, cpu, memory, group, zone, framework, ...rest }: Wish,
    all: readonly Wish[],
  ): void {
    const requests = { cpu, memory, pods: 1 };
    const mates = all.filter((other) => other.group === group && other.framework === framework);
    const together: Partial<TaskFacts> = group > 0 ? { group: { name: `${group}`, size: mates.length } } : {};
    const constraints = { nodeSelector: { zone }, tolerations: [{ key: alike }] };
    const change = {
      framework: `ns/${framework}`,
      templateKey: `ns/${i}`,
      requests,
      constraints,
      ...together,
      ...rest,
    };
    const facts = taskFacts(`t${i}`, change);
    this.#tasks.observe(facts);
    this.#assignment.sized(facts.templateKey, requests);
    this.tasks.push(this.state.tasks.get(facts.uid)!);
  }

  /** What is offered counts as usage, but for what is only shown. */
  #offered({ line }: Task, offered: number, shown: number): void {
    if (line === undefined) return;
    line.outstanding = offered;
    line.shown = shown;
    for (let n = shown; n < offered; n++) line.claimant.held("offer", line.request, 1, 1);
  }

  /** Room is held for a part of an instance. Returns the line it is for. */
  hold({ line }: Task): Line | undefined {
    line?.claimant.held("hold", this.state.resources.vector({ cpu: 1, memory: 2 }), 0, 1);
    return line;
  }

  room(): Room {
    const { tree, lines, nodes } = this.state;
    const room = new Room(tree, lines, nodes, ({ framework }) => framework !== "ns/suppressed");
    room.refresh();
    return room;
  }

  /** One instance more of the task runs, or all that starts with it, wherever there is room. Returns the lines it was of. */
  grant(task: Task): Line[] {
    const { gang, line } = task;
    if (line === undefined) return [];
    if (gang === undefined || gang.state === "started") return this.#start(task, 1) ? [line] : [];
    const parts = gang.parts();
    const lines = parts.flatMap((part) => Array.from({ length: part.missing }, () => part.task.line!));
    this.#assignment.gangs.grant(new Set([gang]), () => {
      for (const { task: one, missing } of parts) this.#start(one, missing);
    });
    return lines;
  }

  #start(task: Task, count: number): boolean {
    for (const index of [...task.readyIndexes()].slice(0, count)) {
      const claim = this.#tasks.claim(task, index, 0);
      // A fact: for what is kept it is all one whether there was room.
      this.state.ledger.observe(claim);
      this.#tasks.start(task, index, 0);
    }
    return count > 0;
  }

  queue(name: string): Queue {
    return this.state.tree.queues.get(name)!;
  }
}

/** What waits somewhere below the queue, in the order of its line: those of a group at the place of their first. */
function waiting(world: World, queue: Queue): Task[][] {
  const below = ({ facts }: Task) => {
    const own = world.queue(facts.queue!);
    return own === queue || own.parent === queue;
  };
  const fits = ({ facts: { requests, constraints } }: Task) => {
    const has = ZONES[constraints!.nodeSelector!.zone as keyof typeof ZONES];
    return RESOURCES.every((name) => requests[name]! <= has[name]);
  };
  const first = (a: Task, b: Task) =>
    b.facts.priority - a.facts.priority || a.facts.createdAtMs - b.facts.createdAtMs || (a.uid < b.uid ? -1 : 1);
  const all = world.tasks.filter((task) => task.line !== undefined && below(task)).sort(first);
  const seen = new Set<unknown>();
  return all.flatMap((task) => {
    if (task.facts.framework === "ns/suppressed" || !fits(task)) return [];
    const { gang } = task.line!;
    if (gang === undefined) return [[task]];
    // It stands where its first stands, and counts nowhere else.
    if (gang.lead !== task.line || seen.has(gang)) return [];
    seen.add(gang);
    return [gang.tasks.filter(({ line }) => line !== undefined)];
  });
}

/** Instances that are not served yet: what is only shown is not. */
function wanted({ line }: Task): number {
  return Math.max(0, line!.ready - line!.outstanding + line!.shown);
}

/** K of the rules: instance by instance, in the order of the line. */
function expectedOf(world: World, queue: Queue): number[] {
  const sum = [0, 0];
  const named = RESOURCES.map((_, r) => queue.guarantee[r]! > 0);
  const add = (asked: number[]) => {
    const matters = RESOURCES.map((_, r) => named[r]! && asked[r]! > 0);
    const fits = RESOURCES.every((_, r) => !matters[r] || queue.usage[r]! + sum[r]! + asked[r]! <= queue.guarantee[r]!);
    if (!matters.includes(true) || !fits) return;
    for (const r of [0, 1]) if (named[r]) sum[r]! += asked[r]!;
  };
  const asks = ({ facts: { requests } }: Task, times: number) => RESOURCES.map((name) => times * requests[name]!);
  for (const together of waiting(world, queue)) {
    const [first] = together;
    if (first!.line!.gang === undefined) for (let n = 0; n < wanted(first!); n++) add(asks(first!, 1));
    else {
      const parts = together.map((task) => asks(task, wanted(task)));
      add(RESOURCES.map((_, r) => parts.reduce((total, part) => total + part[r]!, 0)));
    }
  }
  return sum;
}

const keptBy = (room: Room, queue: Queue): number[] => [...(room.keptBy(queue)?.slice(0, 2) ?? [0, 0])];

/** The formula of the rules, of one resource. `limited`: a limit on the path forbids it. */
function expectedRoom(world: World, claimant: Claimant, r: number): { room: number; limited: number } {
  const { tree, nodes } = world.state;
  const path: Queue[] = [];
  for (let at = claimant.parent; at !== undefined && at !== tree.root; at = at.parent) path.unshift(at);
  let [room, limited] = [nodes.openFree[r]!, Number.POSITIVE_INFINITY];
  for (const queue of path) {
    const kept = expectedOf(world, queue)[r]!;
    const others = [...queue.parent!.children].filter((other) => other !== queue);
    const keptByOthers = others.reduce((sum, other) => sum + expectedOf(world, other)[r]!, 0);
    const left = queue.limit[r]! - queue.usage[r]!;
    room = Math.min(left, Math.max(room - keptByOthers, Math.min(kept, room)));
    limited = Math.min(limited, left);
  }
  return { room, limited };
}

function made(all: Site): World {
  const world = new World(all);
  for (const pick of all.before) world.grant(world.tasks[pick % world.tasks.length]!);
  return world;
}

describe("whatever is guaranteed, wanted and running,", () => {
  test("each queue keeps back what the rules say, also after each grant", () => {
    fc.assert(
      fc.property(site, (all) => {
        const world = made(all);
        const room = world.room();
        const each = (of: (queue: Queue) => number[]) => [...world.state.tree.queues.values()].map(of);
        expect(each((queue) => keptBy(room, queue))).toEqual(each((queue) => expectedOf(world, queue)));
        for (const { pick, part } of all.grants) {
          const task = world.tasks[pick % world.tasks.length]!;
          const line = part ? world.hold(task) : undefined;
          const before = each((queue) => keptBy(room, queue));
          if (line !== undefined) room.taken(line);
          else {
            const { gang } = task;
            const loosened = world.grant(task).map((granted) => room.granted(granted));
            // Whoever is told that nothing but this instance is kept back no more need not look again.
            const [cpu, memory] = RESOURCES.map((name) => task.facts.requests[name]!);
            if (gang === undefined && !loosened.includes(true)) {
              for (const [i, [c, m]] of each((queue) => keptBy(room, queue)).entries()) {
                expect([0, cpu]).toContain(before[i]![0]! - c!);
                expect([0, memory]).toContain(before[i]![1]! - m!);
              }
            }
          }
          expect(each((queue) => keptBy(room, queue))).toEqual(each((queue) => expectedOf(world, queue)));
        }
      }),
      { numRuns: 300 },
    );
  });

  test("a claimant may have what the formula leaves it, and not a bit more", () => {
    fc.assert(
      fc.property(site, (all) => {
        const world = made(all);
        const room = world.room();
        const { resources } = world.state;
        const ask = (claimant: Claimant, vector: Vector) => room.refuses(claimant, vector);
        for (const claimant of world.state.tree.claimants.values()) {
          for (const r of [0, 1]) {
            const of = (quantity: number) => resources.vector({ [RESOURCES[r]!]: quantity });
            const { room: most, limited } = expectedRoom(world, claimant, r);
            if (!world.state.tree.bounded) expect(ask(claimant, of(999))).toBeUndefined();
            else {
              if (most > 0) expect(ask(claimant, of(most))).toBeUndefined();
              expect(ask(claimant, of(Math.max(0, most) + 1))).toBe(
                Math.max(0, most) + 1 > limited ? "over-limit" : "kept-back",
              );
              // What it is shown besides counts as well.
              if (most > 1) {
                expect(room.refuses(claimant, of(1), of(most - 1))).toBeUndefined();
                expect(room.refuses(claimant, of(1), of(most))).toBeDefined();
              }
            }
            expect(room.overLimit(claimant, of(Math.max(0, limited) + 1), of(0))).toBe(
              limited < Number.POSITIVE_INFINITY,
            );
            if (limited > 0 && limited < Number.POSITIVE_INFINITY)
              expect(room.overLimit(claimant, of(limited), of(0))).toBe(false);
            if (limited >= 0 && limited < Number.POSITIVE_INFINITY)
              expect(room.overLimit(claimant, of(limited + 3), of(3))).toBe(false);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});

test("a line whose first task has started stands where the next one belongs, once less is kept back", () => {
  const none = { guarantee: {}, above: {} };
  const queues = { top: { guarantee: { cpu: 4 }, above: {} }, left: none, right: none, other: none };
  const own = { queue: "top", framework: "f", memory: 0, instances: 1, group: 0, zone: "large", priority: 0 } as const;
  const wish = (createdAtMs: number, cpu: number, change: Partial<Wish> = {}): Wish => {
    return { ...own, offered: 0, shown: 0, createdAtMs, cpu, ...change };
  };
  const wishes = [wish(1, 1, { alike: "x" }), wish(2, 2), wish(3, 1, { alike: "x" }), wish(4, 1, { framework: "g" })];
  const world = new World({ queues, wishes, before: [], grants: [], widens: false });
  const room = world.room();
  const granted = (task: number) => {
    const [line] = world.grant(world.tasks[task]!);
    return [room.granted(line!), ...keptBy(room, world.queue("top"))];
  };
  expect(keptBy(room, world.queue("top"))).toEqual([4, 0]);
  expect(granted(0)).toEqual([false, 3, 0]);
  // The last one was not kept room for: of 4 CPUs 2 are left, for the second task.
  expect(granted(3)).toEqual([true, 2, 0]);
});
