import { CONTROLLER_LABEL, FRAMEWORK_LABEL } from "../api/labels.ts";
import { FRAMEWORK, LEASE, NODE, OFFER, POD, QUEUE, TASK } from "./effects/context.ts";
import type { KubeClient, ResourceType } from "./kube/client.ts";
import type { Clock } from "./kube/clock.ts";
import { nodeMessage, podMessage } from "./kube/core-v1.ts";
import type { Message } from "./kube/protobuf.ts";
import { Reflector, type ReflectorEvent } from "./kube/reflector.ts";
import { compareResourceVersions } from "./kube/resource-version.ts";
import type { Transport } from "./kube/transport.ts";
import { type ObservedFramework, projectFramework } from "./observe/framework.ts";
import { type ObservedLease, projectLease } from "./observe/lease.ts";
import { type NodeOptions, type ObservedNode, projectNode } from "./observe/node.ts";
import { type ObservedOffer, projectOffer } from "./observe/offer.ts";
import { type ObservedPod, projectPod } from "./observe/pod.ts";
import { type ObservedProgram, projectProgram } from "./observe/program.ts";
import { type ObservedQueue, projectQueue } from "./observe/queue.ts";
import { type ObservedTask, TaskReader } from "./observe/task.ts";
import { SaidSeldom } from "./said-seldom.ts";
import type { Logger } from "./telemetry.ts";

/** A change of one object, or a list that was applied. */
export type Change<T> = Exclude<ReflectorEvent<T>, { type: "error" }>;

/** Who is told of every change: the term, while there is one. */
export interface WorldListener {
  node(change: Change<ObservedNode>): void;
  pod(change: Change<ObservedPod>): void;
  queue(change: Change<ObservedQueue>): void;
  framework(change: Change<ObservedFramework>): void;
  lease(change: Change<ObservedLease>): void;
  program(change: Change<ObservedProgram>): void;
  task(change: Change<ObservedTask>): void;
  offer(change: Change<ObservedOffer>): void;
}

export interface WorldOptions {
  readonly transport: Transport;
  readonly client: KubeClient;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
  readonly nodes: NodeOptions;
  /** How long a cache may take to show that it is up to date before it is listed again. Default 300 ms. */
  readonly catchUpMs?: number;
}

type Intern = (text: string) => string;

/** Lists of so many objects take one page or two. */
const smallCache = 1_000;

