import { GROUP, VERSION } from "../../api/common.ts";
import { TASK_UID_LABEL } from "../../api/labels.ts";
import type { Task } from "../../api/task.ts";
import { isStatus } from "../../controller/kube/api-error.ts";
import { Reflector, type ReflectorEvent } from "../../controller/kube/reflector.ts";
import type { Session } from "../connection.ts";
import { CliError, sentenceOf } from "../errors.ts";
import { type AttemptPod, attemptOf } from "./pods.ts";
import { Poller, type PollerOptions } from "./poller.ts";

export interface TaskWatchOptions {
  readonly session: Session;
  readonly name: string;
  readonly uid: string;
  readonly onTask: (task: Task) => void;
  readonly onPod: (pod: AttemptPod) => void;
  readonly onPodGone: (name: string) => void;
  /** Pods cannot be watched for want of rights; the Task still is. */
  readonly onPodsRefused: (why: string) => void;
}

/** An API server that starts refuses this and that for a moment: what was granted before is lost only after this time. */
const refusedForMs = 30_000;
/** Refusals that are further apart have nothing to do with each other. */
const unrelatedMs = 15_000;
/** Seconds of silence of the API server are nothing to tell of. */
const backoff = { baseMs: 500, maxMs: 5_000 };

/** For those who may list and not watch. */
const pollMs = 2_000;

/**
 * Follows one Task and its pods, through breaks and restarts of the API server. Where the right to watch is missing, it looks
 * again and again.
 */
export class TaskWatch {
  readonly #options: TaskWatchOptions;
  #tasks: Source<Task>;
  #pods: Source<AttemptPod>;
  readonly #polls: Readonly<Record<Kind, () => void>>;
  readonly #polling = new Set<Kind>();
  readonly #gone = Promise.withResolvers<never>();
  #away = false;
  readonly #refusals = { tasks: new Refusals(), pods: new Refusals() };
  #stopListening: () => void = () => {};

  constructor(options: TaskWatchOptions) {
    const { session, name, uid } = options;
    const { transport, clock, random, namespace } = session;
    const tasks: Followed<Task> = {
      transport,
      clock,
      namespace,
      resource: { group: GROUP, version: VERSION, plural: "tasks" },
      fieldSelector: `metadata.name=${name}`,
      project: (object) => object as unknown as Task,
      onEvent: (event) => this.#onTaskEvent(event),
    };
    const pods: Followed<AttemptPod> = {
      transport,
      clock,
      namespace,
      resource: { group: "", version: "v1", plural: "pods" },
      labelSelector: `${TASK_UID_LABEL}=${uid}`,
      project: attemptOf,
      onEvent: (event) => this.#onPodEvent(event),
    };
    this.#options = options;
    this.#tasks = new Reflector<Task>({ ...tasks, random, backoff });
    this.#pods = new Reflector<AttemptPod>({ ...pods, random, backoff });
    this.#polls = {
      tasks: () => {
        this.#tasks.stop();
        this.#tasks = new Poller({ ...tasks, everyMs: pollMs });
        this.#run(this.#tasks);
      },
      pods: () => {
        this.#pods.stop();
        this.#pods = new Poller({ ...pods, everyMs: pollMs });
        this.#run(this.#pods);
      },
    };
  }

  /** Never resolves; rejects with a CliError when the Task is gone or may not be watched. */
  async run(): Promise<never> {
    const { transport, terminal } = this.#options.session;
    this.#stopListening = transport.onReachable(() => {
      if (this.#away) terminal.note("the API server answers again");
      this.#away = false;
    });
    this.#run(this.#tasks);
    this.#run(this.#pods);
    return this.#gone.promise;
  }

  /** It rejects only for a mistake of ours. */
  #run(source: Source<unknown>): void {
    source.start().catch((error: unknown) => this.#gone.reject(error));
  }

  /** All pods are known as they are now. Resolves false if that cannot be had. */
  async podsAreKnown(): Promise<boolean> {
    const source = this.#pods;
    // Asked for just before it turned out that pods may not be watched.
    return (await source.resync()) || (source !== this.#pods && this.#pods.resync());
  }

  stop(): void {
    this.#stopListening();
    this.#tasks.stop();
    this.#pods.stop();
  }

  #onTaskEvent(event: ReflectorEvent<Task>): void {
    const { session, name, uid, onTask } = this.#options;
    const isOurs = (found: { uid: string } | undefined) => found?.uid === uid;
    switch (event.type) {
      case "error":
        this.#onError(event.error, "tasks");
        break;
      case "upsert":
        if (isOurs(event)) onTask(event.object);
        break;
      case "delete":
        if (isOurs(event)) this.#giveUp(gone(name));
        break;
      case "synced":
        this.#refusals.tasks.granted = true;
        if (!isOurs(this.#tasks.get(`${session.namespace}/${name}`))) this.#giveUp(gone(name));
    }
  }

  #onPodEvent(event: ReflectorEvent<AttemptPod>): void {
    if (event.type === "error") this.#onError(event.error, "pods");
    else if (event.type === "synced") this.#refusals.pods.granted = true;
    else if (event.type === "upsert") this.#options.onPod(event.object);
    else if (event.type === "delete" && event.object) this.#options.onPodGone(event.object.name);
  }

  #onError(error: unknown, what: Kind): void {
    const sentence = sentenceOf(error);
    const isRefusal = isStatus(error, 401) || isStatus(error, 403);
    if (isRefusal && this.#refusals[what].isFinal(this.#options.session.clock.monotonicMs())) {
      if (isStatus(error, 403) && !this.#polling.has(what)) this.#pollInstead(what, sentence);
      else if (what === "tasks" || isStatus(error, 401)) this.#giveUp(sentence);
      else this.#refusePods(sentence);
    } else if (!isRefusal && !this.#away) {
      this.#away = true;
      this.#options.session.terminal.note(`${sentence}; trying again`);
    }
  }

  /** Whoever may not even list is told so by the first look. */
  #pollInstead(what: Kind, sentence: string): void {
    if (this.#polling.size === 0) {
      this.#options.session.terminal.note(`${sentence}; looking every ${pollMs / 1_000} s instead`);
    }
    this.#polling.add(what);
    this.#refusals[what].granted = false;
    this.#polls[what]();
  }

  #refusePods(sentence: string): void {
    this.#pods.stop();
    this.#options.onPodsRefused(sentence);
  }

  #giveUp(sentence: string): void {
    this.#gone.reject(new CliError(sentence));
  }
}

type Kind = "tasks" | "pods";
type Followed<T> = Omit<PollerOptions<T>, "everyMs">;
type Source<T> = Pick<Poller<T>, "start" | "stop" | "get" | "resync">;

/** Whether a right is really not there. */
class Refusals {
  granted = false;
  #firstMs = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  isFinal(nowMs: number): boolean {
    if (!this.granted) return true;
    if (nowMs - this.#lastMs > unrelatedMs) this.#firstMs = nowMs;
    this.#lastMs = nowMs;
    return nowMs - this.#firstMs >= refusedForMs;
  }
}

const gone = (name: string): string => `task ${name} was deleted by somebody else: its pods end with it`;
