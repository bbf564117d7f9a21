import type { PodFacts, TaskFacts } from "../offers/messages.ts";
import { parseIndexes } from "../offers/structures/indexes.ts";
import { check } from "./check.ts";
import type { Cluster } from "./cluster.ts";
import { minimumOf } from "./gang-tenants.ts";

/**
 * Instances that start together do so, or do not: counted from pods alone, whatever the operator believes. A start begins
 * with the first pod after none has lived while nothing was under way, and is whole once as many indexes as the minimum have had one.
 */
export class GangChecks {
  readonly #cluster: Cluster;
  /** By gang: pods that live, and the indexes ("task/index") that have had one since none lived. */
  readonly #live = new Map<string, Set<string>>();
  readonly #started = new Map<string, Set<string>>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    cluster.watch(({ input }) => {
      if (input.type === "pod-observed") this.#seen(input.pod);
      if (input.type === "pod-gone") this.#over(input.pod);
    });
  }

  /** Nothing is under way: no half of a start lives. */
  idle(): void {
    // One may have ended before the other's create arrived: only now nothing of a start is on its way.
    for (const [key, live] of this.#live) if (live.size === 0) this.#started.delete(key);
    for (const { facts } of this.#cluster.tasks.values()) {
      const key = gangOf(facts);
      if (key === undefined || !this.#lives(key) || facts.deleting || facts.kill !== undefined) continue;
      const started = this.#indexesOf(facts, key);
      const ended = this.#endedBefore(facts, started);
      const least = Math.min(minimumOf(facts), facts.instances - ended);
      const what = `${[...started].join()} have run, of ${facts.instances}, ${ended} had ended before`;
      check(started.size >= least, `half of a start lives: of ${facts.key} ${least} start together, ${what}`);
    }
  }

  #seen(pod: PodFacts): void {
    const key = this.#gangOf(pod);
    if (key === undefined) return;
    if (pod.phase === "Succeeded" || pod.phase === "Failed") {
      this.#over(pod);
      return;
    }
    this.#live.set(key, (this.#live.get(key) ?? new Set()).add(pod.uid));
    this.#started.set(key, (this.#started.get(key) ?? new Set()).add(`${pod.taskUid}/${pod.index}`));
  }

  #over(pod: PodFacts): void {
    const key = this.#gangOf(pod);
    if (key !== undefined) this.#live.get(key)?.delete(pod.uid);
  }

  #gangOf({ taskUid }: PodFacts): string | undefined {
    const task = this.#cluster.tasks.get(taskUid)?.facts;
    return task && gangOf(task);
  }

  /** Does any pod of it live that nobody has told to end? */
  #lives(key: string): boolean {
    const live = this.#live.get(key);
    if (live === undefined || live.size === 0) return false;
    return [...this.#cluster.pods.values()].some(({ facts }) => live.has(facts.uid) && !facts.deleting);
  }

  #indexesOf({ uid }: TaskFacts, key: string): Set<number> {
    const own = [...(this.#started.get(key) ?? [])].filter((index) => index.startsWith(`${uid}/`));
    return new Set(own.map((index) => Number(index.slice(uid.length + 1))));
  }

  #endedBefore({ uid, instances }: TaskFacts, started: ReadonlySet<number>): number {
    const status = this.#cluster.tasks.get(uid)?.status;
    const over = parseIndexes([status?.succeededIndexes, status?.failedIndexes].filter(Boolean).join(","), instances);
    return [...over].filter((index) => !started.has(index)).length;
  }
}

function gangOf({ uid, framework, gang, group }: TaskFacts): string | undefined {
  if (group !== undefined) return `${framework}/${group.name}`;
  return gang === undefined ? undefined : uid;
}