/** What the operator sees of the cluster, leader or standby: one warm cache a kind. */
export class World {
  readonly nodes: Reflector<ObservedNode>;
  readonly pods: Reflector<ObservedPod>;
  readonly queues: Reflector<ObservedQueue>;
  readonly frameworks: Reflector<ObservedFramework>;
  /** Those by which frameworks' programs show life. */
  readonly leases: Reflector<ObservedLease>;
  /** Pods of those programs that Proffer starts; as takers of room they are among `pods`. */
  readonly programs: Reflector<ObservedProgram>;
  readonly tasks: Reflector<ObservedTask>;
  readonly offers: Reflector<ObservedOffer>;
  readonly #options: WorldOptions;
  readonly #seldom: SaidSeldom;
  readonly #taskKeys = new Map<string, string>();
  #listener: WorldListener | undefined;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#seldom = new SaidSeldom(options.clock);
    const reader = new TaskReader();
    this.nodes = this.#reflector(
      NODE,
      (node) => projectNode(node, options.nodes),
      (change) => this.#listener?.node(change),
      { as: nodeMessage },
    );
    this.pods = this.#reflector(POD, roomTaking, (change) => this.#listener?.pod(change), { as: podMessage });
    this.queues = this.#reflector(QUEUE, projectQueue, (change) => this.#listener?.queue(change));
    this.frameworks = this.#reflector(FRAMEWORK, projectFramework, (change) => this.#listener?.framework(change));
    this.leases = this.#reflector(LEASE, projectLease, (change) => this.#listener?.lease(change), {
      labelSelector: FRAMEWORK_LABEL,
    });
    this.programs = this.#reflector(POD, projectProgram, (change) => this.#listener?.program(change), {
      labelSelector: CONTROLLER_LABEL,
    });
    this.tasks = this.#reflector(
      TASK,
      (task) => reader.project(task),
      (change) => {
        this.#indexTask(change);
        this.#listener?.task(change);
      },
    );
    this.offers = this.#reflector(OFFER, projectOffer, (change) => this.#listener?.offer(change));
  }

  get #all(): readonly Reflector<unknown>[] {
    const { nodes, pods, queues, frameworks, leases, programs, tasks, offers } = this;
    return [nodes, pods, queues, frameworks, leases, programs, tasks, offers] as Reflector<unknown>[];
  }

  /** Runs until `stop`; rejects only if a listener threw. */
  async run(): Promise<void> {
    await Promise.all(this.#all.map((reflector) => reflector.start()));
  }

  stop(): void {
    for (const reflector of this.#all) reflector.stop();
  }

  /** True once every cache has been filled, false if stopped before. */
  async synced(): Promise<boolean> {
    return (await Promise.all(this.#all.map((reflector) => reflector.synced))).every(Boolean);
  }

  /** What the caches hold may be of a history that is no more. */
  startOver(): void {
    for (const reflector of this.#all) void reflector.startOver();
  }

  /** From now on `listener` is told of every change; undefined: nobody. */
  listen(listener: WorldListener | undefined): void {
    this.#listener = listener;
  }

  task(uid: string): ObservedTask | undefined {
    const key = this.#taskKeys.get(uid);
    return key === undefined ? undefined : this.tasks.get(key)?.object;
  }

  /** Pods of programs that Proffer starts. */
  programPods(): ObservedProgram[] {
    return [...this.programs.entries()].flatMap(([, { object }]) => object ?? []);
  }

  /** UID of the Task `namespace/name`. */
  taskUid(key: string): string | undefined {
    return this.tasks.get(key)?.uid;
  }

  /**
   * Resolves when every cache is at least as new as the API server was at `sinceMs` (of the monotonic clock); Tasks at
   * least as new as the pods: a pod whose end was recorded and which then went is missing from the cache only if the
   * record is in it. (Whoever led before `sinceMs` let no pod go after it: lists begun since may come in any order.)
   */
  async catchUp(sinceMs: number): Promise<boolean> {
    if (!(await this.#catchUp(this.pods, POD, sinceMs))) return false;
    const rest = [
      this.#catchUp(this.tasks, TASK, sinceMs),
      this.#catchUp(this.nodes, NODE, sinceMs),
      this.#catchUp(this.queues, QUEUE, sinceMs),
      this.#catchUp(this.frameworks, FRAMEWORK, sinceMs),
      this.#catchUp(this.leases, LEASE, sinceMs),
      this.#catchUp(this.programs, POD, sinceMs),
      this.#catchUp(this.offers, OFFER, sinceMs),
    ];
    return (await Promise.all(rest)).every(Boolean);
  }

  /**
   * A process that leads from its start on has lists that are new enough. Else listing a small cache again is the quickest
   * way. Of a large one, a list of one object tells how new the API server is: a warm cache that hears of something newer
   * soon after has all before it; only a quiet one is listed again, or one that knew of something newer: etcd went back.
   */
  async #catchUp<T>(reflector: Reflector<T>, resource: ResourceType, sinceMs: number): Promise<boolean> {
    if (!(await reflector.synced)) return false;
    if (reflector.listedSince(sinceMs)) return true;
    if (reflector.size <= smallCache) return reflector.resync();
    const known = reflector.lastSyncResourceVersion;
    try {
      const list = await this.#options.client.list(resource, { query: { limit: 1 }, priority: "high" });
      const { resourceVersion } = list.metadata;
      const wentBack = known !== undefined && compareResourceVersions(known, resourceVersion) > 0;
      if (!wentBack && (await reflector.waitUntil(resourceVersion, this.#options.catchUpMs ?? 300))) return true;
    } catch (error) {
      this.#options.log.debug({ resource: resource.plural, err: error }, "listing again, with the usual retries");
    }
    return reflector.resync();
  }

  #indexTask(change: Change<ObservedTask>): void {
    if (change.type === "upsert") this.#taskKeys.set(change.uid, change.key);
    else if (change.type === "delete") this.#taskKeys.delete(change.uid);
  }

  #reflector<T>(
    resource: ResourceType,
    project: (object: unknown, intern: Intern) => T | undefined,
    onChange: (change: Change<T>) => void,
    selection: { readonly as?: Message; readonly labelSelector?: string } = {},
  ): Reflector<T> {
    const { transport, clock, random, log } = this.#options;
    return new Reflector<T>({
      resource,
      ...selection,
      transport,
      clock,
      random,
      project,
      onEvent: (event) => {
        if (event.type !== "error") return onChange(event);
        const { key, error: err } = event;
        if (key !== undefined) log.warn({ resource: resource.plural, key, err }, "an object cannot be read");
        else if (this.#seldom.isNews(resource.plural, String(err)))
          log.warn({ resource: resource.plural, err }, "watching failed; trying again");
      },
    });
  }
}

/** Ended pods of others and those without a node are as good as absent. */
function roomTaking(object: unknown, intern: Intern): ObservedPod | undefined {
  const pod = projectPod(object, intern);
  return pod.kind === "none" ? undefined : pod;
}
