import type { Gang } from "../gangs/gang.ts";
import { Gathered } from "../gangs/gathered.ts";
import type { Line } from "../lines.ts";
import type { PodFacts, TaskFacts } from "../messages.ts";
import type { Shape } from "../nodes/shapes.ts";
import { Bitset } from "../structures/bitset.ts";
import { formatIndexes, parseIndexes } from "../structures/indexes.ts";
import type { Explanation, InstanceCounts, TaskView } from "../views.ts";
import { type Attempts, attemptGroups, type Rank } from "./attempt-groups.ts";
import { type Ending, endingOfAbandoned, endingOfVanished, withReason } from "./endings.ts";
import type { Instance } from "./instance.ts";
import { LastFailures } from "./last-failures.ts";
import type { QuotaHold } from "./quota-holds.ts";
import { countByState, notStarting, stateOf } from "./task-state.ts";

/** An attempt that never ran is tried again this often: a kubelet that always refuses must not spin for ever. */
const UNSTARTED_LIMIT = 20;

/** A Task and its instances: pending, live, or ended for good. */
export class Task {
  facts: TaskFacts;
  /** The Task object is gone: nothing new starts, pods are let go as they end. */
  gone = false;
  /** It is to end because its framework's program stayed away: a text for people. */
  abandoned: string | undefined;
  shape: Shape | undefined;
  /** Where a pod of it was last started: what it counts in once its framework is gone. */
  startedIn: string | undefined;
  /** Why it cannot take part. */
  rejected: Explanation | undefined;
  /** What it adds to the demand of a line now, and of which; kept by lines.ts. */
  counted = 0;
  line: Line | undefined;
  /** The last line that was for it alone. */
  ownLine: Line | undefined;
  /** Whose instances start together with its own, or its own alone; kept by gangs.ts. */
  gang: Gang | undefined;
  /** They have; said in its status. */
  startedTogether: boolean | undefined;
  /** The version that says that they are to start anew. */
  unstartedVersion = 0;
  /** It has waited for room since then, before this term or in another line: until its line says so. */
  waitedSinceMs: number | undefined;
  readonly gathered = new Gathered();
  version = 1;
  recordedVersion = 0;
  /** Present while a ResourceQuota keeps pods of it out. */
  hold: QuotaHold | undefined;
  startedAtMs: number | undefined;
  finishedAtMs: number | undefined;
  readonly live = new Map<number, Instance>();
  readonly #failures: LastFailures;
  /** Pods that have ended and keep their finalizer until the version that tells their end is recorded. */
  readonly unreleased = new Map<string, { readonly key: string; readonly version: number }>();
  /** Pods whose finalizer was asked off, until it is seen gone. */
  readonly letGo = new Set<string>();
  /** Pods of lost nodes: their index runs again only when they are gone. */
  readonly awaitedGone = new Map<string, number>();
  /** Index -> when it may be tried again. */
  readonly backOff = new Map<number, number>();
  readonly #pending: Bitset;
  #pendingCount: number;
  /** Live instances whose pod is not known yet. */
  #creating = 0;
  readonly #succeeded: Bitset;
  /** Ended for good otherwise. */
  readonly #failed: Bitset;
  readonly #attempts = new Map<number, Attempts>();
  /** Index -> how many attempts of this term were over before they had begun, by no fault of anybody here. */
  readonly #unstarted = new Map<number, number>();
  /** Instances that do not start, and what their node said. */
  readonly #stuck = new Map<Instance, string>();
  readonly #ended = { finished: 0, failed: 0, killed: 0, lost: 0 };

