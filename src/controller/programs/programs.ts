import type { FrameworkStatus } from "../../api/framework.ts";
import { FRAMEWORK_LABEL } from "../../api/labels.ts";
import type { Effect } from "../../offers/messages.ts";
import { type EffectContext, isRefusal, namespaced, POD, SERVICE_ACCOUNT } from "../effects/context.ts";
import type { JobEnd, JobQueue } from "../effects/job-queue.ts";
import { isAlreadyExists, isConflict, isNotFound } from "../kube/api-error.ts";
import type { TimerHandle } from "../kube/clock.ts";
import { localName, namespaceOf } from "../manifests/keys.ts";
import {
  type ProgramOwner,
  type ProgramSpec,
  programHash,
  programPod,
  programPodName,
} from "../manifests/program-pod.ts";
import type { ObservedFramework } from "../observe/framework.ts";
import { clip, record, text } from "../observe/json.ts";
import { type ObservedProgram, projectProgram } from "../observe/program.ts";
import type { Change } from "../world.ts";
import { type Before, beforeNext, decideProgram, endedAtMs } from "./decide.ts";

export interface ProgramsOptions extends EffectContext {
  readonly jobs: JobQueue;
  /** Wall-clock milliseconds that never go back. */
  readonly nowMs: () => number;
  readonly framework: (key: string) => ObservedFramework | undefined;
  /** Pods of programs that are there, of all frameworks. */
  readonly pods: () => Iterable<ObservedProgram>;
  /** What the Framework's status says of its program is out of date. */
  readonly changed: (key: string) => void;
  readonly tell: (event: Extract<Effect, { type: "event" }>) => void;
}

/** What is remembered of one framework's program during a term; the rest stands in its pod. */
interface Entry {
  before: Before | undefined;
  /** Since when no pod of it runs, as far as this term has seen. */
  awaySinceMs: number | undefined;
  /** What the broker was told last: `awaySinceMs`, or "runs". */
  told: number | "runs" | undefined;
  lastFailure: string | undefined;
  /** It could not be started so often in a row. */
  refusals: number;
  timer: TimerHandle | undefined;
}

interface Wish {
  readonly owner: ProgramOwner;
  readonly spec: ProgramSpec;
  readonly hash: string;
}

const refusalBackOff = { firstMs: 10_000, longestMs: 300_000 };
const maxFailureLength = 512;

/**
 * Programs of frameworks that name a `scheduler.controller`: one pod each, and another when that has failed. What to do is
 * worked out anew each time from what there is (see `decideProgram`).
 */
export class Programs {
  readonly #options: ProgramsOptions;
  readonly #entries = new Map<string, Entry>();
  #stopped = false;

  constructor(options: ProgramsOptions) {
    this.#options = options;
  }

  /** To be told of each Framework that has come, changed or gone. */
  frameworkChanged(key: string): void {
    if (this.#wish(key) === undefined && !this.#entries.has(key) && this.#pods(key).length === 0) return;
    this.#look(key);
  }

  /** To be told of each pod of a program that has come, changed or gone. */
  podChanged(change: Change<ObservedProgram>): void {
    if (change.type === "synced" || change.object === undefined) return;
    const pod = change.object;
    const { framework: key, phase } = pod;
    const entry = this.#entry(key);
    if (change.type === "delete") {
      entry.before = beforeNext(pod, this.#wish(key));
      entry.awaySinceMs ??= Math.min(endedAtMsIfOver(pod) ?? Number.POSITIVE_INFINITY, this.#options.nowMs());
    } else if (phase === "Failed" && change.previous !== undefined && change.previous.phase !== "Failed") {
      this.#tellFailure(key, pod);
    }
    this.#look(key);
  }

  /** For the Framework's status. */
  status(key: string): FrameworkStatus["controller"] {
    const wish = this.#wish(key);
    if (wish === undefined) return undefined;
    const entry = this.#entries.get(key);
    const pod = this.#pods(key)[0];
    const lastFailure = entry?.lastFailure ?? (pod && failureOf(pod));
    return {
      ...(pod && { pod: localName(pod.key) }),
      state: stateOf(pod, entry),
      restarts: pod?.restarts ?? entry?.before?.restarts ?? 0,
      ...(lastFailure !== undefined && { lastFailure: clip(lastFailure, maxFailureLength) }),
    };
  }

  stop(): void {
    this.#stopped = true;
    for (const { timer } of this.#entries.values()) if (timer !== undefined) this.#options.clock.clearTimeout(timer);
  }

  #entry(key: string): Entry {
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const nothing = { before: undefined, awaySinceMs: undefined, told: undefined, lastFailure: undefined };
      entry = { ...nothing, refusals: 0, timer: undefined };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  /** The pods that bear the framework's name: those of a Framework of that name that is gone come first. */
  #pods(key: string): ObservedProgram[] {
    const uid = this.#options.framework(key)?.uid;
    const pods = [...this.#options.pods()].filter(({ framework }) => framework === key);
    return pods.sort((a, b) => Number(a.frameworkUid === uid) - Number(b.frameworkUid === uid));
  }

  #wish(key: string): Wish | undefined {
    const framework = this.#options.framework(key);
    if (framework?.controller === undefined || framework.deleting) return undefined;
    const owner = { namespace: namespaceOf(key), framework: localName(key), frameworkUid: framework.uid };
    return { owner, spec: framework.controller, hash: programHash(framework.controller) };
  }

  #look(key: string): void {
    if (this.#stopped) return;
    this.#tellBroker(key);
    this.#options.changed(key);
    const run = (): Promise<JobEnd> => this.#reconcile(key);
    this.#options.jobs.add({ key: `program/${key}`, lane: "launch", type: "program", run });
  }

  async #reconcile(key: string): Promise<JobEnd> {
    const entry = this.#entry(key);
    if (entry.timer !== undefined) this.#options.clock.clearTimeout(entry.timer);
    entry.timer = undefined;
    const wish = this.#wish(key);
    const pod = this.#pods(key)[0];
    const ofAnother = pod !== undefined && pod.frameworkUid !== wish?.owner.frameworkUid;
    const action = decideProgram(ofAnother ? undefined : wish, pod, entry.before, this.#options.nowMs());
    if (action.type === "again") this.#again(key, entry, action.atMs);
    if (action.type === "delete") await this.#delete(pod!);
    if (action.type === "create") await this.#create(key, entry, wish!, action);
    if (wish === undefined && pod === undefined) this.#entries.delete(key);
    return "done";
  }

  #again(key: string, entry: Entry, atMs: number): void {
    if (this.#stopped) return;
    entry.timer = this.#options.clock.setTimeout(() => {
      entry.timer = undefined;
      this.#look(key);
    }, atMs - this.#options.nowMs());
  }

  async #delete({ key, uid }: ObservedProgram): Promise<void> {
    const { client, fence } = this.#options;
    try {
      await client.delete(namespaced(POD, key), { uid, priority: "high", fence });
    } catch (error) {
      // Gone, or another pod by now.
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  }

  async #create(key: string, entry: Entry, { owner, spec }: Wish, count: Before): Promise<void> {
    const { client, fence } = this.#options;
    const { namespace } = owner;
    const why = await this.#mayNotUse(owner, spec.serviceAccountName);
    if (why !== undefined) return this.#refused(key, entry, why);
    const pod = programPod(owner, spec, count);
    try {
      await client.create({ ...POD, namespace }, pod, { idempotent: true, priority: "high", fence });
    } catch (error) {
      if (isRefusal(error)) return this.#refused(key, entry, error.text);
      if (!isAlreadyExists(error)) throw error;
      const name = programPodName(owner);
      const there = await client.find({ ...POD, namespace, name });
      // Our own, or gone since: the watch has not told of that yet, and will.
      const ours = there === undefined || projectProgram(there)?.frameworkUid === owner.frameworkUid;
      if (!ours) return this.#refused(key, entry, `a pod ${name} is there that is not the framework's`);
    }
    entry.refusals = 0;
  }

  /** A tenant who may write Frameworks, but neither pods nor accounts, must not get any account's token by it. */
  async #mayNotUse({ namespace, framework }: ProgramOwner, account: string): Promise<string | undefined> {
    const found = await this.#options.client.find({ ...SERVICE_ACCOUNT, namespace, name: account });
    if (found === undefined) return `the ServiceAccount ${account} does not exist`;
    if (text(record(found.metadata, "labels"), FRAMEWORK_LABEL) === framework) return undefined;
    return `the ServiceAccount ${account} is not for this framework: give it the label ${FRAMEWORK_LABEL}=${framework}`;
  }

