import { GROUP, VERSION } from "../../api/common.ts";
import { RUN_ANNOTATION } from "../../api/labels.ts";
import type { Task, TaskInput } from "../../api/task.ts";
import { isAlreadyExists, isNotFound, isStatus } from "../../controller/kube/api-error.ts";
import type { ResourceRef } from "../../controller/kube/client.ts";
import { sleep } from "../../controller/kube/clock.ts";
import type { Session } from "../connection.ts";
import { CliError, sentenceOf } from "../errors.ts";
import { Attempt } from "./attempt.ts";
import { followLog } from "./log-follower.ts";
import {
  exitCodeOf,
  type FailedInstance,
  failedInstances,
  hasEnded,
  INTERRUPTED,
  summaryLine,
  waitingLine,
} from "./outcome.ts";
import type { AttemptPod } from "./pods.ts";
import { linePrefix } from "./prefix.ts";
import { Slots } from "./slots.ts";
import { CONTAINER } from "./task-object.ts";
import { TaskWatch } from "./task-watch.ts";

export interface RunOptions {
  readonly session: Session;
  readonly task: TaskInput;
  /** Delete the Task when it has ended. */
  readonly remove: boolean;
  readonly prefix: boolean;
  /** Logs that are followed at once. */
  readonly maxLogs: number;
  /** Calls the listener at each Ctrl-C or SIGTERM; returns how to stop that. */
  readonly onInterrupt: (listener: () => void) => () => void;
}

/** An operator looks at a new Task within a second. */
const unseenMs = 15_000;
/** An idle log may be silent for days; a dead peer shows by TCP's keep-alive. */
const silenceLimitMs = 2 ** 31 - 1;
/** What a log holds already is sent at once: a connection on which it is not is dead, and is replaced. */
const restLimitMs = 15_000;
const killBackoffMs = 1_000;
/** The last look at the pods is for exit codes, which the Task's failures have in part as well. */
const lastLookMs = 30_000;

/**
 * Creates the Task, or finds the one that an earlier attempt of this very call has created.
 *
 * @throws CliError if there is another one of that name
 */
export async function createTask({ client }: Session, task: TaskInput, signal?: AbortSignal): Promise<Task> {
  const { name } = task.metadata;
  try {
    const options = { idempotent: true, ...(signal && { signal }) };
    return (await client.create(refOf(task), task, options)) as unknown as Task;
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    const found = (await client.get({ ...refOf(task), name })) as unknown as Task;
    if (found.metadata.annotations?.[RUN_ANNOTATION] === task.metadata.annotations?.[RUN_ANNOTATION]) return found;
    throw new CliError(`there is a task ${name} already: choose another --name, or delete it first`);
  }
}

const refOf = ({ metadata }: TaskInput): ResourceRef => ({
  group: GROUP,
  version: VERSION,
  plural: "tasks",
  namespace: metadata.namespace,
});

/**
 * Runs a Task to its end and shows the logs of all its instances.
 *
 * @returns the exit code of the worst instance, or 130 after Ctrl-C
 * @throws CliError, ApiError, TransportError
 */
export async function runTask(options: RunOptions): Promise<number> {
  return new TaskRun(options).run();
}

class TaskRun {
  readonly #options: RunOptions;
  readonly #session: Session;
  readonly #name: string;
  readonly #attempts = new Map<string, Attempt>();
  readonly #logs: Promise<void>[] = [];
  readonly #slots: Slots;
  readonly #ended = Promise.withResolvers<Task>();
  /** Ends the logs and the wait: somebody does not want to see the end. */
  readonly #leave = new AbortController();
  #task: Task | undefined;
  #said = "";
  #interrupted = false;
  #logsRefused = false;
  readonly #rights = { granted: false };

  constructor(options: RunOptions) {
    this.#options = options;
    this.#session = options.session;
    this.#name = options.task.metadata.name;
    this.#slots = new Slots(options.maxLogs);
  }

