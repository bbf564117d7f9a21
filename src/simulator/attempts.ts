import type { AttemptRef } from "../offers/messages.ts";
import type { Cluster, PodObject } from "./cluster.ts";

/** One attempt of one instance. */
export const idOf = ({ taskUid, index, attempt }: AttemptRef): string => `${taskUid}/${index}/${attempt}`;

/** The pod as it is now: what became of a create. */
export function snapshot(
  result: ReturnType<Cluster["createPod"]>,
  version: number,
): { facts: PodObject["facts"]; version: number } | { refused: string } {
  return "refused" in result ? result : { facts: result.pod.facts, version };
}
