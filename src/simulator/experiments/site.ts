import { Broker } from "../../offers/broker.ts";
import type {
  Effect,
  FrameworkFacts,
  Input,
  NodeFacts,
  OfferDraft,
  PodFacts,
  TaskFacts,
} from "../../offers/messages.ts";
import type { Quantities } from "../../offers/resources.ts";
import { Schedule } from "../schedule.ts";
import type { Configuration } from "./configuration.ts";
import { PLACEMENTS } from "./placements.ts";

type Of<T extends Effect["type"]> = Extract<Effect, { type: T }>;

/** What a site tells those who run work on it. */
export interface SiteListener {
  /** An instance has its place: its pod exists and runs nothing yet. */
  placed(taskUid: string, index: number, node: string): void;
  /** The pod of an instance was taken away: what it had done is lost, and it waits again. */
  taken(taskUid: string, index: number): void;
  /** An offer was made to a framework. */
  offered(offer: OfferDraft): void;
}

export interface SiteOptions {
  readonly nodes: readonly NodeFacts[];
  readonly configuration: Configuration;
  /** Least time between two rounds; the broker's own by default. 0: a round whenever something has changed. */
  readonly roundMinIntervalMs?: number;
}

/** Statuses are written so much later than what they tell. */
const STATUS_MS = 10_000;

/**
 * The pure broker under virtual time, with the least of a world around it that loses nothing and delays nothing: pods come
 * to be as soon as the broker asks for them, and end when whoever runs the work says so. What happens at one instant
 * happens before the round of that instant.
 */
export class Site {
  readonly schedule = new Schedule(0);
  readonly broker: Broker;
  readonly nodes: readonly NodeFacts[];
  readonly frameworks: ReadonlyMap<string, FrameworkFacts>;
  readonly counts = { created: 0, taken: 0, lostRaces: 0, inputs: 0 };
  listener: SiteListener | undefined;
  readonly #frameworks = new Map<string, FrameworkFacts>();
  readonly #tasks = new Map<string, TaskFacts>();
  /** By task and index. */
  readonly #pods = new Map<string, PodFacts>();
  /** Ended pods that wait for their status to be written, by pod key. */
  readonly #ended = new Map<string, PodFacts>();
  readonly #offers = new Map<string, OfferDraft>();
  readonly #writing = new Set<string>();
  readonly #inputs: Input[] = [];
  #applying = false;
  #cancelTick: () => void = () => {};

  constructor({ nodes, configuration, roundMinIntervalMs }: SiteOptions) {
    this.broker = new Broker({
      term: "1",
      placements: PLACEMENTS,
      ...(roundMinIntervalMs === undefined ? {} : { roundMinIntervalMs }),
    });
    this.nodes = nodes;
    this.frameworks = this.#frameworks;
    for (const node of nodes) this.apply({ type: "node-observed", node });
    for (const queue of configuration.queues) this.apply({ type: "queue-observed", queue });
    for (const framework of configuration.frameworks) this.join(framework);
    this.apply({ type: "opened" });
  }

  get nowMs(): number {
    return this.schedule.nowMs;
  }

  join(framework: FrameworkFacts): void {
    this.#frameworks.set(framework.key, framework);
    this.apply({ type: "framework-observed", framework });
  }

  leave(key: string): void {
    this.#frameworks.delete(key);
    this.apply({ type: "framework-gone", key });
  }

  submit(task: TaskFacts): void {
    this.#tasks.set(task.uid, task);
    this.apply({ type: "task-observed", task });
  }

  /** The framework's program answers an offer. Nothing happens where the offer has ended meanwhile. */
  answer(key: string, launches: readonly { task: string; slice: string; count: number }[], refuseMs: number): void {
    const offer = this.#offers.get(key);
    if (offer === undefined) return;
    const { framework, queue, term, slices, answerers } = offer;
    const decision = launches.length > 0 ? "Accept" : "Decline";
    const answer = { by: answerers[0] ?? "", decision, launches, refuseMs } as const;
    this.apply({
      type: "offer-observed",
      offer: { key, uid: key, framework, queue, term, phase: "Open", slices, answer },
    });
  }

  /** The instance has done its work. */
  finish(taskUid: string, index: number): void {
    const pod = this.#pods.get(`${taskUid}/${index}`);
    if (pod !== undefined) this.#end(pod, "Succeeded");
  }

  /** Virtual time passes until nothing is planned any more, or `done` holds. */
  run(done: () => boolean = () => false): void {
    while (!done() && this.schedule.step());
  }

