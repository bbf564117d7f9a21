/** What the frameworks will run: a pure function of machines, pods and a seed. */
import type { Random } from "../../src/simulator/random.ts";
import type { DemoFramework } from "./cast.ts";
import { dominantPart, fits, type Machine, type PodSample, type Size, sumOf } from "./shapes.ts";

/** A Task to be. */
export interface WorkTask {
  /** Its number; the Task's whole name begins with the framework's. */
  readonly name: string;
  readonly instances: number;
  readonly need: Size;
  /** How long each instance runs. */
  readonly seconds: number;
}

/** By framework. */
export type Workload = ReadonlyMap<string, readonly WorkTask[]>;

export interface WorkloadOptions {
  readonly machines: readonly Machine[];
  readonly pods: readonly PodSample[];
  readonly frameworks: readonly DemoFramework[];
  readonly random: Random;
  /** How long all of it is to take. */
  readonly seconds: number;
}

/** All instances together would fill the cluster so many times: most of them have to wait. */
const TIMES_FULL = 2.2;
/** How full a cluster gets in practice: what is left over on a node fits nobody, and at the end little is left to run. */
const PACKING = 0.62;
/** Two in three Tasks have one instance; the others a few or many. */
const INSTANCES = { one: 65, few: 23, many: 12 } as const;
/** No Task needs more of the cluster than this, lest one of them be the whole show. */
const LARGEST_PART = 0.05;

/** Real runs take seconds to months: roots keep the order and draw them together. */
const compressed = (seconds: number): number => Math.cbrt(Math.max(1, seconds));
/** Then none is shorter or longer than these parts of the whole. */
const SHORTEST = 0.03;
const LONGEST = 0.45;
/** What needs more than half of a machine waits until one is nearly empty, so as a rule it is the last to start. */
const LARGE = 0.5;
const LONGEST_LARGE = 0.2;
/** A pod that only a few machines can take would make everybody wait for those. */
const FITTING = 0.1;

export function planWorkload({ machines, pods, frameworks, random, seconds }: WorkloadOptions): Workload {
  const cluster = sumOf(machines);
  const enough = FITTING * machines.length;
  const usable = pods.filter((pod) => machines.filter((machine) => fits(pod, machine)).length >= enough);
  if (usable.length === 0) throw new Error("none of the pods fits on enough of the nodes");
  const plan = new Map<string, WorkTask[]>();
  for (const { name, part } of frameworks) {
    const tasks: WorkTask[] = [];
    for (let fill = 0; fill < TIMES_FULL * part; ) {
      const { seconds: ran, ...need } = random.pick(usable)!;
      const each = dominantPart(need, cluster);
      const instances = Math.max(1, Math.min(instancesOf(random), Math.floor(LARGEST_PART / each)));
      tasks.push({ name: String(tasks.length + 1).padStart(3, "0"), instances, need, seconds: compressed(ran) });
      fill += instances * each;
    }
    plan.set(name, tasks);
  }
  return inTime(plan, machines, seconds);
}

function instancesOf(random: Random): number {
  switch (random.weighted(INSTANCES)) {
    case "one":
      return 1;
    case "few":
      return random.between(2, 8);
    case "many":
      return random.between(10, 40);
  }
}

/** Makes all runs longer by the same factor, within bounds, until the work takes `seconds`. */
function inTime(plan: Workload, machines: readonly Machine[], seconds: number): Workload {
  const cluster = sumOf(machines);
  const longest = (need: Size): number => (isLarge(need, machines) ? LONGEST_LARGE : LONGEST) * seconds;
  const runs = [...plan].map(([name, tasks]) => {
    return { name, tasks: tasks.map((task) => ({ task, longest: longest(task.need) })) };
  });
  const limited = (ran: number, most: number): number =>
    Math.round(10 * Math.min(most, Math.max(SHORTEST * seconds, ran))) / 10;
  const scaled = (factor: number): Workload =>
    new Map(
      runs.map(({ name, tasks }) => [
        name,
        tasks.map(({ task, longest }) => ({ ...task, seconds: limited(task.seconds * factor, longest) })),
      ]),
    );
  let [low, high] = [0, LONGEST * seconds];
  for (let step = 0; step < 50; step++) {
    const factor = low + (high - low) / 2;
    if (loadOf(scaled(factor), cluster) > PACKING * seconds) high = factor;
    else low = factor;
  }
  return scaled(low);
}

/** Whether it takes more than half of whichever machine can take it. */
function isLarge(need: Size, machines: readonly Machine[]): boolean {
  const parts = machines.filter((machine) => fits(need, machine)).map((machine) => dominantPart(need, machine));
  return Math.min(...parts) > LARGE;
}

/** How long the work would keep the whole cluster busy, in the resource that it needs most of, in seconds. */
export function loadOf(plan: Workload, cluster: Size): number {
  const work = { cpuMilli: 0, memoryMib: 0, gpuMilli: 0 };
  for (const { instances, need, seconds } of [...plan.values()].flat()) {
    work.cpuMilli += instances * seconds * need.cpuMilli;
    work.memoryMib += instances * seconds * need.memoryMib;
    work.gpuMilli += instances * seconds * need.gpuMilli;
  }
  return dominantPart(work, cluster);
}

export const instancesIn = (tasks: readonly WorkTask[]): number =>
  tasks.reduce((sum, { instances }) => sum + instances, 0);
