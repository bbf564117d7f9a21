import type { Framework } from "./framework.ts";
import type { FrameworkFacts } from "./messages.ts";
import { both } from "./nodes/constraints.ts";
import type { Offers } from "./offers.ts";
import type { Programs } from "./presence.ts";
import type { QueueFacts, QueueRecord } from "./queues/queue-facts.ts";
import { UNKNOWN } from "./resources.ts";
import type { State } from "./state.ts";
import { type Assignment, queueRejection } from "./tasks/assignment.ts";
import type { Explanation } from "./views.ts";

/** Frameworks and queues as their objects come, change and go. */
export class Frameworks {
  readonly #state: State;
  readonly #assignment: Assignment;
  readonly #offers: Offers;
  readonly #programs: Programs;

  constructor(state: State, assignment: Assignment, offers: Offers, programs: Programs) {
    this.#state = state;
    this.#assignment = assignment;
    this.#offers = offers;
    this.#programs = programs;
  }

  observe(facts: FrameworkFacts): void {
    const framework = this.#state.framework(facts.key);
    const before = framework.facts;
    framework.facts = facts;
    if (before?.uid !== facts.uid || before.maxOutstanding !== facts.maxOutstanding) {
      framework.outstandingLimit = facts.maxOutstanding;
    }
    const revived =
      before !== undefined && (before.revive !== facts.revive || (before.suppressed && !facts.suppressed));
    if (revived) this.#state.refusals.clear(framework);
    this.#state.dirty = true;
    if (before === undefined || belongs(before) !== belongs(facts)) {
      for (const { name } of [...(before?.queues ?? []), ...facts.queues]) this.#state.queueUseChanged(name);
      this.#reassign(framework);
    }
    this.#state.frameworkChanged(facts.key);
    this.#programs.judge(facts.key);
  }

  gone(key: string): void {
    const framework = this.#state.frameworks.get(key);
    if (framework === undefined) return;
    for (const { name } of framework.facts?.queues ?? []) this.#state.queueUseChanged(name);
    framework.facts = undefined;
    framework.presence = undefined;
    this.#withdrawDemand(framework);
    this.#state.dirty = true;
    this.#state.refusals.clear(framework);
    this.#offers.rescindAllOf(framework, { reason: "rescinded", message: "the framework is gone" });
    this.#reassign(framework);
    this.#state.forgetFramework(key);
  }

  /** Nodes (or queues) have a resource that nobody had before: whoever asks for one may ask for it. */
  namesLearned(): void {
    for (const framework of this.#state.frameworks.values()) {
      const asks = [...framework.tasks].filter((task) => (task.shape?.request[UNKNOWN] ?? 0) > 0);
      for (const task of asks) this.#assignment.assign(task);
      this.#stateDemand(framework);
    }
  }

  observeQueue(facts: QueueFacts, record?: QueueRecord): void {
    const names = this.#state.resources.count;
    this.#parentUseChanged(facts.name);
    const changed = this.#state.tree.observe(facts, record);
    this.#parentUseChanged(facts.name);
    if (this.#state.resources.count > names) this.namesLearned();
    for (const name of changed) this.#queueChanged(name);
  }

  opened(): void {
    for (const name of this.#state.tree.open()) this.#queueChanged(name);
  }

  queueGone(name: string): void {
    this.#queueChanged(name);
    this.#parentUseChanged(name);
    const changed = this.#state.tree.gone(name);
    for (const other of [name, ...changed]) this.#queueChanged(other);
  }

  /** Why a framework may not take part in its first queue. */
  rejection(facts: FrameworkFacts): Explanation | undefined {
    for (const { name } of facts.queues) {
      const rejected = queueRejection(this.#state, name, facts.key);
      if (rejected !== undefined) return rejected;
    }
    return undefined;
  }

  #parentUseChanged(queue: string): void {
    const parent = this.#state.tree.queues.get(queue)?.parent;
    if (parent !== undefined) this.#state.queueUseChanged(parent.name);
  }

  /** Places in the tree may have changed for everyone below: all of its frameworks are looked at again. */
  #queueChanged(name: string): void {
    this.#state.queueChanged(name);
    this.#state.dirty = true;
    for (const framework of this.#state.frameworks.values()) {
      const uses = framework.facts?.queues.some((queue) => this.#isBelow(queue.name, name)) === true;
      if (!uses) continue;
      this.#reassign(framework);
      this.#state.frameworkChanged(framework.key);
    }
  }

  #isBelow(queue: string, above: string): boolean {
    if (queue === above) return true;
    const seen = new Set<string>();
    for (let name: string | undefined = queue; name !== undefined && !seen.has(name); ) {
      if (name === above) return true;
      seen.add(name);
      name = this.#state.tree.queues.get(name)?.facts?.parent;
    }
    return false;
  }

  #reassign(framework: Framework): void {
    for (const task of framework.tasks) this.#assignment.assign(task);
    this.#stateDemand(framework);
    for (const offer of framework.offers) {
      const { queueName } = offer.claimant;
      const listed = framework.facts?.queues.some(({ name }) => name === queueName) === true;
      if (listed && queueRejection(this.#state, queueName, framework.key) === undefined) continue;
      this.#offers.rescind(offer, {
        reason: "rescinded",
        message: `queue ${queueName} is not the framework's any more`,
      });
    }
  }

  /** Wishes stated ahead of any task: lines of the first queue. */
  #stateDemand(framework: Framework): void {
    this.#withdrawDemand(framework);
    const { facts } = framework;
    const queue = facts?.queues[0];
    if (facts === undefined || queue === undefined || facts.scheduler !== "Offers") return;
    if (facts.demand.length === 0) return;
    const claimant = this.#state.tree.claimant(facts.key, queue.name);
    this.#assignment.weigh(claimant);
    for (const { instances, resources } of facts.demand) {
      const request = this.#state.resources.vector({ pods: 1, ...resources });
      const shape = this.#state.shapes.use(request, both(undefined, facts.constraints), {
        task: "",
        framework: facts.key,
      });
      const line = this.#state.lines.line(claimant, shape);
      this.#state.shapes.release(shape);
      line.stated += instances;
      framework.stated.push(line);
    }
  }

  #withdrawDemand(framework: Framework): void {
    for (const line of framework.stated.splice(0)) {
      line.stated = 0;
      this.#state.lines.fell(line);
    }
  }
}

/** What decides which claimants a framework has, what its tasks' shapes are, and what it wishes. */
function belongs({ queues, constraints, uid, scheduler, demand }: FrameworkFacts): string {
  return JSON.stringify([queues, constraints, uid, scheduler, demand]);
}
