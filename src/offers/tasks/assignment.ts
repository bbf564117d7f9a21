import type { Framework } from "../framework.ts";
import { Gangs } from "../gangs/gangs.ts";
import { both, type Constraints } from "../nodes/constraints.ts";
import type { Shape } from "../nodes/shapes.ts";
import type { Claimant } from "../queues/queues.ts";
import type { State } from "../state.ts";
import type { Explanation } from "../views.ts";
import { Admission } from "./admission.ts";
import { claimId } from "./instance.ts";
import type { Task } from "./task.ts";

/** After so long a template that the API server refused is tried again. */
const TEMPLATE_RETRY_MS = 60_000;
/** Sizes of templates that no task uses now are kept for the next ones, up to so many. */
const IDLE_SIZINGS = 10_000;

/** Which claimant a task belongs to, what shape it has, and whether it may take part at all. */
export class Assignment {
  readonly #state: State;
  readonly #claimants = new Map<Task, Claimant>();
  readonly #byTemplate = new Map<string, Set<Task>>();
  readonly #admission: Admission;
  readonly #sizingListeners: (() => void)[] = [];

  readonly gangs: Gangs;

  constructor(state: State) {
    this.#state = state;
    this.gangs = new Gangs(state, (task) => this.claimant(task));
    this.#admission = new Admission(state);
  }

  claimant(task: Task): Claimant {
    const known = this.#claimants.get(task);
    if (known !== undefined) return known;
    return this.#state.tree.claimant(task.facts.framework, this.queueOf(task));
  }

  queueOf(task: Task): string {
    const framework = this.#state.frameworks.get(task.facts.framework)?.facts;
    return task.facts.queue ?? framework?.queues[0]?.name ?? task.startedIn ?? "default";
  }

