import type { Gangs } from "../gangs/gangs.ts";
import { followRecall, recalledEnding } from "../gangs/recalls.ts";
import type { Claim } from "../ledger.ts";
import type { AttemptRef, PodFacts, TaskFacts } from "../messages.ts";
import { followLeaving, toldEnding } from "../reclaim/evictions.ts";
import { equalVectors } from "../resources.ts";
import type { State } from "../state.ts";
import { parseIndexes } from "../structures/indexes.ts";
import type { Assignment } from "./assignment.ts";
import { type Ending, endingOf, endingOfForced, endingOfRefused, endingOfVanished } from "./endings.ts";
import { claimId, type Instance, staged } from "./instance.ts";
import { Launched } from "./launched.ts";
import { QuotaHolds } from "./quota-holds.ts";
import { PodStrays } from "./strays.ts";
import { Task } from "./task.ts";
import { tellEnding } from "./task-events.ts";

/** Tasks from their objects to the ends of their pods. */
export class Tasks {
  readonly #state: State;
  readonly #assignment: Assignment;
  readonly #strays: PodStrays;
  /** Pods that were seen before their Task: a term lists pods first. */
  readonly #early = new Map<string, PodFacts[]>();
  readonly #launched = new Launched();
  readonly quotas: QuotaHolds;
  readonly gangs: Gangs;

  constructor(state: State, assignment: Assignment) {
    this.#state = state;
    this.gangs = assignment.gangs;
    this.#assignment = assignment;
    this.#strays = new PodStrays(state);
    this.quotas = new QuotaHolds(state, assignment);
  }

  observe(facts: TaskFacts): void {
    const known = this.#state.tasks.get(facts.uid);
    if (known === undefined) {
      this.#adopt(new Task(facts));
      return;
    }
    if (known.facts.priority !== facts.priority) this.#state.lines.withdraw(known);
    known.facts = facts;
    this.#kill(known);
    this.#assignment.assign(known);
    this.#watchExpiry(known);
  }

  gone(uid: string): void {
    const task = this.#state.tasks.get(uid);
    if (task === undefined) return;
    task.gone = true;
    for (const [podUid, { key }] of task.unreleased) this.#letGo(task, key, podUid);
    task.unreleased.clear();
    this.gangs.leave(task);
    this.#killAll(task);
    this.#assignment.demand(task);
    this.#forgetIfOver(task);
  }

