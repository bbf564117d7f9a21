import type {
  Answer,
  Effect,
  ForeignPodFacts,
  FrameworkFacts,
  Input,
  NodeFacts,
  OfferDraft,
  OfferFacts,
  PodFacts,
  TaskFacts,
} from "../offers/messages.ts";
import type { LeaseFacts } from "../offers/program-facts.ts";
import type { QueueFacts, QueueRecord } from "../offers/queues/queue-facts.ts";
import type { Quantities } from "../offers/resources.ts";
import type { TaskView } from "../offers/views.ts";

export type CreatePod = Extract<Effect, { type: "create-pod" }>;
export type CloseOffer = Extract<Effect, { type: "close-offer" }>;

export type Kind = "nodes" | "foreign" | "queues" | "frameworks" | "leases" | "tasks" | "pods" | "offers";

/** What a watch tells: an object as it is now, or that it is gone. */
export interface Change {
  readonly kind: Kind;
  readonly version: number;
  readonly input: Input;
}

export interface PodObject {
  facts: PodFacts;
  version: number;
}

export interface TaskObject {
  facts: TaskFacts;
  status: TaskView | undefined;
  version: number;
}

export interface OfferObject {
  facts: OfferFacts;
  readonly draft: OfferDraft;
  version: number;
}

export type CreatedPod = { readonly pod: PodObject; readonly isNew: boolean } | { readonly refused: string };

/** The objects of a Kubernetes cluster as its API server keeps them, with watches and without any opinion. */
export class Cluster {
  version = 0;
  readonly nodes = new Map<string, NodeFacts>();
  readonly foreign = new Map<string, ForeignPodFacts>();
  readonly queues = new Map<string, QueueFacts>();
  readonly queueRecords = new Map<string, QueueRecord>();
  readonly frameworks = new Map<string, FrameworkFacts>();
  readonly leases = new Map<string, LeaseFacts>();
  /** By UID. */
  readonly tasks = new Map<string, TaskObject>();
  /** By key, "namespace/name". */
  readonly pods = new Map<string, PodObject>();
  readonly offers = new Map<string, OfferObject>();
  /** What admission makes of a template: its requests, or why it is refused. */
  readonly templates = new Map<string, Quantities | string>();
  readonly #watchers = new Set<(change: Change) => void>();
  #uids = 0;

