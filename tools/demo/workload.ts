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
const TIMES_FULL = 2.8;
/** How full a cluster gets in practice: what is left over on a node fits nobody, and at the end little is left to run. */
const PACKING = 0.66;
/** Two in three Tasks have one instance; the others a few or many. */
const INSTANCES = { one: 65, few: 23, many: 12 } as const;
/** No Task needs more of the cluster than this, lest one of them be the whole show. */
const LARGEST_PART = 0.05;

/** Real runs take seconds to months: roots keep the order and draw them together. */
const compressed = (seconds: number): number => Math.cbrt(Math.max(1, seconds));
/** Then none is shorter or longer than these parts of the whole. */
const SHORTEST = 0.03;
const LONGEST = 0.45;

export function planWorkload({ machines, pods, frameworks, random, seconds }: WorkloadOptions): Workload {
  const cluster = sumOf(machines);
  const usable = pods.filter((pod) => machines.some((machine) => fits(pod, machine)));
  if (usable.length === 0) throw new Error("none of the pods fits on any of the nodes");
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
  return inTime(plan, cluster, seconds);
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
function inTime(plan: Workload, cluster: Size, seconds: number): Workload {
  const limited = (ran: number, factor: number): number =>
    Math.round(10 * Math.min(LONGEST * seconds, Math.max(SHORTEST * seconds, ran * factor))) / 10;
  const scaled = (factor: number): Workload =>
    new Map(
      [...plan].map(([name, tasks]) => [
        name,
        tasks.map((task) => ({ ...task, seconds: limited(task.seconds, factor) })),
      ]),
    );
  let [low, high] = [0, LONGEST * seconds];
  for (let step = 0; step < 100; step++) {
    const factor = low + (high - low) / 2;
    if (loadOf(scaled(factor), cluster) > PACKING * seconds) high = factor;
    else low = factor;
  }
  return scaled(low);
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
