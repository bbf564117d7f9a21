import type { Vector } from "./resources.ts";

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
  pod: { readonly key: string; readonly uid: string } | undefined;
  /** A container of it has run: what comes after may have had effects. */
  started: boolean;
  /** Since when its containers run; undefined until they do. Wall-clock ms. */
  runsSinceMs: number | undefined;
}

/** The name of an instance's room in the ledger, and in the counts of what it is spread over. */
export const claimId = (taskUid: string, index: number): string => `task/${taskUid}/${index}`;

/** An attempt whose claim stands and whose pod is on its way. */
export function staged(place: Pick<Instance, "index" | "attempt" | "node" | "nodeName" | "vector">): Instance {
  return {
    ...place,
    state: "staging",
    unreachable: false,
    killing: false,
    pod: undefined,
    started: false,
    runsSinceMs: undefined,
  };
}
