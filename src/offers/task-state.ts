import type { TaskFacts } from "./messages.ts";
import type { InstanceCounts, TaskState } from "./views.ts";

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
