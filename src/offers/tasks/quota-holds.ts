import type { State } from "../state.ts";
import type { Assignment } from "./assignment.ts";
import { claimId, type Instance } from "./instance.ts";
import type { Task } from "./task.ts";

/**
 * A ResourceQuota of its namespace is spent: the Task starts nothing for a while, longer each time. Then one instance
 * tries; each that gets through lets twice as many try together, so that few creates are refused for nothing.
 */
export class QuotaHold {
  /** So many pods may be asked for at a time; 0 while it waits. */
  window = 0;
  /** When it waits no longer. */
  untilMs = 0;
  /** In the words of the API server. */
  message = "";
  /** Refused in a row. */
  times = 0;
}

/** Creates that a ResourceQuota refuses: nobody's failure, and over when something else in the namespace ends. */
export class QuotaHolds {
  readonly #state: State;
  readonly #assignment: Assignment;

  constructor(state: State, assignment: Assignment) {
    this.#state = state;
    this.#assignment = assignment;
  }

  /** The attempt came to nothing, and is made again later. */
  refused(task: Task, instance: Instance, message: string): void {
    const id = claimId(task.uid, instance.index);
    this.#state.ledger.end(id);
    for (const group of task.shape?.spread ?? []) group.counts.leave(id);
    task.unstart(instance);
    if (task.hold === undefined) this.#tell(task, message);
    const hold = task.hold ?? new QuotaHold();
    // What was asked for together is refused together: that is one refusal.
    const isNew = task.hold === undefined || hold.window > 0;
    task.hold = hold;
    hold.message = message;
    if (isNew) {
      hold.window = 0;
      hold.times++;
      hold.untilMs = this.#state.nowMs + task.backOffMs(hold.times);
      this.#state.timers.set(hold.untilMs, { type: "quota-tried", taskUid: task.uid });
    }
    this.#state.dirty = true;
    this.#changed(task);
  }

  /** The wait may be over. */
  tryAgain(taskUid: string): void {
    const task = this.#state.tasks.get(taskUid);
    if (task?.hold === undefined || task.hold.window > 0 || task.hold.untilMs > this.#state.nowMs) return;
    // What starts together tries together.
    task.hold.window = task.gang === undefined || task.gang.state === "started" ? 1 : Number.POSITIVE_INFINITY;
    this.#assignment.demand(task);
  }

  /** A pod of the Task has got through. */
  passed(task: Task): void {
    const { hold } = task;
    if (hold === undefined || hold.window === 0) return;
    hold.times = 0;
    hold.window *= 2;
    if (hold.window >= task.pending) task.hold = undefined;
    this.#assignment.demand(task);
  }

  #changed(task: Task): void {
    this.#assignment.demand(task);
    this.#state.taskChanged(task);
  }

  #tell(task: Task, message: string): void {
    this.#state.emit({
      type: "event",
      about: { kind: "Task", key: task.facts.key, uid: task.uid },
      severity: "Warning",
      reason: "quota-exceeded",
      note: message,
    });
  }
}
