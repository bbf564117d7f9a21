import type { State } from "../state.ts";
import type { Ending } from "./endings.ts";
import type { Instance } from "./instance.ts";
import type { Task } from "./task.ts";

/** An attempt has ended otherwise than well. */
export function tellEnding(state: State, task: Task, instance: Instance, { outcome, reason, message }: Ending): void {
  if (outcome === "finished") return;
  state.emit({
    type: "event",
    about: { kind: "Task", key: task.facts.key, uid: task.uid },
    severity: "Warning",
    reason,
    note: `instance ${instance.index}, attempt ${instance.attempt} on ${instance.nodeName}: ${outcome}. ${message}`,
  });
}
