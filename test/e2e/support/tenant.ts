/** A namespace, nodes that no other test uses, and the objects of Proffer in it. */
import type { ApiClient, Json } from "../../../tools/cluster/api-client.ts";
import type { Cluster } from "../../../tools/cluster/cluster.ts";
import { parseShape } from "../../../tools/cluster/node-shapes.ts";
import { type EventuallyOptions, eventually } from "./eventually.ts";
import type { PodWatch, SeenPod } from "./pod-watch.ts";

const OBJECTS = "/apis/proffer.dev/v1alpha1";
export const QUEUES = `${OBJECTS}/queues`;
const FINAL = ["Finished", "Failed", "Killed", "Lost", "Error"];

/** The label of the nodes that belong to one tenant. */
const POOL = "test/pool";

/** What a Task is to be; what is left out is small and runs for ever. */
export interface TaskWishes {
  /** Default `fw`. */
  readonly framework?: string;
  readonly instances?: number;
  /** Default 1 CPU and 64 MiB; undefined takes one of them away. */
  readonly requests?: Readonly<Record<string, string | undefined>>;
  /** How the fake kubelet treats its pods: its annotations, without their prefix. */
  readonly fake?: Readonly<Record<string, string>>;
  /** More of the template's pod spec. */
  readonly pod?: Json;
  /** More of the Task's spec. */
  readonly spec?: Json;
}

export class Tenant {
  readonly namespace: string;
  readonly api: ApiClient;
  readonly #cluster: Cluster;
  readonly #watch: PodWatch;
  #nodes = 0;

  constructor(cluster: Cluster, watch: PodWatch, namespace: string) {
    this.#cluster = cluster;
    this.#watch = watch;
    this.api = cluster.api;
    this.namespace = namespace;
  }

  /** The path of a collection of Proffer's objects, or of one of them. */
  path(plural: "tasks" | "frameworks" | "offers", name = ""): string {
    return `${OBJECTS}/namespaces/${this.namespace}/${plural}${name && `/${name}`}`;
  }

  podPath(name = ""): string {
    return `/api/v1/namespaces/${this.namespace}/pods${name && `/${name}`}`;
  }

  /** Adds nodes of this tenant's pool, all of one shape; returns their names. */
  async nodes(shape: string, count = 1, labels: Readonly<Record<string, string>> = {}): Promise<string[]> {
    const firstNumber = this.#nodes;
    this.#nodes += count;
    return this.#cluster.addNodes(new Array(count).fill(parseShape(shape)), {
      prefix: this.namespace,
      firstNumber,
      labels: { [POOL]: this.namespace, ...labels },
    });
  }

  /** Creates a Framework; a Builtin one named `fw` in queue `default` unless said otherwise. */
  framework(spec: Json = {}, name = "fw"): Promise<Json> {
    return this.api.create(this.path("frameworks"), object("Framework", name, spec));
  }

  /** Creates a Task whose pods go to this tenant's nodes. */
  task(name: string, wishes: TaskWishes = {}): Promise<Json> {
    return this.api.create(this.path("tasks"), this.taskObject(name, wishes));
  }

  taskObject(name: string, wishes: TaskWishes = {}): Json {
    const { framework = "fw", instances = 1, requests = {}, fake = {}, pod = {}, spec = {} } = wishes;
    const asked: Record<string, string | undefined> = { cpu: "1", memory: "64Mi", ...requests };
    const limits = Object.fromEntries(Object.entries(asked).filter(([resource]) => resource.includes("/")));
    const annotations = Object.fromEntries(Object.entries(fake).map(([key, value]) => [`fake-kubelet/${key}`, value]));
    const { constraints = {}, ...rest } = spec;
    return object("Task", name, {
      framework,
      instances,
      constraints: { ...constraints, nodeSelector: { [POOL]: this.namespace, ...constraints.nodeSelector } },
      template: {
        metadata: { annotations },
        spec: { containers: [{ name: "main", image: "busybox", resources: { requests: asked, limits } }], ...pod },
      },
      ...rest,
    });
  }

  patchTask(name: string, spec: Json): Promise<Json> {
    return this.api.patch(this.path("tasks", name), { spec });
  }

  patchFramework(spec: Json, name = "fw"): Promise<Json> {
    return this.api.patch(this.path("frameworks", name), { spec });
  }

  /** Status of a Task; empty while there is none. */
  async status(task: string): Promise<Json> {
    return (await this.api.get(this.path("tasks", task))).status ?? {};
  }

  /** Waits until the Task's status holds; returns it. */
  until(task: string, what: string, holds: (status: Json) => boolean | undefined, options?: EventuallyOptions) {
    return eventually(`task ${this.namespace}/${task}: ${what}`, () => this.status(task), holds, options);
  }

  /** Waits until so many instances are in these states. */
  counts(task: string, wanted: Readonly<Record<string, number>>, options?: EventuallyOptions): Promise<Json> {
    const holds = ({ counts }: Json) => Object.entries(wanted).every(([state, count]) => counts?.[state] === count);
    return this.until(task, JSON.stringify(wanted), holds, options);
  }

  /** Waits for the end of the Task, whatever it is, and returns its last status. */
  ended(task: string, options?: EventuallyOptions): Promise<Json> {
    return this.until(task, "to end", ({ state }) => FINAL.includes(state), options);
  }

  /** Waits until the Task says for this reason (CamelCase) that it waits; returns the text. */
  async waits(task: string, reason: string, options?: EventuallyOptions): Promise<string> {
    const status = await this.until(
      task,
      `to wait because of ${reason}`,
      ({ conditions = [] }) => waiting(conditions)?.reason === reason,
      options,
    );
    return waiting(status.conditions).message;
  }

  /** The pods that are there now, of one Task or of all. */
  async pods(task?: string): Promise<Json[]> {
    const query = task === undefined ? "" : `?labelSelector=proffer.dev/task=${task}`;
    return (await this.api.get(`${this.podPath()}${query}`)).items;
  }

  /** Waits until the pods of a Task hold, as a whole. */
  podsUntil(what: string, holds: (pods: Json[]) => boolean, task?: string, options?: EventuallyOptions) {
    return eventually(`pods of ${this.namespace}/${task ?? ""}: ${what}`, () => this.pods(task), holds, options);
  }

  /** Deletes all Tasks and pods, so that the next test has a cluster without them. */
  async clear(): Promise<void> {
    await this.api.delete(this.path("tasks"));
    await this.api.delete(this.podPath());
    await this.podsUntil("none is left", (pods) => pods.length === 0);
  }

  /** Pods that were ever there, first seen first. */
  async seen(task?: string): Promise<SeenPod[]> {
    const pods = await this.#watch.in(this.namespace);
    return pods.filter((pod) => task === undefined || pod.task === task);
  }

  /** The most pods of this namespace that ever held room at one time. */
  async peak(): Promise<number> {
    await this.#watch.caughtUp(this.namespace);
    return this.#watch.peak((pod) => (pod.namespace === this.namespace ? 1 : 0));
  }
}

export function object(kind: string, name: string, spec: Json): Json {
  return { apiVersion: "proffer.dev/v1alpha1", kind, metadata: { name }, spec };
}

function waiting(conditions: Json[]): Json {
  return conditions.find(({ type, status }) => type === "Waiting" && status === "True");
}
