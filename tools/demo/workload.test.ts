import { describe, expect, test } from "vitest";
import { Random } from "../../src/simulator/random.ts";
import { FRAMEWORKS } from "./cast.ts";
import { drawMachines, drawPods } from "./distribution.ts";
import { dominantPart, fits, nodeShapeOf, sumOf } from "./shapes.ts";
import { instancesIn, loadOf, planWorkload } from "./workload.ts";

const SEED = 42;

function plan(seed: number, seconds = 60) {
  const random = new Random(seed);
  const machines = drawMachines(random, 100);
  const pods = drawPods(random, 8_000);
  return { machines, pods, workload: planWorkload({ machines, pods, frameworks: FRAMEWORKS, random, seconds }) };
}

const { machines, pods, workload } = plan(SEED);
const cluster = sumOf(machines);
const tasks = [...workload.values()].flat();

describe("nodes and pods that are drawn", () => {
  test("have as many GPUs a node as the cluster that was published, about", () => {
    const many = sumOf(drawMachines(new Random(SEED), 5_000));
    expect(many.gpuMilli / 5_000_000).toBeCloseTo(6_212 / 1_213, 0);
    expect(many.cpuMilli / 5_000_000).toBeCloseTo(88, -1);
  });

  test.each([
    { name: "no GPU", percent: 13.3, gpuMilli: [0, 0] },
    { name: "a fraction of a GPU", percent: 37.8, gpuMilli: [1, 999] },
    { name: "one GPU", percent: 48, gpuMilli: [1000, 1000] },
    { name: "eight GPUs", percent: 0.5, gpuMilli: [8000, 8000] },
  ])("ask for $name as often as was published", ({ percent, gpuMilli: [least = 0, most = 0] }) => {
    const many = drawPods(new Random(SEED), 50_000);
    const these = many.filter(({ gpuMilli }) => gpuMilli >= least && gpuMilli <= most);
    expect(Math.abs((100 * these.length) / many.length - percent)).toBeLessThan(0.7);
  });

  test("count no GPU twice", () => {
    const { resources } = nodeShapeOf({ cpuMilli: 8_000, memoryMib: 1_024, gpuMilli: 2_000 });
    expect(resources).toEqual({ cpu: "8000m", memory: "1024Mi", "proffer.dev/gpu-milli": "2000", pods: "250" });
  });
});

describe("the work", () => {
  test("is the same for the same seed, and another for another", () => {
    expect(plan(SEED).workload).toEqual(workload);
    expect(plan(SEED + 1).workload).not.toEqual(workload);
  });

  test("is more than the cluster can hold at once, so that tasks wait", () => {
    const all = sumOf(tasks.flatMap(({ need, instances }) => Array(instances).fill(need)));
    expect(dominantPart(all, cluster)).toBeGreaterThan(1.5);
  });

  test("would keep the cluster busy for most of the time it is to take", () => {
    expect(loadOf(workload, cluster) / 60).toBeCloseTo(0.62, 1);
    const short = plan(SEED, 30);
    expect(loadOf(short.workload, sumOf(short.machines)) / 30).toBeCloseTo(0.62, 1);
  });

  test("is divided as the frameworks' parts say", () => {
    const loads = FRAMEWORKS.map(({ name }) => {
      return workload.get(name)!.reduce((sum, { need, instances }) => sum + instances * dominantPart(need, cluster), 0);
    });
    const total = loads.reduce((sum, load) => sum + load, 0);
    for (const [at, { part }] of FRAMEWORKS.entries()) expect(loads[at]! / total).toBeCloseTo(part, 1);
  });

  test("mixes tasks of one instance with tasks of many", () => {
    const single = tasks.filter(({ instances }) => instances === 1).length;
    expect(single / tasks.length).toBeGreaterThan(0.4);
    expect(single / tasks.length).toBeLessThan(0.8);
    expect(Math.max(...tasks.map(({ instances }) => instances))).toBeGreaterThan(20);
    expect(instancesIn(tasks)).toBeGreaterThan(1_000);
  });

  test("has shapes of the pods alone, each of which fits on several nodes", () => {
    for (const { need } of tasks) {
      expect(pods.some(({ seconds: _, ...size }) => JSON.stringify(size) === JSON.stringify(need))).toBe(true);
      expect(machines.filter((machine) => fits(need, machine)).length).toBeGreaterThanOrEqual(10);
    }
  });

  test("runs for seconds, not for months, and short where it needs most of a node", () => {
    for (const { seconds, need } of tasks) {
      expect(seconds).toBeGreaterThanOrEqual(1.8);
      expect(seconds).toBeLessThanOrEqual(need.gpuMilli === 8_000 ? 12 : 27);
    }
  });

  test("names every task of a framework differently", () => {
    for (const each of workload.values()) expect(new Set(each.map(({ name }) => name)).size).toBe(each.length);
  });

  test("of pods that fit nowhere is refused", () => {
    const giants = [{ cpuMilli: 1e9, memoryMib: 1, gpuMilli: 0, seconds: 1 }];
    const options = { machines, pods: giants, frameworks: FRAMEWORKS, random: new Random(SEED), seconds: 60 };
    expect(() => planWorkload(options)).toThrow("none of the pods fits");
  });
});
