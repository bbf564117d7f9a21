import type { Cluster, CreatePod, PodObject } from "./cluster.ts";

/** One attempt of one instance. */
export const attemptOf = ({ taskUid, index, attempt }: CreatePod["attempt"]): string =>
  `${taskUid}/${index}/${attempt}`;

/** The pod as it is now: what became of a create. */
export function snapshot(
  result: ReturnType<Cluster["createPod"]>,
  version: number,
): { facts: PodObject["facts"]; version: number } | { refused: string } {
  return "refused" in result ? result : { facts: result.pod.facts, version };
}
