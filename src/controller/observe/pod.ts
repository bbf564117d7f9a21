import {
  ATTEMPT_LABEL,
  FRAMEWORK_LABEL,
  INDEX_LABEL,
  OFFER_LABEL,
  QUEUE_LABEL,
  RECLAIMED_ANNOTATION,
  TASK_UID_LABEL,
  TRACKING_FINALIZER,
} from "../../api/labels.ts";
import type { ForeignPodFacts, PodFacts, PodPhase } from "../../offers/messages.ts";
import { podRequests } from "../pod-requests.ts";
import { clip, type JsonRecord, number, record, records, sameJson, text, timeMs } from "./json.ts";

/**
 * - `own`: carries a Task's UID as label and as owner;
 * - `foreign`: takes room on a node that is none of our doing;
 * - `none`: takes no room (ended, or not bound to any node).
 */
export type ObservedPod =
  | {
      readonly kind: "own";
      readonly uid: string;
      readonly facts: PodFacts;
      readonly resourceVersion: string;
      readonly finalizers: readonly string[];
    }
  | { readonly kind: "foreign"; readonly uid: string; readonly facts: ForeignPodFacts }
  | { readonly kind: "none"; readonly uid: string };

const maxMessageLength = 1024;

/** A Pod as it comes → what the broker needs of it. `intern` makes equal strings one: thousands of pods share most of theirs. */
export function projectPod(pod: unknown, intern = (text: string) => text): ObservedPod {
  const metadata = record(pod, "metadata");
  const uid = text(metadata, "uid") ?? "";
  const own = ownFacts(pod, metadata, intern);
  if (own !== undefined) {
    const resourceVersion = text(metadata, "resourceVersion") ?? "";
    return { kind: "own", uid, facts: own, resourceVersion, finalizers: finalizersOf(metadata) };
  }
  const phase = text(record(pod, "status"), "phase");
  if (phase === "Succeeded" || phase === "Failed") return { kind: "none", uid };
  const spec = record(pod, "spec");
  const bound = text(spec, "nodeName");
  const node = bound || pinnedNode(metadata, spec);
  if (!node) return { kind: "none", uid };
  const facts = { uid, node: intern(node), requests: podRequests(pod), ...(!bound && { pinned: true }) };
  return { kind: "foreign", uid, facts };
}

/** Facts of a pod of ours; undefined for any other, and for one whose marks make no sense. */
export function ownFacts(
  pod: unknown,
  metadata = record(pod, "metadata"),
  intern = (text: string) => text,
): PodFacts | undefined {
  const labels = record(metadata, "labels");
  const taskUid = text(labels, TASK_UID_LABEL);
  if (taskUid === undefined || !isOwnedBy(metadata, taskUid)) return undefined;
  const spec = record(pod, "spec");
  const status = record(pod, "status");
  const [namespace, name] = [text(metadata, "namespace"), text(metadata, "name")];
  const [index, attempt] = [wholeNumber(labels, INDEX_LABEL), wholeNumber(labels, ATTEMPT_LABEL)];
  const node = text(spec, "nodeName");
  const uid = text(metadata, "uid");
  if (!namespace || !name || !uid || !node || index === undefined || attempt === undefined) return undefined;
  const offer = text(labels, OFFER_LABEL);
  const reclaimedFor = text(record(metadata, "annotations"), RECLAIMED_ANNOTATION);
  const createdAtMs = timeMs(metadata, "creationTimestamp");
  const phase = phaseOf(status);
  return {
    uid,
    key: `${namespace}/${name}`,
    taskUid: intern(taskUid),
    index,
    attempt,
    node: intern(node),
    queue: intern(text(labels, QUEUE_LABEL) ?? ""),
    framework: intern(`${namespace}/${text(labels, FRAMEWORK_LABEL) ?? ""}`),
    ...(offer !== undefined && { offer }),
    phase,
    deleting: text(metadata, "deletionTimestamp") !== undefined,
    ...(isForced(metadata, phase) && { forced: true }),
    tracked: finalizersOf(metadata).includes(TRACKING_FINALIZER),
    requests: podRequests(pod),
    ...(createdAtMs !== undefined && { createdAtMs }),
    ...(reclaimedFor !== undefined && { reclaimedFor: clip(reclaimedFor, 63) }),
    ...outcomeOf(status),
  };
}

export function samePod(a: ObservedPod, b: ObservedPod): boolean {
  if (a.kind === "none" || b.kind === "none") return a.kind === b.kind;
  return a.kind === b.kind && sameJson(a.facts, b.facts);
}

