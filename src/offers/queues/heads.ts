/** What puts tasks in line, of the task that would come next. */
export interface Head {
  readonly priority: number;
  readonly createdAtMs: number;
  /** "namespace/name" */
  readonly key: string;
  readonly uid: string;
}

/** Priority, age, name; what has none comes last. Total: equal only for the same task. */
export function headBefore(a: Head | undefined, b: Head | undefined): boolean {
  if (a === undefined || b === undefined) return a !== undefined;
  if (a.priority !== b.priority) return a.priority > b.priority;
  if (a.createdAtMs !== b.createdAtMs) return a.createdAtMs < b.createdAtMs;
  if (a.key !== b.key) return a.key < b.key;
  return a.uid < b.uid;
}
