import { API_VERSION, type Condition } from "../../api/common.ts";
import { isConflict, isNotFound } from "../kube/api-error.ts";
import type { KubeObject, ResourceType } from "../kube/client.ts";
import type { TimerHandle } from "../kube/clock.ts";
import { compareResourceVersions } from "../kube/resource-version.ts";
import { digestOf } from "../observe/digest.ts";
import { record } from "../observe/json.ts";
import { conditionsOf, type Meta } from "../observe/meta.ts";
import type { EffectContext } from "./context.ts";
import type { JobEnd, JobQueue } from "./job-queue.ts";

/** An object whose status is ours to write. */
export interface StatusSubject extends Meta {
  /** Of the status as it stands; undefined: there is none. */
  readonly statusDigest: string | undefined;
  readonly conditions: readonly Condition[];
}

/** What stands, as far as we know: the cache, or our own last write where that is newer. */
export interface Standing {
  readonly digest: string | undefined;
  readonly conditions: readonly Condition[];
}

export type StatusPlan =
  | { readonly status: object; readonly recorded?: () => void }
  /** Nothing worth a write yet; look again after a while, or at the next change. */
  | { readonly againAfterMs: number }
  | "nothing";

/** How the statuses of one kind of object are made. */
export interface StatusKind {
  readonly kind: string;
  readonly resource: ResourceType;
  /** The effect, for metrics. */
  readonly type: string;
  /** From the first change to the write, so that further changes join it. */
  readonly debounceMs: number;
  /** Between two writes of one object. */
  readonly minIntervalMs: number;
  /** The same two where a change is urgent. */
  readonly urgent: { readonly debounceMs: number; readonly minIntervalMs: number };
  /** The object by the writer's key; undefined: gone. */
  readonly subject: (key: string) => StatusSubject | undefined;
  readonly plan: (key: string, subject: StatusSubject, standing: Standing) => StatusPlan;
}

interface Entry {
  timer: TimerHandle | undefined;
  dueMs: number;
  /** In the queue or under way. */
  busy: boolean;
  /** Changed while busy. */
  again: "no" | "soon" | "urgent";
  lastWriteMs: number;
  /** Our last write: what we sent, what the server made of it, and its version. */
  written: Written | undefined;
}

interface Written extends Standing {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly serverDigest: string;
}

/**
 * Writes statuses: late, coalesced, and only what differs from what stands. A write names the version it is based on;
 * when that is not current, it is made again from what is.
 */
export class StatusWriter {
  readonly #context: EffectContext;
  readonly #jobs: JobQueue;
  readonly #kind: StatusKind;
  readonly #entries = new Map<string, Entry>();
  #stopped = false;

  constructor(context: EffectContext, jobs: JobQueue, kind: StatusKind) {
    this.#context = context;
    this.#jobs = jobs;
    this.#kind = kind;
  }