  /**
   * A pod of the task was started in this queue. It goes on counting there when the framework goes that has chosen it:
   * else whoever deletes his framework, and makes another, gets the queue's limit once more.
   */
  startedIn(task: Task, queue: string): void {
    if (queue === "" || task.startedIn === queue) return;
    task.startedIn = queue;
    if (this.#claimants.get(task)?.queueName !== this.queueOf(task)) this.assign(task);
  }

  /** Decides anew. The task's claims and demand move with it. */
  assign(task: Task): void {
    const before = this.#claimants.get(task);
    if (before !== undefined) this.#withdraw(task);
    const claimant = this.#state.tree.claimant(task.facts.framework, this.queueOf(task));
    if (before !== claimant) claimant.tasks++;
    this.#claimants.set(task, claimant);
    this.weigh(claimant);
    if (before !== undefined && before !== claimant) {
      this.#moveClaims(task, claimant);
      this.#leave(before);
    }
    this.#index(task);
    const rejected = this.#rejection(task);
    if (rejected?.reason !== task.rejected?.reason || rejected?.message !== task.rejected?.message) {
      task.rejected = rejected;
      if (rejected?.reason !== "sizing") {
        task.changed();
        this.#state.taskChanged(task);
      }
    }
    this.#reshape(task);
    this.demand(task);
  }

  /** What the task asks for may have changed. */
  demand(task: Task): void {
    if (task.gang !== undefined) this.gangs.look(task.gang);
    if (task.gang?.granting === true) return;
    if (this.#state.lines.update(task, this.claimant(task))) this.#state.dirty = true;
  }

  /** The task has ended: another may count in its place. */
  finished(task: Task): void {
    const next = this.#admission.leave(task);
    if (next !== undefined) this.assign(next);
  }

  /** All tasks are in: those past their queue's bound wait. */
  opened(): void {
    this.gangs.opened();
    const surplus = this.#admission.surplus();
    for (const task of surplus) this.#admission.leave(task);
    for (const task of surplus) this.assign(task);
  }

  /** The task is to be forgotten. */
  drop(task: Task): void {
    const claimant = this.#claimants.get(task);
    if (claimant !== undefined) this.#withdraw(task);
    this.#claimants.delete(task);
    if (task.shape !== undefined) this.#state.shapes.release(task.shape);
    task.shape = undefined;
    this.finished(task);
    if (claimant !== undefined) this.#leave(claimant);
    const { templateKey } = task.facts;
    const same = this.#byTemplate.get(templateKey);
    same?.delete(task);
    if (same?.size !== 0) return;
    this.#byTemplate.delete(templateKey);
    if (this.#state.sizings.size > IDLE_SIZINGS) this.#state.sizings.delete(templateKey);
  }

  /** `listener` is called when the size of some template is known, or that it is refused. */
  onSizing(listener: () => void): void {
    this.#sizingListeners.push(listener);
  }

  sized(templateKey: string, requests: Readonly<Record<string, number>>): void {
    this.#state.sizings.set(templateKey, { name: "sized", requests });
    this.#assignAll(templateKey);
    for (const listener of this.#sizingListeners) listener();
  }

  /** `gone`: nothing was asked, for the Task that carried the template is gone; another may carry it. */
  refused(templateKey: string, message: string, gone = false): void {
    if (gone) {
      this.#state.sizings.delete(templateKey);
      this.#assignAll(templateKey);
      return;
    }
    this.#state.sizings.set(templateKey, { name: "refused", message });
    this.#state.timers.set(this.#state.nowMs + TEMPLATE_RETRY_MS, { type: "template-retried", templateKey });
    this.#assignAll(templateKey);
    for (const listener of this.#sizingListeners) listener();
  }

  retryTemplate(templateKey: string): void {
    if (this.#state.sizings.get(templateKey)?.name !== "refused") return;
    this.#state.sizings.delete(templateKey);
    this.#assignAll(templateKey);
  }

  constraintsOf(task: Task, framework: Framework | undefined): Constraints {
    const constraints = both(task.facts.constraints, framework?.facts?.constraints);
    if (task.facts.instances > 1 || constraints.spread === undefined) return constraints;
    // One instance is always spread evenly over itself.
    return { ...constraints, spread: constraints.spread.filter((s) => s.over === "Framework") };
  }

  /** One task fewer is the claimant's: with nothing left it is forgotten, for tenants choose its name. */
  #leave(claimant: Claimant): void {
    claimant.tasks--;
    const idle = claimant.tasks === 0 && claimant.instances === 0;
    if (idle && [...this.#state.lines.of(claimant)].length === 0) this.#state.tree.dropClaimant(claimant);
  }

  /** What is not asked for any more is not kept back for it either: others may take it. */
  #withdraw(task: Task): void {
    if (task.counted > 0) this.#state.dirty = true;
    this.#state.lines.withdraw(task);
  }

  #assignAll(templateKey: string): void {
    for (const task of [...(this.#byTemplate.get(templateKey) ?? [])]) this.assign(task);
  }

  #index(task: Task): void {
    const same = this.#byTemplate.get(task.facts.templateKey);
    if (same === undefined) this.#byTemplate.set(task.facts.templateKey, new Set([task]));
    else same.add(task);
  }

  /** The claimant's weight is the framework's in this queue, as far as the queue allows. */
  weigh(claimant: Claimant): void {
    const framework = this.#state.frameworks.get(claimant.framework)?.facts;
    const asked = framework?.queues.find((queue) => queue.name === claimant.queueName)?.weight ?? 1;
    const most = this.#state.tree.queues.get(claimant.queueName)?.facts?.maxFrameworkWeight;
    claimant.weight = Math.min(asked, most ?? asked);
  }

  #rejection(task: Task): Explanation | undefined {
    const { facts } = task;
    if (facts.invalid !== undefined) return { reason: "invalid-task", message: facts.invalid };
    return this.#rejectionByFramework(task) ?? this.#rejectionByQueue(task) ?? this.#rejectionByTemplate(task);
  }

  #rejectionByFramework(task: Task): Explanation | undefined {
    const framework = this.#state.frameworks.get(task.facts.framework)?.facts;
    if (framework === undefined) {
      return { reason: "unknown-framework", message: `framework ${task.facts.framework} does not exist: create it` };
    }
    const queue = this.queueOf(task);
    if (framework.queues.some(({ name }) => name === queue)) return undefined;
    const message = `framework ${framework.key} does not list queue ${queue}: add it to its spec.queues`;
    return { reason: "queue-not-allowed", message };
  }

  #rejectionByQueue(task: Task): Explanation | undefined {
    const name = this.queueOf(task);
    const queue = this.#state.tree.queues.get(name);
    if (queue?.facts === undefined) return unknownQueue(name);
    const rejected = queueRejection(this.#state, name, task.facts.framework);
    if (rejected !== undefined) return rejected;
    const { maxPriority, maxTasks } = queue.facts;
    if (maxPriority !== undefined && task.facts.priority > maxPriority) {
      return {
        reason: "priority-too-high",
        message: `priority ${task.facts.priority}, queue ${name} allows ${maxPriority}: lower it, or raise the queue's maxPriority`,
      };
    }
    if (task.finished || task.gone) return undefined;
    if (this.#admission.admits(task, name)) return undefined;
    const message = `queue ${name} holds ${maxTasks} unfinished tasks, as many as its maxTasks allows: one has to end first`;
    return { reason: "too-many-tasks", message };
  }

  #rejectionByTemplate(task: Task): Explanation | undefined {
    if (task.finished || task.gone) return undefined;
    const { templateKey } = task.facts;
    const sizing = this.#state.sizings.get(templateKey);
    if (sizing?.name === "sized") return undefined;
    if (sizing?.name === "refused") return { reason: "template-refused", message: sizing.message };
    if (sizing === undefined) {
      this.#state.sizings.set(templateKey, { name: "asked" });
      this.#state.emit({ type: "size-template", templateKey, taskUid: task.uid });
    }
    return { reason: "sizing", message: "a dry run is asking what its pods will request" };
  }

  #reshape(task: Task): void {
    const sizing = this.#state.sizings.get(task.facts.templateKey);
    const framework = this.#state.frameworks.get(task.facts.framework);
    if (sizing?.name !== "sized" && task.shape !== undefined) return;
    const requests = sizing?.name === "sized" ? sizing.requests : task.facts.requests;
    const owner = { task: task.uid, framework: task.facts.framework };
    const shape = this.#state.shapes.use(
      this.#state.resources.vector(requests),
      this.constraintsOf(task, framework),
      owner,
    );
    if (task.shape !== shape) this.#spreadAnew(task, shape);
    if (task.shape !== undefined) this.#state.shapes.release(task.shape);
    task.shape = shape;
  }

  /** What lives counts where the new shape is spread, and no longer where only the old one was. */
  #spreadAnew(task: Task, shape: Shape): void {
    for (const { index, node } of task.live.values()) {
      const id = claimId(task.uid, index);
      for (const { counts } of task.shape?.spread ?? []) counts.leave(id);
      for (const { counts } of shape.spread) counts.join(id, node);
    }
  }

  #moveClaims(task: Task, claimant: Claimant): void {
    for (const { index } of task.live.values()) {
      const claim = this.#state.ledger.get(claimId(task.uid, index));
      if (claim !== undefined) this.#state.ledger.observe({ ...claim, holder: claimant });
    }
  }
}

/** Why a framework may not use a queue at all. */
export function queueRejection(state: State, name: string, frameworkKey: string): Explanation | undefined {
  const queue = state.tree.queues.get(name);
  if (queue?.facts === undefined) return unknownQueue(name);
  if (queue.rejected !== undefined) {
    return { reason: queue.rejected, message: `queue ${name}: ${queue.standing?.problem}` };
  }
  const { namespaces } = queue.facts;
  if (namespaces.includes("*")) return undefined;
  const namespace = frameworkKey.slice(0, frameworkKey.indexOf("/"));
  if (namespaces.includes(namespace)) return undefined;
  const message = `queue ${name} does not admit namespace ${namespace}: add it to the queue's spec.namespaces, or use another queue`;
  return { reason: "queue-not-allowed", message };
}

function unknownQueue(name: string): Explanation {
  const message = `queue ${name} does not exist: create it, or name another one in the framework's spec.queues`;
  return { reason: "unknown-queue", message };
}
