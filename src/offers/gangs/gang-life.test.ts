import fc from "fast-check";
import { expect, test } from "vitest";
import { frameworkFacts, podFacts, taskFacts } from "../broker.test-support.ts";
import type { PodFacts, TaskFacts } from "../messages.ts";
import { State } from "../state.ts";
import { Assignment } from "../tasks/assignment.ts";
import type { Instance } from "../tasks/instance.ts";
import type { Task } from "../tasks/task.ts";
import { Tasks } from "../tasks/tasks.ts";
import { type Gang, obstacle } from "./gang.ts";
import { minimumOf, missingOf } from "./gathered.ts";

const REQUESTS = { cpu: 1, pods: 1 };

/** What may be told of Tasks: the first number chooses of which, the second of which of its instances. */
const step = fc.record({
  what: fc.constantFrom(
    "add",
    "add",
    "start",
    "start",
    "seen",
    "seen",
    "ends",
    "ends",
    "refused",
    "recalled",
    "recorded",
    "gone",
  ),
  pick: fc.nat(),
  at: fc.nat(),
});
const kinds: readonly Partial<TaskFacts>[] = [
  { instances: 3, gang: { minimum: 2 } },
  { instances: 1, group: { name: "g", size: 2 } },
  { instances: 2, group: { name: "g", size: 2 } },
  { instances: 2, group: { name: "g", size: 1 } },
  { instances: 2, gang: { minimum: 1 } },
];

/** Tasks that start, and pods of theirs that are seen and end, without anybody who decides on it. */
class World {
  readonly state = new State({ term: "t1", placements: {} });
  readonly assignment = new Assignment(this.state);
  readonly #tasks = new Tasks(this.state, this.assignment);
  #names = 0;

  constructor() {
    this.state.opened = true;
    const node = { name: "n", uid: "n", labels: {}, taints: [], ready: true, allocatable: { cpu: 999, pods: 999 } };
    this.state.nodes.observe(node, 0);
    this.state.tree.observe({ name: "default", weight: 1, guarantee: {}, limit: {}, namespaces: ["*"] });
    this.state.framework("ns/f").facts = frameworkFacts("f");
    this.assignment.sized("ns/plain", REQUESTS);
  }

  get tasks(): Task[] {
    return [...this.state.tasks.values()].filter(({ gone }) => !gone);
  }

  get gangs(): Gang[] {
    return [...new Set(this.tasks.flatMap(({ gang }) => gang ?? []))];
  }

  add(kind: number, createdAtMs: number): void {
    const retry = { limit: 1, backoffMs: 0, maxBackoffMs: 0, onNodeLost: "Retry" } as const;
    const name = `t${this.#names++}`;
    this.#tasks.observe(taskFacts(name, { retry, requests: REQUESTS, createdAtMs, ...kinds[kind % kinds.length]! }));
  }

