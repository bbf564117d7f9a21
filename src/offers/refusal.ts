import type { Reason } from "./explain/reasons.ts";
import type { Answer, Launch, LaunchOutcome } from "./messages.ts";
import type { OfferSlice } from "./offer.ts";
import type { Task } from "./tasks/task.ts";

/** One launch of an answer that may be tried: the task, the slice, and how many. */
export interface Wish {
  readonly launch: Launch;
  readonly task: Task;
  readonly slice: OfferSlice;
}

export interface Refusal {
  readonly reason: Reason;
  readonly message: string;
  readonly launches: readonly LaunchOutcome[];
}

/** Why another launch of the answer is refused with the culprit. */
export function withCulprit<T extends { readonly message: string }>(why: T, culprit: Launch): T {
  return { ...why, message: `with ${culprit.task}: ${why.message}` };
}

/** The whole answer is refused; `culprit` (or all of it) for this reason, the others because of it. */
export function refuse(reason: Reason, message: string, answer: Answer, culprit?: Launch): Refusal {
  const launches = answer.launches.map((launch) => ({
    task: launch.task,
    slice: launch.slice,
    indexes: "",
    refused:
      culprit === undefined || culprit === launch ? { reason, message } : withCulprit({ reason, message }, culprit),
  }));
  return { reason, message, launches };
}
