import type { Input, PodFacts } from "../offers/messages.ts";
import type { OfferEffects } from "./effects/offers.ts";
import type { PodEffects } from "./effects/pods.ts";
import type { StatusWriter } from "./effects/statuses.ts";
import { compareResourceVersions } from "./kube/resource-version.ts";
import { type ObservedFramework, offerTolerations } from "./observe/framework.ts";
import { sameJson } from "./observe/json.ts";
import { type ObservedLease, Sightings } from "./observe/lease.ts";
import { type ObservedNode, type Settling, sameNode } from "./observe/node.ts";
import { type ObservedOffer, sameOffer } from "./observe/offer.ts";
import { type ObservedPod, samePod } from "./observe/pod.ts";
import type { ObservedProgram } from "./observe/program.ts";
import type { ObservedQueue } from "./observe/queue.ts";
import { type ObservedTask, sameTask, taskFacts } from "./observe/task.ts";
import type { Programs } from "./programs/programs.ts";
import type { Logger } from "./telemetry.ts";
import type { Change, World, WorldListener } from "./world.ts";

export interface ObserverOptions {
  readonly world: World;
  readonly feed: (input: Input) => void;
  readonly nowMs: () => number;
  readonly settling: Settling;
  readonly statuses: { readonly task: StatusWriter; readonly framework: StatusWriter; readonly queue: StatusWriter };
  readonly offers: Pick<OfferEffects, "observed" | "gone">;
  readonly pods: Pick<PodEffects, "seen">;
  readonly programs: Pick<Programs, "frameworkChanged" | "podChanged">;
  readonly log: Logger;
  /** The Task, or its Framework, is no longer what pods were made from. */
  readonly forgetTask: (uid: string) => void;
  /** A Queue that must always exist was deleted. */
  readonly queueGone: (name: string) => void;
}

/** Turns what the caches see during a term into inputs, leaving out what changes nothing. */
export class Observer implements WorldListener {
  readonly #options: ObserverOptions;
  /** Pods that the API server has confirmed and the cache has not seen yet. */
  readonly #expected = new Map<string, { readonly facts: PodFacts; readonly resourceVersion: string }>();
  /** Pods of ours whose marks somebody took off: they are ours all the same. */
  readonly #unmarked = new Map<string, PodFacts>();
  readonly #sightings = new Sightings();

  /** Until the Tasks are fed, no Framework has any, and no Lease has been seen to change. */
  #initial = true;

  constructor(options: ObserverOptions) {
    this.#options = options;
  }

  /** Everything that the caches hold; Frameworks before Tasks, which take defaults from them. */
  feedAll(): void {
    const { world } = this.#options;
    for (const [key, { uid, object }] of world.queues.entries()) this.queue(upsert(key, uid, object!));
    for (const [key, { uid, object }] of world.frameworks.entries()) this.framework(upsert(key, uid, object!));
    for (const [key, { uid, object }] of world.leases.entries()) this.lease(upsert(key, uid, object!));
    this.#initial = false;
    for (const [key, { uid, object }] of world.nodes.entries()) this.node(upsert(key, uid, object!));
    for (const [key, { uid, object }] of world.tasks.entries()) this.task(upsert(key, uid, object!));
    for (const [key, { uid, object }] of world.pods.entries()) this.pod(upsert(key, uid, object!));
    for (const [key, { uid, object }] of world.offers.entries()) this.offer(upsert(key, uid, object!));
    for (const [key, { uid, object }] of world.programs.entries()) this.program(upsert(key, uid, object!));
  }

  /**
   * The API server has confirmed a pod of ours. The cache may have seen it already, and more of it; or have seen it go;
   * or it will see it.
   */
  podCreated(facts: PodFacts, resourceVersion: string): void {
    const { feed, world } = this.#options;
    const cached = world.pods.get(facts.key)?.object;
    if (cached?.kind === "own" && cached.uid === facts.uid) {
      feed({ type: "pod-created", pod: cached.facts });
      return;
    }
    feed({ type: "pod-created", pod: facts });
    if (world.pods.hasPassed(resourceVersion)) feed({ type: "pod-gone", pod: facts });
    else this.#expected.set(facts.uid, { facts, resourceVersion });
  }

