import type { ObservedProgram } from "../observe/program.ts";

/** What a Framework's `scheduler.controller` asks for, as far as one pod is compared with another. */
export interface ProgramWish {
  /** Of all that its pod is made of: a pod with another one is replaced. */
  readonly hash: string;
}

/** What is remembered of the pod that was there before, until the next is seen. */
export interface Before {
  /** Starts before the next one. */
  readonly restarts: number;
  /** Failures in a row, long runs aside. */
  readonly failures: number;
}

/** What is to be done about a framework's program now. `again`: look again then. */
export type ProgramAction =
  | { readonly type: "none" }
  | { readonly type: "again"; readonly atMs: number }
  | { readonly type: "create"; readonly restarts: number; readonly failures: number }
  | { readonly type: "delete"; readonly uid: string };

/** As the kubelet restarts containers: 10 s, doubled up to five minutes, from the beginning after ten good ones. */
const backOff = { firstMs: 10_000, longestMs: 300_000, forgottenAfterMs: 600_000 };

/**
 * What to do about the one pod of a framework's program. Its name is fixed and therefore a lock: the next is made only when
 * the one before is gone. A pod that failed stays until its successor is due, so that everybody, a new leader above all, can
 * see why and since when; one that ended well is done.
 */
export function decideProgram(
  wish: ProgramWish | undefined,
  pod: ObservedProgram | undefined,
  before: Before | undefined,
  nowMs: number,
): ProgramAction {
  if (pod === undefined) {
    return wish === undefined ? { type: "none" } : { type: "create", restarts: 0, failures: 0, ...before };
  }
  // It ends by itself; that it is gone will be seen.
  if (pod.deleting) return { type: "none" };
  if (wish === undefined || pod.hash !== wish.hash) return { type: "delete", uid: pod.uid };
  if (pod.phase !== "Failed") return { type: "none" };
  const dueMs = nextStartMs(pod);
  return dueMs > nowMs ? { type: "again", atMs: dueMs } : { type: "delete", uid: pod.uid };
}

/** When the successor of a pod that failed is due. */
export function nextStartMs(pod: ObservedProgram): number {
  const failures = failuresWith(pod) - 1;
  return endedAtMs(pod) + Math.min(backOff.firstMs * 2 ** Math.min(failures, 20), backOff.longestMs);
}

/** What its successor has to know of a pod that is gone or going. */
export function beforeNext(pod: ObservedProgram, wish: ProgramWish | undefined): Before {
  // Another program than this one has no failures yet.
  if (wish !== undefined && pod.hash !== wish.hash) return { restarts: 0, failures: 0 };
  const failed = pod.phase === "Failed";
  return { restarts: pod.restarts + 1, failures: failed ? failuresWith(pod) : pod.failures };
}

/** When it ended; a pod that failed before any container ran has been there for no time. */
export function endedAtMs({ finishedAtMs, createdAtMs }: ObservedProgram): number {
  return finishedAtMs ?? createdAtMs;
}

function failuresWith(pod: ObservedProgram): number {
  const ranMs = pod.startedAtMs === undefined ? 0 : endedAtMs(pod) - pod.startedAtMs;
  return ranMs >= backOff.forgottenAfterMs ? 1 : pod.failures + 1;
}
