import type { Task } from "../tasks/task.ts";

/**
 * The instances of one Task that count in a start: those that have their place, and those whose pod has been seen since,
 * even if it has ended.
 */
export class Gathered {
  readonly #indexes = new Set<number>();
  readonly #unseen = new Set<number>();
  readonly #ended = new Set<number>();

  get size(): number {
    return this.#indexes.size;
  }

  /** Those of them that have not ended for good. */
  get open(): number {
    return this.#indexes.size - this.#ended.size;
  }

  /** The pods of all of them have been seen. */
  get complete(): boolean {
    return this.#unseen.size === 0;
  }

  has(index: number): boolean {
    return this.#indexes.has(index);
  }

  add(index: number): void {
    this.#indexes.add(index);
    this.#unseen.add(index);
  }

  /** Its pod is there. */
  seen(index: number): void {
    this.#unseen.delete(index);
  }

  /** Its pod was never made. */
  delete(index: number): void {
    this.#indexes.delete(index);
    this.#unseen.delete(index);
    this.#ended.delete(index);
  }

  /** It has ended for good. */
  ended(index: number): void {
    if (this.#indexes.has(index)) this.#ended.add(index);
  }

  /** The start is over. */
  clear(): void {
    this.#indexes.clear();
    this.#unseen.clear();
    this.#ended.clear();
  }
}

/** So many of its instances start together. */
export function minimumOf({ gang, group, instances }: Task["facts"]): number {
  if (gang !== undefined) return gang.minimum;
  return group === undefined ? 1 : instances;
}

/** What a start of the Task lacks; instances that have ended for good are not waited for. */
export function missingOf({ facts, gathered, pending, live }: Task): number {
  const others = pending + live.size - gathered.open;
  return Math.max(0, Math.min(minimumOf(facts) - gathered.size, others));
}

/** What the Task asks room for now: while a start is not complete, nothing but that is asked for. */
export function demandOf(task: Task): number {
  const { gang } = task;
  if (gang === undefined || gang.state === "started") return task.ready;
  return gang.startable ? missingOf(task) : 0;
}
