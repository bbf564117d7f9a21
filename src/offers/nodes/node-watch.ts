import type { State } from "../state.ts";
import { endingOfVanished } from "../tasks/endings.ts";
import type { Instance } from "../tasks/instance.ts";
import type { Task } from "../tasks/task.ts";
import type { Tasks } from "../tasks/tasks.ts";
import type { NodeEntry } from "./nodes.ts";

/** A Node object that is gone keeps its pods' claims for so long; then they are lost (PodGC waits as long). */
const NODE_LOST_MS = 40_000;
const DEFAULT_UNREACHABLE_MS = 60_000;

/** What becomes of instances whose node is not ready, or gone. Each framework bears that for a time of its own. */
export class NodeWatch {
  readonly #state: State;
  readonly #tasks: Tasks;
  /** Node name -> since when it is not ready. */
  readonly #sinceMs = new Map<string, number>();

  constructor(state: State, tasks: Tasks) {
    this.#state = state;
    this.#tasks = tasks;
  }

  ready(node: NodeEntry): void {
    this.#sinceMs.delete(node.name);
    this.#mark(node.index, false, () => true);
  }

  unready(node: NodeEntry): void {
    if (this.#sinceMs.has(node.name)) return;
    this.#sinceMs.set(node.name, this.#state.nowMs);
    const frameworks = new Set([...this.#on(node.index)].map(([task]) => task.facts.framework));
    for (const framework of frameworks) this.#look(node.name, this.#unreachableMs(framework));
  }

  gone(node: NodeEntry): void {
    this.#mark(node.index, true, () => true);
    this.#sinceMs.set(node.name, this.#state.nowMs);
    this.#look(node.name, NODE_LOST_MS);
  }

  /** A pod is on a node that was never there, as far as this term knows: it has as long to appear as one that has gone. */
  missing(node: NodeEntry): void {
    if (node.facts === undefined && !this.#sinceMs.has(node.name)) this.gone(node);
  }

  /** Some framework's patience with this node may have ended. */
  check(name: string): void {
    const node = this.#state.nodes.get(name);
    const sinceMs = this.#sinceMs.get(name);
    if (node === undefined || sinceMs === undefined) {
      this.#sinceMs.delete(name);
      return;
    }
    const borneMs = this.#state.nowMs - sinceMs;
    this.#mark(node.index, true, (task) => borneMs >= this.#unreachableMs(task.facts.framework));
    if (node.facts === undefined && borneMs >= NODE_LOST_MS) this.#lose(node);
  }

  /** What ran there is lost, its pods are to go. A create in flight settles first; its pod has its own time then. */
  #lose(node: NodeEntry): void {
    for (const [task, instance] of [...this.#on(node.index)]) {
      const { pod } = instance;
      if (pod === undefined) continue;
      this.#state.emit({ type: "delete-pod", key: pod.key, uid: pod.uid, gracePeriodSeconds: 0 });
      this.#tasks.end(task, instance, { ...endingOfVanished(instance.killing, true), lingers: true }, pod);
    }
    this.#tasks.loseStrays(node.name);
    // What turns up there from now on has its own time.
    this.#sinceMs.delete(node.name);
  }

  #look(node: string, inMs: number): void {
    this.#state.timers.set(this.#state.nowMs + inMs, { type: "unreachable", node });
  }

  #mark(node: number, unreachable: boolean, concerns: (task: Task) => boolean): void {
    for (const [task, instance] of this.#on(node)) {
      if (instance.unreachable === unreachable || !concerns(task)) continue;
      instance.unreachable = unreachable;
      task.changed();
      this.#state.taskChanged(task);
    }
  }

  *#on(node: number): Generator<[Task, Instance]> {
    for (const claim of [...this.#state.ledger.onNode(node)]) {
      if (claim.kind !== "task") continue;
      const [, uid, index] = claim.id.split("/");
      const task = this.#state.tasks.get(uid ?? "");
      const instance = task?.live.get(Number(index));
      if (task !== undefined && instance !== undefined) yield [task, instance];
    }
  }

  #unreachableMs(framework: string): number {
    return this.#state.frameworks.get(framework)?.facts?.unreachableAfterMs ?? DEFAULT_UNREACHABLE_MS;
  }
}
