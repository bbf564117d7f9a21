import { hash } from "node:crypto";

const maxTaskPart = 30;
const base36 = 36;

/** The part of all pod names of a Task that does not change: `‹task, ≤ 30›-‹hash of the UID›`. */
export function podNamePrefix(task: string, taskUid: string): string {
  const digits = hash("sha256", taskUid, "buffer").readBigUInt64BE().toString(base36).slice(0, 10);
  return `${task.slice(0, maxTaskPart)}-${digits.padStart(10, "0")}`;
}

/** A pod's name is a lock on (Task UID, index, attempt): at most 55 characters, so that it also does as a host name. */
export function podName(prefix: string, index: number, attempt: number): string {
  return `${prefix}-${index}-${attempt}`;
}