  node(change: Change<ObservedNode>): void {
    const { feed, nowMs, settling } = this.#options;
    if (change.type === "upsert") {
      if (change.previous !== undefined && sameNode(change.previous, change.object)) return;
      feed({ type: "node-observed", node: settling.factsOf(change.object, nowMs()) });
    } else if (change.type === "delete") {
      settling.forget(change.uid);
      feed({ type: "node-gone", name: change.key });
    }
  }

  pod(change: Change<ObservedPod>): void {
    if (change.type === "synced") {
      this.#podsListed(change.resourceVersion);
      return;
    }
    this.#expected.delete(change.uid);
    if (change.type === "delete") this.#podGone(change.uid, change.object);
    else this.#podSeen(change.object, change.previous);
  }

  queue(change: Change<ObservedQueue>): void {
    const { feed, statuses, queueGone } = this.#options;
    if (change.type === "upsert") {
      const { object, previous, key } = change;
      if (!sameJson(object.facts, previous?.facts)) {
        // What was recorded counts once: from then on the broker knows better.
        const recorded = previous === undefined && object.recorded !== undefined ? { recorded: object.recorded } : {};
        feed({ type: "queue-observed", queue: object.facts, ...recorded });
      }
      statuses.queue.observed(key, object);
      if (object.generation !== previous?.generation) statuses.queue.changed(key);
    } else if (change.type === "delete") {
      feed({ type: "queue-gone", name: change.key });
      statuses.queue.gone(change.key);
      queueGone(change.key);
    }
  }

  framework(change: Change<ObservedFramework>): void {
    const { feed, statuses, programs } = this.#options;
    if (change.type === "upsert") {
      const { object, previous, key } = change;
      if (object.facts === undefined) {
        if (previous?.facts !== undefined) feed({ type: "framework-gone", key });
      } else if (!sameJson(object.facts, previous?.facts)) {
        feed({ type: "framework-observed", framework: object.facts });
      }
      this.#defaultsChanged(object, previous);
      statuses.framework.observed(key, object);
      if (object.generation !== previous?.generation) statuses.framework.changed(key);
      if (!sameJson(object.controller, previous?.controller)) programs.frameworkChanged(key);
    } else if (change.type === "delete") {
      if (change.object?.facts !== undefined) feed({ type: "framework-gone", key: change.key });
      statuses.framework.gone(change.key);
      programs.frameworkChanged(change.key);
    }
  }

  lease(change: Change<ObservedLease>): void {
    const { feed, nowMs } = this.#options;
    if (change.type === "upsert") {
      const lease = this.#sightings.factsOf(change.object, nowMs(), !this.#initial);
      feed({ type: "lease-observed", lease });
    } else if (change.type === "delete") {
      this.#sightings.forget(change.key);
      feed({ type: "lease-gone", key: change.key });
    }
  }

  program(change: Change<ObservedProgram>): void {
    this.#options.programs.podChanged(change);
  }

