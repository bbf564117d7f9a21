import { GROUP, VERSION } from "../../api/common.ts";
import type { Framework, FrameworkInput } from "../../api/framework.ts";
import type { Offer } from "../../api/offer.ts";
import type { Task, TaskInput, TaskSpec } from "../../api/task.ts";
import { isAlreadyExists } from "../../controller/kube/api-error.ts";
import type { ResourceRef } from "../../controller/kube/client.ts";
import type { WatchedObject } from "../../controller/kube/list-watch.ts";
import { Reflector, type ReflectorEvent } from "../../controller/kube/reflector.ts";
import { type Answer, type AnswerResult, sendAnswer } from "./answer.ts";
import type { Connection } from "./connection.ts";
import { type GiveBack, InverseAnswers, type InverseOffer, isInverse } from "./inverse-offers.ts";
import { LeaseKeeper } from "./lease-keeper.ts";

/** Something that happened to one of the framework's objects. */
export type Change =
  | { readonly type: "offer"; readonly offer: Offer }
  | { readonly type: "offer-gone"; readonly offer: Offer }
  /** Capacity is asked back: see `FrameworkClientOptions.giveBack`. */
  | { readonly type: "inverse-offer"; readonly offer: InverseOffer }
  | { readonly type: "inverse-offer-gone"; readonly offer: InverseOffer }
  | { readonly type: "task"; readonly task: Task }
  | { readonly type: "task-gone"; readonly task: Task }
  | { readonly type: "framework"; readonly framework: Framework }
  | { readonly type: "framework-gone"; readonly framework: Framework };

export interface FrameworkClientOptions {
  readonly connection: Connection;
  readonly namespace: string;
  /** The Framework's name. */
  readonly framework: string;
  /** Called with every change, also with those that a broken watch missed. Look at the state, not at the event. */
  readonly onChange?: (change: Change) => void;
  /** Called once with each open inverse offer, to choose what to give back. Absent: the operator chooses in the end. */
  readonly giveBack?: GiveBack;
  /** A watch failed, or the Lease could not be renewed; it goes on by itself. For logs. */
  readonly onError?: (error: unknown) => void;
  /** After so long without a renewal of its Lease the program counts as away. Default 30. */
  readonly leaseSeconds?: number;
}

/**
 * A framework's side of the API: its offers, tasks and its own Framework object, kept up to date by watches that survive
 * breaks and restarts of the server, and the few writes that a tenant may do. While it runs, it renews a Lease, by which
 * the operator knows that the program is there.
 */
export class FrameworkClient {
  readonly #options: FrameworkClientOptions;
  readonly #offers: Reflector<Offer>;
  readonly #tasks: Reflector<Task>;
  readonly #framework: Reflector<Framework>;
  readonly #lease: LeaseKeeper;
  readonly #stopped = new AbortController();
  readonly #inverse: InverseAnswers;

