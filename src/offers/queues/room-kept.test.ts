import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { taskFacts } from "../broker.test-support.ts";
import type { Vector } from "../resources.ts";
import { Task } from "../tasks/task.ts";
import { RESOURCES, type Site, site, type Wish, World, ZONES } from "./keeping.test-support.ts";
import type { Claimant, Queue } from "./queues.ts";
import { earlier, type Room } from "./room.ts";

/** What waits somewhere below the queue, in the order of its line: those of a group at the place of their first. */
function waiting(world: World, queue: Queue): Task[][] {
  const below = ({ facts }: Task) => {
    const own = world.queue(facts.queue!);
    return own === queue || own.parent === queue;
  };
  const fits = ({ facts: { requests, constraints } }: Task) => {
    const has = ZONES[constraints!.nodeSelector!.zone!];
    return has !== undefined && RESOURCES.every((name) => requests[name]! <= has[name]);
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
  return Math.max(0, line!.ready - line!.outstanding - line!.held + line!.shown);
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
          const keepsNothing = [...world.state.tree.queues.values()].every((queue) => room.keptBy(queue) === undefined);
          if (line !== undefined) room.taken(line);
          else {
            const { gang } = task;
            const loosened = world.grant(task).map((granted) => room.granted(granted));
            // Whoever is told that nothing but this instance is kept back no more need not look again.
            const [cpu, memory] = RESOURCES.map((name) => task.facts.requests[name]!);
            if (keepsNothing) expect(loosened).not.toContain(true);
            if (gang === undefined && !loosened.includes(true)) {
              for (const [i, [c, m]] of each((queue) => keptBy(room, queue)).entries()) {
                expect([0, cpu]).toContain(before[i]![0]! - c!);
                expect([0, memory]).toContain(before[i]![1]! - m!);
              }
            }
          }
          expect(each((queue) => keptBy(room, queue))).toEqual(each((queue) => expectedOf(world, queue)));
        }
        for (const task of world.tasks.slice(1)) world.drop(task);
        room.refresh();
        expect(each((queue) => keptBy(room, queue))).toEqual(each((queue) => expectedOf(world, queue)));
      }),
      { numRuns: 300 },
    );
  });

  test("a claimant may have what the formula leaves it, and not a bit more", () => {
    fc.assert(
      fc.property(site, (all) => {
        const world = made(all);
        const room = world.room();
        for (const { pick } of all.grants.slice(0, 6)) {
          for (const granted of world.grant(world.tasks[pick % world.tasks.length]!)) room.granted(granted);
        }
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
  const queues = { top: { guarantee: { cpu: 4, memory: 9 }, above: {} }, left: none, right: none, other: none };
  const own = { queue: "top", framework: "f", memory: 0, instances: 1, group: 0, zone: "large", priority: 0 } as const;
  const wish = (createdAtMs: number, cpu: number, change: Partial<Wish> = {}): Wish => {
    return { ...own, offered: 0, shown: 0, held: 0, createdAtMs, cpu, ...change };
  };
  const wishes = [
    wish(1, 1, { alike: "x" }),
    wish(2, 2, { memory: 1 }),
    wish(3, 1, { alike: "x" }),
    wish(4, 1, { framework: "g" }),
  ];
  const world = new World({ queues, wishes, before: [], grants: [], widens: false });
  const room = world.room();
  const granted = (task: number) => {
    const [line] = world.grant(world.tasks[task]!);
    return [room.granted(line!), ...keptBy(room, world.queue("top"))];
  };
  expect(keptBy(room, world.queue("top"))).toEqual([4, 1]);
  expect(granted(0)).toEqual([false, 3, 1]);
  // The last one was not kept room for: of 4 CPUs 2 are left, for the second task.
  expect(granted(3)).toEqual([true, 2, 1]);
});

test("lines stand in one order, however they come: tasks first, then by framework what is only stated", () => {
  const none = { guarantee: {}, above: {} };
  const world = new World({
    queues: { top: none, left: none, right: none, other: none },
    wishes: [],
    before: [],
    grants: [],
    widens: false,
  });
  const { state } = world;
  const line = (framework: string, cpu: number) => {
    const shape = state.shapes.use(state.resources.vector({ cpu }), {}, { task: "", framework });
    return state.lines.line(state.tree.claimant(framework, "top"), shape);
  };
  const stated = [line("ns/a", 1), line("ns/a", 2), line("ns/a", 3), line("ns/b", 1), line("ns/b", 2)];
  const [first, second] = [line("ns/z", 9), line("ns/z", 8)];
  for (const [at, each] of [second, first].entries()) {
    each.add(new Task(taskFacts(`t${at}`, { createdAtMs: 9 - at })));
  }
  const inOrder = [first, second, ...stated];
  for (let shift = 0; shift < inOrder.length; shift++) {
    const turned = [...inOrder.slice(shift), ...inOrder.slice(0, shift)];
    for (const lines of [turned, turned.toReversed()]) expect(lines.sort(earlier)).toEqual(inOrder);
  }
});

test("where no queue has a bound, nothing is refused: room is what nodes have", () => {
  const none = { guarantee: {}, above: {} };
  const queues = { top: none, left: none, right: none, other: none };
  const world = new World({ queues, wishes: [], before: [], grants: [], widens: false });
  const claimant = world.state.tree.claimant("ns/f", "left");
  expect(world.room().refuses(claimant, world.state.resources.vector({ cpu: 999 }))).toBeUndefined();
});

test("what starts together goes on being kept back as a whole, or not at all, as others borrow", () => {
  const none = { guarantee: {}, above: {} };
  const queues = { top: { guarantee: { cpu: 5 }, above: {} }, left: none, right: none, other: none };
  const own = { queue: "top", memory: 0, zone: "large", priority: 0, offered: 0, shown: 0, held: 0 } as const;
  const wishes: Wish[] = [
    { ...own, framework: "f", group: 1, cpu: 1, instances: 2, createdAtMs: 1 },
    { ...own, framework: "f", group: 1, cpu: 2, instances: 1, createdAtMs: 2 },
    { ...own, framework: "f", group: 0, cpu: 1, instances: 1, createdAtMs: 3 },
    { ...own, framework: "g", group: 0, cpu: 1, instances: 3, createdAtMs: 4 },
  ];
  const world = new World({ queues, wishes, before: [], grants: [], widens: false });
  const room = world.room();
  const kept = [keptBy(room, world.queue("top"))];
  for (let n = 0; n < 3; n++) {
    for (const line of world.grant(world.tasks[3]!)) room.granted(line);
    kept.push(keptBy(room, world.queue("top")));
  }
  // Of 5: the group and one more, then the group alone, and once that does not fit, what does.
  expect(kept.map(([cpu]) => cpu)).toEqual([5, 4, 2, 1]);
});
