import { Bench } from "../broker.test-support.ts";
import type { Answer, Effect, FrameworkFacts, Input, OfferDraft, Release, TaskFacts } from "../messages.ts";
import type { QueueFacts } from "../queues/queue-facts.ts";

/** A bench in which pods that are deleted end when a test says so, and leaders change. */
export class ReclaimBench extends Bench {
  /** What another term begins with: nodes, queues and frameworks; and Tasks. */
  readonly #facts: Input[] = [];
  readonly #tasks = new Map<string, TaskFacts>();
  /** Offer key -> the answer that stands in the object, for the next leader to see. */
  readonly answers = new Map<string, Answer>();

  /** Opened, with these queues and in each a Builtin framework of the same name. */
  static of(queues: Record<string, Partial<QueueFacts>>): ReclaimBench {
    const made = new ReclaimBench();
    for (const [name, change] of Object.entries(queues)) {
      made.queue(name, change).framework(name, { queues: [{ name, weight: 1 }] });
    }
    made.apply({ type: "opened" });
    return made;
  }

  override apply(input: Input): Effect[] {
    if (["node-observed", "queue-observed", "framework-observed"].includes(input.type)) this.#facts.push(input);
    if (input.type === "task-observed") this.#tasks.set(input.task.uid, input.task);
    const effects = super.apply(input);
    for (const effect of effects) {
      if (effect.type !== "delete-pod") continue;
      const name = [...this.pods].find(([, pod]) => pod.uid === effect.uid)?.[0];
      const marked = effect.reclaimedFor === undefined ? {} : { reclaimedFor: effect.reclaimedFor };
      if (name !== undefined) this.pod(name, { deleting: true, ...marked });
    }
    return effects;
  }

  /** The framework of this queue answers offers. */
  answering(name: string, change: Partial<FrameworkFacts> = {}): this {
    return this.framework(name, { queues: [{ name, weight: 1 }], scheduler: "Offers", ...change });
  }

  /** A Task of this framework whose instances ask for so much CPU each, may be tried again at once, and wait. */
  cpu(of: string, name: string, cpu: number, instances = 1, change: Partial<TaskFacts> = {}): this {
    return this.asking(name, { cpu }, { of, instances, ...change });
  }

  /** Everything that waits is accepted where it is offered. */
  accepting(of: string, task: string): this {
    for (const offer of this.openOffers(of)) {
      const launches = offer.slices.map(({ name, resources }) => ({ task, slice: name, count: resources.pods ?? 1 }));
      this.accept(offer, launches);
    }
    return this.settle();
  }

  /** Pods that are being deleted, by name. */
  get ending(): string[] {
    return [...this.pods].filter(([, { deleting }]) => deleting).map(([name]) => name);
  }

  /** They end and are gone; what is due then happens. */
  terminate(): this {
    for (const name of this.ending) {
      this.pod(name, { phase: "Failed", exitCode: 143 });
      this.podGone(name);
    }
    return this.settle();
  }

  /** Pods begin to run. */
  run(): this {
    for (const [name, { phase }] of this.pods) {
      if (phase === "Pending") this.pod(name, { phase: "Running", started: true, startedAtMs: this.nowMs });
    }
    return this.settle();
  }

  /** Inverse offers that are open. */
  asked(of?: string): OfferDraft[] {
    return [...this.offers.values()].filter(
      ({ inverse, framework }) => inverse !== undefined && (of === undefined || framework === `ns/${of}`),
    );
  }

  give(offer: OfferDraft, release: readonly Release[]): this {
    this.accept(offer, [], { release });
    return this.settle();
  }

  /** "task-index" of everything that has its place, sorted. */
  placed(): string[] {
    return [...this.broker.claims()]
      .filter(({ kind }) => kind === "task")
      .map(({ id }) => id.split("/").slice(1).join("-").replace("-uid", ""))
      .sort();
  }

  /** CPUs of this queue's tasks. */
  used(queue: string): number {
    return this.broker.queueView(queue)?.allocated.cpu ?? 0;
  }

  /** CPUs that are held for what waits in this queue. */
  keptFor(queue: string): number {
    return this.broker.queueView(queue)?.held.cpu ?? 0;
  }

  /** Another leader, who finds things as they are. */
  successor(term: string): ReclaimBench {
    const next = new ReclaimBench({ term });
    next.nowMs = this.nowMs;
    for (const [key, made] of this.requests) next.requests.set(key, made);
    for (const input of this.#facts) next.apply(input);
    for (const [uid, facts] of this.#tasks) {
      const view = this.broker.taskView(uid);
      if (view === undefined) continue;
      const { succeededIndexes, failedIndexes, attempts, lastFailures, startedTogether } = view;
      const together = startedTogether === undefined ? {} : { startedTogether };
      const recorded = { succeededIndexes, failedIndexes, attempts, lastFailures, ...together };
      next.apply({ type: "task-observed", task: { ...facts, recorded } });
    }
    for (const [name, pod] of this.pods) {
      next.pods.set(name, pod);
      next.apply({ type: "pod-observed", pod });
    }
    for (const offer of this.offers.values()) {
      next.offers.set(offer.key, offer);
      next.apply({ type: "offer-observed", offer: next.offerFacts(offer, this.answers.get(offer.key)) });
    }
    next.apply({ type: "opened" });
    return next.settle();
  }
}
