import { Broker } from "./broker.ts";
import type {
  Answer,
  Effect,
  FrameworkFacts,
  Input,
  Launch,
  NodeFacts,
  OfferDraft,
  OfferFacts,
  PodFacts,
  TaskFacts,
} from "./messages.ts";
import type { BrokerOptions } from "./options.ts";
import type { QueueFacts } from "./queues/queue-facts.ts";

/** When each world begins. */
export const START_MS = 1_700_000_000_000;

type Of<T extends Effect["type"]> = Extract<Effect, { type: T }>;

/**
 * A broker and the least of a world around it: templates are sized as asked, offers are published and closed, pods are
 * created, all at once. What is not wanted is switched off by `held`.
 */
export class Bench {
  readonly broker: Broker;
  nowMs = START_MS;
  /** All effects so far, in order. */
  readonly effects: Effect[] = [];
  /** Effects of these types are kept back: nothing carries them out. */
  readonly held = new Set<Effect["type"]>();
  /** By offer key. */
  readonly offers = new Map<string, OfferDraft>();
  readonly pods = new Map<string, PodFacts>();
  readonly #term: string;
  #uids = 0;

  constructor(options: Partial<BrokerOptions> = {}) {
    this.#term = options.term ?? "t1";
    this.broker = new Broker({ term: this.#term, placements: { First: firstFit }, roundMinIntervalMs: 0, ...options });
  }

  /** Opened, with a queue `default` for everyone. */
  static open(options: Partial<BrokerOptions> = {}): Bench {
    const bench = new Bench(options);
    bench.queue("default");
    bench.apply({ type: "opened" });
    return bench;
  }

  apply(input: Input): Effect[] {
    const effects = this.broker.apply(input, this.nowMs);
    this.effects.push(...effects);
    for (const effect of effects) if (!this.held.has(effect.type)) this.#execute(effect);
    return effects;
  }

  /** Runs what is due now, again and again until nothing is. */
  settle(): this {
    for (let i = 0; this.broker.nextTickMs(this.nowMs) <= this.nowMs; i++) {
      if (i > 1_000) throw new Error("rounds without end");
      this.apply({ type: "tick" });
    }
    return this;
  }

  /** Time passes, with all that is due on the way. */
  wait(ms: number): this {
    const endMs = this.nowMs + ms;
    for (;;) {
      const dueMs = this.broker.nextTickMs(this.nowMs);
      if (dueMs > endMs) break;
      this.nowMs = Math.max(this.nowMs, dueMs);
      this.apply({ type: "tick" });
    }
    this.nowMs = endMs;
    return this;
  }

  /** Effects of one type since `from`. */
  all<T extends Effect["type"]>(type: T, from = 0): Of<T>[] {
    return this.effects.slice(from).filter((effect): effect is Of<T> => effect.type === type);
  }

  last<T extends Effect["type"]>(type: T): Of<T> | undefined {
    return this.all(type).at(-1);
  }

  node(name: string, allocatable: NodeFacts["allocatable"], change: Partial<NodeFacts> = {}): this {
    const node = { name, uid: `${name}-uid`, allocatable: { pods: 110, ...allocatable }, labels: {}, taints: [] };
    this.apply({ type: "node-observed", node: { ...node, ready: true, ...change } });
    return this;
  }

  queue(name: string, change: Partial<QueueFacts> = {}): this {
    const queue = { name, weight: 1, guarantee: {}, limit: {}, namespaces: ["*"], ...change };
    this.apply({ type: "queue-observed", queue });
    return this;
  }

  framework(name: string, change: Partial<FrameworkFacts> = {}): this {
    this.apply({ type: "framework-observed", framework: frameworkFacts(name, change) });
    return this;
  }

  task(name: string, change: Partial<TaskFacts> & { readonly of?: string } = {}): this {
    const { of = "f", ...facts } = change;
    if (facts.durationMs !== undefined) this.#durations.set(`${name}-uid`, facts.durationMs);
    const task = taskFacts(name, { framework: `ns/${of}`, ...facts });
    this.tasks.set(task.uid, task);
    this.apply({ type: "task-observed", task });
    return this;
  }

  /** By UID, as last observed. */
  readonly tasks = new Map<string, TaskFacts>();

  /** A pod that somebody else made is seen. */
  adopt(name: string, change: Partial<PodFacts>): Effect[] {
    const pod = podFacts({ uid: `pod-${name}`, key: `ns/${name}`, ...change });
    this.pods.set(name, pod);
    return this.apply({ type: "pod-observed", pod });
  }

  /** What a Task says its instances take, in milliseconds; Infinity where it says nothing. */
  durationOf(taskUid: string): number {
    return this.#durations.get(taskUid) ?? Number.POSITIVE_INFINITY;
  }

  readonly #durations = new Map<string, number>();

  /** Open offers of a framework, oldest first. */
  openOffers(framework = "f"): OfferDraft[] {
    return [...this.offers.values()].filter((offer) => offer.framework === `ns/${framework}` && !offer.inverse);
  }

  offerFacts(offer: OfferDraft, answer?: Answer): OfferFacts {
    const { key, framework, queue, term, slices, inverse, expiresAtMs } = offer;
    const asked = inverse === undefined ? {} : { inverse: { ...inverse, expiresAtMs } };
    const facts = { key, uid: `${key}-uid`, framework, queue, term, phase: "Open", slices, ...asked } as const;
    return answer === undefined ? facts : { ...facts, answer };
  }

  accept(offer: OfferDraft, launches: readonly Launch[], change: Partial<Answer> = {}): Effect[] {
    const by = offer.answerers[0] ?? "";
    const answer: Answer = { by, decision: "Accept", launches, refuseMs: 0, ...change };
    return this.apply({ type: "offer-observed", offer: this.offerFacts(offer, answer) });
  }

  decline(offer: OfferDraft, refuseMs: number): Effect[] {
    return this.accept(offer, [], { decision: "Decline", refuseMs });
  }

  pod(name: string, change: Partial<PodFacts>): Effect[] {
    const pod = { ...this.pods.get(name)!, ...change };
    this.pods.set(name, pod);
    return this.apply({ type: "pod-observed", pod });
  }

  podGone(name: string): Effect[] {
    const pod = this.pods.get(name)!;
    this.pods.delete(name);
    return this.apply({ type: "pod-gone", pod });
  }

  /** The pod runs and ends well. */
  finish(name: string): Effect[] {
    this.pod(name, { phase: "Running", started: true });
    return this.pod(name, { phase: "Succeeded", started: true });
  }

  /** The claims of one kind as "node: cpu/memory" and so on, sorted. */
  claims(kind: "offer" | "task" | "foreign"): string[] {
    return [...this.broker.claims()]
      .filter((claim) => claim.kind === kind)
      .map(({ node, resources: { pods: _, ...rest } }) => `${node}: ${Object.values(rest).join("/")}`)
      .sort();
  }

  #execute(effect: Effect): void {
    switch (effect.type) {
      case "size-template": {
        const requests = this.requests.get(effect.templateKey) ?? { cpu: 1, pods: 1 };
        this.apply({ type: "template-sized", templateKey: effect.templateKey, requests });
        break;
      }
      case "publish-offer":
        this.offers.set(effect.offer.key, effect.offer);
        this.apply({ type: "offer-published", key: effect.offer.key, uid: `${effect.offer.key}-uid` });
        break;
      case "close-offer":
        this.offers.delete(effect.key);
        this.apply({ type: "offer-closed", key: effect.key });
        break;
      case "create-pod":
        this.create(effect);
        break;
      case "confirm-absence":
        this.apply({ type: "absence-confirmed", framework: effect.framework });
        break;
    }
  }

  /** What a dry run makes of a template; otherwise one millicore. */
  readonly requests = new Map<string, TaskFacts["requests"]>();

  /** The pod of a create comes to be, pending. Its name is "task-index-attempt". */
  create({ attempt, node, queue, framework, offer }: Of<"create-pod">, change: Partial<PodFacts> = {}): void {
    const name = `${attempt.taskUid.replace(/-uid$/, "")}-${attempt.index}-${attempt.attempt}`;
    const pod: PodFacts = {
      uid: `pod${this.#uids++}${this.#term}`,
      key: `ns/${name}`,
      ...attempt,
      node,
      queue,
      framework,
      ...(offer === undefined ? {} : { offer }),
      phase: "Pending",
      deleting: false,
      tracked: true,
      requests: this.requested(attempt.taskUid),
      started: false,
      ...change,
    };
    this.pods.set(name, pod);
    this.apply({ type: "pod-created", pod });
  }

  readonly #templates = new Map<string, string>();

  /** What a pod of the Task asks for. */
  requested(taskUid: string): TaskFacts["requests"] {
    return this.requests.get(this.#templates.get(taskUid) ?? "") ?? { cpu: 1, pods: 1 };
  }

  /** A Task whose pods ask for so much; 3 tasks of equal requests share a template. */
  asking(
    name: string,
    requests: TaskFacts["requests"],
    change: Partial<TaskFacts> & { readonly of?: string } = {},
  ): this {
    const whole = { pods: 1, ...requests };
    const templateKey = change.templateKey ?? `ns/${JSON.stringify(whole)}`;
    this.requests.set(templateKey, whole);
    this.#templates.set(`${name}-uid`, templateKey);
    return this.task(name, { ...change, templateKey, requests: whole });
  }
}

const firstFit = { score: () => 0, rotate: false };

export function frameworkFacts(name: string, change: Partial<FrameworkFacts> = {}): FrameworkFacts {
  return {
    key: `ns/${name}`,
    uid: `${name}-uid`,
    queues: [{ name: "default", weight: 1 }],
    scheduler: "Builtin",
    placement: "First",
    concurrency: "Exclusive",
    offerTimeoutMs: 30_000,
    maxOutstanding: 16,
    slack: 1,
    minimum: {},
    suppressed: false,
    revive: 0,
    demand: [],
    answerers: [`user-${name}`],
    unreachableAfterMs: 60_000,
    ...change,
  };
}

export function taskFacts(name: string, change: Partial<TaskFacts> = {}): TaskFacts {
  return {
    key: `ns/${name}`,
    uid: `${name}-uid`,
    framework: "ns/f",
    templateKey: "ns/plain",
    requests: { cpu: 1, pods: 1 },
    instances: 1,
    priority: 0,
    retry: { limit: 0, backoffMs: 1_000, maxBackoffMs: 8_000, onNodeLost: "Never" },
    createdAtMs: START_MS,
    deleting: false,
    ...change,
  };
}

/** A running pod on node `n`: instance 0 of task `t`, first attempt, unless said otherwise. */
export function podFacts(change: Partial<PodFacts> = {}): PodFacts {
  const { index = 0, attempt = 0 } = change;
  return {
    uid: `pod-${index}-${attempt}`,
    key: `ns/t-${index}-${attempt}`,
    taskUid: "t-uid",
    index,
    attempt,
    node: "n",
    queue: "default",
    framework: "ns/f",
    phase: "Running",
    deleting: false,
    tracked: true,
    requests: { cpu: 1, pods: 1 },
    started: true,
    ...change,
  };
}