  changed(key: string, urgent = false): void {
    if (this.#stopped) return;
    const entry = this.#entry(key);
    if (entry.busy) {
      if (entry.again !== "urgent") entry.again = urgent ? "urgent" : "soon";
      return;
    }
    this.#schedule(key, entry, urgent ? this.#kind.urgent : this.#kind);
  }

  /** To be told of each object as the reflector sees it: a status that somebody else wrote is written again. */
  observed(key: string, subject: StatusSubject): void {
    const written = this.#entries.get(key)?.written;
    if (written === undefined || written.uid !== subject.uid) return;
    if (compareResourceVersions(subject.resourceVersion, written.resourceVersion) <= 0) return;
    if (subject.statusDigest !== written.serverDigest) this.changed(key);
  }

  gone(key: string): void {
    const entry = this.#entries.get(key);
    if (entry?.timer !== undefined) this.#context.clock.clearTimeout(entry.timer);
    this.#entries.delete(key);
  }

  stop(): void {
    this.#stopped = true;
    for (const key of [...this.#entries.keys()]) this.gone(key);
  }

  standing(key: string, subject: StatusSubject): Standing {
    const written = this.#entries.get(key)?.written;
    const cached = { digest: subject.statusDigest, conditions: subject.conditions };
    if (written === undefined || written.uid !== subject.uid) return cached;
    // The echo of our own write: the server may have put it another way.
    if (subject.statusDigest === written.serverDigest) return written;
    return compareResourceVersions(written.resourceVersion, subject.resourceVersion) >= 0 ? written : cached;
  }

  #entry(key: string): Entry {
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const lastWriteMs = Number.NEGATIVE_INFINITY;
      entry = { timer: undefined, dueMs: 0, busy: false, again: "no", lastWriteMs, written: undefined };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  #schedule(key: string, entry: Entry, { debounceMs, minIntervalMs }: StatusKind["urgent"]): void {
    const { clock } = this.#context;
    const nowMs = clock.monotonicMs();
    const dueMs = Math.max(nowMs + debounceMs, entry.lastWriteMs + minIntervalMs);
    if (entry.timer !== undefined) {
      if (entry.dueMs <= dueMs) return;
      clock.clearTimeout(entry.timer);
    }
    entry.dueMs = dueMs;
    entry.timer = clock.setTimeout(() => {
      entry.timer = undefined;
      entry.busy = true;
      const run = (): Promise<JobEnd> => this.#write(key, entry);
      this.#jobs.add({ key: `status/${this.#kind.kind}/${key}`, lane: "status", type: this.#kind.type, run });
    }, dueMs - nowMs);
  }

  async #write(key: string, entry: Entry): Promise<JobEnd> {
    const subject = this.#kind.subject(key);
    // Another object of that name may have taken its place since.
    if (this.#entries.get(key) !== entry) return "done";
    if (subject === undefined) return this.#forget(key);
    entry.again = "no";
    const standing = this.standing(key, subject);
    const plan = this.#kind.plan(key, subject, standing);
    if (plan === "nothing") return this.#finish(key, entry);
    if ("againAfterMs" in plan) {
      this.#finish(key, entry);
      this.#schedule(key, entry, { ...this.#kind, debounceMs: plan.againAfterMs });
      return "done";
    }
    const digest = digestOf(plan.status);
    if (digest !== standing.digest) {
      const end = await this.#put(key, entry, subject, plan.status, digest);
      if (end !== "written") return end;
    }
    plan.recorded?.();
    return this.#finish(key, entry);
  }

  async #put(
    key: string,
    entry: Entry,
    subject: StatusSubject,
    status: object,
    digest: string,
  ): Promise<JobEnd | "written"> {
    const { client, clock, fence } = this.#context;
    const { written } = entry;
    const own = written !== undefined && written.uid === subject.uid;
    const newest = own && compareResourceVersions(written.resourceVersion, subject.resourceVersion) > 0;
    const resourceVersion = newest ? written.resourceVersion : subject.resourceVersion;
    const { name, namespace, uid } = subject;
    const ref = { ...this.#kind.resource, namespace, name, subresource: "status" };
    const metadata = { name, ...(namespace && { namespace }), uid, resourceVersion };
    const body = { apiVersion: API_VERSION, kind: this.#kind.kind, metadata, status };
    entry.lastWriteMs = clock.monotonicMs();
    try {
      const after = await client.replace(ref, body, { priority: "low", fence });
      entry.written = writtenOf(after, digest);
      return "written";
    } catch (error) {
      if (isNotFound(error)) return this.#forget(key);
      if (!isConflict(error)) throw error;
    }
    const fresh = await client.find({ ...ref, subresource: undefined }, { priority: "low" });
    if (fresh === undefined || fresh.metadata.uid !== uid) return this.#forget(key);
    // Its status may not be what we wrote: the digest of none makes the next try write in any case.
    entry.written = writtenOf(fresh, "");
    return { againAfterMs: 0 };
  }

  #finish(key: string, entry: Entry): "done" {
    entry.busy = false;
    if (entry.again !== "no") this.#schedule(key, entry, entry.again === "urgent" ? this.#kind.urgent : this.#kind);
    entry.again = "no";
    return "done";
  }

  #forget(key: string): "done" {
    this.gone(key);
    return "done";
  }
}

function writtenOf(object: KubeObject, digest: string): Written {
  const status = record(object, "status");
  return {
    uid: object.metadata.uid ?? "",
    resourceVersion: object.metadata.resourceVersion ?? "",
    digest,
    serverDigest: digestOf(status),
    conditions: conditionsOf(status),
  };
}
