import { API_VERSION } from "../api/common.ts";
import { DEFAULT_QUEUE } from "../api/labels.ts";
import type { Effect, Input } from "../offers/messages.ts";
import { unreachable } from "../offers/structures/assert.ts";
import type { BrokerContract } from "./broker-contract.ts";
import { confirmAbsence } from "./effects/absence.ts";
import type { EffectContext } from "./effects/context.ts";
import { QUEUE } from "./effects/context.ts";
import { Explanations } from "./effects/explanations.ts";
import { JobQueue } from "./effects/job-queue.ts";
import { OfferEffects } from "./effects/offers.ts";
import { PodEffects } from "./effects/pods.ts";
import { StatusWriter } from "./effects/statuses.ts";
import { deleteTask, taskStatusKind } from "./effects/task-statuses.ts";
import { releasePod } from "./effects/tracking.ts";
import { frameworkStatusKind, queueStatusKind } from "./effects/tree-statuses.ts";
import { WaitingEvents } from "./effects/waiting-events.ts";
import { isAlreadyExists } from "./kube/api-error.ts";
import type { KubeClient } from "./kube/client.ts";
import type { Clock } from "./kube/clock.ts";
import { Loop, steadyNow } from "./loop.ts";
import { type PodBlueprint, podBlueprint } from "./manifests/pod.ts";
import { podTolerations } from "./observe/framework.ts";
import { Settling } from "./observe/node.ts";
import { Observer, type ObserverOptions } from "./observer.ts";
import { Programs } from "./programs/programs.ts";
import type { Logger, Telemetry } from "./telemetry.ts";
import type { World } from "./world.ts";

export type EventEffect = Extract<Effect, { type: "event" }>;

export interface TermOptions {
  readonly world: World;
  readonly client: KubeClient;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
  readonly telemetry: Telemetry;
  /** True as long as this process leads in this term. */
  readonly fence: () => boolean;
  readonly broker: BrokerContract;
  readonly admission: { readonly mayPublish: boolean; readonly heldBack: string | undefined };
  /** Becomes a Kubernetes event. */
  readonly tell: (event: EventEffect) => void;
  /** The broker knows all that the caches held. */
  readonly onOpen: () => void;
  readonly onBug: (error: unknown) => void;
  readonly settings: TermSettings;
}

export interface TermSettings {
  /** How long a node that joins is left to the DaemonSets. */
  readonly nodeSettleMs: number;
  readonly statusDebounceMs?: number;
  readonly record?: (line: string) => void;
}

const maxBlueprints = 4096;

/**
 * One leader's time in office: a broker that begins with what the caches hold, and everything that carries out its
 * effects. It is made when the caches are as new as the API server, and thrown away whole.
 */
export class Term {
  readonly #options: TermOptions;
  readonly #context: EffectContext;
  readonly #loop: Loop;
  readonly #jobs: JobQueue;
  readonly #pods: PodEffects;
  readonly #offers: OfferEffects;
  readonly #statuses: { readonly task: StatusWriter; readonly framework: StatusWriter; readonly queue: StatusWriter };
  readonly #programs: Programs;
  readonly #explanations: Explanations;
  readonly #observer: Observer;
  readonly #settling: Settling;
  readonly #blueprints = new Map<string, PodBlueprint>();
  #publishing: boolean | undefined;
  #over = false;