  constructor(options: FrameworkClientOptions) {
    this.#options = options;
    const ours = `spec.framework=${options.framework}`;
    const { giveBack = () => undefined } = options;
    this.#inverse = new InverseAnswers(options.connection, giveBack, (error) => options.onError?.(error));
    this.#offers = this.#reflector<Offer>("offers", ours, (type, offer) => this.#offerChange(type, offer));
    this.#tasks = this.#reflector<Task>("tasks", ours, (type, task) => ({
      type: type === "upsert" ? "task" : "task-gone",
      task,
    }));
    const itself = `metadata.name=${options.framework}`;
    this.#framework = this.#reflector<Framework>("frameworks", itself, (type, framework) => ({
      type: type === "upsert" ? "framework" : "framework-gone",
      framework,
    }));
    const { connection, namespace, framework, leaseSeconds, onError } = options;
    const owner = () => this.framework();
    this.#lease = new LeaseKeeper({ connection, namespace, framework, owner, durationSeconds: leaseSeconds, onError });
  }

  /** Resolves true once everything has been listed, false if stopped before. */
  get synced(): Promise<boolean> {
    const all = [this.#offers.synced, this.#tasks.synced, this.#framework.synced];
    return Promise.all(all).then((parts) => parts.every(Boolean));
  }

  /** Watches until `stop`, and gives the Lease back at the end; rejects only if `onChange` threw. */
  async start(): Promise<void> {
    const renewing = this.#lease.run(this.#stopped.signal);
    try {
      await Promise.all([this.#offers.start(), this.#tasks.start(), this.#framework.start()]);
    } finally {
      this.stop();
      await renewing;
    }
  }

  stop(): void {
    this.#stopped.abort();
    for (const reflector of [this.#offers, this.#tasks, this.#framework]) reflector.stop();
  }

  /** The offers of capacity that were made to the framework, open and ended, by name. */
  offers(): Offer[] {
    return inOrder(this.#offers).filter((offer) => !isInverse(offer));
  }

  /** What is, or was of late, asked back of it, by name. */
  inverseOffers(): InverseOffer[] {
    return inOrder(this.#offers).filter(isInverse);
  }

  /** The framework's Tasks by name. */
  tasks(): Task[] {
    return inOrder(this.#tasks);
  }

  /** The Framework object, if it exists. */
  framework(): Framework | undefined {
    return this.#framework.get(`${this.#options.namespace}/${this.#options.framework}`)?.object;
  }

  /** Answers an offer: see `sendAnswer`. */
  answer(offer: Offer, answer: Answer): Promise<AnswerResult> {
    return sendAnswer(this.#options.connection, offer, answer);
  }

  /** Returns the Framework, or creates it where there is none; that asks for a right that a program need not have. */
  async createFramework(spec: FrameworkInput["spec"]): Promise<Framework> {
    const there = await this.#options.connection.client.find(this.#ref("frameworks", this.#options.framework));
    if (there !== undefined) return there as unknown as Framework;
    return this.#create<Framework>("frameworks", "Framework", this.#options.framework, {}, spec);
  }

  /** Changes fields of the Framework's spec; null removes a field, a list replaces the whole list. */
  async patchFramework(spec: object): Promise<Framework> {
    const { client } = this.#options.connection;
    const patched = await client.mergePatch(this.#ref("frameworks", this.#options.framework), { spec });
    return patched as unknown as Framework;
  }

  /** Creates a Task of this framework, or returns the one of that name that is there. */
  async createTask(
    name: string,
    spec: Omit<TaskInput["spec"], "framework">,
    labels: Record<string, string> = {},
  ): Promise<Task> {
    return this.#create<Task>("tasks", "Task", name, labels, { ...spec, framework: this.#options.framework });
  }

  /** Ends instances of a Task, or all of them. */
  async killTask(name: string, kill: TaskSpec["kill"] = {}): Promise<void> {
    await this.#options.connection.client.mergePatch(this.#ref("tasks", name), { spec: { kill } });
  }

  #offerChange(type: "upsert" | "delete", offer: Offer): Change {
    if (!isInverse(offer)) return { type: type === "upsert" ? "offer" : "offer-gone", offer };
    if (type === "upsert") this.#inverse.seen(offer);
    else this.#inverse.gone(offer);
    return { type: type === "upsert" ? "inverse-offer" : "inverse-offer-gone", offer };
  }

  async #create<T>(
    plural: string,
    kind: string,
    name: string,
    labels: Record<string, string>,
    spec: object,
  ): Promise<T> {
    const { client } = this.#options.connection;
    const metadata = { name, namespace: this.#options.namespace, labels };
    const object = { apiVersion: `${GROUP}/${VERSION}`, kind, metadata, spec };
    try {
      // The name is ours: a repeated request can do no more than find what it has made.
      return (await client.create(this.#ref(plural), object, { idempotent: true })) as unknown as T;
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      return (await client.get(this.#ref(plural, name))) as unknown as T;
    }
  }

  #ref(plural: string, name?: string): ResourceRef {
    return { group: GROUP, version: VERSION, plural, namespace: this.#options.namespace, name };
  }

  #reflector<T extends object>(
    plural: string,
    fieldSelector: string,
    changeOf: (type: "upsert" | "delete", object: T) => Change,
  ): Reflector<T> {
    const { connection, namespace, onChange, onError } = this.#options;
    return new Reflector<T>({
      transport: connection.transport,
      clock: connection.clock,
      random: connection.random,
      resource: { group: GROUP, version: VERSION, plural },
      namespace,
      fieldSelector,
      project: (object) => withoutManagedFields(object) as unknown as T,
      onEvent: (event: ReflectorEvent<T>) => {
        if (event.type === "error") onError?.(event.error);
        else if (event.type !== "synced" && event.object) onChange?.(changeOf(event.type, event.object));
      },
    });
  }
}

function withoutManagedFields(object: WatchedObject): object {
  const { managedFields: _, ...metadata } = object.metadata as Record<string, unknown>;
  return { ...object, metadata };
}

function inOrder<T>(reflector: Reflector<T>): T[] {
  return [...reflector.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { object }]) => object)
    .filter((object) => object !== undefined);
}
