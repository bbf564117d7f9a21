import { describe, expect, test } from "vitest";
import { taskFacts } from "../broker.test-support.ts";
import { Gang } from "../gangs/gang.ts";
import type { Offer } from "../offer.ts";
import { State } from "../state.ts";
import { type Instance, staged } from "../tasks/instance.ts";
import { Task } from "../tasks/task.ts";
import { Victims } from "./victims.ts";

const NOW_MS = 1_700_000_000_000;
const DAY_MS = 86_400_000;
const MANY = 8_192;

/** Tasks and offers of one queue that may be taken back, and what is known of them as entries, by name. */
class Yard {
  readonly state = new State({ term: "t1", placements: {} });
  readonly tasks: Task[] = [];
  readonly #names = new Map<object, string>();

  constructor(minimumRuntimeMs = 0) {
    this.state.nowMs = NOW_MS;
    const reclaim = { minimumRuntimeMs };
    this.state.tree.observe({ name: "q", weight: 1, guarantee: {}, limit: {}, namespaces: ["*"], reclaim });
  }

  get claimant() {
    return this.state.tree.claimant("ns/f", "q");
  }

  vector(cpu: number) {
    return this.state.resources.vector({ cpu });
  }

  /** A Task whose instances, of one CPU each, have had their places for so long; they are "name-index". */
  task(name: string, ages: readonly number[], change: Parameters<typeof taskFacts>[1] = {}): Task {
    const task = new Task(taskFacts(name, { instances: ages.length, ...change }));
    for (const [index, ageMs] of ages.entries()) {
      const place = { index, attempt: 0, node: index, nodeName: `n${index}`, vector: this.vector(1) };
      const instance = staged({ ...place, placedAtMs: NOW_MS - ageMs });
      task.live.set(index, instance);
      this.#names.set(instance, `${name}-${index}`);
    }
    this.tasks.push(task);
    return task;
  }

  gang(...tasks: readonly Task[]): void {
    const gang = new Gang("g", tasks.length);
    gang.tasks = [...tasks];
    for (const task of tasks) task.gang = gang;
  }

  /** An offer with a slice of each of these sizes; they are "name-index". */
  offer(name: string, cpus: readonly number[], state: Offer["state"]["name"] = "open"): Offer {
    const slices = new Map(
      cpus.map((cpu, node) => {
        const vector = this.vector(cpu);
        const claim = { id: `offer/${name}/${node}`, kind: "offer", node, vector, instances: 1, holder: this.claimant };
        const slice = {
          name: `s${node}`,
          node,
          nodeName: `n${node}`,
          nodeUid: "",
          vector,
          claim,
          version: 0,
          parts: [],
        };
        this.#names.set(slice, `${name}-${node}`);
        return [node, slice] as const;
      }),
    );
    const ends = state === "closing" ? { name: state, phase: "Expired", launches: [] } : { name: state };
    const facts = { key: name, uid: name, framework: "ns/f", claimant: this.claimant, concurrency: "Exclusive" };
    return { ...facts, slack: false, slices, expiresAtMs: 0, publishedAtMs: NOW_MS, state: ends } as unknown as Offer;
  }

  victims(offers: readonly Offer[] = [], taken: readonly object[] = []): Victims {
    const victims = new Victims(this.state, () => this.claimant);
    for (const offer of offers) victims.addOffer(offer, new Set(taken));
    victims.addTasks(this.tasks, new Set(taken));
    return victims;
  }

  name(victims: Victims, i: number): string {
    return this.#names.get(victims.part(i))!;
  }

  /** Entries in order; what ends together, joined by "+". */
  order(victims: Victims): string[] {
    return [...victims.inOrder()].map((i) =>
      victims
        .unit(i)
        .map((j) => this.name(victims, j))
        .sort()
        .join("+"),
    );
  }
}

const leave = (task: Task, index: number, change: Partial<Instance> = { killing: true }) =>
  Object.assign(task.live.get(index)!, change);

