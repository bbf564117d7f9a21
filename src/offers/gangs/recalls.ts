import type { PodFacts } from "../messages.ts";
import type { State } from "../state.ts";
import { type Ending, endingOfRecalled } from "../tasks/endings.ts";
import type { Instance } from "../tasks/instance.ts";
import type { Task } from "../tasks/task.ts";
import type { Gang } from "./gang.ts";
import type { Gangs } from "./gangs.ts";

/** Asks for the end of all that lives of a gang that breaks up: it starts anew as a whole. */
export function recall(state: State, gang: Gang): void {
  for (const task of gang.tasks) {
    for (const instance of task.live.values()) {
      if (instance.killing || instance.recalled || instance.reclaimedFor !== undefined) continue;
      instance.recalled = true;
      // While its create is in flight there is nothing to delete: it is done when the pod is known.
      if (instance.pod !== undefined) deletePod(state, instance.pod);
    }
  }
}

/** What a pod tells of a start that is not complete. `isNew`: nothing was known of the pod before. */
export function followRecall(
  state: State,
  gangs: Gangs,
  task: Task,
  instance: Instance,
  pod: PodFacts,
  isNew: boolean,
): void {
  const { gang } = task;
  if (gang === undefined || task.startedTogether === true) return;
  if (pod.deleting && !instance.killing) {
    // Asked for by an earlier leader, or by somebody who breaks up what has not started.
    instance.recalled = true;
    gang.recalling = true;
  } else if (isNew && instance.recalled) {
    deletePod(state, pod);
  }
  if (isNew || pod.deleting) gangs.look(gang);
}

/** The end as it is to be told. */
export function recalledEnding({ recalled, killing }: Instance, ending: Ending): Ending {
  return recalled && !killing && ending.outcome !== "finished" ? endingOfRecalled(ending) : ending;
}

function deletePod(state: State, { key, uid }: { readonly key: string; readonly uid: string }): void {
  state.emit({ type: "delete-pod", key, uid });
}