  apply(input: Input): void {
    this.#inputs.push(input);
    if (this.#applying) return;
    this.#applying = true;
    for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
      this.counts.inputs++;
      for (const effect of this.broker.apply(next, this.nowMs)) this.#execute(effect);
    }
    this.#applying = false;
    this.#planTick();
  }

  #planTick(): void {
    this.#cancelTick();
    const dueMs = this.broker.nextTickMs(this.nowMs);
    if (dueMs === Number.POSITIVE_INFINITY) return;
    this.#cancelTick = this.schedule.at(dueMs, () => this.apply({ type: "tick" }));
  }

  #execute(effect: Effect): void {
    switch (effect.type) {
      case "size-template": {
        const requests = this.#tasks.get(effect.taskUid)?.requests ?? {};
        this.apply({ type: "template-sized", templateKey: effect.templateKey, requests });
        break;
      }
      case "publish-offer":
        this.#offers.set(effect.offer.key, effect.offer);
        this.apply({ type: "offer-published", key: effect.offer.key, uid: effect.offer.key });
        // What asks for room is not answered: the broker chooses itself at the deadline.
        if (effect.offer.inverse === undefined) this.listener?.offered(effect.offer);
        break;
      case "close-offer":
        this.#offers.delete(effect.key);
        this.counts.lostRaces += effect.launches.filter(({ refused }) => refused?.reason === "lost-race").length;
        this.apply({ type: "offer-closed", key: effect.key });
        break;
      case "create-pod":
        this.#create(effect);
        break;
      case "delete-pod":
        this.#take(effect);
        break;
      case "release-pod":
        this.#release(effect.key);
        break;
      case "task-changed":
        this.#writeStatus(effect.uid);
        break;
    }
  }

  #create({ attempt, node, queue, framework, offer }: Of<"create-pod">): void {
    const name = `${attempt.taskUid}-${attempt.index}-${attempt.attempt}`;
    const pod: PodFacts = {
      uid: name,
      key: `${framework.slice(0, framework.indexOf("/"))}/${name}`,
      ...attempt,
      node,
      queue,
      framework,
      ...(offer === undefined ? {} : { offer }),
      phase: "Running",
      deleting: false,
      tracked: true,
      requests: this.#tasks.get(attempt.taskUid)?.requests ?? {},
      started: true,
      startedAtMs: this.nowMs,
    };
    this.counts.created++;
    this.#pods.set(`${attempt.taskUid}/${attempt.index}`, pod);
    this.apply({ type: "pod-created", pod });
    this.listener?.placed(attempt.taskUid, attempt.index, node);
  }

  #take({ key, reclaimedFor }: Of<"delete-pod">): void {
    const pod = [...this.#pods.values()].find((other) => other.key === key);
    if (pod === undefined) return;
    this.counts.taken++;
    this.listener?.taken(pod.taskUid, pod.index);
    this.#end({ ...pod, deleting: true, ...(reclaimedFor === undefined ? {} : { reclaimedFor }) }, "Failed");
  }

  #end(pod: PodFacts, phase: "Succeeded" | "Failed"): void {
    const ended = { ...pod, phase, finishedAtMs: this.nowMs };
    this.#pods.delete(`${pod.taskUid}/${pod.index}`);
    this.#ended.set(pod.key, ended);
    this.apply({ type: "pod-observed", pod: ended });
  }

  #release(key: string): void {
    const pod = this.#ended.get(key);
    if (pod === undefined) return;
    this.#ended.delete(key);
    this.apply({ type: "pod-gone", pod });
  }

  #writeStatus(uid: string): void {
    if (this.#writing.has(uid)) return;
    this.#writing.add(uid);
    this.schedule.in(STATUS_MS, () => {
      this.#writing.delete(uid);
      const view = this.broker.taskView(uid);
      if (view === undefined) return;
      this.apply({ type: "task-recorded", uid, version: view.version });
      const { finished, failed, killed, lost } = view.counts;
      if (finished + failed + killed + lost < view.instances) return;
      this.#tasks.delete(uid);
      this.apply({ type: "task-gone", uid });
    });
  }
}

/** Equal nodes, in whole canonical units: millicores and KiB. */
export function nodesOf(count: number, allocatable: Quantities, prefix = "n"): NodeFacts[] {
  return Array.from({ length: count }, (_, i) => {
    const name = `${prefix}${String(i + 1).padStart(String(count).length, "0")}`;
    return { name, uid: name, allocatable: { pods: 110, ...allocatable }, labels: {}, taints: [], ready: true };
  });
}
