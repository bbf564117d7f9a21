import type { Claimant } from "../queues/queues.ts";
import type { State } from "../state.ts";
import type { Instance } from "../tasks/instance.ts";
import type { Task } from "../tasks/task.ts";
import { Gang, type GangEvent, nextState, obstacle } from "./gang.ts";
import { minimumOf, missingOf } from "./gathered.ts";

/**
 * Which Tasks start together, and how far each gang is.
 *
 * Nothing but the Tasks' statuses and the pods survives a change of leader, and it must be known then whether what lives
 * is a gang that has started, of which some have ended, or half of a start that broke off. So `startedTogether` is set in
 * the status of each Task when all pods of a start have been seen, and a start anew waits until the status says that it
 * is not set any more.
 */
export class Gangs {
  readonly #state: State;
  readonly #claimantOf: (task: Task) => Claimant;
  /** By "framework/group". */
  readonly #groups = new Map<string, Set<Task>>();
  readonly #unsettled = new Set<Gang>();

  constructor(state: State, claimantOf: (task: Task) => Claimant) {
    this.#state = state;
    this.#claimantOf = claimantOf;
  }

  /** Starts that are not complete, or came to nothing. */
  get unsettled(): ReadonlySet<Gang> {
    return this.#unsettled;
  }

  /** The Task is there. */
  join(task: Task): void {
    const { gang, group } = task.facts;
    if (group !== undefined) {
      const key = groupKey(task);
      const tasks = this.#groups.get(key) ?? new Set();
      this.#groups.set(key, tasks.add(task));
      this.#regroup(tasks);
    } else if (gang !== undefined && gang.minimum > 1) {
      const own = new Gang(undefined, 1);
      own.tasks = [task];
      task.gang = own;
    }
  }

  /** The Task is gone. Its pods may go on ending. */
  leave(task: Task): void {
    const { gang } = task;
    const tasks = this.#groups.get(groupKey(task));
    if (gang !== undefined && task.facts.group === undefined) this.#unsettled.delete(gang);
    task.gang = undefined;
    if (tasks?.delete(task) !== true) return;
    if (tasks.size === 0) this.#groups.delete(groupKey(task));
    this.#regroup(tasks);
    const next = [...tasks].find((other) => other.gang !== undefined)?.gang;
    if (gang !== undefined && gang !== next) this.#unsettled.delete(gang);
    if (next !== undefined) this.look(next);
  }