  /** Returns what ends the watch. */
  watch(watcher: (change: Change) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  uid(prefix: string): string {
    return `${prefix}-u${this.#uids++}`;
  }

  putNode(node: NodeFacts): void {
    this.nodes.set(node.name, node);
    this.#tell("nodes", { type: "node-observed", node });
  }

  removeNode(name: string): void {
    if (this.nodes.delete(name)) this.#tell("nodes", { type: "node-gone", name });
  }

  putForeign(pod: ForeignPodFacts): void {
    this.foreign.set(pod.uid, pod);
    this.#tell("foreign", { type: "foreign-pod-observed", pod });
  }

  removeForeign(uid: string): void {
    if (this.foreign.delete(uid)) this.#tell("foreign", { type: "foreign-pod-gone", uid });
  }

  putQueue(declared: QueueFacts): void {
    const known = this.queues.get(declared.name);
    const queue = {
      ...declared,
      createdAtMs: known?.createdAtMs ?? this.version,
      generation: (known?.generation ?? 0) + 1,
    };
    this.queues.set(queue.name, queue);
    this.#tell("queues", { type: "queue-observed", queue });
  }

  /** As a leader lists them. */
  queueInputs(): Input[] {
    return [...this.queues.values()].map((queue) => {
      const recorded = this.queueRecords.get(queue.name);
      return { type: "queue-observed", queue, ...(recorded && { recorded }) };
    });
  }

  /** What a leader writes into the status, unless it is another queue of that name by now. */
  recordQueue(name: string, createdAtMs: number, record: QueueRecord): void {
    if (this.queues.get(name)?.createdAtMs === createdAtMs) this.queueRecords.set(name, record);
  }

  removeQueue(name: string): void {
    this.queueRecords.delete(name);
    if (this.queues.delete(name)) this.#tell("queues", { type: "queue-gone", name });
  }

  putFramework(framework: FrameworkFacts): void {
    this.frameworks.set(framework.key, framework);
    this.#tell("frameworks", { type: "framework-observed", framework });
  }

  removeFramework(key: string): void {
    if (this.frameworks.delete(key)) this.#tell("frameworks", { type: "framework-gone", key });
  }

  putLease(lease: LeaseFacts): void {
    this.leases.set(lease.key, lease);
    this.#tell("leases", { type: "lease-observed", lease });
  }

  removeLease(key: string): void {
    if (this.leases.delete(key)) this.#tell("leases", { type: "lease-gone", key });
  }

  leasesOf(framework: string): LeaseFacts[] {
    return [...this.leases.values()].filter((lease) => lease.framework === framework);
  }

  putTask(facts: TaskFacts): void {
    const known = this.tasks.get(facts.uid);
    if (known === undefined) this.tasks.set(facts.uid, { facts, status: undefined, version: this.version + 1 });
    else known.facts = facts;
    this.#tell("tasks", { type: "task-observed", task: this.taskFacts(facts.uid)! });
  }

  /** Facts with what the status records, as a list shows them. */
  taskFacts(uid: string): TaskFacts | undefined {
    const task = this.tasks.get(uid);
    if (task?.status === undefined) return task?.facts;
    const { succeededIndexes, failedIndexes, attempts, counts, lastFailures, startedAtMs, finishedAtMs } = task.status;
    const { startedTogether } = task.status;
    const { failed, killed, lost } = counts;
    const recorded = {
      succeededIndexes,
      failedIndexes,
      attempts: [...attempts],
      counts: { failed, killed, lost },
      lastFailures: [...lastFailures],
      ...(startedTogether === undefined ? {} : { startedTogether }),
      ...(startedAtMs === undefined ? {} : { startedAtMs }),
      ...(finishedAtMs === undefined ? {} : { finishedAtMs }),
    };
    return { ...task.facts, recorded };
  }

  removeTask(uid: string): void {
    if (this.tasks.delete(uid)) this.#tell("tasks", { type: "task-gone", uid });
  }

  /** Based on the version that the writer knows; false: somebody else wrote since. */
  putTaskStatus(uid: string, status: TaskView, basedOn: number): boolean {
    const task = this.tasks.get(uid);
    if (task === undefined || task.version !== basedOn) return false;
    task.status = status;
    task.version = ++this.version;
    return true;
  }

  createPod({ attempt, node, queue, framework, offer }: CreatePod): CreatedPod {
    const { taskUid, index, attempt: number } = attempt;
    const key = `${framework.split("/")[0]}/${taskUid}-${index}-${number}`;
    const known = this.pods.get(key);
    if (known !== undefined) return { pod: known, isNew: false };
    const task = this.tasks.get(taskUid)?.facts;
    if (task === undefined) return { refused: "the Task is gone" };
    const requests = this.templates.get(task.templateKey) ?? task.requests;
    if (typeof requests === "string") return { refused: requests };
    const facts: PodFacts = {
      uid: this.uid("pod"),
      key,
      taskUid,
      index,
      attempt: number,
      node,
      queue,
      framework,
      ...(offer === undefined ? {} : { offer }),
      phase: "Pending",
      deleting: false,
      tracked: true,
      requests,
      started: false,
    };
    const pod: PodObject = { facts, version: 0 };
    this.pods.set(key, pod);
    this.#podChanged(pod);
    return { pod, isNew: true };
  }

  /** The kubelet or a controller tells something of a pod. */
  patchPod(key: string, uid: string, patch: Partial<PodFacts>): void {
    const pod = this.#pod(key, uid);
    if (pod === undefined || pod.facts.phase === "Succeeded" || pod.facts.phase === "Failed") return;
    pod.facts = { ...pod.facts, ...patch };
    this.#podChanged(pod);
    this.#removeMaybe(pod);
  }

  /** Marks the pod as one whose room is taken back for a queue. */
  markPod(key: string, uid: string, reclaimedFor: string): void {
    const pod = this.#pod(key, uid);
    if (pod === undefined || pod.facts.reclaimedFor === reclaimedFor) return;
    pod.facts = { ...pod.facts, reclaimedFor };
    this.#podChanged(pod);
  }

  deletePod(key: string, uid: string, graceSeconds: number | undefined): void {
    const pod = this.#pod(key, uid);
    if (pod === undefined) return;
    const forces = graceSeconds === 0 && pod.facts.forced !== true;
    if (!pod.facts.deleting || forces) {
      pod.facts = { ...pod.facts, deleting: true, ...(graceSeconds === 0 ? { forced: true } : {}) };
      this.#podChanged(pod);
    }
    this.#removeMaybe(pod);
  }

  releasePod(key: string, uid: string): void {
    const pod = this.#pod(key, uid);
    if (pod === undefined || !pod.facts.tracked) return;
    pod.facts = { ...pod.facts, tracked: false };
    this.#podChanged(pod);
    this.#removeMaybe(pod);
  }

  createOffer(draft: OfferDraft): OfferObject {
    const known = this.offers.get(draft.key);
    if (known !== undefined) return known;
    const { key, framework, queue, term, concurrency, slices } = draft;
    const uid = this.uid("offer");
    const asked = draft.inverse === undefined ? {} : { inverse: { ...draft.inverse, expiresAtMs: draft.expiresAtMs } };
    const facts = { key, uid, framework, queue, term, concurrency, phase: "Open", slices, ...asked } as const;
    const offer: OfferObject = { facts, draft, version: 0 };
    this.offers.set(key, offer);
    this.#offerChanged(offer);
    return offer;
  }

  /** Once, and while the offer is open; admission sees to that. */
  answerOffer(key: string, answer: Answer): boolean {
    const offer = this.offers.get(key);
    if (offer === undefined || offer.facts.answer !== undefined || offer.facts.phase !== "Open") return false;
    offer.facts = { ...offer.facts, answer };
    this.#offerChanged(offer);
    return true;
  }

  /** Based on the version that the writer knows; false: something was written since. */
  closeOffer({ key, phase }: CloseOffer, basedOn: number): boolean {
    const offer = this.offers.get(key);
    if (offer === undefined || offer.facts.phase !== "Open") return true;
    if (offer.version !== basedOn) return false;
    offer.facts = { ...offer.facts, phase };
    this.#offerChanged(offer);
    return true;
  }

  removeOffer(key: string): void {
    if (this.offers.delete(key)) this.#tell("offers", { type: "offer-gone", key });
  }

  #pod(key: string, uid: string): PodObject | undefined {
    const pod = this.pods.get(key);
    return pod?.facts.uid === uid ? pod : undefined;
  }

  /** A deleted object goes once its finalizers have, and the kubelet has ended it or is not waited for. */
  #removeMaybe(pod: PodObject): void {
    const { deleting, tracked, forced, phase, key } = pod.facts;
    if (!deleting || tracked) return;
    if (forced !== true && phase !== "Succeeded" && phase !== "Failed") return;
    this.pods.delete(key);
    this.#tell("pods", { type: "pod-gone", pod: pod.facts });
  }

  #podChanged(pod: PodObject): void {
    pod.version = this.version + 1;
    this.#tell("pods", { type: "pod-observed", pod: pod.facts });
  }

  #offerChanged(offer: OfferObject): void {
    offer.version = this.version + 1;
    this.#tell("offers", { type: "offer-observed", offer: offer.facts });
  }

  #tell(kind: Kind, input: Input): void {
    const change = { kind, version: ++this.version, input };
    for (const watcher of [...this.#watchers]) watcher(change);
  }
}
