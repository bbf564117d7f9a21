import type { TaskFacts } from "../messages.ts";
import type { Explanation, InstanceCounts, TaskState } from "../views.ts";
import type { Instance } from "./instance.ts";

/** The state of a whole Task, from those of its instances; `finished`: all have ended for good. */
export function stateOf({ invalid, kill }: TaskFacts, counts: InstanceCounts, finished: boolean): TaskState {
  const live = counts.staging + counts.starting + counts.running + counts.unreachable;
  if (invalid !== undefined && live === 0) return "Error";
  if (finished) {
    if (counts.failed > 0) return "Failed";
    if (counts.lost > 0) return "Lost";
    return counts.killed > 0 ? "Killed" : "Finished";
  }
  if (kill !== undefined && kill.indexes === undefined) return "Killing";
  if (counts.running > 0) return "Running";
  if (counts.unreachable > 0) return "Unreachable";
  if (counts.starting > 0) return "Starting";
  return counts.staging > 0 ? "Staging" : "Pending";
}

/** Instances that have a place, by state. */
export function countByState(live: Iterable<Instance>): Pick<InstanceCounts, Instance["state"] | "unreachable"> {
  const counts = { staging: 0, starting: 0, running: 0, unreachable: 0 };
  for (const { unreachable, state } of live) counts[unreachable ? "unreachable" : state]++;
  return counts;
}

/** That an instance with a place, one of so many, does not start; `said`: by its node. */
export function notStarting({ index, nodeName }: Instance, said: string, instances: number): Explanation {
  const which = instances === 1 ? "" : `instance ${index} `;
  return { reason: "not-starting", message: `${which}on ${nodeName}: ${said}` };
}
