import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readConfiguration } from "./configuration.ts";
import { runExperiment } from "./experiment.ts";
import type { Job } from "./jobs.ts";
import { nodesOf } from "./site.ts";
import { SMALL_NODE } from "./small-trace.ts";

const EXAMPLES = join(import.meta.dirname, "../../../examples");
const GIB = 1_024 * 1_024;
const SECOND = 1_000;

function job(tenant: string, atMs: number, instances: number, runMs: number, memory: number, rigid = false): Job {
  const stages = [{ runMs: Array.from({ length: instances }, () => runMs), requests: { cpu: 1_000, memory }, rigid }];
  return { name: `${tenant}-1`, tenant, kind: tenant, stages, submit: { atMs } };
}

function run(file: string, jobs: readonly Job[]) {
  return runExperiment({
    nodes: nodesOf(1, SMALL_NODE),
    configuration: readConfiguration(join(EXAMPLES, file)),
    jobs,
    frameworkPer: "tenant",
    thinking: () => ({ answerMs: 0, instanceMs: 0, among: "Fifo" }),
    roundMinIntervalMs: 0,
  });
}

describe("an experiment", () => {
  test("lets go of what was borrowed after the grace, and does it again", () => {
    // Bio is sure of one instance and has four; ads is sure of seven. Two of bio leave memory for all of them, and six CPUs;
    // the seventh needs the CPU of a third.
    const { records, stints, counts } = run("yarn-capacity/small.yaml", [
      job("bio", 0, 4, 600 * SECOND, 4 * GIB),
      job("ads", 10 * SECOND, 7, 60 * SECOND, GIB),
    ]);
    const ads = stints.filter(({ job }) => job === "ads-1");
    expect(Math.max(...ads.map(({ startedMs }) => startedMs))).toBeGreaterThanOrEqual(40 * SECOND);
    expect(Math.max(...ads.map(({ startedMs }) => startedMs))).toBeLessThan(50 * SECOND);
    expect(counts.taken).toBe(3);
    expect(counts.created).toBe(4 + 3 + 7);
    // One ran from the start, three began anew once ads was done.
    const bio = stints.filter(({ job }) => job === "bio-1").map(({ startedMs }) => startedMs);
    expect(bio.filter((startedMs) => startedMs === 0)).toHaveLength(1);
    expect(bio.filter((startedMs) => startedMs >= 100 * SECOND)).toHaveLength(3);
    expect(records.every(({ finishedMs }) => finishedMs > 0)).toBe(true);
  });

  test("starts what is rigid when all of it has its place, and counts none of it as work before", () => {
    const { records, readings } = run("mesos/small.yaml", [
      job("ads", 0, 5, 10 * SECOND, GIB),
      job("bio", 1 * SECOND, 4, 10 * SECOND, GIB, true),
    ]);
    const bio = records.find(({ job }) => job.tenant === "bio")!;
    expect([bio.startedMs, bio.finishedMs]).toEqual([10 * SECOND, 20 * SECOND]);
    const cpuAt = (second: number) => readings.find(({ atMs }) => atMs === second * SECOND)!.cpu;
    expect(cpuAt(5)).toBe(5 / 8);
    expect(cpuAt(15)).toBe(4 / 8);
  });

  test("says when jobs are left that nobody can run", () => {
    const tooLarge = job("ads", 0, 1, SECOND, 17 * GIB);
    expect(() => run("mesos/small.yaml", [tooLarge])).toThrow("1 of 1 jobs never ended");
  });

  test("says when nobody's framework would run a job", () => {
    expect(() => run("mesos/small.yaml", [job("physics", 0, 1, SECOND, GIB)])).toThrow("is called physics");
  });
});
