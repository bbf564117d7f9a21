import { Broker } from "../offers/broker.ts";
import type { Effect, Input, NodeFacts, OfferDraft } from "../offers/messages.ts";
import type { Placement } from "../offers/options.ts";
import type { QueueOrder } from "../offers/queues/queues.ts";
import { confirmAbsence } from "./absences.ts";
import { attemptOf, snapshot } from "./attempts.ts";
import { check } from "./check.ts";
import type { Change, CloseOffer, Cluster, CreatePod, Kind, OfferObject, PodObject } from "./cluster.ts";
import { type Crash, type Faults, Network } from "./network.ts";
import { deletePod } from "./pod-deletion.ts";
import { QueueRecords } from "./queue-records.ts";
import type { Random } from "./random.ts";
import type { Schedule } from "./schedule.ts";

export interface LeaderOptions {
  readonly cluster: Cluster;
  readonly schedule: Schedule;
  readonly random: Random;
  readonly faults: Faults;
  readonly term: string;
  readonly placements: Readonly<Record<string, Placement>>;
  readonly top: QueueOrder;
  /** After every input. */
  readonly applied: (leader: Leader, input: Input, effects: readonly Effect[]) => void;
  readonly crash?: ((label: string) => Crash | undefined) | undefined;
  readonly died: () => void;
}

const RETRY_MS = 200;
/** Short, so that room is held now and then. */
const HOLD_AFTER_MS = 10_000;
const STATUS_DEBOUNCE_MS = 1_000;
const ENDED_OFFER_MS = 60_000;
const ANSWER_TURN_MS = 1_000;
/** A create of unknown outcome is given up only when no earlier try can arrive any more. */
const SETTLE_MS = 75_000;

const KINDS: readonly Kind[] = ["nodes", "foreign", "queues", "frameworks", "leases", "tasks", "pods", "offers"];

/** One leader's time in office: a broker, and a shell around it that does as the real one does, over a bad network. */
export class Leader {
  readonly term: string;
  readonly broker: Broker;
  readonly network: Network;
  alive = true;
  /** What the watch has shown. */
  readonly pods = new Map<string, PodObject["facts"]>();
  /** What the broker was told. */
  readonly nodes = new Map<string, NodeFacts>();
  readonly #queueRecords: QueueRecords;
  readonly #offers = new Map<string, { facts: OfferObject["facts"]; version: number }>();
  readonly #options: LeaderOptions;
  readonly #inputs: Input[] = [];
  readonly #seen = new Map<Kind, { atMs: number; version: number }>();
  /** Attempts whose pods the watch has shown: their creates are not sent again, for the name may be free by then. */
  readonly #made = new Set<string>();
  readonly #closing = new Map<string, CloseOffer>();
  readonly #told = new Map<string, CloseOffer>();
  readonly #busyOffers = new Set<string>();
  readonly #statuses = new Map<string, { cancel: () => void; urgent: boolean }>();
  readonly #writing = new Set<string>();
  readonly #again = new Map<string, boolean>();
  #undelivered = 0;
  #waiting = 0;
  #draining = false;
  #cancelTick: () => void = () => {};
  #unwatch: () => void = () => {};

  constructor(options: LeaderOptions) {
    this.#options = options;
    const { schedule, random, faults, crash, term, placements, top } = options;
    this.term = term;
    this.broker = new Broker({ term, placements, holdAfterMs: HOLD_AFTER_MS, top });
    this.network = new Network({ schedule, random, faults, crash, alive: () => this.alive, die: () => this.die() });
    this.#queueRecords = new QueueRecords(options.cluster, this.broker, this.network);
  }

  /** Nothing is under way between broker and world. */
  get idle(): boolean {
    const { nowMs } = this.#options.schedule;
    const busy = this.network.inFlight + this.#undelivered + this.#waiting + this.#statuses.size + this.#closing.size;
    return busy === 0 && this.#inputs.length === 0 && this.broker.nextTickMs(nowMs) > nowMs + 50;
  }

