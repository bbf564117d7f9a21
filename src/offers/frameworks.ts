import { type Assignment, queueRejection } from "./assignment.ts";
import { both } from "./constraints.ts";
import type { Framework } from "./framework.ts";
import type { FrameworkFacts, QueueFacts } from "./messages.ts";
import type { Offers } from "./offers.ts";
import type { State } from "./state.ts";
import type { Explanation } from "./views.ts";

/** Frameworks and queues as their objects come, change and go. */
export class Frameworks {
  readonly #state: State;
  readonly #assignment: Assignment;
  readonly #offers: Offers;

  constructor(state: State, assignment: Assignment, offers: Offers) {
    this.#state = state;
    this.#assignment = assignment;
    this.#offers = offers;
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
    if (revived) this.#state.refusals.clear(facts.key);
    this.#state.dirty = true;
    if (before === undefined || belongs(before) !== belongs(facts)) this.#reassign(framework);
    if (JSON.stringify(before?.demand ?? []) !== JSON.stringify(facts.demand) || before === undefined)
      this.#stateDemand(framework);
    this.#state.frameworkChanged(facts.key);
  }

  gone(key: string): void {
    const framework = this.#state.frameworks.get(key);
    if (framework === undefined) return;
    for (const { name } of framework.facts?.queues ?? []) this.#state.queueChanged(name);
    framework.facts = undefined;
    this.#withdrawDemand(framework);
    this.#state.refusals.clear(key);
    this.#offers.rescindAllOf(framework, { reason: "rescinded", message: "the framework is gone" });
    this.#reassign(framework);
    if (framework.tasks.size === 0 && framework.offers.size === 0) this.#state.frameworks.delete(key);
  }

  observeQueue(facts: QueueFacts): void {
    this.#state.tree.observe(facts);
    this.#queueChanged(facts.name);
  }

  queueGone(name: string): void {
    this.#queueChanged(name);
    this.#state.tree.gone(name);
    this.#queueChanged(name);
  }

  /** Why a framework may not take part in its first queue. */
  rejection(facts: FrameworkFacts): Explanation | undefined {
    for (const { name } of facts.queues) {
      const rejected = queueRejection(this.#state, name, facts.key);
      if (rejected !== undefined) return rejected;
    }
    return undefined;
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
  }

  /** Wishes stated ahead of any task: lines of the first queue. */
  #stateDemand(framework: Framework): void {
    this.#withdrawDemand(framework);
    const { facts } = framework;
    const queue = facts?.queues[0];
    if (facts === undefined || queue === undefined || facts.scheduler !== "Offers") return;
    const claimant = this.#state.tree.claimant(facts.key, queue.name);
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
      this.#state.lines.dropIfEmpty(line);
    }
  }
}

/** What decides which claimants a framework has, and what its tasks' shapes are. */
function belongs({ queues, constraints, uid, scheduler }: FrameworkFacts): string {
  return JSON.stringify([queues, constraints, uid, scheduler]);
}
