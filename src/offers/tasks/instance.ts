import type { Vector } from "../resources.ts";

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
  /** Since when it has its place. Wall-clock ms, as below. */
  readonly placedAtMs: number;
  /** We asked for its end. */
  killing: boolean;
  /** We asked for its end because its gang did not start as a whole: its index runs again. */
  recalled: boolean;
  /** We asked for its end, to give its room back to this queue. */
  reclaimedFor: string | undefined;
  /** Its pod is being deleted, whoever asked for it. */
  deleting: boolean;
  pod: { readonly key: string; readonly uid: string } | undefined;
  /** A container of it has run: what comes after may have had effects. */
  started: boolean;
  /** Since when its containers run; undefined until they do. Wall-clock ms. */
  runsSinceMs: number | undefined;
}

/** The name of an instance's room in the ledger, and in the counts of what it is spread over. */
export const claimId = (taskUid: string, index: number): string => `task/${taskUid}/${index}`;

/** An attempt whose claim stands and whose pod is on its way. */
export function staged(
  place: Pick<Instance, "index" | "attempt" | "node" | "nodeName" | "vector" | "placedAtMs">,
): Instance {
  return {
    ...place,
    state: "staging",
    unreachable: false,
    killing: false,
    recalled: false,
    reclaimedFor: undefined,
    deleting: false,
    pod: undefined,
    started: false,
    runsSinceMs: undefined,
  };
}

/** Its room will be free by itself. */
export function isLeaving({ killing, deleting, recalled, reclaimedFor }: Instance): boolean {
  return killing || deleting || recalled || reclaimedFor !== undefined;
}
