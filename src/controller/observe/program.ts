import { CONTROLLER_LABEL, FRAMEWORK_LABEL, PROGRAM_ANNOTATION } from "../../api/labels.ts";
import type { PodPhase } from "../../offers/messages.ts";
import { record, records, text } from "./json.ts";
import { metaOf } from "./meta.ts";
import { outcomeOf, phaseOf } from "./pod.ts";

/** The pod of a framework's program, which Proffer has made from `scheduler.controller`. */
export interface ObservedProgram {
  /** "namespace/name" */
  readonly key: string;
  readonly uid: string;
  /** "namespace/name" */
  readonly framework: string;
  readonly frameworkUid: string;
  readonly createdAtMs: number;
  readonly deleting: boolean;
  readonly phase: PodPhase;
  /** Of what it was made from. */
  readonly hash: string;
  /** Pods of this program before it, and how many of them failed in a row. */
  readonly restarts: number;
  readonly failures: number;
  readonly startedAtMs?: number;
  readonly finishedAtMs?: number;
  readonly exitCode?: number;
  readonly reason?: string;
  readonly message?: string;
}

/** A pod as it comes → what is known of the program; undefined for a pod that is none, or that no Framework owns. */
export function projectProgram(pod: unknown): ObservedProgram | undefined {
  const metadata = record(pod, "metadata");
  const labels = record(metadata, "labels");
  const [framework, frameworkUid] = [text(labels, FRAMEWORK_LABEL), text(labels, CONTROLLER_LABEL)];
  const { key, uid, namespace, createdAtMs, deleting } = metaOf(pod);
  if (!framework || !frameworkUid || namespace === undefined) return undefined;
  const owned = records(metadata, "ownerReferences").some((owner) => text(owner, "uid") === frameworkUid);
  if (!owned) return undefined;
  const status = record(pod, "status");
  const { startedAtMs, finishedAtMs, exitCode, reason, message } = outcomeOf(status);
  const [hash, restarts, failures] = (text(record(metadata, "annotations"), PROGRAM_ANNOTATION) ?? "").split(" ");
  return {
    key,
    uid,
    framework: `${namespace}/${framework}`,
    frameworkUid,
    createdAtMs,
    deleting,
    phase: phaseOf(status),
    hash: hash ?? "",
    restarts: countOf(restarts),
    failures: countOf(failures),
    ...(startedAtMs !== undefined && { startedAtMs }),
    ...(finishedAtMs !== undefined && { finishedAtMs }),
    ...(exitCode !== undefined && { exitCode }),
    ...(reason !== undefined && { reason }),
    ...(message !== undefined && { message }),
  };
}

function countOf(source: string | undefined): number {
  return source !== undefined && /^\d{1,9}$/.test(source) ? Number(source) : 0;
}
