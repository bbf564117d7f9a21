import { type Condition, describeIssues } from "../../api/common.ts";
import { type PodTemplate, parsePodTemplate } from "../../api/pod-template.ts";
import { type TaskSpec, taskSpecWithoutTemplate } from "../../api/task.ts";
import { REASONS, type Reason } from "../../offers/explain/reasons.ts";
import type { RecordedTask, TaskFacts } from "../../offers/messages.ts";
import type { Quantities } from "../../offers/resources.ts";
import type { FailureView } from "../../offers/views.ts";
import { reasonOfCondition } from "../manifests/conditions.ts";
import { podRequests } from "../pod-requests.ts";
import { constraintsOf } from "./constraints.ts";
import { digestOfStatus, digestOfText } from "./digest.ts";
import type { ObservedFramework } from "./framework.ts";
import { clip, type JsonRecord, number, record, records, text, timeMs } from "./json.ts";
import { conditionsOf, type Meta, metaOf } from "./meta.ts";

export interface ObservedTask extends Meta {
  readonly framework: string;
  /** Undefined: the spec breaks a rule that has nothing to do with the template. */
  readonly spec: Omit<TaskSpec, "template"> | undefined;
  readonly template: ReadTemplate;
  readonly invalid: string | undefined;
  readonly recorded: RecordedTask | undefined;
  /** The status as it stands: its digest, to write only what differs, and the conditions, to keep their times. */
  readonly statusDigest: string | undefined;
  readonly conditions: readonly Condition[];
}

/** A template, read once for all the Tasks that carry the same one. */
export interface ReadTemplate {
  readonly hash: string;
  readonly template: PodTemplate | undefined;
  readonly invalid: string | undefined;
  readonly requests: Quantities;
}

const defaultRetry = { limit: 0, backoffSeconds: 10, maxBackoffSeconds: 300, onNodeLost: "Never" as const };

/** Reads Tasks; keeps the templates it has read, since thousands of Tasks often share one. */
export class TaskReader {
  readonly #maxTemplates: number;
  readonly #templates = new Map<string, ReadTemplate>();

  constructor(maxTemplates = 4096) {
    this.#maxTemplates = maxTemplates;
  }

  /** A Task as it comes → what is kept of it. */
  project(object: unknown): ObservedTask {
    const meta = metaOf(object);
    const rawSpec = record(object, "spec");
    const status = record(object, "status");
    const template = this.#read(rawSpec.template);
    const parsed = taskSpecWithoutTemplate.safeParse(rawSpec);
    const invalid = parsed.success ? template.invalid : describeIssues(parsed.error, "spec").join("; ");
    return {
      ...meta,
      framework: `${meta.namespace}/${text(rawSpec, "framework") ?? ""}`,
      spec: parsed.success ? parsed.data : undefined,
      template,
      invalid: invalid === undefined ? undefined : clip(invalid, 1024),
      recorded: recordedOf(status),
      statusDigest: digestOfStatus(status),
      conditions: conditionsOf(status),
    };
  }

  #read(raw: unknown): ReadTemplate {
    // The API server writes custom resources with sorted members, so equal templates are equal texts.
    const hash = digestOfText(JSON.stringify(raw) ?? "");
    const known = this.#templates.get(hash);
    if (known !== undefined) return known;
    const read = readTemplate(raw, hash);
    if (this.#templates.size >= this.#maxTemplates) this.#templates.clear();
    this.#templates.set(hash, read);
    return read;
  }
}

function readTemplate(raw: unknown, hash: string): ReadTemplate {
  const parsed = parsePodTemplate(raw);
  if (!parsed.ok) return { hash, template: undefined, invalid: parsed.problems.join("; "), requests: { pods: 1 } };
  return { hash, template: parsed.template, invalid: undefined, requests: podRequests({ spec: parsed.template.spec }) };
}

