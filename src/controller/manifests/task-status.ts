import type { Condition } from "../../api/common.ts";
import type { TaskStatus } from "../../api/task.ts";
import { REASONS } from "../../offers/explain/reasons.ts";
import type { Explanation, FailureView, TaskState, TaskView } from "../../offers/views.ts";
import { clip } from "../observe/json.ts";
import { type ConditionDraft, conditionReason, conditionsFrom, timeText } from "./conditions.ts";
import { podName, podNamePrefix } from "./names.ts";
import { clipRanges } from "./offer.ts";

/** What a Task's status is made from. */
export interface TaskStatusSource {
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly view: TaskView;
  /** Why it waits, where that is to be said. */
  readonly waiting: Explanation | undefined;
  readonly standing: readonly Condition[];
  readonly nowMs: number;
}

const maxRangesLength = 32_768;
const maxAttemptGroups = 64;
const maxFailures = 5;
const maxMessageLength = 1024;
const maxWhyLength = 1024;

const finalStates: readonly TaskState[] = ["Finished", "Failed", "Killed", "Lost", "Error"];

function isFinal(state: TaskState): boolean {
  return finalStates.includes(state);
}

/** The body of a Task's status: the same view gives the same body. */
export function taskStatus(source: TaskStatusSource): TaskStatus {
  const { view } = source;
  const why = isFinal(view.state) ? whyItEnded(view) : whyItWaits(source);
  return {
    observedGeneration: source.generation,
    state: view.state,
    counts: { ...view.counts },
    progress: clip(`${view.counts.finished}/${view.instances}`, 16),
    ...(view.succeededIndexes !== "" && { succeededIndexes: clipRanges(view.succeededIndexes, maxRangesLength) }),
    ...(view.failedIndexes !== "" && { failedIndexes: clipRanges(view.failedIndexes, maxRangesLength) }),
    ...(view.attempts.length > 0 && {
      attempts: view.attempts.slice(0, maxAttemptGroups).map(({ indexes, ended, failed }) => ({
        indexes: clipRanges(indexes, maxRangesLength),
        ended,
        failed,
      })),
    }),
    ...(view.node !== undefined && { node: view.node }),
    ...(view.pod && { pod: podName(podNamePrefix(source.name, source.uid), 0, view.pod.attempt) }),
    ...(view.startedTogether !== undefined && { startedTogether: view.startedTogether }),
    ...(view.lastFailures.length > 0 && { lastFailures: view.lastFailures.slice(0, maxFailures).map(failureOf) }),
    ...(view.startedAtMs !== undefined && { startedAt: timeText(view.startedAtMs) }),
    ...(view.finishedAtMs !== undefined && { finishedAt: timeText(view.finishedAtMs) }),
    ...(why && { why: clip(why, maxWhyLength) }),
    conditions: conditionsFrom(conditionsOf(source), source.standing, source.generation, source.nowMs),
  };
}

function conditionsOf({ view, waiting }: TaskStatusSource): ConditionDraft[] {
  const { state } = view;
  // What has ended took part, even if a new leader does not know its size yet.
  const rejected = isFinal(state) && view.rejected?.reason === "sizing" ? undefined : view.rejected;
  const drafts: ConditionDraft[] = [
    rejected
      ? { type: "Accepted", status: "False", reason: conditionReason(rejected.reason), message: rejected.message }
      : { type: "Accepted", status: "True", reason: "Accepted", message: "The task takes part." },
  ];
  if (waiting && !rejected && !isFinal(state)) {
    drafts.push({
      type: "Waiting",
      status: "True",
      reason: conditionReason(waiting.reason),
      message: waiting.message,
    });
  }
  if (isFinal(state)) {
    drafts.push({ type: "Finished", status: "True", reason: state, message: whyItEnded(view) ?? "" });
  }
  return drafts;
}

/** Whatever keeps a Task from starting more is nothing to it while none of its instances waits to start. */
function whyItWaits({ view, waiting }: TaskStatusSource): string | undefined {
  const { stuck, rejected, counts } = view;
  return stuck?.message ?? (counts.pending > 0 ? (rejected?.message ?? waiting?.message) : undefined);
}

function whyItEnded({ state, counts, instances, lastFailures, rejected }: TaskView): string | undefined {
  if (!isFinal(state)) return undefined;
  if (state === "Error") return rejected?.message;
  if (state === "Finished") return instances === 1 ? undefined : `${counts.finished} of ${instances} succeeded`;
  const last = lastFailures[0];
  if (last === undefined) return undefined;
  const where = [instances === 1 ? "" : `instance ${last.index}`, last.node && `on ${last.node}`].filter(Boolean);
  // Programs that are told to end do so with codes of their own, which say nothing of why.
  const isByCode = last.reason === "exit-code";
  const what = isByCode ? `exit code ${last.exitCode}` : REASONS[last.reason][0];
  const rest = last.message && (isByCode ? `: ${last.message}` : ` ${last.message}`);
  return `${where.join(" ")}${where.length > 0 ? ": " : ""}${what}${rest}`;
}

function failureOf(failure: FailureView): NonNullable<TaskStatus["lastFailures"]>[number] {
  return {
    index: failure.index,
    attempt: failure.attempt,
    ...(failure.node && { node: failure.node }),
    reason: failure.reason,
    message: clip(failure.message, maxMessageLength),
    ...(failure.exitCode !== undefined && { exitCode: failure.exitCode }),
    at: timeText(failure.atMs),
  };
}