describe("what goes first", () => {
  test("leaves anyhow, then is only offered, then is of low priority, then has its place since last", () => {
    const yard = new Yard();
    yard.task("dear", [0], { priority: 1_000 });
    const old = yard.task("old", [2_000_000, 100_000, 200_000]);
    leave(old, 0);
    yard.task("cheapest", [300_000], { priority: -1_000 });
    yard.task("cheap", [300_000], { priority: -1 });
    const victims = yard.victims([yard.offer("open", [1]), yard.offer("closing", [1], "closing")]);
    const order = ["closing-0", "old-0", "open-0", "cheapest-0", "cheap-0", "old-1", "old-2", "dear-0"];
    expect(yard.order(victims)).toEqual(order);
    // Whoever comes later sees the same.
    expect(yard.order(victims)).toEqual(order);
  });

  test("is not older, as far as a node's clock is ahead or months have gone by", () => {
    const yard = new Yard();
    yard.task("ahead", [-3_600_000, 0, 1_000]);
    yard.task("low", [90 * DAY_MS, 60 * DAY_MS], { priority: -1 });
    expect(yard.order(yard.victims())).toEqual(["low-1", "low-0", "ahead-1", "ahead-0", "ahead-2"]);
  });

  test("is told exactly where two are compared", () => {
    const yard = new Yard();
    yard.task("t", [400, 300, 300]);
    yard.task("dear", [0], { priority: 1 });
    const victims = yard.victims();
    const [i] = [...victims.inOrder()];
    expect(yard.order(victims)).toEqual(["t-2", "t-1", "t-0", "dear-0"]);
    expect([0, 1, 2, 3].sort((a, b) => victims.compare(a, b)).map((n) => yard.name(victims, n))).toEqual(
      yard.order(victims),
    );
    expect(i).toBe(2);
  });

  test("is all that is looked into, where that is much", () => {
    const yard = new Yard();
    yard.task("dear", [0], { priority: 2 });
    yard.task(
      "many",
      Array.from({ length: MANY }, () => 0),
      { priority: 1 },
    );
    yard.task("cheap", [0], { priority: 0 });
    const victims = yard.victims();
    const order = victims.inOrder();
    const next = () => yard.name(victims, order.next().value as number);
    expect([victims.most, victims.size]).toEqual([MANY + 2, 0]);
    expect([next(), victims.size]).toEqual(["cheap-0", MANY + 1]);
    for (let n = 0; n < MANY; n++) next();
    expect(victims.size).toBe(MANY + 1);
    expect([next(), victims.size, order.next().done]).toEqual(["dear-0", MANY + 2, true]);
  });
});

describe("an entry", () => {
  test("says what it is of, where, of whom, and what its end gives back on all nodes", () => {
    const yard = new Yard();
    const task = yard.task("t", [0, 0]);
    const offer = yard.offer("o", [2, 3]);
    const victims = yard.victims([offer]);
    expect(yard.order(victims)).toEqual(["o-1", "o-0", "t-1", "t-0"]);
    const [slice, instance] = [0, 2];
    expect(victims.at(slice)).toMatchObject({ claim: "offer/o/0", node: 0, of: offer, gang: undefined });
    expect(victims.at(instance)).toMatchObject({ claim: "task/t-uid/0", node: 0, of: task, gang: undefined });
    expect([slice, instance].map((i) => victims.isTask(i))).toEqual([false, true]);
    expect([slice, instance].map((i) => victims.total(i)[0])).toEqual([5, 1]);
    expect([slice, instance].map((i) => victims.vector(i)[0])).toEqual([2, 1]);
    expect([victims.overlap(0, 0), victims.overlap(0, 1), victims.overlap(2, 3)]).toEqual([true, false, false]);
  });

  test("that leaves by itself does so with what it holds, whosesoever it is", () => {
    const yard = new Yard();
    const task = yard.task("t", [0, 0, 0]);
    leave(task, 1);
    const victims = yard.victims([yard.offer("open", [4]), yard.offer("closing", [2], "closing")]);
    const order = [...victims.inOrder()];
    expect(order.map((i) => victims.leaves(i))).toEqual([true, true, false, false, false]);
    expect(order.map((i) => victims.isTask(i))).toEqual([true, false, false, true, true]);
    const leaving = [...victims.leaving()].map(({ vector, claimant }) => [vector[0], claimant]);
    expect(leaving).toEqual([
      [2, yard.claimant],
      [1, yard.claimant],
    ]);
  });

  test("is none of what is spoken for, or holds nothing", () => {
    const yard = new Yard();
    const task = yard.task("t", [0, 0, 0]);
    leave(task, 1);
    leave(task, 2);
    const offer = yard.offer("o", [2, 2, 2]);
    const [first, second] = [...offer.slices.values()];
    first!.claim = undefined;
    const victims = yard.victims([offer], [second!, task.live.get(0)!, task.live.get(1)!]);
    expect(yard.order(victims)).toEqual(["t-2", "o-2"]);
  });
});

