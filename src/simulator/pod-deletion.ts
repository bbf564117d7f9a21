import type { Effect } from "../offers/messages.ts";
import type { Cluster } from "./cluster.ts";

type DeletePod = Extract<Effect, { type: "delete-pod" }>;

/** Two writes, where the pod is marked first: somebody may come, or the leader die, between them. */
export function deletePod(
  { type, key, uid, gracePeriodSeconds, reclaimedFor }: DeletePod,
  cluster: Cluster,
  persist: (label: string, write: () => void, done?: () => void) => void,
): void {
  const remove = () => persist(type, () => cluster.deletePod(key, uid, gracePeriodSeconds));
  if (reclaimedFor === undefined) remove();
  else persist("mark-pod", () => cluster.markPod(key, uid, reclaimedFor), remove);
}