  /** All that the gang lacks is started. */
  start(gang: Gang): void {
    const parts = gang.parts();
    this.assignment.gangs.grant(new Set([gang]), () => {
      for (const { task, missing } of parts) {
        for (const index of [...task.readyIndexes()].slice(0, missing)) {
          this.state.ledger.claim(this.#tasks.claim(task, index, 0));
          this.#tasks.start(task, index, 0);
          expect(gang.granting).toBe(true);
        }
      }
    });
  }

  pod(task: Task, { index, attempt }: Instance, change: Partial<PodFacts>): void {
    const uid = `${task.uid}-${index}-${attempt}`;
    this.#tasks.podObserved(podFacts({ uid, key: `ns/${uid}`, taskUid: task.uid, index, attempt, ...change }));
  }

  refused({ uid }: Task, { index, attempt }: Instance): void {
    this.#tasks.podRefused({ taskUid: uid, index, attempt }, "no");
  }

  recorded({ uid, version }: Task): void {
    this.#tasks.recorded(uid, version);
  }

  gone(task: Task): void {
    this.#tasks.gone(task.uid);
  }

  play({ what, pick, at }: { what: string; pick: number; at: number }): void {
    if (what === "add") this.add(pick, at % 3);
    const task = this.tasks[pick % Math.max(1, this.tasks.length)];
    if (what === "add" || task === undefined) return;
    const { gang } = task;
    const instance = [...task.live.values()][at % Math.max(1, task.live.size)];
    if (what === "start" && gang?.startable === true) this.start(gang);
    else if (what === "recorded") this.recorded(task);
    else if (what === "gone") this.gone(task);
    else if (what === "recalled" && gang !== undefined) this.assignment.gangs.recalled(gang);
    else if (instance === undefined) return;
    else if (what === "seen") this.pod(task, instance, {});
    else if (what === "ends") this.pod(task, instance, { phase: at % 2 === 0 ? "Failed" : "Succeeded" });
    else if (what === "refused") this.refused(task, instance);
  }
}

/** A group is its first Tasks of the size that the very first says; those that have run come first. */
function membersOf(world: World): Task[] {
  const mates = world.tasks.filter(({ facts }) => facts.group !== undefined);
  const rank = ({ hasRun, facts, uid }: Task) => `${hasRun ? 0 : 1} ${facts.createdAtMs} ${uid}`;
  mates.sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
  const [first] = mates;
  const size = first?.facts.group?.size;
  return mates.filter(({ facts }) => facts.group!.size === size).slice(0, size);
}

test("whatever is told of Tasks and pods, a gang is what it is made of, and where it is in its life", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 8, maxLength: 40 }), (steps) => {
      const world = new World();
      const { state, assignment } = world;
      for (const each of steps) {
        const before = new Map(world.gangs.map((gang) => [gang, gang.state]));
        state.dirty = false;
        world.play(each);
        for (const task of world.tasks) {
          const { facts, gang } = task;
          if (facts.group === undefined) expect(gang?.tasks ?? []).toEqual(minimumOf(facts) > 1 ? [task] : []);
          else if (each.what === "add" || each.what === "gone") {
            expect([...(gang?.tasks ?? [])].includes(task)).toBe(membersOf(world).includes(task));
          }
        }
        for (const gang of world.gangs) {
          // Only a start that is recalled while none of it has begun leaves nothing to end.
          if (each.what !== "recalled") expect(gang.state === "waiting").toBe(gang.live === 0);
          expect(gang.missing).toBe(gang.parts().reduce((sum, { missing }) => sum + missing, 0));
          expect(gang.parts().map(({ task }) => task)).toEqual(gang.tasks.filter((task) => missingOf(task) > 0));
          const free = obstacle(gang, (task) => assignment.claimant(task)) === undefined;
          expect(gang.startable).toBe(gang.state === "waiting" && gang.missing > 0 && free);
          expect(gang.waitingSinceMs === undefined).toBe(!gang.startable);
          if (gang.startable) {
            expect(gang.lines()).toEqual(gang.parts().map(({ task }) => task.line));
            expect(gang.lines()).toContain(gang.lead);
          }
          if (gang.state === "started" && before.get(gang) === "starting") {
            for (const task of gang.tasks) expect([task.gathered.complete, task.startedTogether]).toEqual([true, true]);
          }
          if (before.has(gang) && before.get(gang) !== gang.state) expect(state.dirty).toBe(true);
          if (gang.state === "waiting") for (const task of gang.tasks) expect(task.gathered.size).toBe(0);
          if (gang.state === "waiting") {
            for (const task of gang.tasks) expect(task.finished || task.startedTogether !== true).toBe(true);
          }
        }
        const broken = world.gangs.filter((gang) => gang.state === "starting" || gang.state === "undone");
        expect(new Set(assignment.gangs.unsettled)).toEqual(new Set(broken));
      }
    }),
    { numRuns: 150 },
  );
});