describe("of what starts together", () => {
  const pair = { gang: { minimum: 2 } };

  test("those beyond the minimum go one by one, the newest first, the others with all of these", () => {
    const yard = new Yard();
    yard.gang(yard.task("t", [3_000, 2_000, 1_000, 0], pair));
    const victims = yard.victims();
    const all = "t-0+t-1+t-2+t-3";
    expect(yard.order(victims).sort()).toEqual([all, all, "t-2", "t-3"]);
    const [alone, other, one, two] = [0, 1, 2, 3];
    expect(yard.name(victims, alone)).toBe("t-3");
    expect([victims.overlap(alone, other), victims.overlap(one, two)]).toEqual([false, true]);
    expect([victims.overlap(alone, one), victims.overlap(one, alone)]).toEqual([true, true]);
    expect([victims.total(alone)[0], victims.total(one)[0]]).toEqual([1, 4]);
    expect([victims.at(alone).gang, victims.at(one).gang?.name]).toEqual([undefined, "g"]);
  });

  test("what is left over of a start that breaks up goes one by one", () => {
    const yard = new Yard();
    const [first, second] = [yard.task("s", [0, 0], pair), yard.task("t", [0, 0], pair)];
    yard.gang(first, second);
    leave(first, 0);
    expect(yard.order(yard.victims()).sort()).toEqual(["s-0", "s-1", "t-0", "t-1"]);
  });

  test("what has joined since goes with the others that are spoken for", () => {
    const yard = new Yard();
    const task = yard.task("t", [0, 0, 0], pair);
    yard.gang(task);
    expect(yard.order(yard.victims([], [task.live.get(0)!, task.live.get(1)!]))).toEqual([]);
  });

  test("one beyond the minimum may be spoken for, or leave: the others stay together", () => {
    const yard = new Yard();
    const task = yard.task("t", [0, 0, 0, 0], pair);
    yard.gang(task);
    leave(task, 3);
    const order = yard.order(yard.victims([], [task.live.get(2)!]));
    expect(order).toEqual(["t-3", "t-0+t-1", "t-0+t-1"]);
  });

  test("who has ended for good is not waited for", () => {
    const yard = new Yard();
    const task = yard.task("t", [0, 0], pair);
    yard.gang(task);
    task.live.delete(0);
    expect(yard.order(yard.victims())).toEqual(["t-1"]);
  });
});

describe("who is too young", () => {
  test("is none of them, and says when the first is old enough, though nobody has looked", () => {
    const yard = new Yard(60_000);
    const task = yard.task("t", [60_000, 59_999, 10_000]);
    const victims = yard.victims();
    expect(victims.sparedUntilMs(() => true)).toBe(NOW_MS + 1);
    expect(victims.sparedUntilMs(() => false)).toBe(Number.POSITIVE_INFINITY);
    expect(yard.order(victims)).toEqual(["t-0"]);
    task.live.get(0)!.runsSinceMs = NOW_MS - 50_000;
    expect(yard.order(yard.victims())).toEqual([]);
  });

  test("keeps all that started with it, until all are old enough; what leaves is no part of that", () => {
    const yard = new Yard(60_000);
    const old = yard.task("old", [90_000, 0], { gang: { minimum: 1 } });
    leave(old, 1);
    yard.gang(old, yard.task("young", [20_000], { gang: { minimum: 1 } }));
    const victims = yard.victims();
    expect(yard.order(victims)).toEqual(["old-1"]);
    expect(victims.sparedUntilMs(() => true)).toBe(NOW_MS + 40_000);
  });

  test("is given all the same", () => {
    const yard = new Yard(60_000);
    const task = yard.task("t", [0, 0]);
    const victims = new Victims(yard.state, () => yard.claimant);
    victims.addGiven(new Map([[task, [task.live.get(1)!]]]));
    expect([yard.order(victims), victims.most]).toEqual([["t-1"], 1]);
  });
});
