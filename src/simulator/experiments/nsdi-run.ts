import { join } from "node:path";
import { fileOf, type Variant } from "./ancestors.ts";
import { readConfiguration } from "./configuration.ts";
import { type Outcome, runExperiment } from "./experiment.ts";
import type { Job, JobRecord } from "./jobs.ts";
import { NSDI_NODES, TENANTS } from "./nsdi-mix.ts";
import { nodesOf } from "./site.ts";

export type Tenant = (typeof TENANTS)[number];

/** Parts of the whole (0 to 1) and seconds. */
export interface MixFigures {
  readonly cpu: number;
  readonly memory: number;
  readonly fairnessError: number;
  /** Sum of the running times of a tenant's jobs, from submission to end. */
  readonly jobSeconds: Readonly<Record<Tenant, number>>;
  /** From a job's submission to its first instance that works, the mean of all jobs. */
  readonly waitSeconds: number;
  /** Mean running time by "tenant kind". */
  readonly kindSeconds: ReadonlyMap<string, number>;
  readonly lostRaces: number;
  readonly taken: number;
  readonly endSeconds: number;
}

/** What is measured over time is measured while jobs are submitted: 25 minutes. */
const WINDOW_MS = 25 * 60_000;
/** Omega's batch schedulers (EuroSys'13): 10 ms, and 5 ms an instance. Everybody that answers offers thinks so long. */
const THINKING = { answerMs: 10, instanceMs: 5 };

/** @throws Error when the configuration cannot be read, or jobs never end */
export function runMix(
  examples: string,
  variant: Variant,
  jobs: readonly Job[],
  progress: (nowMs: number, ended: number) => void = () => {},
): MixFigures {
  const outcome = runExperiment({
    nodes: nodesOf(NSDI_NODES.count, NSDI_NODES.allocatable),
    configuration: readConfiguration(join(examples, fileOf(variant, "nsdi"))),
    jobs,
    frameworkPer: variant.ancestor.frameworkPer,
    // Facebook's Hadoop shares fairly among its jobs; the others have few at a time.
    thinking: (tenant) => ({ ...THINKING, among: tenant === "facebook" ? "Fair" : "Fifo" }),
    progress,
  });
  return figuresOf(outcome);
}

function figuresOf({ records, readings, counts }: Outcome): MixFigures {
  const window = readings.filter(({ atMs }) => atMs <= WINDOW_MS);
  const seconds = ({ submittedMs, finishedMs }: JobRecord) => (finishedMs - submittedMs) / 1_000;
  const kinds = new Map<string, number[]>();
  for (const record of records) {
    const kind = `${record.job.tenant} ${record.job.kind}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), seconds(record)]);
  }
  const jobSeconds = Object.fromEntries(
    TENANTS.map((tenant) => [tenant, sum(records.filter(({ job }) => job.tenant === tenant).map(seconds))]),
  ) as Record<Tenant, number>;
  return {
    cpu: mean(window.map(({ cpu }) => cpu)),
    memory: mean(window.map(({ memory }) => memory)),
    fairnessError: mean(window.map(({ fairnessError }) => fairnessError)),
    jobSeconds,
    waitSeconds: mean(records.map(({ submittedMs, startedMs }) => (startedMs - submittedMs) / 1_000)),
    kindSeconds: new Map([...kinds].map(([kind, all]) => [kind, mean(all)])),
    lostRaces: counts.lostRaces,
    taken: counts.taken,
    endSeconds: Math.max(...records.map(({ finishedMs }) => finishedMs)) / 1_000,
  };
}

/** Of several runs, with different seeds. */
export function meanFigures(runs: readonly MixFigures[]): MixFigures {
  const of = (figure: (run: MixFigures) => number) => mean(runs.map(figure));
  const kinds = [...runs[0]!.kindSeconds.keys()].sort();
  return {
    cpu: of(({ cpu }) => cpu),
    memory: of(({ memory }) => memory),
    fairnessError: of(({ fairnessError }) => fairnessError),
    jobSeconds: Object.fromEntries(
      TENANTS.map((tenant) => [tenant, of(({ jobSeconds }) => jobSeconds[tenant])]),
    ) as Record<Tenant, number>,
    waitSeconds: of(({ waitSeconds }) => waitSeconds),
    kindSeconds: new Map(kinds.map((kind) => [kind, of(({ kindSeconds }) => kindSeconds.get(kind) ?? 0)])),
    lostRaces: of(({ lostRaces }) => lostRaces),
    taken: of(({ taken }) => taken),
    endSeconds: of(({ endSeconds }) => endSeconds),
  };
}

const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;