  async run(): Promise<number> {
    const created = Promise.withResolvers<void>();
    const stopListening = this.#options.onInterrupt(() => this.#interrupt(created.promise));
    try {
      this.#task = await createTask(this.#session, this.#options.task, this.#leave.signal);
      this.#note(`task ${this.#name} created in namespace ${this.#session.namespace}`);
      created.resolve();
      return await this.#watchToItsEnd(this.#task);
    } catch (error) {
      if (this.#leave.signal.aborted) return INTERRUPTED;
      throw error;
    } finally {
      stopListening();
      this.#leave.abort();
    }
  }

  async #watchToItsEnd(task: Task): Promise<number> {
    const watch = new TaskWatch({
      session: this.#session,
      name: this.#name,
      uid: task.metadata.uid ?? "",
      onTask: (news) => this.#onTask(news),
      onPod: (pod) => this.#onPod(pod),
      onPodGone: (name) => this.#attempts.get(name)?.vanish(),
      onPodsRefused: (why) => this.#refuseLogs(why),
    });
    const watching = watch.run();
    const hint = this.#session.clock.setTimeout(() => this.#hint(), unseenMs);
    const left = untilAborted(this.#leave.signal);
    try {
      const last = await Promise.race([this.#ended.promise, left, watching]);
      if (last === undefined) return INTERRUPTED;
      // The Task may be deleted from now on.
      await Promise.race([watch.podsAreKnown(), sleep(this.#session.clock, lastLookMs, this.#leave.signal)]);
      await Promise.race([this.#allLogs(), left]);
      if (this.#leave.signal.aborted) return INTERRUPTED;
      return await this.#conclude(last);
    } finally {
      this.#session.clock.clearTimeout(hint);
      watching.catch(() => {});
      watch.stop();
    }
  }

  async #conclude(task: Task): Promise<number> {
    const failed = failedInstances(
      task,
      [...this.#attempts.values()].map(({ pod }) => pod),
    );
    this.#tellFailures(failed, task);
    this.#note(summaryLine(task));
    if (this.#options.remove) await this.#remove(task);
    return this.#interrupted ? INTERRUPTED : exitCodeOf(task, failed);
  }

  #tellFailures(failed: readonly FailedInstance[], { status }: Task): void {
    const shown = 10;
    if (status?.state === "Killed") return;
    for (const { index, what } of failed.slice(0, shown)) this.#note(`instance ${index}: ${what}`);
    if (failed.length > shown) this.#note(`and ${failed.length - shown} more`);
  }

  async #remove({ metadata }: Task): Promise<void> {
    const ref = { ...refOf(this.#options.task), name: this.#name };
    await this.#session.client.delete(ref, metadata.uid === undefined ? {} : { uid: metadata.uid }).catch((error) => {
      if (!isNotFound(error)) throw error;
    });
    this.#note(`task ${this.#name} deleted`);
  }

  #onTask(task: Task): void {
    this.#task = task;
    if (hasEnded(task)) this.#ended.resolve(task);
    else this.#say(waitingLine(task));
  }

  /** A reason is said once, until there is another one. */
  #say(line: string | undefined): void {
    if (line === this.#said) return;
    this.#said = line ?? "";
    if (line !== undefined) this.#note(line);
  }

  #hint(): void {
    if (this.#task?.status?.observedGeneration !== undefined) return;
    this.#note("no operator has looked at the task yet: is Proffer's operator running?");
  }

  #onPod(pod: AttemptPod): void {
    const known = this.#attempts.get(pod.name);
    if (known === undefined) this.#newAttempt(pod);
    else known.update(pod);
  }

  #newAttempt(pod: AttemptPod): void {
    const attempt = new Attempt(pod);
    this.#attempts.set(pod.name, attempt);
    if (pod.attempt > 0) this.#note(`instance ${pod.index} is tried again (attempt ${pod.attempt})`);
    this.#logs.push(this.#follow(attempt));
  }

  async #follow(attempt: Attempt): Promise<void> {
    const { signal } = this.#leave;
    if (!(await attempt.started(signal))) return;
    await this.#slots.use(async () => {
      if (this.#logsRefused || signal.aborted) return;
      try {
        await this.#followStarted(attempt);
      } catch (error) {
        if (!isStatus(error, 401) && !isStatus(error, 403)) return this.#ended.reject(error);
        this.#refuseLogs(sentenceOf(error));
      }
    });
  }

  #followStarted(attempt: Attempt): Promise<boolean> {
    const { transport, namespace, terminal, clock, random } = this.#session;
    const { name, index, attempt: number } = attempt.pod;
    const prefix = this.#options.prefix ? linePrefix(index, number, terminal.colours) : "";
    const path = `/api/v1/namespaces/${namespace}/pods/${name}/log`;
    return followLog({
      open: ({ since, follow }, onData, signal) => {
        const query = { container: CONTAINER, follow, timestamps: true, sinceTime: since };
        const limitMs = follow ? silenceLimitMs : restLimitMs;
        const limits = { silenceLimitMs: limitMs, openTimeoutMs: limitMs };
        return transport.stream(path, { query, signal, onData, ...limits, resource: "pods/log" });
      },
      source: attempt,
      onLine: (text) => terminal.out(`${prefix}${text}\n`),
      congested: () => terminal.congested,
      drained: () => terminal.drained(),
      rights: this.#rights,
      onTrouble: (what) => this.#note(`instance ${index}: ${what}`),
      clock,
      random,
      signal: this.#leave.signal,
    });
  }

  /** All logs, also of pods that are seen only while one waits for the others. */
  async #allLogs(): Promise<void> {
    for (let seen = -1; seen !== this.#logs.length; ) {
      seen = this.#logs.length;
      await Promise.all(this.#logs);
    }
  }

  #refuseLogs(why: string): void {
    if (!this.#logsRefused) this.#note(`no logs are shown: ${why}`);
    this.#logsRefused = true;
  }

  #interrupt(created: Promise<void>): void {
    if (this.#interrupted) {
      this.#note(`left: see what becomes of it with kubectl proffer get task ${this.#name}`);
      this.#leave.abort();
      return;
    }
    this.#interrupted = true;
    this.#note(`killing task ${this.#name}; Ctrl-C again leaves at once`);
    void created.then(() => this.#kill());
  }

  async #kill(): Promise<void> {
    const { client, clock } = this.#session;
    const ref = { ...refOf(this.#options.task), name: this.#name };
    const { signal } = this.#leave;
    while (!signal.aborted) {
      try {
        await client.mergePatch(ref, { spec: { kill: {} } }, { signal });
        return;
      } catch (error) {
        if (signal.aborted || isNotFound(error)) return;
        this.#note(`it could not be killed: ${sentenceOf(error)}; trying again`);
        await sleep(clock, killBackoffMs, signal);
      }
    }
  }

  #note(line: string): void {
    this.#session.terminal.note(line);
  }
}

function untilAborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}
