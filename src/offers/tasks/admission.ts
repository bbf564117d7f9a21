import { before } from "../lines.ts";
import type { State } from "../state.ts";
import type { Task } from "./task.ts";

/** Which tasks count against the `maxTasks` of their queue, and which wait for one of them to end. */
export class Admission {
  readonly #state: State;
  readonly #admittedTo = new Map<Task, string>();
  readonly #waitingFor = new Map<Task, string>();
  readonly #counts = new Map<string, number>();

  constructor(state: State) {
    this.#state = state;
  }

  /** True if the task counts in the queue from now on, or did already. Before a term is open everybody does. */
  admits(task: Task, queue: string): boolean {
    if (this.#admittedTo.get(task) === queue) return true;
    this.leave(task);
    const most = this.#state.tree.queues.get(queue)?.facts?.maxTasks ?? Number.POSITIVE_INFINITY;
    if (this.#state.opened && this.count(queue) >= most) {
      this.#waitingFor.set(task, queue);
      return false;
    }
    this.#admittedTo.set(task, queue);
    this.#counts.set(queue, this.count(queue) + 1);
    return true;
  }

  /** The task counts and waits nowhere any more. Returns the one that may come in its place, if any waits. */
  leave(task: Task): Task | undefined {
    this.#waitingFor.delete(task);
    const queue = this.#admittedTo.get(task);
    if (queue === undefined) return undefined;
    this.#admittedTo.delete(task);
    this.#counts.set(queue, this.count(queue) - 1);
    let first: Task | undefined;
    for (const [waiting, where] of this.#waitingFor) {
      if (where === queue && (first === undefined || before(waiting, first))) first = waiting;
    }
    return first;
  }

  count(queue: string): number {
    return this.#counts.get(queue) ?? 0;
  }

  /** A term begins: those past the bound of their queue, the ones that have done least and came last. They are to wait. */
  surplus(): Task[] {
    const byQueue = new Map<string, Task[]>();
    for (const [task, queue] of this.#admittedTo) byQueue.set(queue, [...(byQueue.get(queue) ?? []), task]);
    return [...byQueue].flatMap(([queue, tasks]) => {
      const most = this.#state.tree.queues.get(queue)?.facts?.maxTasks;
      if (most === undefined || tasks.length <= most) return [];
      return tasks.sort((a, b) => (a.begun !== b.begun ? (a.begun ? -1 : 1) : before(a, b) ? -1 : 1)).slice(most);
    });
  }
}
