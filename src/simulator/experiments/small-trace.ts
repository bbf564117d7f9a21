import type { Experiment } from "./experiment.ts";
import type { Job } from "./jobs.ts";

/**
 * A trace small enough to be followed by hand in every configuration (docs/experiments.md does so). One node; `ads` wants
 * many small instances, `bio` a few that need much memory, both from the beginning.
 */
const GIB = 1_024 * 1_024;
const SECOND = 1_000;

export const SMALL_NODE = { cpu: 8_000, memory: 16 * GIB };

export const SMALL_JOBS: readonly Job[] = [
  job("ads", 8, 4 * SECOND, { cpu: 1_000, memory: 1 * GIB }),
  job("bio", 5, 6 * SECOND, { cpu: 1_000, memory: 4 * GIB }),
];

/** What answers offers takes its time, bio's program half as long as ads'. */
export const smallThinking: Experiment["thinking"] = (tenant) => ({
  answerMs: tenant === "ads" ? 2 * SECOND : 1 * SECOND,
  instanceMs: 0,
  among: "Fifo",
});

function job(tenant: string, instances: number, runMs: number, requests: Job["stages"][number]["requests"]): Job {
  const stages = [{ runMs: Array.from({ length: instances }, () => runMs), requests }];
  return { name: `${tenant}-1`, tenant, kind: tenant, stages, submit: { atMs: 0 } };
}

/** How many instances of each tenant have a place before any has ended, by the ancestor's folder. */
export const FIRST_PLACES: Readonly<Record<string, { readonly ads: number; readonly bio: number }>> = {
  "static-partitioning": { ads: 4, bio: 2 },
  "hadoop-1": { ads: 8, bio: 0 },
  "yarn-capacity": { ads: 7, bio: 1 },
  "yarn-fair": { ads: 6, bio: 2 },
  mesos: { ads: 4, bio: 3 },
  omega: { ads: 0, bio: 4 },
};
