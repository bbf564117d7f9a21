import type { Task, TaskInput, TaskStatus } from "../../api/task.ts";
import type { KubeObject } from "../../controller/kube/client.ts";
import { FakeClock, until } from "../../controller/kube/clock.test-support.ts";
import {
  FakeApiServer,
  type FakeReply,
  type FakeRequest,
  type FakeStream,
} from "../../controller/kube/fake-api-server.test-support.ts";
import type { HttpTransport } from "../../controller/kube/transport.ts";
import type { Session } from "../connection.ts";
import { TestTerminal, testSession } from "../session.test-support.ts";
import type { Terminal } from "../terminal.ts";

type Plural = "tasks" | "pods";
type Change = { readonly type: string; readonly plural: Plural; readonly version: number; readonly object: object };

/** Below this, whoever waits does so between attempts; above it, for an answer. */
const attemptMs = 10_000;

/** An API server over HTTP with Tasks, pods and logs as far as `run` uses them, at a time that moves by itself. */
export class FakeCluster {
  readonly server: FakeApiServer;
  readonly clock = new FakeClock();
  readonly transport: HttpTransport;
  readonly #terminal = new TestTerminal();
  /** Bodies of patches, and paths of deletes. */
  readonly patches: unknown[] = [];
  readonly deletes: string[] = [];
  /** Answers requests for the log of a pod, one after the other; the last one answers all others. */
  readonly logs = new Map<string, ((request: FakeRequest, reply: FakeReply) => void)[]>();
  /** Refuses with this status, if it returns one. */
  refuse: (request: FakeRequest) => number | undefined = () => undefined;
  congested = false;
  readonly #drained: (() => void)[] = [];
  readonly #changes: Change[] = [];
  readonly #watches = new Map<FakeStream, Plural>();
  readonly #objects = new Map<string, { readonly plural: Plural; readonly object: KubeObject }>();
  readonly #interrupts = new Set<() => void>();
  #version = 100;

