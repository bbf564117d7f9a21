import { parseIndexes } from "./indexes.ts";
import type { Vector } from "./resources.ts";
import type { Task } from "./task.ts";

/** One attempt of one instance, from its claim to the end of its pod. */
export interface Instance {
  readonly index: number;
  readonly attempt: number;
  /** Dense index of its node. */
  node: number;
  nodeName: string;
  /** What it claims: the request of its shape, later of its pod as the API server made it. */
  vector: Vector;
  state: "staging" | "starting" | "running";
  /** Its node is not ready for longer than the framework bears. */
  unreachable: boolean;
  /** We asked for its end. */
  killing: boolean;
  /** We asked for its end because its gang did not start as a whole: its index runs again. */
  recalled: boolean;
  pod: { readonly key: string; readonly uid: string } | undefined;
  /** A container of it has run: what comes after may have had effects. */
  started: boolean;
}

/** The name of an instance's room in the ledger, and in the counts of what it is spread over. */
export const claimId = (taskUid: string, index: number): string => `task/${taskUid}/${index}`;

/** An attempt whose claim stands and whose pod is on its way. */
export function staged(place: Pick<Instance, "index" | "attempt" | "node" | "nodeName" | "vector">): Instance {
  return { ...place, state: "staging", unreachable: false, killing: false, recalled: false, pod: undefined, started: false };
}

/** Whether the index is to end, by the Task's deletion or its `spec.kill`. */
export function isDoomed({ gone, facts }: Task, index: number): boolean {
  if (gone || facts.deleting) return true;
  if (facts.kill === undefined) return false;
  return facts.kill.indexes === undefined || parseIndexes(facts.kill.indexes, facts.instances).has(index);
}
