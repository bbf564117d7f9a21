import fc from "fast-check";
import { frameworkFacts, taskFacts } from "../broker.test-support.ts";
import type { Line } from "../lines.ts";
import type { TaskFacts } from "../messages.ts";
import type { Limits, Quantities } from "../resources.ts";
import { State } from "../state.ts";
import { Assignment } from "../tasks/assignment.ts";
import type { Task } from "../tasks/task.ts";
import { Tasks } from "../tasks/tasks.ts";
import type { Queue } from "./queues.ts";
import { Room } from "./room.ts";

export const RESOURCES = ["cpu", "memory"] as const;
/** What a node of each zone has; there are other zones without one. */
export const ZONES: Record<string, { cpu: number; memory: number }> = {
  large: { cpu: 40, memory: 40 },
  small: { cpu: 2, memory: 2 },
};

const few = fc.record({ cpu: fc.nat(12), memory: fc.nat(12) }, { requiredKeys: [] });
/** What is guaranteed beside what those below are, and how much more the limit allows. */
const bounds = fc.record({ guarantee: few, above: few });
type Bound = typeof bounds extends fc.Arbitrary<infer T> ? T : never;
const wish = fc.record({
  queue: fc.constantFrom("top", "left", "right", "other"),
  framework: fc.constantFrom("f", "g", "suppressed"),
  cpu: fc.nat(4),
  memory: fc.constantFrom(0, 0, 1, 2, 4),
  instances: fc.integer({ min: 1, max: 4 }),
  /** 0: each on its own. Otherwise all that say the same start together. */
  group: fc.constantFrom(0, 0, 1),
  zone: fc.constantFrom("large", "large", "large", "small", "none"),
  priority: fc.nat(1),
  createdAtMs: fc.nat(3),
  /** Instances in open offers, and of these such as are only shown. */
  offered: fc.constantFrom(0, 0, 1, 2),
  shown: fc.nat(1),
  /** Instances for which all their room is held. */
  held: fc.constantFrom(0, 0, 1),
});
export type Wish = (typeof wish extends fc.Arbitrary<infer T> ? T : never) & {
  /** All that say the same are in one line, if they ask for the same; otherwise each has its own. */
  readonly alike?: string;
};
/** Queue "top" over "left" and "right", and "other" beside it. */
export const site = fc.record({
  queues: fc.record({ top: bounds, left: bounds, right: bounds, other: bounds }),
  wishes: fc.array(wish, { minLength: 1, maxLength: 8 }),
  /** Instances that run before anything is reckoned, of which tasks. */
  before: fc.array(fc.nat(), { maxLength: 4 }),
  /** Of which task, and whether room is held for a part of an instance instead. */
  grants: fc.array(fc.record({ pick: fc.nat(), part: fc.constantFrom(false, false, true) }), { maxLength: 20 }),
  /** More kinds of resources turn up when all is there already. */
  widens: fc.boolean(),
});
export type Site = typeof site extends fc.Arbitrary<infer T> ? T : never;

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
export class World {
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
    for (const [i, each] of wishes.entries()) this.#promised(this.tasks[i]!, each);
    if (widens) for (let n = 0; n < 9; n++) state.resources.known({ [`example.com/r${n}`]: 1 });
  }

  #wants(
    i: number,
    { offered: _, shown: __, held: ___, alike = `${i}`, cpu, memory, group, zone, framework, ...rest }: Wish,
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

  /** What is offered and what is held counts as usage, but for what is only shown. */
  #promised({ line }: Task, { offered, shown, held }: Wish): void {
    if (line === undefined) return;
    line.outstanding = offered;
    line.shown = Math.min(offered, shown);
    line.held = held;
    for (let n = line.shown; n < offered + held; n++) line.claimant.held("offer", line.request, 1, 1);
  }

  /** Room is held for a part of an instance. Returns the line it is for. */
  hold({ line }: Task): Line | undefined {
    line?.claimant.held("hold", this.state.resources.vector({ cpu: 1, memory: 2 }), 0, 1);
    return line;
  }

  /** Nobody wants it any more. */
  drop(task: Task): void {
    this.#tasks.gone(task.uid);
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
