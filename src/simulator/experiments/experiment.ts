import type { FrameworkFacts, NodeFacts } from "../../offers/messages.ts";
import type { Configuration } from "./configuration.ts";
import type { Job, JobRecord } from "./jobs.ts";
import { Meter, type Reading } from "./meter.ts";
import { Programs, type Thinking } from "./programs.ts";
import { Site } from "./site.ts";
import { type Stint, Work } from "./work.ts";

export interface Experiment {
  readonly nodes: readonly NodeFacts[];
  readonly configuration: Configuration;
  readonly jobs: readonly Job[];
  /** "job": each job has a framework of its own, made like its tenant's, as each application of YARN has its master. */
  readonly frameworkPer: "tenant" | "job";
  /** How the programs of a tenant's frameworks think. */
  readonly thinking: (tenant: string) => Thinking;
  readonly roundMinIntervalMs?: number;
  /** Over when this job has ended; by default when all have. */
  readonly until?: string;
  /** Called now and then, with virtual milliseconds and the part of the jobs that have ended. */
  readonly progress?: (nowMs: number, ended: number) => void;
}

export interface Outcome {
  readonly records: readonly JobRecord[];
  readonly stints: readonly Stint[];
  readonly readings: readonly Reading[];
  readonly counts: Site["counts"];
}

const PROGRESS_EVERY = 1_000;
/** Nothing that is tried here takes a virtual day: if it does, somebody waits for ever. */
const END_MS = 86_400_000;

/**
 * Jobs through the pure broker in one configuration, from the first submission to the last end.
 *
 * @throws Error when jobs are left that never end
 */
export function runExperiment(experiment: Experiment): Outcome {
  const { nodes, configuration, jobs, frameworkPer, thinking, roundMinIntervalMs, until, progress } = experiment;
  const site = new Site({ nodes, configuration, ...(roundMinIntervalMs === undefined ? {} : { roundMinIntervalMs }) });
  const tenants = [...new Set(jobs.map(({ tenant }) => tenant))];
  const tenantOf = new Map<string, string>();
  const frameworkOf = (job: Job): string => {
    const facts = frameworkOfTenant(configuration, job.tenant);
    const key = frameworkPer === "job" ? `${facts.key}-${job.name}` : facts.key;
    if (frameworkPer === "job" && !site.frameworks.has(key)) site.join({ ...facts, key, uid: key });
    tenantOf.set(key, job.tenant);
    return key;
  };
  let over = false;
  const jobEnded = (job: Job) => {
    over ||= job.name === until;
    if (frameworkPer === "job") site.leave(frameworkOf(job));
  };
  const work = new Work({ site, jobs, frameworkOf, jobEnded });
  const programs = new Programs(site, work, (framework) => thinking(tenantOf.get(framework)!));
  const meter = new Meter(site, work, tenants);
  site.listener = {
    placed: (task, index, node) => work.placed(task, index, node),
    taken: (task, index) => work.taken(task, index),
    offered: (offer) => programs.offered(offer),
  };
  let steps = 0;
  site.run(() => {
    if (++steps % PROGRESS_EVERY === 0) progress?.(site.nowMs, work.ended / jobs.length);
    return over || work.done || site.nowMs > END_MS;
  });
  if (!over && !work.done) throw new Error(`${jobs.length - work.ended} of ${jobs.length} jobs never ended`);
  return { records: work.records, stints: work.stints, readings: meter.readings, counts: site.counts };
}

/** The framework named like the tenant; where there is but one, everybody's. @throws Error when there is none */
function frameworkOfTenant({ frameworks }: Configuration, tenant: string): FrameworkFacts {
  const named = frameworks.find(({ key }) => key.endsWith(`/${tenant}`));
  const facts = named ?? (frameworks.length === 1 ? frameworks[0] : undefined);
  if (facts === undefined) throw new Error(`no Framework of the configuration is called ${tenant}`);
  return facts;
}
