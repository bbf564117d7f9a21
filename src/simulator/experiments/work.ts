import { check } from "../check.ts";
import type { Job, JobRecord, Stage } from "./jobs.ts";
import type { Site } from "./site.ts";

/** One stage of a job as one Task. */
export interface StageRun {
  /** UID of the Task, which is its name too. */
  readonly task: string;
  readonly framework: string;
  readonly record: JobRecord;
  readonly stage: Stage;
  readonly submittedMs: number;
  /** Instances that wait for a place. */
  waiting: number;
  /** Instances with a place, and since when and where. */
  readonly placed: Map<number, Placed>;
  ended: number;
}

interface Placed {
  readonly sinceMs: number;
  readonly node: string;
  working: boolean;
  cancel: () => void;
}

/** An instance that worked to its end. */
export interface Stint {
  readonly job: string;
  readonly stage: number;
  readonly index: number;
  readonly node: string;
  readonly placedMs: number;
  readonly startedMs: number;
  readonly finishedMs: number;
}

export interface WorkOptions {
  readonly site: Site;
  readonly jobs: readonly Job[];
  /** Key of the Framework that runs the job; it exists by then. */
  readonly frameworkOf: (job: Job) => string;
  readonly jobEnded?: (job: Job) => void;
}

/** Jobs as they are submitted, run stage by stage, and end: the tenants of a site, and what runs in their pods. */
export class Work {
  readonly records: JobRecord[] = [];
  readonly stints: Stint[] = [];
  readonly running = new Map<string, StageRun>();
  /** Of a framework, in the order they were submitted. */
  readonly #byFramework = new Map<string, StageRun[]>();
  readonly #options: WorkOptions;
  /** Jobs that have ended. */
  ended = 0;

  constructor(options: WorkOptions) {
    this.#options = options;
    const { site, jobs } = options;
    const names = new Set(jobs.map(({ name }) => name));
    check(names.size === jobs.length, "jobs have names of their own");
    for (const job of jobs) {
      if ("atMs" in job.submit) site.schedule.at(job.submit.atMs, () => this.#submit(job));
      else check(names.has(job.submit.after), `${job.name} comes after a job that is not there: ${job.submit.after}`);
    }
  }

  get done(): boolean {
    return this.ended === this.#options.jobs.length;
  }

  /** Stages that a framework has under way. */
  of(framework: string): readonly StageRun[] {
    return this.#byFramework.get(framework) ?? [];
  }

  placed(task: string, index: number, node: string): void {
    const run = this.running.get(task);
    if (run === undefined) return;
    const { nowMs } = this.#options.site;
    run.waiting--;
    run.placed.set(index, { sinceMs: nowMs, node, working: false, cancel: () => {} });
    if (run.stage.rigid !== true) this.#begin(run, index);
    else if (run.waiting === 0) for (const other of run.placed.keys()) this.#begin(run, other);
  }

  taken(task: string, index: number): void {
    const run = this.running.get(task);
    run?.placed.get(index)?.cancel();
    if (run?.placed.delete(index) === true) run.waiting++;
  }

  #submit(job: Job): void {
    const { nowMs } = this.#options.site;
    const record: JobRecord = { job, submittedMs: nowMs, startedMs: Number.NaN, finishedMs: Number.NaN };
    this.records.push(record);
    this.#beginStage(record, 0);
  }

  #beginStage(record: JobRecord, number: number): void {
    const { site, frameworkOf } = this.#options;
    const { job } = record;
    const stage = job.stages[number]!;
    const framework = frameworkOf(job);
    const task = job.stages.length === 1 ? job.name : `${job.name}-${number}`;
    const waiting = stage.runMs.length;
    const run = { task, framework, record, stage, submittedMs: site.nowMs, waiting, placed: new Map(), ended: 0 };
    this.running.set(task, run);
    const own = this.#byFramework.get(framework) ?? [];
    this.#byFramework.set(framework, [...own, run]);
    const requests = { ...stage.requests, pods: 1 };
    site.submit({
      key: `${framework.slice(0, framework.indexOf("/"))}/${task}`,
      uid: task,
      framework,
      templateKey: JSON.stringify(requests),
      requests,
      instances: waiting,
      priority: 0,
      retry: { limit: 1_000, backoffMs: 0, maxBackoffMs: 0, onNodeLost: "Retry" },
      // A later stage belongs to a job as old as its first.
      createdAtMs: record.submittedMs,
      deleting: false,
    });
  }

  #begin(run: StageRun, index: number): void {
    const { site } = this.#options;
    const placed = run.placed.get(index)!;
    const { sinceMs, node } = placed;
    const startedMs = site.nowMs;
    placed.working = true;
    if (Number.isNaN(run.record.startedMs)) run.record.startedMs = startedMs;
    placed.cancel = site.schedule.in(run.stage.runMs[index]!, () => {
      const { job } = run.record;
      const stage = job.stages.indexOf(run.stage);
      this.stints.push({ job: job.name, stage, index, node, placedMs: sinceMs, startedMs, finishedMs: site.nowMs });
      run.placed.delete(index);
      run.ended++;
      site.finish(run.task, index);
      if (run.ended === run.stage.runMs.length) this.#endStage(run);
    });
  }

  #endStage(run: StageRun): void {
    const { site, jobs, jobEnded } = this.#options;
    const { record, stage, framework } = run;
    const { job } = record;
    this.running.delete(run.task);
    this.#byFramework.set(
      framework,
      this.of(framework).filter((other) => other !== run),
    );
    const next = job.stages.indexOf(stage) + 1;
    if (next < job.stages.length) {
      this.#beginStage(record, next);
      return;
    }
    record.finishedMs = site.nowMs;
    this.ended++;
    jobEnded?.(job);
    for (const other of jobs) {
      if (!("after" in other.submit) || other.submit.after !== job.name) continue;
      site.schedule.in(other.submit.gapMs, () => this.#submit(other));
    }
  }
}