  private constructor(server: FakeApiServer) {
    this.server = server;
    server.otherwise = (request, reply) => this.#answer(request, reply);
    this.transport = testSession(server, this.#terminal, this.clock).transport;
  }

  /** What was said: results, and what goes on. */
  get out(): string[] {
    return this.#terminal.said;
  }

  get notes(): string[] {
    return this.#terminal.notes;
  }

  static async start(): Promise<FakeCluster> {
    return new FakeCluster(await FakeApiServer.start());
  }

  session(): Session {
    const terminal: Terminal = Object.create(this.#terminal, {
      congested: { get: () => this.congested },
      drained: { value: () => new Promise<void>((resolve) => this.#drained.push(resolve)) },
    });
    return { ...testSession(this.server, this.#terminal, this.clock), transport: this.transport, terminal };
  }

  readonly onInterrupt = (listener: () => void): (() => void) => {
    this.#interrupts.add(listener);
    return () => this.#interrupts.delete(listener);
  };

  interrupt(): void {
    for (const listener of this.#interrupts) listener();
  }

  drain(): void {
    this.congested = false;
    for (const resolve of this.#drained.splice(0)) resolve();
  }

  /** Lets time pass whenever somebody waits between two attempts, until the condition holds. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await until(() => condition() || (this.clock.nextTimerInMs ?? attemptMs) < attemptMs);
      if (!condition()) await this.clock.advance(this.clock.nextTimerInMs ?? 0);
    }
  }

  async ends<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const mark = (): void => {
      settled = true;
    };
    promise.then(mark, mark);
    await this.until(() => settled);
    return promise;
  }

  get task(): Task {
    const found = [...this.#objects.values()].find(({ plural }) => plural === "tasks");
    return found?.object as unknown as Task;
  }

  setStatus(status: Partial<TaskStatus>): void {
    const { task } = this;
    this.#put("tasks", {
      ...task,
      status: { observedGeneration: 1, ...task.status, ...status },
    } as unknown as KubeObject);
  }

  /** The pod of an attempt, in whatever state. */
  pod(index: number, attempt: number, status: object = {}): string {
    const name = `t-${index}-${attempt}`;
    const labels = { "proffer.dev/index": `${index}`, "proffer.dev/attempt": `${attempt}` };
    const metadata = { name, namespace: "a", uid: `pod-${name}`, labels };
    this.#put("pods", { metadata, spec: { nodeName: "n1" }, status });
    return name;
  }

  running(index: number, attempt = 0): string {
    return this.pod(index, attempt, { phase: "Running", containerStatuses: [{ state: { running: {} } }] });
  }

  ended(index: number, attempt: number, exitCode: number): string {
    const terminated = { exitCode, startedAt: "2026-01-01T00:00:00Z" };
    const phase = exitCode === 0 ? "Succeeded" : "Failed";
    return this.pod(index, attempt, { phase, containerStatuses: [{ state: { terminated } }] });
  }

  remove(name: string): void {
    const found = this.#objects.get(name);
    this.#objects.delete(name);
    if (found) this.#tell("DELETED", found.plural, found.object);
  }

  /** Lines of a log that is complete. */
  log(name: string, ...lines: readonly string[]): void {
    this.logs.set(name, [(_, reply) => reply.text(200, lines.map((line) => `${line}\n`).join(""))]);
  }

  async close(): Promise<void> {
    await this.transport.close();
    await this.server.stop();
  }

  #answer(request: FakeRequest, reply: FakeReply): void {
    const refused = this.refuse(request);
    const plural = request.path.includes("/tasks") ? "tasks" : "pods";
    const pod = /\/pods\/([^/]+)\/log$/.exec(request.path)?.[1];
    if (refused !== undefined) reply.status(refused, "Refused", `refused ${request.path}`);
    else if (pod !== undefined) this.#answerLog(pod, request, reply);
    else if (request.query.has("watch")) this.#watch(plural, request, reply);
    else if (request.method === "GET" && request.path.endsWith(`/${plural}`)) this.#list(plural, reply);
    else this.#answerAboutTask(request, reply);
  }

  #answerAboutTask({ method, body, path }: FakeRequest, reply: FakeReply): void {
    if (method === "POST" && this.task !== undefined) {
      reply.status(409, "AlreadyExists");
      return;
    }
    if (method === "POST") {
      const input = body as TaskInput;
      this.#put("tasks", { ...input, metadata: { ...input.metadata, uid: "task-uid" } } as unknown as KubeObject);
    }
    if (method === "PATCH") this.patches.push(body);
    if (method === "DELETE") this.deletes.push(path);
    reply.json(200, this.task ?? {});
  }

  #answerLog(pod: string, request: FakeRequest, reply: FakeReply): void {
    const answers = this.logs.get(pod) ?? [];
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer === undefined) reply.text(200, "");
    else answer(request, reply);
  }

  #watch(plural: Plural, { query }: FakeRequest, reply: FakeReply): void {
    const stream = reply.stream();
    this.#watches.set(stream, plural);
    const from = Number(query.get("resourceVersion"));
    if (query.has("sendInitialEvents")) {
      for (const { plural: kind, object } of this.#objects.values()) if (kind === plural) stream.event("ADDED", object);
      stream.bookmark(String(this.#version), true);
    } else {
      for (const { type, plural: kind, version, object } of this.#changes) {
        if (kind === plural && version > from) stream.event(type, object);
      }
    }
  }

  #list(plural: Plural, reply: FakeReply): void {
    const items = [...this.#objects.values()].filter((one) => one.plural === plural).map(({ object }) => object);
    reply.json(200, { metadata: { resourceVersion: String(this.#version) }, items });
  }

  #put(plural: Plural, object: KubeObject): void {
    const type = this.#objects.has(object.metadata.name) ? "MODIFIED" : "ADDED";
    this.#objects.set(object.metadata.name, { plural, object });
    this.#tell(type, plural, object);
  }

  #tell(type: string, plural: Plural, object: KubeObject): void {
    const version = ++this.#version;
    const told = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    if (type !== "DELETED") this.#objects.set(object.metadata.name, { plural, object: told });
    this.#changes.push({ type, plural, version, object: told });
    for (const [stream, kind] of this.#watches) if (kind === plural && stream.isOpen) stream.event(type, told);
  }
}
