import type { Framework } from "../../api/framework.ts";
import { offerSpec } from "../../api/object-builders.test-support.ts";
import type { LaunchOutcome, Offer } from "../../api/offer.ts";
import type { Task, TaskCounts, TaskInput } from "../../api/task.ts";
import { taskSpec } from "../../api/task.ts";
import type { Answer, AnswerResult } from "../sdk/answer.ts";
import type { Change } from "../sdk/framework-client.ts";
import type { Client } from "./bag-runner.ts";

/** Of a Task without instances. */
export const NO_COUNTS: TaskCounts = {
  pending: 0,
  staging: 0,
  starting: 0,
  running: 0,
  unreachable: 0,
  finished: 0,
  failed: 0,
  killed: 0,
  lost: 0,
};

/** A cluster with an operator as a framework sees them, without a server in between. */
export class World implements Client {
  readonly #offers = new Map<string, Offer>();
  readonly #tasks = new Map<string, Task>();
  #framework: Framework;
  #count = 0;
  listener: (change: Change) => void = () => {};
  /** Names of Tasks in the order of their creation. */
  readonly created: string[] = [];
  /** Patches of the Framework's spec. */
  readonly patches: object[] = [];
  readonly answers: { offer: string; answer: Answer }[] = [];
  readonly synced = Promise.resolve(true);
  /** What the API server says to answers; absent: it takes them. */
  answerResult: AnswerResult | Error | undefined;

  constructor() {
    const metadata = { name: "f", namespace: "ns", uid: "f" };
    const spec = { suppressed: true } as Framework["spec"];
    this.#framework = { apiVersion: "proffer.dev/v1alpha1", kind: "Framework", metadata, spec };
  }

  offers = (): Offer[] => [...this.#offers.values()];
  tasks = (): Task[] => [...this.#tasks.values()];
  framework = (): Framework => this.#framework;

  async createTask(name: string, spec: Omit<TaskInput["spec"], "framework">): Promise<Task> {
    this.created.push(name);
    const whole = taskSpec.parse({ ...spec, framework: "f" });
    const metadata = { name, namespace: "ns", uid: name };
    return this.#putTask({ apiVersion: "proffer.dev/v1alpha1", kind: "Task", metadata, spec: whole });
  }

  async patchFramework(spec: object): Promise<Framework> {
    this.patches.push(spec);
    this.#framework = { ...this.#framework, spec: { ...this.#framework.spec, ...spec } };
    this.listener({ type: "framework", framework: this.#framework });
    return this.#framework;
  }

  async answer(offer: Offer, answer: Answer): Promise<AnswerResult> {
    this.answers.push({ offer: offer.metadata.name, answer });
    if (this.answerResult instanceof Error) throw this.answerResult;
    if (this.answerResult) return this.answerResult;
    const answered = this.#putOffer({ ...offer, answer: { ...answer, by: "me" } as NonNullable<Offer["answer"]> });
    return { type: "answered", offer: answered };
  }

  /** The operator offers a slice with room for so many cpus. */
  propose(cpu: number): Offer {
    const name = `o${++this.#count}`;
    const slices = [{ name: "s0", node: "n", nodeUID: "n", resources: { cpu, memory: "1Ti" } }];
    const metadata = { name, namespace: "ns", uid: name };
    const spec = { ...offerSpec, framework: "f", slices } as Offer["spec"];
    return this.#putOffer({ apiVersion: "proffer.dev/v1alpha1", kind: "Offer", metadata, spec });
  }

  /** The operator settles an answered offer: all its launches run, or are refused with a reason. */
  settle(name: string, refusal?: string): void {
    const offer = this.#offers.get(name)!;
    if (!offer.answer) throw new Error(`${name} has no answer`);
    const launches = (offer.answer.launches ?? []).map((launch): LaunchOutcome => {
      const { task, slice, count } = launch;
      if (refusal) return { task, slice, indexes: "", refused: { reason: refusal, message: refusal } };
      this.setCounts(task, { pending: -count, running: count });
      return { task, slice, indexes: count === 1 ? "0" : `0-${count - 1}` };
    });
    const phase = offer.answer.decision === "Decline" ? "Declined" : refusal ? "Refused" : "Accepted";
    this.#putOffer({ ...offer, status: { phase, launches } });
  }

  /** Adds to a Task's counts; a Task of which all has ended is Finished. */
  setCounts(name: string, change: Partial<TaskCounts>): void {
    const task = this.#tasks.get(name)!;
    const counts = { ...(task.status?.counts ?? { ...NO_COUNTS, pending: task.spec.instances }) };
    for (const [state, difference] of Object.entries(change)) counts[state as keyof TaskCounts] += difference;
    const ended = counts.finished + counts.failed === task.spec.instances;
    const state = ended ? (counts.failed > 0 ? "Failed" : "Finished") : "Running";
    this.#putTask({ ...task, status: { state, counts } });
  }

  /** Everything that runs succeeds. */
  finish(): void {
    for (const { metadata, status } of this.tasks()) {
      const running = status?.counts?.running ?? 0;
      if (running > 0) this.setCounts(metadata.name, { running: -running, finished: running });
    }
  }

  deleteTask(name: string): void {
    const task = this.#tasks.get(name)!;
    this.#tasks.delete(name);
    this.listener({ type: "task-gone", task });
  }

  #putOffer(offer: Offer): Offer {
    this.#offers.set(offer.metadata.name, offer);
    this.listener({ type: "offer", offer });
    return offer;
  }

  #putTask(task: Task): Task {
    this.#tasks.set(task.metadata.name, task);
    this.listener({ type: "task", task });
    return task;
  }
}