  constructor(facts: TaskFacts) {
    this.facts = facts;
    const { instances, recorded } = facts;
    this.#succeeded = parseIndexes(recorded?.succeededIndexes ?? "", instances);
    this.#failed = parseIndexes(recorded?.failedIndexes ?? "", instances);
    for (const { indexes, ended, failed } of recorded?.attempts ?? []) {
      for (const index of parseIndexes(indexes, instances)) this.#attempts.set(index, { ended, failed });
    }
    this.#pending = new Bitset(instances);
    this.#pending.fill(instances);
    this.#pendingCount = instances;
    for (const index of this.#succeeded) this.#settle(index, "finished");
    for (const index of this.#failed) this.#settle(index, "failed");
    if (recorded?.counts !== undefined) Object.assign(this.#ended, recorded.counts);
    this.#failures = new LastFailures(recorded?.lastFailures ?? []);
    this.startedTogether = recorded?.startedTogether;
    this.startedAtMs = recorded?.startedAtMs;
    this.finishedAtMs = recorded?.finishedAtMs;
  }

  get uid(): string {
    return this.facts.uid;
  }

  /** Instances that may start now. */
  get ready(): number {
    if (this.rejected !== undefined || this.gone || this.facts.deleting || this.shape === undefined) return 0;
    // Past the size of its group.
    if (this.facts.group !== undefined && this.gang === undefined) return 0;
    const waiting = this.#pendingCount - this.backOff.size;
    const { parallelism = Number.POSITIVE_INFINITY } = this.facts;
    const allowed = this.hold === undefined ? Number.POSITIVE_INFINITY : this.hold.window - this.#creating;
    return Math.max(0, Math.min(waiting, parallelism - this.live.size, allowed));
  }

  get pending(): number {
    return this.#pendingCount + this.awaitedGone.size;
  }

  /** All instances have ended for good. */
  get finished(): boolean {
    return this.#pendingCount === 0 && this.live.size === 0 && this.awaitedGone.size === 0;
  }

  /** Why an instance with a place does not start: of the first one. */
  get stuck(): Explanation | undefined {
    const [first] = this.#stuck;
    return first === undefined ? undefined : notStarting(first[0], first[1], this.facts.instances);
  }

  /** Something of it runs, or ran. */
  get hasRun(): boolean {
    return this.live.size > 0 || this.#attempts.size > 0 || this.#ended.finished > 0;
  }

  /** Something of it runs or has ended. */
  get begun(): boolean {
    return this.live.size > 0 || this.#attempts.size > 0 || this.#pendingCount < this.facts.instances;
  }

  changed(): void {
    this.version++;
  }

  /** After a change of leader: indexes whose last end was so lately that they still wait, and until when. */
  *resumeBackOff(nowMs: number): Generator<[index: number, untilMs: number]> {
    for (const { index, attempt, atMs, reason } of this.facts.recorded?.lastFailures ?? []) {
      if (reason === "reclaimed") continue;
      const attempts = this.#attempts.get(index);
      if (attempts?.ended !== attempt + 1 || !this.#pending.has(index)) continue;
      const untilMs = atMs + this.backOffMs(attempts.ended);
      if (untilMs > nowMs) yield [index, untilMs];
    }
  }

  /** Whether the index is to end: by the Task's deletion, its `spec.kill`, or for want of its framework's program. */
  isDoomed(index: number): boolean {
    if (this.gone || this.facts.deleting || this.abandoned !== undefined) return true;
    const { kill, instances } = this.facts;
    if (kill === undefined) return false;
    return kill.indexes === undefined || parseIndexes(kill.indexes, instances).has(index);
  }

  /** All of it is to end; what waits has no attempt whose end would say why. */
  abandon(why: string, nowMs: number): void {
    this.abandoned = why;
    const [index] = this.waitingIndexes();
    if (index === undefined) return;
    this.#remember({ index, attempt: this.attempt(index), nodeName: "" }, endingOfVanished(true, false), nowMs);
  }

  /** The wait after so many ends, at least one. */
  backOffMs(ended: number): number {
    return Math.min(this.facts.retry.backoffMs * 2 ** Math.min(ended - 1, 20), this.facts.retry.maxBackoffMs);
  }

  /** The lowest index that may start. Only while `ready` > 0. */
  nextReady(): number {
    let index = this.#pending.next(0);
    while (this.backOff.has(index)) index = this.#pending.next(index + 1);
    return index;
  }

  /** Indexes that may start, lowest first; `ready` of them may. Those that count in a start come last. */
  *readyIndexes(): Generator<number> {
    for (const index of this.#pending) if (!this.backOff.has(index) && !this.gathered.has(index)) yield index;
    for (const index of this.#pending) if (!this.backOff.has(index) && this.gathered.has(index)) yield index;
  }

  /** The attempt that an index runs next. */
  attempt(index: number): number {
    return this.#attempts.get(index)?.ended ?? 0;
  }

  /** The end of this attempt is told already by what was recorded before this term. */
  knows(index: number, attempt: number): boolean {
    return this.#succeeded.has(index) || this.#failed.has(index) || attempt < this.attempt(index);
  }

  isPending(index: number): boolean {
    return this.#pending.has(index);
  }

  start(instance: Instance): void {
    if (this.#pending.delete(instance.index)) this.#pendingCount--;
    this.backOff.delete(instance.index);
    this.live.set(instance.index, instance);
    if (this.gang !== undefined && this.gang.state !== "started") this.gathered.add(instance.index);
    this.#creating++;
    this.changed();
  }

  /** The pod of a live instance is known now. */
  created(instance: Instance, pod: NonNullable<Instance["pod"]>): void {
    instance.pod = pod;
    this.gathered.seen(instance.index);
    this.#creating--;
  }

  /** What the pod of an instance tells while it lives; returns whether that changes anything. */
  follow(instance: Instance, pod: PodFacts, nowMs: number): boolean {
    const before = { state: instance.state, stuck: this.stuck?.message };
    instance.state = pod.phase === "Running" ? "running" : "starting";
    if (instance.state === "running") {
      instance.runsSinceMs ??= pod.startedAtMs ?? nowMs;
      this.startedAtMs ??= instance.runsSinceMs;
    }
    // The node tries again and again, and says it differently each time: the first time tells most.
    if (instance.state === "running" || pod.deleting) this.#stuck.delete(instance);
    else if (pod.message !== undefined && !this.#stuck.has(instance)) this.#stuck.set(instance, withReason(pod));
    if (before.state === instance.state && before.stuck === this.stuck?.message) return false;
    this.changed();
    return true;
  }

  /**
   * The attempt has ended. Returns when the index may be tried again: a time, "gone" (once its pod is gone), or
   * undefined where nothing has to be waited for, or never.
   */
  end(instance: Instance, ending: Ending, nowMs: number): number | "gone" | undefined {
    this.#leave(instance);
    this.changed();
    if (ending.outcome === "finished") {
      this.#succeeded.add(instance.index);
      this.#settle(instance.index, "finished");
      this.#finishMaybe(nowMs);
      return undefined;
    }
    const before = this.#attempts.get(instance.index) ?? { ended: 0, failed: 0 };
    const attempts = {
      ended: Math.max(before.ended, instance.attempt) + 1,
      failed: before.failed + (ending.counts ? 1 : 0),
    };
    this.#attempts.set(instance.index, attempts);
    this.#remember(instance, ending, nowMs);
    if (!this.#triesAgain(instance, ending, attempts)) {
      this.#giveUp(instance.index, ending.outcome, nowMs);
      return undefined;
    }
    if (ending.lingers === true && instance.pod !== undefined) {
      this.awaitedGone.set(instance.pod.uid, instance.index);
      return "gone";
    }
    this.#pend(instance.index);
    // It did nothing wrong.
    return ending.reason === "reclaimed" ? undefined : nowMs + this.backOffMs(attempts.ended);
  }

  /** An attempt that was over before the one that lives now. */
  endedBefore({ index, attempt, node }: PodFacts, ending: Ending, nowMs: number): void {
    const before = this.#attempts.get(index) ?? { ended: 0, failed: 0 };
    const failed = before.failed + (ending.counts ? 1 : 0);
    this.#attempts.set(index, { ended: Math.max(before.ended, attempt + 1), failed });
    this.#remember({ index, attempt, nodeName: node }, ending, nowMs);
    this.changed();
  }

  /** The attempt came to nothing before a pod existed: the same attempt may be made again at once. */
  unstart(instance: Instance): void {
    this.#leave(instance);
    this.#pend(instance.index);
    this.changed();
  }

  /** A pod of an earlier attempt still lives, although the attempt is over: its index waits until the pod is gone. */
  awaitGone(index: number, podUid: string): void {
    if (!this.#pending.delete(index)) return;
    this.#pendingCount--;
    this.backOff.delete(index);
    this.awaitedGone.set(podUid, index);
    this.changed();
  }

  /** The pod of a lost node is gone: its index may run again. */
  podGone(podUid: string): number | undefined {
    const index = this.awaitedGone.get(podUid);
    if (index === undefined) return undefined;
    this.awaitedGone.delete(podUid);
    this.#pend(index);
    this.changed();
    return index;
  }

  /** An index that was not running is killed. */
  cancel(index: number, nowMs: number): void {
    const awaited = [...this.awaitedGone].find(([, waiting]) => waiting === index);
    if (awaited !== undefined) this.awaitedGone.delete(awaited[0]);
    else if (!this.#pending.has(index)) return;
    this.#giveUp(index, "killed", nowMs);
    this.changed();
  }

  /** An attempt that was given up for lost ended well after all, before it was made again. */
  succeededAfterAll(podUid: string, nowMs: number): boolean {
    const index = this.awaitedGone.get(podUid);
    if (index === undefined) return false;
    this.awaitedGone.delete(podUid);
    this.#succeeded.add(index);
    this.#settle(index, "finished");
    this.#finishMaybe(nowMs);
    this.changed();
    return true;
  }

  /** Indexes that have neither ended nor run. */
  waitingIndexes(): number[] {
    return [...this.#pending, ...this.awaitedGone.values()];
  }

  view(): TaskView {
    const [counts, stuck] = [this.counts(), this.stuck];
    const only = this.facts.instances === 1 ? this.live.get(0) : undefined;
    return {
      version: this.version,
      state: stateOf(this.facts, counts, this.finished),
      instances: this.facts.instances,
      counts,
      succeededIndexes: formatIndexes(this.#succeeded),
      failedIndexes: formatIndexes(this.#failed),
      attempts: attemptGroups(this.#attempts, (index) => this.#rank(index)),
      ...(only === undefined ? {} : { node: only.nodeName, pod: { attempt: only.attempt } }),
      lastFailures: this.#failures.all,
      ...(this.startedTogether === undefined ? {} : { startedTogether: this.startedTogether }),
      ...(this.startedAtMs === undefined ? {} : { startedAtMs: this.startedAtMs }),
      ...(this.finishedAtMs === undefined ? {} : { finishedAtMs: this.finishedAtMs }),
      ...(stuck === undefined ? {} : { stuck }),
      ...(this.rejected === undefined ? {} : { rejected: this.rejected }),
    };
  }

  #triesAgain(instance: Instance, ending: Ending, attempts: Attempts): boolean {
    if (this.gone || this.facts.deleting || ending.outcome === "killed") return false;
    const { limit, onNodeLost } = this.facts.retry;
    if (ending.reason === "gang-undone" || ending.reason === "reclaimed") return true;
    if (ending.counts) return attempts.failed <= limit;
    if (!instance.started) {
      const unstarted = (this.#unstarted.get(instance.index) ?? 0) + 1;
      this.#unstarted.set(instance.index, unstarted);
      return unstarted <= UNSTARTED_LIMIT;
    }
    return onNodeLost === "Retry";
  }

  #leave(instance: Instance): void {
    this.#stuck.delete(instance);
    this.live.delete(instance.index);
    if (instance.pod !== undefined) return;
    this.#creating--;
    this.gathered.delete(instance.index);
  }

  #pend(index: number): void {
    if (this.#pending.add(index)) this.#pendingCount++;
  }

  #giveUp(index: number, outcome: "failed" | "killed" | "lost", nowMs: number): void {
    this.#failed.add(index);
    this.#settle(index, outcome);
    this.#finishMaybe(nowMs);
  }

  #settle(index: number, outcome: "finished" | "failed" | "killed" | "lost"): void {
    if (this.#pending.delete(index)) this.#pendingCount--;
    this.backOff.delete(index);
    this.gathered.ended(index);
    this.#ended[outcome]++;
  }

  #finishMaybe(nowMs: number): void {
    if (this.finished) this.finishedAtMs = nowMs;
  }

  #remember(attempt: Parameters<LastFailures["add"]>[0], ending: Ending, atMs: number): void {
    this.#failures.add(attempt, endingOfAbandoned(ending, this.abandoned), atMs);
  }

  /** Instances by state. */
  counts(): InstanceCounts {
    return { pending: this.pending, ...countByState(this.live.values()), ...this.#ended };
  }

  #rank(index: number): Rank {
    if (this.live.has(index)) return "live";
    return this.#failed.has(index) || this.#succeeded.has(index) ? "over" : "waiting";
  }
}