  /** All facts are in: what lives of a gang has started together, or is half of a start. */
  opened(): void {
    for (const gang of new Set([...this.#state.tasks.values()].flatMap((task) => task.gang ?? []))) {
      const stands = gang.tasks.some((task) => task.startedTogether === true && !task.finished);
      if (gang.live === 0) {
        // What was found of it has ended.
        for (const task of gang.tasks) task.gathered.clear();
        if (stands) this.#unstarted(gang);
      } else {
        this.#turn(gang, "granted");
        if (stands) this.#turn(gang, "complete");
        if (stands && goesWhole(gang)) gang.recalling = true;
      }
      gang.waitedSinceMs = waitedSinceMs(gang);
      this.look(gang);
      // It may be that only the size of its pods is not known yet.
      if (!gang.tasks.some(({ rejected }) => rejected?.reason === "sizing")) gang.waitedSinceMs = undefined;
    }
  }

  /** Something about one of its Tasks has changed. */
  look(gang: Gang): void {
    if (gang.granting || !this.#state.opened) return;
    const { live } = gang;
    if (live > 0) this.#turn(gang, "granted");
    if (gang.recalling || isTakenBack(gang)) this.#turn(gang, "recalled");
    if (isComplete(gang)) this.#turn(gang, "complete");
    if (live === 0) this.#turn(gang, "nothing-lives");
    const startable = gang.state === "waiting" && gang.missing > 0 && obstacle(gang, this.#claimantOf) === undefined;
    // The rest of a start that broke off may follow now, or never.
    if (gang.state === "starting" && gang.missing > 0) this.#state.dirty = true;
    if (startable && !gang.startable) {
      gang.waitingSinceMs = gang.waitedSinceMs ?? this.#state.nowMs;
      gang.waitedSinceMs = undefined;
    }
    if (!startable) gang.waitingSinceMs = undefined;
    gang.startable = startable;
    for (const task of gang.tasks) {
      if (this.#state.lines.update(task, this.#claimantOf(task))) this.#state.dirty = true;
    }
  }

  /** What these gangs lack is started by `start`, instance by instance: they are looked at when all are. */
  grant(gangs: ReadonlySet<Gang>, start: () => void): void {
    for (const gang of gangs) {
      this.#turn(gang, "granted");
      gang.granting = true;
    }
    start();
    for (const gang of gangs) {
      gang.granting = false;
      gang.vainHolds = 0;
      this.look(gang);
    }
  }

  /** A start came to nothing. What lives of it is to be ended by the caller. */
  recalled(gang: Gang): void {
    this.#turn(gang, "recalled");
  }

  #turn(gang: Gang, event: GangEvent): void {
    const before = gang.state;
    gang.state = nextState(before, event);
    if (gang.state === before) return;
    if (gang.state === "starting" || gang.state === "undone") this.#unsettled.add(gang);
    else this.#unsettled.delete(gang);
    if (gang.state === "started") {
      for (const task of gang.tasks) this.#say(task, true);
    } else if (gang.state === "waiting") {
      gang.recalling = false;
      for (const task of gang.tasks) task.gathered.clear();
      if (gang.tasks.some(({ startedTogether }) => startedTogether === true)) this.#unstarted(gang);
    }
    this.#state.dirty = true;
  }

  #unstarted(gang: Gang): void {
    for (const task of gang.tasks) {
      if (task.finished) continue;
      this.#say(task, false);
      task.unstartedVersion = task.version;
    }
  }

  #say(task: Task, together: boolean): void {
    if (task.startedTogether === together) return;
    task.startedTogether = together;
    task.changed();
    this.#state.taskChanged(task, !together);
  }

  /** A group consists of the first `size` Tasks that name it, as the first of them says; those that have run come first. */
  #regroup(tasks: ReadonlySet<Task>): void {
    const inOrder = [...tasks].sort(byAge);
    const [first] = inOrder;
    if (first === undefined) return;
    const { name, size } = first.facts.group!;
    const members = inOrder.filter((task) => task.facts.group!.size === size).slice(0, size);
    let gang = inOrder.find((task) => task.gang !== undefined)?.gang;
    // One that has begun keeps its size: those that have run come first.
    if (gang?.size !== size) gang = new Gang(name, size);
    gang.tasks = members;
    for (const task of inOrder) {
      const isMember = members.includes(task);
      if (!isMember) this.#state.lines.withdraw(task);
      task.gang = isMember ? gang : undefined;
    }
  }
}

/** All that a start lacked have their pods, or had them. */
function isComplete({ tasks }: Gang): boolean {
  return tasks.every((task) => missingOf(task) === 0 && task.gathered.complete);
}

/** Whoever asked for that, be it an earlier leader: all that lives of it leaves for another queue. */
function isTakenBack({ tasks, state }: Gang): boolean {
  const leaves = ({ reclaimedFor }: Instance) => reclaimedFor !== undefined;
  return state === "started" && tasks.every((task) => [...task.live.values()].every(leaves));
}

/**
 * An earlier leader takes it back: none of it is beyond what starts together, so with the first goes all, also what has
 * joined it since. Of one that has more, those may go by themselves, and it is not known what was meant.
 */
function goesWhole({ tasks }: Gang): boolean {
  const leaves = ({ live }: Task) => [...live.values()].some(({ reclaimedFor }) => reclaimedFor !== undefined);
  return tasks.every(({ facts }) => minimumOf(facts) >= facts.instances) && tasks.some(leaves);
}

/** A gang that has waited since before this term goes on waiting: since all of it was there, or its statuses say so. */
function waitedSinceMs({ tasks }: Gang): number | undefined {
  if (!tasks.some((task) => task.hasRun)) return Math.max(...tasks.map(({ facts }) => facts.createdAtMs));
  const since = tasks.filter((task) => !task.finished).map((task) => task.waitedSinceMs);
  return since.reduce((last, ms) => (last === undefined || ms === undefined ? undefined : Math.max(last, ms)), 0);
}

function byAge(a: Task, b: Task): number {
  if (a.hasRun !== b.hasRun) return a.hasRun ? -1 : 1;
  if (a.facts.createdAtMs !== b.facts.createdAtMs) return a.facts.createdAtMs - b.facts.createdAtMs;
  return a.uid < b.uid ? -1 : 1;
}

const groupKey = ({ facts }: Task): string => `${facts.framework}/${facts.group?.name ?? ""}`;