  /** Lists, in an order that is not to matter, then watches. */
  start(): void {
    const { cluster, random } = this.#options;
    for (const kind of random.shuffled(KINDS)) for (const input of random.shuffled(this.#list(kind))) this.feed(input);
    for (const pod of cluster.pods.values()) this.#sawPod(pod.facts);
    for (const offer of cluster.offers.values()) this.#sawOffer(offer.facts, offer.version);
    for (const kind of KINDS) this.#seen.set(kind, { atMs: 0, version: cluster.version });
    this.#unwatch = cluster.watch((change) => this.#watched(change));
    this.feed({ type: "opened" });
  }

  die(): void {
    if (!this.alive) return;
    this.alive = false;
    this.#unwatch();
    this.#cancelTick();
    for (const { cancel } of this.#statuses.values()) cancel();
    this.#options.died();
  }

  feed(input: Input): void {
    if (!this.alive) return;
    this.#inputs.push(input);
    if (this.#draining) return;
    this.#draining = true;
    for (let next = this.#inputs.shift(); next !== undefined && this.alive; next = this.#inputs.shift()) {
      this.#apply(next);
    }
    this.#draining = false;
    this.#tickIfDue();
  }

  #tickIfDue(): void {
    if (!this.alive) return;
    const { schedule } = this.#options;
    this.#cancelTick();
    const dueMs = this.broker.nextTickMs(schedule.nowMs);
    if (dueMs === Number.POSITIVE_INFINITY) return;
    this.#cancelTick = schedule.at(Math.ceil(dueMs), () => this.feed({ type: "tick" }));
  }

  #apply(input: Input): void {
    if (input.type === "node-observed") this.nodes.set(input.node.name, input.node);
    if (input.type === "node-gone") this.nodes.delete(input.name);
    const effects = this.broker.apply(input, this.#options.schedule.nowMs);
    this.#options.applied(this, input, effects);
    for (const effect of effects) this.#execute(effect);
  }

  #list(kind: Kind): Input[] {
    const { nodes, foreign, frameworks, leases, tasks, pods, offers } = this.#options.cluster;
    const lists: Record<Kind, () => Input[]> = {
      nodes: () => [...nodes.values()].map((node) => ({ type: "node-observed", node })),
      foreign: () => [...foreign.values()].map((pod) => ({ type: "foreign-pod-observed", pod })),
      queues: () => this.#options.cluster.queueInputs(),
      frameworks: () => [...frameworks.values()].map((framework) => ({ type: "framework-observed", framework })),
      leases: () => [...leases.values()].map((lease) => ({ type: "lease-observed", lease })),
      tasks: () =>
        [...tasks.keys()].map((uid) => ({ type: "task-observed", task: this.#options.cluster.taskFacts(uid)! })),
      pods: () => [...pods.values()].map(({ facts }) => ({ type: "pod-observed", pod: facts })),
      offers: () => [...offers.values()].map(({ facts }) => ({ type: "offer-observed", offer: facts })),
    };
    return lists[kind]();
  }

  /** Each kind's changes arrive in order, late. */
  #watched({ kind, version, input }: Change): void {
    const { schedule, random, faults } = this.#options;
    const seen = this.#seen.get(kind)!;
    seen.atMs = Math.max(seen.atMs, schedule.nowMs + random.between(1, 1 + faults.watchMs));
    this.#undelivered++;
    schedule.at(seen.atMs, () => {
      this.#undelivered--;
      seen.version = version;
      if (!this.alive) return;
      if (input.type === "pod-observed") this.#sawPod(input.pod);
      if (input.type === "pod-gone") this.pods.delete(input.pod.uid);
      if (input.type === "offer-observed") this.#sawOffer(input.offer, version);
      if (input.type === "offer-gone") this.#offers.delete(input.key);
      this.feed(input);
    });
  }

  #sawPod(pod: PodObject["facts"]): void {
    this.pods.set(pod.uid, pod);
    this.#made.add(attemptOf(pod));
  }

  #sawOffer(facts: OfferObject["facts"], version: number): void {
    const known = this.#offers.get(facts.key);
    if (known !== undefined && known.version > version) return;
    this.#offers.set(facts.key, { facts, version });
    if (facts.phase === "Open") return;
    this.#options.schedule.in(ENDED_OFFER_MS, () => {
      if (this.alive) this.#options.cluster.removeOffer(facts.key);
    });
  }