  /** All Tasks and pods are in: pods whose Task is not among them have none, and what is to be killed is known. */
  opened(): void {
    for (const pods of this.#early.values()) for (const pod of pods) this.#strays.observe(pod);
    this.#early.clear();
    for (const task of this.#state.tasks.values()) this.#kill(task);
  }

  podObserved(pod: PodFacts): void {
    if (!this.#state.opened) this.#launched.note(pod);
    const task = this.#state.tasks.get(pod.taskUid);
    if (task === undefined) {
      if (this.#state.opened) this.#strays.observe(pod);
      else this.#early.set(pod.taskUid, [...(this.#early.get(pod.taskUid) ?? []), pod]);
      return;
    }
    const instance = task.live.get(pod.index);
    if (instance !== undefined && instance.attempt === pod.attempt && (instance.pod?.uid ?? pod.uid) === pod.uid) {
      this.#follow(task, instance, pod);
    } else if (instance === undefined && !task.knows(pod.index, pod.attempt) && task.isPending(pod.index)) {
      this.#follow(task, this.#adoptPod(task, pod), pod);
    } else {
      this.#past(task, pod);
    }
  }

  podGone(pod: PodFacts): void {
    this.#strays.gone(pod);
    const early = this.#early.get(pod.taskUid)?.filter(({ uid }) => uid !== pod.uid);
    if (early !== undefined) this.#early.set(pod.taskUid, early);
    const task = this.#state.tasks.get(pod.taskUid);
    if (task === undefined) return;
    task.unreleased.delete(pod.uid);
    task.letGo.delete(pod.uid);
    const instance = task.live.get(pod.index);
    if (instance?.pod?.uid === pod.uid) {
      const nodeGone = this.#state.nodes.get(instance.nodeName)?.facts === undefined;
      this.end(task, instance, endingOfVanished(instance.killing, nodeGone), undefined);
    }
    const index = task.podGone(pod.uid);
    if (index !== undefined) {
      this.#assignment.demand(task);
      this.#state.taskChanged(task);
    }
    this.#forgetIfOver(task);
  }

  /** Pods without an instance on a node that is lost. */
  loseStrays(node: string): void {
    this.#strays.lose(node);
  }

  podRefused({ taskUid, index, attempt }: AttemptRef, message: string, byQuota = false): void {
    const task = this.#state.tasks.get(taskUid);
    const instance = task?.live.get(index);
    if (task === undefined || instance?.attempt !== attempt || instance.pod !== undefined) return;
    if (byQuota && !instance.killing) this.quotas.refused(task, instance, message);
    else this.end(task, instance, endingOfRefused(instance.killing, message), undefined);
  }

  /** The status that tells these ends stands: their pods may go. */
  recorded(uid: string, version: number): void {
    const task = this.#state.tasks.get(uid);
    if (task === undefined) return;
    task.recordedVersion = Math.max(task.recordedVersion, version);
    if (task.gang !== undefined) this.gangs.look(task.gang);
    for (const [podUid, pod] of task.unreleased) {
      if (pod.version > version) continue;
      task.unreleased.delete(podUid);
      this.#letGo(task, pod.key, podUid);
    }
  }

  /** Indexes of the pods that carry this offer label, of those adopted from earlier terms. */
  launchedFrom(label: string): readonly number[] {
    return this.#launched.from(label);
  }

  /** What an instance of the task would claim on the node. */
  claim(task: Task, index: number, node: number): Claim {
    return {
      id: claimId(task.uid, index),
      kind: "task",
      node,
      vector: task.shape!.request,
      instances: 1,
      holder: this.#assignment.claimant(task),
    };
  }

  /** The claim stands: the instance is on its way. */
  start(task: Task, index: number, node: number, offer?: string): void {
    const nodeName = this.#state.nodes.at(node).name;
    const attempt = task.attempt(index);
    const queue = this.#assignment.queueOf(task);
    this.#assignment.startedIn(task, queue);
    const { nowMs } = this.#state;
    task.start(staged({ index, attempt, node, nodeName, vector: task.shape!.request, placedAtMs: nowMs }));
    for (const group of task.shape!.spread) group.counts.join(claimId(task.uid, index), node);
    this.#assignment.demand(task);
    this.#state.taskChanged(task);
    this.#state.emit({
      type: "create-pod",
      attempt: { taskUid: task.uid, index, attempt },
      node: nodeName,
      queue,
      framework: task.facts.framework,
      ...(offer === undefined ? {} : { offer }),
    });
  }

  backOffEnded(uid: string, index: number): void {
    const task = this.#state.tasks.get(uid);
    const until = task?.backOff.get(index);
    if (task === undefined || until === undefined || until > this.#state.nowMs) return;
    task.backOff.delete(index);
    this.#assignment.demand(task);
  }

  expired(uid: string): void {
    const task = this.#state.tasks.get(uid);
    if (task?.finishedAtMs === undefined || task.gone || task.facts.ttlAfterFinishedMs === undefined) return;
    if (task.finishedAtMs + task.facts.ttlAfterFinishedMs > this.#state.nowMs) return;
    this.#state.emit({ type: "delete-task", key: task.facts.key, uid });
  }

  #adopt(task: Task): void {
    task.waitedSinceMs = task.facts.waitingSinceMs;
    this.#state.tasks.set(task.uid, task);
    this.#state.tasksByKey.set(task.facts.key, task);
    this.#state.framework(task.facts.framework).tasks.add(task);
    this.gangs.join(task);
    this.#assignment.assign(task);
    const pods = this.#early.get(task.uid) ?? [];
    this.#early.delete(task.uid);
    for (const pod of pods) this.podObserved(pod);
    this.#kill(task);
    for (const [index, atMs] of task.resumeBackOff(this.#state.nowMs)) this.#backOff(task, index, atMs);
    this.#watchExpiry(task);
    this.#state.taskChanged(task);
  }

  #backOff(task: Task, index: number, untilMs: number): void {
    task.backOff.set(index, untilMs);
    this.#state.timers.set(untilMs, { type: "back-off-ends", taskUid: task.uid, index });
    this.#assignment.demand(task);
  }

  /** A pod that is not in our books: of an earlier term, or made between a crash and now. */
  #adoptPod(task: Task, pod: PodFacts): Instance {
    const node = this.#state.nodes.ensure(pod.node);
    const { index, attempt } = pod;
    const vector = this.#state.resources.taken(pod.requests);
    const placedAtMs = Math.min(pod.createdAtMs ?? this.#state.nowMs, this.#state.nowMs);
    const instance = staged({ index, attempt, node: node.index, nodeName: pod.node, vector, placedAtMs });
    this.#assignment.startedIn(task, pod.queue);
    task.start(instance);
    this.#assignment.demand(task);
    return instance;
  }

  #follow(task: Task, instance: Instance, pod: PodFacts): void {
    const isNew = instance.pod === undefined;
    const { key, uid } = pod;
    if (isNew) task.created(instance, { key, uid });
    if (isNew) this.quotas.passed(task);
    instance.started ||= pod.started || pod.phase === "Running";
    // Its deletion was ours, in an earlier term.
    if (isNew && pod.deleting && (task.isDoomed(instance.index) || this.#isOverdue(task))) instance.killing = true;
    followRecall(this.#state, this.gangs, task, instance, pod, isNew);
    followLeaving(this.#state, instance, pod, isNew);
    const ending = endingOf(pod, instance.killing) ?? endingOfForced(pod, instance.killing, this.#isUp(pod.node));
    if (ending !== undefined) {
      task.startedAtMs ??= pod.startedAtMs;
      this.end(task, instance, ending, pod.tracked ? instance.pod : undefined);
      return;
    }
    this.#settleClaim(task, instance, pod);
    if (task.follow(instance, pod, this.#state.nowMs)) this.#state.taskChanged(task);
    if (isNew && (instance.killing || task.isDoomed(instance.index))) {
      instance.killing = true;
      if (!pod.deleting) this.#deletePod(task, { key, uid });
    }
  }

  #isOverdue({ facts }: Task): boolean {
    return this.#state.frameworks.get(facts.framework)?.isOverdue(this.#state.nowMs) === true;
  }

  #isUp(node: string): boolean {
    return this.#state.nodes.get(node)?.facts?.ready === true;
  }

  /** The claim is what the API server made of the pod, where the pod really is. */
  #settleClaim(task: Task, instance: Instance, pod: PodFacts): void {
    const node = this.#state.nodes.ensure(pod.node);
    const vector = this.#state.resources.taken(pod.requests);
    const id = claimId(task.uid, instance.index);
    const claim = this.#state.ledger.get(id);
    if (claim !== undefined && claim.node === node.index && equalVectors(claim.vector, vector)) return;
    instance.node = node.index;
    instance.nodeName = node.name;
    instance.vector = vector;
    this.#state.ledger.observe({ ...this.claim(task, instance.index, node.index), vector });
    // It may take less than was claimed, or be elsewhere.
    if (claim !== undefined) this.#state.dirty = true;
    for (const group of task.shape?.spread ?? []) group.counts.join(id, node.index);
  }

  /** The attempt has ended: its claim goes, its end is told. `tracked`: its pod, where that has the finalizer. */
  end(task: Task, instance: Instance, seen: Ending, tracked: { key: string; uid: string } | undefined): void {
    const id = claimId(task.uid, instance.index);
    const ending = recalledEnding(instance, toldEnding(instance, seen));
    this.#state.ledger.end(id);
    for (const group of task.shape?.spread ?? []) group.counts.leave(id);
    const again = task.end(instance, ending, this.#state.nowMs);
    if (typeof again === "number") this.#backOff(task, instance.index, again);
    if (tracked !== undefined) this.#release(task, tracked);
    if (seen.reason === "kubelet-refused") {
      const node = this.#state.nodes.get(instance.nodeName);
      if (node !== undefined) {
        this.#state.nodes.distrust(node, this.#state.nowMs);
        this.#state.timers.set(node.distrustedUntilMs, { type: "node-settles", name: node.name });
      }
    }
    if (!instance.killing && !instance.recalled) tellEnding(this.#state, task, instance, ending);
    this.#state.dirty = true;
    this.#changed(task);
    this.#forgetIfOver(task);
  }

  /** The finalizer goes once the end is recorded; at once where there is no Task to record it in. */
  #release(task: Task, pod: { key: string; uid: string }): void {
    if (task.gone) this.#letGo(task, pod.key, pod.uid);
    else task.unreleased.set(pod.uid, { key: pod.key, version: task.version });
  }

  /** A pod of an attempt that is over in our books, or of an index that has another. */
  #past(task: Task, pod: PodFacts): void {
    const over = pod.phase === "Succeeded" || pod.phase === "Failed";
    if (!over) {
      // Its end is known, this is older; or it is lost, and let go once that is recorded.
      if (task.unreleased.has(pod.uid)) return;
      task.awaitGone(pod.index, pod.uid);
      this.#assignment.demand(task);
      this.#strays.observe(pod);
      return;
    }
    this.#strays.gone(pod);
    const newer = (task.live.get(pod.index)?.attempt ?? 0) > pod.attempt;
    const ending = newer && !task.knows(pod.index, pod.attempt) ? endingOf(pod, false) : undefined;
    if (ending !== undefined) {
      // A newer attempt was seen before this one, whose end nobody has recorded.
      task.endedBefore(pod, ending, this.#state.nowMs);
      if (pod.tracked) this.#release(task, pod);
      this.#state.taskChanged(task);
    } else if (pod.phase === "Succeeded" && task.succeededAfterAll(pod.uid, this.#state.nowMs)) {
      if (pod.tracked) this.#release(task, pod);
      this.#changed(task);
    } else if (!pod.tracked) {
      task.letGo.delete(pod.uid);
    } else if (!task.unreleased.has(pod.uid)) {
      this.#letGo(task, pod.key, pod.uid);
    }
  }

  /** Once: what is seen of the pod before its finalizer is seen gone is old news, and each removal is a write. */
  #letGo(task: Task, key: string, uid: string): void {
    if (task.letGo.has(uid)) return;
    task.letGo.add(uid);
    this.#state.emit({ type: "release-pod", key, uid });
  }

  /**
   * Carries out `spec.kill` and a deletion. What was asked before is not asked again. Not before a term knows all pods:
   * an index that seems not to have started may have ended well.
   */
  #kill(task: Task): void {
    if (!this.#state.opened) return;
    const kill = task.facts.kill;
    if (task.facts.deleting || (kill !== undefined && kill.indexes === undefined)) this.#killAll(task);
    else if (kill?.indexes !== undefined) this.#killSome(task, parseIndexes(kill.indexes, task.facts.instances));
  }

  /** Its framework's program stays away, and with it goes the task. */
  abandon(task: Task, why: string): void {
    if (task.finished || task.abandoned !== undefined) return;
    task.abandon(why, this.#state.nowMs);
    this.#killAll(task);
  }

  #killAll(task: Task): void {
    this.#killSome(task, [...task.waitingIndexes(), ...task.live.keys()]);
  }

  #killSome(task: Task, indexes: Iterable<number>): void {
    const before = task.version;
    for (const index of [...indexes]) {
      const instance = task.live.get(index);
      if (instance !== undefined) this.#killInstance(task, instance);
      else task.cancel(index, this.#state.nowMs);
    }
    if (task.version !== before) this.#changed(task);
  }

  /** The Task's indexes are not what they were. */
  #changed(task: Task): void {
    this.#assignment.demand(task);
    this.#state.taskChanged(task, task.finished);
    if (!task.finished) return;
    this.#assignment.finished(task);
    this.#watchExpiry(task);
  }

  #killInstance(task: Task, instance: Instance): void {
    if (instance.killing) return;
    instance.killing = true;
    // While its create is in flight there is nothing to delete: it is done when the pod is known.
    if (instance.pod !== undefined) this.#deletePod(task, instance.pod);
  }

  #deletePod(task: Task, pod: { readonly key: string; readonly uid: string }): void {
    const grace = task.facts.kill?.gracePeriodSeconds;
    this.#state.emit({ type: "delete-pod", ...pod, ...(grace === undefined ? {} : { gracePeriodSeconds: grace }) });
  }

  #watchExpiry(task: Task): void {
    const ttl = task.facts.ttlAfterFinishedMs;
    if (task.finishedAtMs === undefined || ttl === undefined) return;
    this.#state.timers.set(task.finishedAtMs + ttl, { type: "task-expires", taskUid: task.uid });
  }

  #forgetIfOver(task: Task): void {
    if (!task.gone || task.live.size > 0) return;
    this.#assignment.drop(task);
    this.#state.forgetTask(task);
  }
}