function finalizersOf(metadata: JsonRecord): readonly string[] {
  const { finalizers } = metadata;
  if (!Array.isArray(finalizers)) return [];
  return finalizers.filter((finalizer): finalizer is string => typeof finalizer === "string");
}

function isOwnedBy(metadata: JsonRecord, taskUid: string): boolean {
  return records(metadata, "ownerReferences").some(
    (owner) =>
      text(owner, "uid") === taskUid &&
      text(owner, "kind") === "Task" &&
      (text(owner, "apiVersion") ?? "").startsWith("proffer.dev/"),
  );
}

function wholeNumber(labels: JsonRecord, key: string): number | undefined {
  const source = text(labels, key);
  return source !== undefined && /^\d{1,7}$/.test(source) ? Number(source) : undefined;
}

/** The phase as far as it is known. */
export function phaseOf(status: JsonRecord): PodPhase {
  const phase = text(status, "phase");
  if (phase === "Running" || phase === "Succeeded" || phase === "Failed") return phase;
  return "Pending";
}

/**
 * Deleted by force, or with its node: only our finalizer keeps the object. The kubelet deletes with no grace as well, but
 * not before it has written how the pod ended.
 */
function isForced(metadata: JsonRecord, phase: PodPhase): boolean {
  if (phase === "Succeeded" || phase === "Failed") return false;
  return text(metadata, "deletionTimestamp") !== undefined && number(metadata, "deletionGracePeriodSeconds") === 0;
}

/** What the containers' statuses tell: started or not, when, and why it ended or does not start. */
export function outcomeOf(status: JsonRecord): Pick<PodFacts, "started"> & Partial<PodFacts> {
  const main = records(status, "containerStatuses");
  const all = [...records(status, "initContainerStatuses"), ...main];
  const started = all.some(hasStarted);
  const ended = all.map((c) => record(record(c, "state"), "terminated"));
  const startTimes = main.flatMap((c) => startTimesOf(c));
  const finishTimes = ended.flatMap((t) => timeMs(t, "finishedAt") ?? []);
  const phase = text(status, "phase");
  const over = phase === "Succeeded" || phase === "Failed";
  // The first container that failed says more than the pod does.
  const failed = ended.find((terminated) => (number(terminated, "exitCode") ?? 0) !== 0);
  const waiting = all.map((c) => record(record(c, "state"), "waiting")).find((w) => text(w, "message") !== undefined);
  const source = over ? failed : waiting;
  const reason = text(status, "reason") ?? text(source, "reason");
  const message = text(status, "message") ?? text(source, "message");
  const exitCode = phase === "Failed" ? number(failed, "exitCode") : undefined;
  return {
    started,
    ...(reason && { reason: clip(reason, 128) }),
    ...(message && { message: clip(message, maxMessageLength) }),
    ...(exitCode !== undefined && { exitCode }),
    ...(startTimes.length > 0 && { startedAtMs: Math.min(...startTimes) }),
    ...(over && finishTimes.length > 0 && { finishedAtMs: Math.max(...finishTimes) }),
  };
}

/** The kubelet also calls containers "terminated" that it never started; they have no start time. */
function hasStarted(container: JsonRecord): boolean {
  const lastEnd = record(record(container, "lastState"), "terminated");
  return startTimesOf(container).length > 0 || timeMs(lastEnd, "startedAt") !== undefined;
}

function startTimesOf(container: JsonRecord): number[] {
  const state = record(container, "state");
  const since = timeMs(record(state, "running"), "startedAt") ?? timeMs(record(state, "terminated"), "startedAt");
  return since === undefined ? [] : [since];
}

/** DaemonSet pods name their node by affinity until the scheduler has bound them. */
function pinnedNode(metadata: JsonRecord, spec: JsonRecord): string | undefined {
  const ofDaemonSet = records(metadata, "ownerReferences").some(
    (owner) =>
      owner.controller === true && text(owner, "kind") === "DaemonSet" && text(owner, "apiVersion") === "apps/v1",
  );
  if (!ofDaemonSet) return undefined;
  const nodeAffinity = record(record(spec, "affinity"), "nodeAffinity");
  const required = record(nodeAffinity, "requiredDuringSchedulingIgnoredDuringExecution");
  for (const term of records(required, "nodeSelectorTerms")) {
    for (const field of records(term, "matchFields")) {
      const values = field.values;
      const pins = text(field, "key") === "metadata.name" && text(field, "operator") === "In";
      if (pins && Array.isArray(values) && values.length === 1 && typeof values[0] === "string") return values[0];
    }
  }
  return undefined;
}