  #execute(effect: Effect): void {
    const { cluster } = this.#options;
    switch (effect.type) {
      case "create-pod":
        this.#create(effect, undefined);
        break;
      case "delete-pod":
        deletePod(effect, cluster, (label, write, done) => this.#persist(label, write, done));
        break;
      case "release-pod":
        this.#persist(effect.type, () => cluster.releasePod(effect.key, effect.uid));
        break;
      case "delete-task":
        this.#persist(effect.type, () => cluster.removeTask(effect.uid));
        break;
      case "size-template":
        this.#size(effect.templateKey, effect.taskUid);
        break;
      case "publish-offer":
        this.#publish(effect.offer);
        break;
      case "close-offer":
        this.#closing.set(effect.key, effect);
        if (!this.#busyOffers.has(effect.key)) this.#close(effect.key);
        break;
      case "confirm-absence":
        confirmAbsence(effect.framework, cluster, this, () => this.#seen.get("leases")!.version);
        break;
      case "task-changed":
        this.#statusChanged(effect.uid, effect.urgent);
        break;
      case "framework-changed":
      case "queue-changed":
        this.#look(effect);
        break;
    }
  }

  /** Statuses of Frameworks are not written here; now and then they are worked out, for they must not fail. */
  #look(effect: Extract<Effect, { type: "framework-changed" | "queue-changed" }>): void {
    if (effect.type === "queue-changed") this.#queueRecords.changed(effect.name);
    else if (this.#options.random.chance(0.1))
      check(this.broker.frameworkView(effect.key)?.why.message !== "", "there is always a reason");
  }

  #later(delayMs: number, run: () => void): void {
    this.#waiting++;
    this.#options.schedule.in(delayMs, () => {
      this.#waiting--;
      if (this.alive) run();
    });
  }

  /** Sends until a reply comes. */
  #persist(label: string, write: () => void, done: () => void = () => {}): void {
    const wrapped = () => {
      write();
      return {};
    };
    this.network.send(label, wrapped, (result) => {
      if (result !== undefined) done();
      else this.#later(RETRY_MS, () => this.#persist(label, write, done));
    });
  }

  /** `unknownSinceMs`: when a try last ended in a way that leaves open whether the pod exists or will. */
  #create(effect: CreatePod, unknownSinceMs: number | undefined): void {
    if (this.#made.has(attemptOf(effect.attempt))) return;
    const { cluster, schedule, random, faults } = this.#options;
    const refused = random.chance(faults.refusal);
    const byQuota = refused && random.chance(0.5);
    const write = () =>
      refused ? { refused: "exceeded quota" } : snapshot(cluster.createPod(effect), cluster.version);
    this.network.send("create-pod", write, (result) => {
      if (result === undefined) {
        this.#later(RETRY_MS, () => this.#create(effect, schedule.nowMs));
      } else if ("facts" in result) {
        this.#created(result.facts, result.version);
      } else if (unknownSinceMs === undefined || schedule.nowMs - unknownSinceMs >= SETTLE_MS) {
        this.feed({ type: "pod-refused", attempt: effect.attempt, message: result.refused, byQuota });
      } else {
        this.#later(5_000, () => this.#create(effect, unknownSinceMs));
      }
    });
  }

  /** The watch may have shown the pod already, and more of it; or have seen it go; or it will show it. */
  #created(facts: PodObject["facts"], version: number): void {
    const known = this.pods.get(facts.uid);
    this.feed({ type: "pod-created", pod: known ?? facts });
    if (known === undefined && this.#seen.get("pods")!.version >= version) this.feed({ type: "pod-gone", pod: facts });
  }

  #size(templateKey: string, taskUid: string): void {
    const { cluster } = this.#options;
    const write = () => ({ made: cluster.templates.get(templateKey) ?? cluster.tasks.get(taskUid)?.facts.requests });
    this.network.send("size-template", write, (result) => {
      if (result === undefined) this.#later(RETRY_MS, () => this.#size(templateKey, taskUid));
      else if (typeof result.made === "object") {
        this.feed({ type: "template-sized", templateKey, requests: result.made });
      } else this.feed({ type: "template-refused", templateKey, message: result.made ?? "the Task is gone" });
    });
  }

  #publish(draft: OfferDraft): void {
    const { cluster, random, faults } = this.#options;
    const { key } = draft;
    const refused = random.chance(faults.refusal);
    this.#busyOffers.add(key);
    const done = (input: Input) => {
      this.#busyOffers.delete(key);
      this.feed(input);
      if (this.#closing.has(key)) this.#close(key);
    };
    const attempt = (): void => {
      const write = () => (refused ? {} : { uid: cluster.createOffer(draft).facts.uid });
      this.network.send("publish-offer", write, (result) => {
        if (result === undefined) this.#later(RETRY_MS, attempt);
        else if (result.uid !== undefined) done({ type: "offer-published", key, uid: result.uid });
        else done({ type: "offer-unpublished", key, message: "exceeded quota" });
      });
    };
    this.#later(random.between(0, faults.requestMs), () => {
      if (this.#closing.has(key)) done({ type: "offer-unpublished", key, message: "it ended before" });
      else attempt();
    });
  }

  /** Writes the end that the broker wants by now; an answer that was written first is told to it. */
  #close(key: string): void {
    const { cluster } = this.#options;
    this.#busyOffers.add(key);
    const effect = this.#closing.get(key)!;
    const known = this.#offers.get(key);
    if (known === undefined) {
      this.#fetch(key);
      return;
    }
    const byItself = effect.phase === "Expired" || effect.phase === "Rescinded";
    if (
      known.facts.phase === "Open" &&
      known.facts.answer !== undefined &&
      byItself &&
      this.#told.get(key) !== effect
    ) {
      this.#told.set(key, effect);
      this.feed({ type: "offer-observed", offer: known.facts });
      this.#later(ANSWER_TURN_MS, () => this.#close(key));
      return;
    }
    const write = () => ({ written: cluster.closeOffer(effect, known.version) });
    this.network.send("close-offer", write, (result) => {
      if (result?.written === true) this.#closed(key);
      else this.#fetch(key);
    });
  }

  #fetch(key: string): void {
    const read = () => {
      const offer = this.#options.cluster.offers.get(key);
      return offer === undefined ? {} : { facts: offer.facts, version: offer.version };
    };
    this.network.send("get-offer", read, (result) => {
      if (result === undefined) this.#later(RETRY_MS, () => this.#fetch(key));
      else if (result.facts === undefined || result.facts.phase !== "Open") this.#closed(key);
      else {
        this.#sawOffer(result.facts, result.version);
        this.#close(key);
      }
    });
  }

  #closed(key: string): void {
    this.#busyOffers.delete(key);
    this.#closing.delete(key);
    this.#told.delete(key);
    this.feed({ type: "offer-closed", key });
  }

  #statusChanged(uid: string, urgent: boolean): void {
    if (this.#writing.has(uid)) {
      this.#again.set(uid, urgent || this.#again.get(uid) === true);
      return;
    }
    const known = this.#statuses.get(uid);
    if (known !== undefined && (known.urgent || !urgent)) return;
    known?.cancel();
    const cancel = this.#options.schedule.in(urgent ? 0 : STATUS_DEBOUNCE_MS, () => {
      this.#statuses.delete(uid);
      this.#writeStatus(uid);
    });
    this.#statuses.set(uid, { cancel, urgent });
  }

  #writeStatus(uid: string): void {
    const { cluster } = this.#options;
    const view = this.broker.taskView(uid);
    const base = cluster.tasks.get(uid)?.version;
    if (view === undefined || base === undefined) return;
    this.#writing.add(uid);
    // The broker goes on with its own list.
    const status = { ...view, lastFailures: [...view.lastFailures] };
    const write = () => ({ written: cluster.putTaskStatus(uid, status, base) });
    this.network.send("task-status", write, (result) => {
      this.#writing.delete(uid);
      const again = this.#again.get(uid);
      this.#again.delete(uid);
      if (result?.written === true) this.feed({ type: "task-recorded", uid, version: status.version });
      else this.#statusChanged(uid, false);
      if (again !== undefined) this.#statusChanged(uid, again);
    });
  }
}
