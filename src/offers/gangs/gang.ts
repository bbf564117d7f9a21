import { before, type Line } from "../lines.ts";
import type { Claimant } from "../queues/queues.ts";
import { unreachable } from "../structures/assert.ts";
import type { Task } from "../tasks/task.ts";
import type { Explanation } from "../views.ts";
import { minimumOf, missingOf } from "./gathered.ts";

/**
 * The life of instances that start together. `waiting`: none of them lives. `starting`: they have their places, and not
 * all of their pods have been seen yet. `started`: all have; from now on each is on its own. `undone`: a start came to
 * nothing, or the gang is taken back as a whole; what lives of it is on its way out. Back to `waiting` whenever nothing of it lives.
 */
export type GangState = "waiting" | "starting" | "started" | "undone";

export type GangEvent = "granted" | "complete" | "recalled" | "nothing-lives";

/** The one place where a gang's state changes. */
export function nextState(state: GangState, event: GangEvent): GangState {
  switch (event) {
    case "granted":
      return state === "waiting" ? "starting" : state;
    case "complete":
      return state === "starting" ? "started" : state;
    case "recalled":
      return state === "waiting" ? state : "undone";
    case "nothing-lives":
      return "waiting";
    default:
      return unreachable(event);
  }
}

/** One Task's part of a start: so many of its instances are missing. */
export interface Part {
  readonly task: Task;
  readonly missing: number;
}

/** Something that waits for room until it may be held for it: a gang, or the line of a large shape. */
export interface Waiter {
  /** Since when it could start but for want of room. */
  waitingSinceMs: number | undefined;
  /** How often room was held for it in vain. */
  vainHolds: number;
}

/**
 * Tasks whose instances start together: one with `gang.minimum`, or those of a group. Instances that have ended for good
 * are no longer waited for.
 */
export class Gang implements Waiter {
  readonly name: string | undefined;
  /** Of a group: how many Tasks there are to be. */
  readonly size: number;
  /** Its members, oldest first. */
  tasks: Task[] = [];
  state: GangState = "waiting";
  /** All that is missing may start; each has a line of its own then. */
  startable = false;
  /** Its instances are being started, one after the other: it is looked at when all are. */
  granting = false;
  /** Some of a start that is not complete are on their way out, or all of it is taken back. */
  recalling = false;
  waitingSinceMs: number | undefined;
  /** It waited before this term, since then: until it is startable in this one. */
  waitedSinceMs: number | undefined;
  vainHolds = 0;

  constructor(name: string | undefined, size: number) {
    this.name = name;
    this.size = size;
  }

  get live(): number {
    return this.tasks.reduce((sum, task) => sum + task.live.size, 0);
  }

  /** What a start lacks, of each Task that lacks something. */
  parts(): Part[] {
    return this.tasks.flatMap((task) => {
      const missing = missingOf(task);
      return missing > 0 ? [{ task, missing }] : [];
    });
  }

  /** How many instances a start lacks. */
  get missing(): number {
    return this.tasks.reduce((sum, task) => sum + missingOf(task), 0);
  }

  /** The lines of its parts while it is startable. */
  lines(): Line[] {
    const lines: Line[] = [];
    for (const { line } of this.tasks) if (line !== undefined) lines.push(line);
    return lines;
  }

  /** The line that stands for all of them in the order of its claimant. */
  get lead(): Line | undefined {
    const [first] = this.tasks;
    if (this.tasks.length === 1) return first!.line;
    let lead: Line | undefined;
    for (const line of this.lines()) {
      if (lead === undefined || before(line.head!, lead.head!)) lead = line;
    }
    return lead;
  }

  /** "gang of 50", "group etl of 2 tasks": for people. */
  get title(): string {
    if (this.name !== undefined) return `group ${this.name} of ${this.size} tasks`;
    return `gang of ${this.tasks.reduce((sum, task) => sum + minimumOf(task.facts), 0)}`;
  }
}

/** Why a gang cannot start whatever room there is; undefined if it can. */
export function obstacle(gang: Gang, claimantOf: (task: Task) => Claimant): Explanation | undefined {
  const begun = gang.tasks.some((task) => task.hasRun);
  if (gang.tasks.length < gang.size && !begun) {
    return {
      reason: "gang-not-ready",
      message: `group ${gang.name}: ${gang.tasks.length} of its ${gang.size} tasks exist`,
    };
  }
  const [first] = gang.tasks;
  const queue = first && claimantOf(first).queueName;
  for (const task of gang.tasks) {
    const missing = missingOf(task);
    if (missing === 0) continue;
    const own = claimantOf(task).queueName;
    if (own !== queue) {
      return {
        reason: "group-invalid",
        message: `group ${gang.name}: its tasks are in the queues ${queue} and ${own}`,
      };
    }
    if (task.rejected !== undefined) {
      return { reason: "gang-not-ready", message: `task ${nameOf(task)}: ${task.rejected.message}` };
    }
    if (task.ready < missing) {
      return {
        reason: "gang-not-ready",
        message: `task ${nameOf(task)}: ${missing} start together, ${task.ready} of them may start now`,
      };
    }
    if (task.recordedVersion < task.unstartedVersion) {
      return { reason: "gang-not-ready", message: `task ${nameOf(task)}: its status does not say yet that none runs` };
    }
  }
  return undefined;
}

function nameOf({ facts }: Task): string {
  return facts.key.slice(facts.key.indexOf("/") + 1);
}