  #refused(key: string, entry: Entry, why: string): void {
    const { nowMs, changed } = this.#options;
    const delayMs = Math.min(refusalBackOff.firstMs * 2 ** Math.min(entry.refusals++, 20), refusalBackOff.longestMs);
    if (entry.lastFailure !== why) this.#event(key, "program-refused", why);
    entry.lastFailure = why;
    changed(key);
    this.#again(key, entry, nowMs() + delayMs);
  }

  #tellFailure(key: string, pod: ObservedProgram): void {
    const why = failureOf(pod) ?? "";
    this.#entry(key).lastFailure = why;
    this.#event(key, "program-failed", `pod ${localName(pod.key)}: ${why}`);
  }

  #event(key: string, reason: string, note: string): void {
    const uid = this.#options.framework(key)?.uid;
    if (uid === undefined) return;
    this.#options.tell({ type: "event", about: { kind: "Framework", key, uid }, severity: "Warning", reason, note });
  }

  /** A pod that runs is a sign of life; without one, there is none. */
  #tellBroker(key: string): void {
    const { feed, nowMs } = this.#options;
    const entry = this.#entry(key);
    if (this.#wish(key) === undefined) {
      if (entry.told !== undefined) feed({ type: "program-gone", framework: key });
      entry.told = undefined;
      return;
    }
    const pod = this.#pods(key).at(-1);
    if (pod?.phase === "Running") entry.awaySinceMs = undefined;
    else entry.awaySinceMs ??= Math.min((pod && (endedAtMsIfOver(pod) ?? pod.createdAtMs)) ?? nowMs(), nowMs());
    const { awaySinceMs } = entry;
    if (entry.told === (awaySinceMs ?? "runs")) return;
    entry.told = awaySinceMs ?? "runs";
    feed({ type: "program-observed", framework: key, ...(awaySinceMs !== undefined && { awaySinceMs }) });
  }
}

function endedAtMsIfOver(pod: ObservedProgram): number | undefined {
  return pod.phase === "Failed" || pod.phase === "Succeeded" ? endedAtMs(pod) : undefined;
}

function stateOf(pod: ObservedProgram | undefined, entry: Entry | undefined) {
  if (pod === undefined) return entry !== undefined && entry.refusals > 0 ? "Refused" : "Starting";
  const states = { Pending: "Starting", Running: "Running", Failed: "BackOff", Succeeded: "Ended" } as const;
  return states[pod.phase];
}

function failureOf({ phase, exitCode, reason, message }: ObservedProgram): string | undefined {
  if (phase !== "Failed") return undefined;
  const code = exitCode === undefined ? undefined : `exit code ${exitCode}`;
  return [code, reason, message].filter((part) => part !== undefined && part !== "Error").join(": ") || "it failed";
}
