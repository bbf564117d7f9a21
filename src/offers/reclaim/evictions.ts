import type { PodFacts } from "../messages.ts";
import type { State } from "../state.ts";
import { type Ending, endingOfReclaimed } from "../tasks/endings.ts";
import { type Instance, isLeaving } from "../tasks/instance.ts";

/** Asks for the end of an instance, to give its room back to `queue`. It runs again later, as if it had not been. */
export function evict(state: State, instance: Instance, queue: string): void {
  if (isLeaving(instance)) return;
  instance.reclaimedFor = queue;
  state.counters.evictions++;
  // While its create is in flight there is nothing to delete: it is done when the pod is known.
  if (instance.pod !== undefined) deletePod(state, instance.pod, queue);
}

/** What a pod tells of its instance's leaving. `isNew`: nothing was known of the pod before. */
export function followLeaving(state: State, instance: Instance, pod: PodFacts, isNew: boolean): void {
  instance.deleting ||= pod.deleting;
  // Marked and not deleted, its room was not taken after all: the leader who wanted it has gone.
  if (pod.deleting) instance.reclaimedFor ??= pod.reclaimedFor;
  else if (isNew && instance.reclaimedFor !== undefined) deletePod(state, pod, instance.reclaimedFor);
}

/** The end as it is to be told: what we have taken back has not failed, whatever its pod says. */
export function toldEnding({ reclaimedFor, killing }: Instance, ending: Ending): Ending {
  if (reclaimedFor === undefined || killing || ending.outcome === "finished") return ending;
  return endingOfReclaimed(ending, reclaimedFor);
}

function deletePod(state: State, { key, uid }: { readonly key: string; readonly uid: string }, queue: string): void {
  state.emit({ type: "delete-pod", key, uid, reclaimedFor: queue });
}
