import type { Quantities } from "../../offers/resources.ts";

/** Equal instances that may all run at once; a job's stages come one after another. */
export interface Stage {
  /** How long each instance runs, in milliseconds: as many as there are instances. */
  readonly runMs: readonly number[];
  readonly requests: Quantities;
  /** Nothing starts before all instances have their place: they are held meanwhile. */
  readonly rigid?: boolean;
}

export interface Job {
  /** Unique among all jobs; a DNS label. */
  readonly name: string;
  readonly tenant: string;
  /** What it is told apart by in results. */
  readonly kind: string;
  readonly stages: readonly Stage[];
  /** Submitted at a time, or so long after another job has ended. */
  readonly submit: { readonly atMs: number } | { readonly after: string; readonly gapMs: number };
}

/** What became of a job. Times are virtual milliseconds. */
export interface JobRecord {
  readonly job: Job;
  submittedMs: number;
  /** Its first instance began to work. */
  startedMs: number;
  finishedMs: number;
}