  /** All Leases of a framework, read just now; the watch may be behind. */
  leasesListed(framework: string, leases: readonly ObservedLease[], resourceVersion: string): void {
    // The watch has shown all of that, and perhaps more.
    if (this.#options.world.leases.hasPassed(resourceVersion)) return;
    for (const lease of leases) this.lease(upsert(lease.key, lease.uid, lease));
    const there = new Set(leases.map(({ key }) => key));
    for (const [key, { object }] of this.#options.world.leases.entries()) {
      if (object?.framework === framework && !there.has(key)) this.#options.feed({ type: "lease-gone", key });
    }
  }

  task(change: Change<ObservedTask>): void {
    const { feed, statuses, forgetTask } = this.#options;
    if (change.type === "upsert") {
      const { object, previous, uid } = change;
      statuses.task.observed(uid, object);
      if (previous !== undefined && sameTask(previous, object)) return;
      this.#feedTask(object);
      if (previous !== undefined && previous.generation !== object.generation) statuses.task.changed(uid);
    } else if (change.type === "delete") {
      feed({ type: "task-gone", uid: change.uid });
      statuses.task.gone(change.uid);
      forgetTask(change.uid);
    }
  }

  offer(change: Change<ObservedOffer>): void {
    const { feed, offers } = this.#options;
    if (change.type === "upsert") {
      offers.observed(change.object);
      if (change.previous !== undefined && sameOffer(change.previous, change.object)) return;
      feed({ type: "offer-observed", offer: change.object.facts });
    } else if (change.type === "delete") {
      offers.gone(change.key, change.uid);
      feed({ type: "offer-gone", key: change.key });
    }
  }

  #podSeen(pod: ObservedPod, previous: ObservedPod | undefined): void {
    const { feed, log } = this.#options;
    if (previous !== undefined && samePod(previous, pod)) return;
    if (pod.kind === "own") {
      this.#options.pods.seen(pod.facts);
      this.#unmarked.delete(pod.uid);
      if (previous?.kind === "foreign") feed({ type: "foreign-pod-gone", uid: pod.uid });
      feed({ type: "pod-observed", pod: pod.facts });
      return;
    }
    if (pod.kind !== "foreign" || this.#unmarked.has(pod.uid)) return;
    if (previous?.kind === "own") {
      this.#unmarked.set(pod.uid, previous.facts);
      log.warn({ pod: previous.facts.key }, "somebody took Proffer's labels or owner off a pod; it counts as before");
      return;
    }
    feed({ type: "foreign-pod-observed", pod: pod.facts });
  }

  #podGone(uid: string, pod: ObservedPod | undefined): void {
    const { feed } = this.#options;
    const own = this.#unmarked.get(uid) ?? (pod?.kind === "own" ? pod.facts : undefined);
    this.#unmarked.delete(uid);
    if (own !== undefined) feed({ type: "pod-gone", pod: own });
    else if (pod?.kind === "foreign") feed({ type: "foreign-pod-gone", uid });
  }

  /**
   * A pod that was created before this list and is not in it has come and gone unseen. One that was created after it
   * may well exist: its absence says nothing.
   */
  #podsListed(resourceVersion: string): void {
    for (const [uid, expected] of this.#expected) {
      if (compareResourceVersions(expected.resourceVersion, resourceVersion) > 0) continue;
      this.#expected.delete(uid);
      this.#options.feed({ type: "pod-gone", pod: expected.facts });
    }
  }

  #feedTask(task: ObservedTask): void {
    const framework = this.#options.world.frameworks.get(task.framework)?.object;
    this.#options.feed({ type: "task-observed", task: taskFacts(task, framework) });
  }

  /** What Tasks leave open comes from their Framework, which may come later or change. */
  #defaultsChanged(framework: ObservedFramework, previous: ObservedFramework | undefined): void {
    const { world, forgetTask } = this.#options;
    const { taskDefaults, unreachableSeconds } = framework;
    const sameDefaults = sameJson(taskDefaults, previous?.taskDefaults ?? {});
    const sameEviction = previous === undefined || unreachableSeconds === previous.unreachableSeconds;
    const sameTolerations = sameJson(offerTolerations(framework), offerTolerations(previous));
    if (this.#initial || (sameDefaults && sameEviction && sameTolerations)) return;
    for (const [, { object: task }] of world.tasks.entries()) {
      if (task?.framework !== framework.key) continue;
      forgetTask(task.uid);
      if (!sameDefaults) this.#feedTask(task);
    }
  }
}

function upsert<T>(key: string, uid: string, object: T): Change<T> {
  return { type: "upsert", key, uid, object, previous: undefined };
}