  constructor(options: TermOptions) {
    const { world, client, clock, random, log, telemetry, broker, settings, admission } = options;
    this.#options = options;
    const nowMs = steadyNow(clock);
    const feed = (input: Input): void => this.#loop.feed(input);
    const fence = (): boolean => !this.#over && options.fence();
    const context: EffectContext = { client, clock, log, fence, feed };
    this.#context = context;
    this.#loop = new Loop({
      broker,
      clock,
      nowMs,
      execute: (effect) => this.#execute(effect),
      applied: (input) => this.#applied(input),
      ...(settings.record && { record: settings.record }),
      telemetry,
      log,
      onBug: options.onBug,
    });
    // Until the broker has been fed, what it says of Queues and Frameworks is not the half of it.
    this.#jobs = new JobQueue({ clock, random, telemetry, log, holdStatuses: true });
    const waitingEvents = new WaitingEvents({ clock, tell: options.tell });
    this.#explanations = new Explanations({
      broker,
      clock,
      changed: (uid, explanation) => {
        this.#statuses.task.changed(uid, true);
        waitingEvents.waits(world.task(uid), explanation);
      },
    });
    this.#statuses = this.#statusWriters();
    this.#offers = new OfferEffects({
      ...context,
      jobs: this.#jobs,
      cached: (key) => world.offers.get(key)?.object,
      mayPublish: () => admission.mayPublish,
    });
    this.#pods = new PodEffects({
      ...context,
      blueprintOf: (taskUid) => this.#blueprintOf(taskUid),
      created: (pod, resourceVersion) => this.#observer.podCreated(pod, resourceVersion),
    });
    this.#programs = new Programs({
      ...context,
      jobs: this.#jobs,
      nowMs,
      framework: (key) => world.frameworks.get(key)?.object,
      pods: () => world.programPods(),
      changed: (key) => this.#statuses.framework.changed(key),
      tell: (event) => options.tell(event),
    });
    this.#settling = new Settling(settings.nodeSettleMs);
    this.#observer = new Observer({
      world,
      feed,
      nowMs,
      settling: this.#settling,
      statuses: this.#statuses,
      offers: this.#offers,
      pods: this.#pods,
      programs: this.#programs,
      log,
      forgetTask: (uid) => this.#forgetTask(uid),
      queueGone: (name) => {
        if (name === DEFAULT_QUEUE) this.#createDefaultQueue();
      },
    });
  }

  get broker(): BrokerContract {
    return this.#options.broker;
  }

  /** Takes over what the caches hold, without a gap to what they see next, and begins. */
  open(): void {
    const { world } = this.#options;
    this.#tellPublishing();
    this.#observer.feedAll();
    world.listen(this.#observer);
    this.#settling.open();
    this.#loop.feed({ type: "opened" });
    if (world.queues.get(DEFAULT_QUEUE) === undefined) this.#createDefaultQueue();
  }

  /** The leadership has gone, or what the broker knows is in doubt: nothing is sent any more. */
  abandon(): void {
    this.#over = true;
    this.#quiesce();
    void this.#jobs.stop();
  }

  /** Decides nothing more, and lets what is under way end: the next leader need not wonder what became of it. */
  async close(): Promise<void> {
    this.#quiesce();
    await this.#jobs.stop();
    this.#over = true;
  }

  /** Offers that are held back, or no longer, are told of in their Frameworks. */
  admissionChanged(): void {
    this.#tellPublishing();
    for (const [key, { object }] of this.#options.world.frameworks.entries()) {
      if (object?.facts?.scheduler === "Offers") this.#statuses.framework.changed(key);
    }
  }

  /** An offer that waits to be published would hold room that nobody can use. */
  #tellPublishing(): void {
    const allowed = this.#options.admission.mayPublish;
    if (allowed === this.#publishing) return;
    this.#publishing = allowed;
    this.#loop.feed({ type: "publishing", allowed });
  }

  #quiesce(): void {
    this.#options.world.listen(undefined);
    this.#loop.stop();
    this.#offers.stop();
    this.#explanations.stop();
    this.#programs.stop();
    for (const writer of Object.values(this.#statuses)) writer.stop();
  }

  #statusWriters(): ObserverOptions["statuses"] {
    const { world, broker, clock, settings, admission } = this.#options;
    const context = this.#context;
    const { statusDebounceMs } = settings;
    const tree = {
      broker,
      clock,
      framework: (key: string) => world.frameworks.get(key)?.object,
      queue: (name: string) => world.queues.get(name)?.object,
      unpublished: () => admission.heldBack,
      controller: (key: string) => this.#programs.status(key),
    };
    const task = taskStatusKind({
      ...context,
      broker,
      task: (uid) => world.task(uid),
      waiting: (uid) => this.#explanations.of(uid),
      ...(statusDebounceMs !== undefined && { debounceMs: statusDebounceMs }),
    });
    return {
      task: new StatusWriter(context, this.#jobs, task),
      framework: new StatusWriter(context, this.#jobs, frameworkStatusKind(tree)),
      queue: new StatusWriter(context, this.#jobs, queueStatusKind(tree)),
    };
  }

  #execute(effect: Effect): void {
    const jobs = this.#jobs;
    switch (effect.type) {
      case "create-pod":
        jobs.add(this.#pods.create(effect));
        break;
      case "delete-pod":
        jobs.add(this.#pods.delete(effect));
        break;
      case "size-template":
        jobs.add(this.#pods.size(effect));
        break;
      case "publish-offer":
        this.#offers.publish(effect.offer);
        break;
      case "close-offer":
        this.#offers.close(effect);
        break;
      case "release-pod":
        jobs.add(releasePod(effect, this.#context, (key) => this.#cachedPod(key)));
        break;
      case "confirm-absence":
        jobs.add(confirmAbsence(effect, this.#context, (...read) => this.#observer.leasesListed(...read)));
        break;
      case "task-changed":
        this.#statuses.task.changed(effect.uid, effect.urgent);
        this.#explanations.look(effect.uid);
        break;
      case "framework-changed":
        this.#statuses.framework.changed(effect.key);
        break;
      case "queue-changed":
        this.#statuses.queue.changed(effect.name, effect.urgent);
        break;
      case "delete-task":
        jobs.add(deleteTask(effect, this.#context));
        break;
      case "event":
        this.#options.tell(effect);
        break;
      default:
        unreachable(effect);
    }
  }

  #applied(input: Input): void {
    if (input.type === "opened") {
      this.#jobs.releaseStatuses();
      this.#options.onOpen();
    }
    if (input.type === "task-observed") this.#explanations.look(input.task.uid);
    const mayEndOffers = input.type === "tick" || input.type.startsWith("offer-");
    if (!mayEndOffers) return;
    for (const offer of this.#options.broker.drainEndedOffers()) this.#options.telemetry.offerEnded(offer);
  }

  #blueprintOf(taskUid: string): PodBlueprint | undefined {
    const known = this.#blueprints.get(taskUid);
    if (known !== undefined) return known;
    const { world } = this.#options;
    const task = world.task(taskUid);
    if (task?.template.template === undefined || task.spec === undefined) return undefined;
    const framework = world.frameworks.get(task.framework)?.object;
    const blueprint = podBlueprint({
      namespace: task.namespace ?? "",
      task: task.name,
      taskUid,
      framework: task.spec.framework,
      instances: task.spec.instances,
      template: task.template.template,
      tolerations: podTolerations(task.spec, framework),
      unreachableSeconds: framework?.unreachableSeconds ?? 60,
    });
    const [oldest] = this.#blueprints.keys();
    if (this.#blueprints.size >= maxBlueprints && oldest !== undefined) this.#blueprints.delete(oldest);
    this.#blueprints.set(taskUid, blueprint);
    return blueprint;
  }

  #cachedPod(key: string) {
    const pod = this.#options.world.pods.get(key)?.object;
    return pod?.kind === "own" ? pod : undefined;
  }

  #forgetTask(uid: string): void {
    this.#blueprints.delete(uid);
    if (this.#options.world.task(uid) === undefined) this.#explanations.gone(uid);
  }

  /**
   * It always exists, open to every namespace, so that a Framework that names no queue can run. Since everybody may use it,
   * nobody gives himself more weight there than the others have.
   */
  #createDefaultQueue(): void {
    const { client, log } = this.#options;
    const { fence } = this.#context;
    const spec = { weight: 1, order: "DominantShare", namespaces: ["*"], maxFrameworkWeight: 1 };
    const body = { apiVersion: API_VERSION, kind: "Queue", metadata: { name: DEFAULT_QUEUE }, spec };
    const run = async (): Promise<"done"> => {
      try {
        await client.create(QUEUE, body, { idempotent: true, fence });
        log.info({ queue: DEFAULT_QUEUE }, "created the default queue");
      } catch (error) {
        if (!isAlreadyExists(error)) throw error;
      }
      return "done";
    };
    this.#jobs.add({ key: `queue/${DEFAULT_QUEUE}`, lane: "launch", type: "create-queue", run });
  }
}