/** What the broker is told of a Task; what it leaves open comes from its Framework, as far as that is known. */
export function taskFacts(task: ObservedTask, framework: ObservedFramework | undefined): TaskFacts {
  const defaults = framework?.taskDefaults ?? {};
  const { spec } = task;
  const retry = spec?.retry ?? defaults.retry ?? defaultRetry;
  const ttlSeconds = spec?.ttlSecondsAfterFinished ?? defaults.ttlSecondsAfterFinished;
  const constraints = constraintsOf(spec?.constraints ?? defaults.constraints);
  const { kill } = spec ?? {};
  return {
    key: task.key,
    uid: task.uid,
    framework: task.framework,
    ...(spec?.queue !== undefined && { queue: spec.queue }),
    templateKey: `${task.namespace}/${task.template.hash}`,
    requests: task.template.requests,
    ...(task.invalid !== undefined && { invalid: task.invalid }),
    instances: spec?.instances ?? 1,
    ...(spec?.parallelism !== undefined && { parallelism: spec.parallelism }),
    ...(spec?.gang !== undefined && { gang: spec.gang }),
    ...(spec?.group !== undefined && { group: spec.group }),
    priority: spec?.priority ?? defaults.priority ?? 0,
    ...(constraints && { constraints }),
    retry: {
      limit: retry.limit,
      backoffMs: retry.backoffSeconds * 1000,
      maxBackoffMs: retry.maxBackoffSeconds * 1000,
      onNodeLost: retry.onNodeLost,
    },
    ...(kill && {
      kill: {
        ...(kill.indexes !== undefined && { indexes: kill.indexes }),
        ...(kill.gracePeriodSeconds !== undefined && { gracePeriodSeconds: kill.gracePeriodSeconds }),
      },
    }),
    ...(spec?.durationSeconds !== undefined && { durationMs: spec.durationSeconds * 1000 }),
    ...(ttlSeconds !== undefined && { ttlAfterFinishedMs: ttlSeconds * 1000 }),
    createdAtMs: task.createdAtMs,
    deleting: task.deleting,
    ...(task.recorded && { recorded: task.recorded }),
    ...waitingSince(task.conditions),
  };
}

/** Since when the status says that it waits for room. */
function waitingSince(conditions: readonly Condition[]): Pick<TaskFacts, "waitingSinceMs"> {
  const condition = conditions.find(({ type, status }) => type === "Waiting" && status === "True");
  const reason = condition && reasonOfCondition(condition.reason);
  if (condition === undefined || (reason !== "no-node" && reason !== "gathering")) return {};
  const waitingSinceMs = timeMs(condition, "lastTransitionTime");
  return waitingSinceMs === undefined ? {} : { waitingSinceMs };
}

/** Has anything changed that the broker is told? Statuses are our own words. */
export function sameTask(a: ObservedTask, b: ObservedTask): boolean {
  return a.uid === b.uid && a.generation === b.generation && a.deleting === b.deleting;
}

function recordedOf(status: unknown): RecordedTask | undefined {
  const [succeededIndexes, failedIndexes] = [text(status, "succeededIndexes"), text(status, "failedIndexes")];
  const attempts = records(status, "attempts").map((entry) => ({
    indexes: text(entry, "indexes") ?? "",
    ended: number(entry, "ended") ?? 0,
    failed: number(entry, "failed") ?? 0,
  }));
  const lastFailures = records(status, "lastFailures").flatMap(failureOf);
  const [startedAtMs, finishedAtMs] = [timeMs(status, "startedAt"), timeMs(status, "finishedAt")];
  const counts = record(status, "counts");
  const startedTogether = record(status).startedTogether === true;
  const says = [succeededIndexes, failedIndexes, startedAtMs, finishedAtMs, startedTogether].some(Boolean);
  if (!says && attempts.length === 0 && lastFailures.length === 0) return undefined;
  return {
    succeededIndexes: succeededIndexes ?? "",
    failedIndexes: failedIndexes ?? "",
    attempts,
    counts: {
      failed: number(counts, "failed") ?? 0,
      killed: number(counts, "killed") ?? 0,
      lost: number(counts, "lost") ?? 0,
    },
    lastFailures,
    ...(startedTogether && { startedTogether }),
    ...(startedAtMs !== undefined && { startedAtMs }),
    ...(finishedAtMs !== undefined && { finishedAtMs }),
  };
}

function failureOf(failure: JsonRecord): FailureView[] {
  const [index, attempt] = [number(failure, "index"), number(failure, "attempt")];
  const [reason, atMs] = [text(failure, "reason") ?? "", timeMs(failure, "at")];
  if (index === undefined || attempt === undefined || atMs === undefined || !Object.hasOwn(REASONS, reason)) return [];
  const exitCode = number(failure, "exitCode");
  return [
    {
      index,
      attempt,
      node: text(failure, "node") ?? "",
      reason: reason as Reason,
      message: text(failure, "message") ?? "",
      ...(exitCode !== undefined && { exitCode }),
      atMs,
    },
  ];
}
