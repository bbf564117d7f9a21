import type { Task, TaskFailure } from "../../api/task.ts";
import type { AttemptPod } from "./pods.ts";

/** As for a program that Ctrl-C ends. */
export const INTERRUPTED = 130;
/** As `timeout` of the coreutils says it. */
const TIMED_OUT = 124;
const FAILED = 1;

const finalStates: ReadonlySet<string> = new Set(["Finished", "Failed", "Killed", "Lost", "Error"]);

export function hasEnded(task: Task): boolean {
  return finalStates.has(task.status?.state ?? "");
}

/** An instance that did not succeed, by its last attempt. */
export interface FailedInstance {
  readonly index: number;
  readonly attempt: number;
  readonly exitCode: number;
  /** What happened, for people. */
  readonly what: string;
}

/** The instances whose last attempt failed, in order. What pods do not tell (any more), the Task's last failures may. */
export function failedInstances(task: Task, pods: Iterable<AttemptPod>): FailedInstance[] {
  const last = new Map<number, AttemptPod>();
  for (const pod of pods) {
    if (pod.attempt >= (last.get(pod.index)?.attempt ?? 0)) last.set(pod.index, pod);
  }
  const failed = new Map<number, FailedInstance>();
  for (const pod of last.values()) if (pod.failed) failed.set(pod.index, ofPod(pod));
  for (const failure of [...(task.status?.lastFailures ?? [])].reverse()) {
    const known = last.get(failure.index);
    if (known === undefined || failure.attempt > known.attempt || (failure.attempt === known.attempt && !known.over)) {
      failed.set(failure.index, ofFailure(failure));
    }
  }
  return [...failed.values()].sort((a, b) => a.index - b.index);
}

function ofPod({ index, attempt, exitCode, reason, node }: AttemptPod): FailedInstance {
  const where = node === "" ? "" : ` on ${node}`;
  if (reason === "DeadlineExceeded") return { index, attempt, exitCode: TIMED_OUT, what: `ran too long${where}` };
  const what = [exitCode === undefined ? "failed" : `exit code ${exitCode}`, reason && `(${reason})`];
  return { index, attempt, exitCode: asExitCode(exitCode), what: `${what.filter(Boolean).join(" ")}${where}` };
}

function ofFailure({ index, attempt, exitCode, reason, message, node }: TaskFailure): FailedInstance {
  const what = exitCode === undefined ? `${reason}: ${message}` : `exit code ${exitCode}`;
  return { index, attempt, exitCode: asExitCode(exitCode), what: node === undefined ? what : `${what} on ${node}` };
}

/** What a process can end with; a failure is never 0. */
function asExitCode(code: number | undefined): number {
  return (code ?? FAILED) & 0xff || FAILED;
}

/** The exit code of the worst instance: 0 if all succeeded, else the greatest of those that failed, and 1 where there is none. */
export function exitCodeOf(task: Task, failed: readonly FailedInstance[]): number {
  if (task.status?.state === "Finished") return 0;
  return Math.max(FAILED, ...failed.map(({ exitCode }) => exitCode));
}

/** Why the Task waits, in one line; undefined while it does not. */
export function waitingLine(task: Task): string | undefined {
  const conditions = task.status?.conditions ?? [];
  const refused = conditions.find(({ type, status }) => type === "Accepted" && status === "False");
  if (refused) return `not accepted (${refused.reason}): ${refused.message}`;
  const waiting = conditions.find(({ type, status }) => type === "Waiting" && status === "True");
  return waiting && `waiting (${waiting.reason}): ${waiting.message}`;
}

/** The last line: what became of it. */
export function summaryLine(task: Task): string {
  const { state = "Pending", progress, why } = task.status ?? {};
  const done = `task ${task.metadata.name}: ${state}`;
  const howMany = state === "Finished" ? ` (${progress ?? task.spec.instances})` : ` (${progress ?? "0"} succeeded)`;
  return `${done}${howMany}${state !== "Finished" && why ? `: ${why}` : ""}`;
}
