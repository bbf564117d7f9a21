import type { Condition } from "../../api/common.ts";
import { number, record, records, text, timeMs } from "./json.ts";

/** What is kept of every custom resource's metadata. */
export interface Meta {
  /** "namespace/name", or "name" of a cluster-scoped object. */
  readonly key: string;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly createdAtMs: number;
  readonly deleting: boolean;
}

export function metaOf(object: unknown): Meta {
  const metadata = record(object, "metadata");
  const namespace = text(metadata, "namespace");
  const name = text(metadata, "name") ?? "";
  return {
    key: namespace === undefined ? name : `${namespace}/${name}`,
    namespace,
    name,
    uid: text(metadata, "uid") ?? "",
    resourceVersion: text(metadata, "resourceVersion") ?? "",
    generation: number(metadata, "generation") ?? 0,
    createdAtMs: timeMs(metadata, "creationTimestamp") ?? 0,
    deleting: text(metadata, "deletionTimestamp") !== undefined,
  };
}

/** The conditions that stand in a status, those that can be read. */
export function conditionsOf(status: unknown): readonly Condition[] {
  return records(status, "conditions").flatMap((condition) => {
    const [type, state] = [text(condition, "type"), text(condition, "status")];
    const lastTransitionTime = text(condition, "lastTransitionTime");
    if (!type || !lastTransitionTime || (state !== "True" && state !== "False" && state !== "Unknown")) return [];
    const observedGeneration = number(condition, "observedGeneration");
    const [reason, message] = [text(condition, "reason") ?? "", text(condition, "message") ?? ""];
    return [
      {
        type,
        status: state,
        lastTransitionTime,
        reason,
        message,
        ...(observedGeneration !== undefined && { observedGeneration }),
      },
    ];
  });
}
