import type { Condition } from "../../api/common.ts";
import type { Effect, Key } from "../../offers/messages.ts";
import type { Explanation, TaskView } from "../../offers/views.ts";
import type { BrokerContract } from "../broker-contract.ts";
import { isConflict, isNotFound } from "../kube/api-error.ts";
import { reasonOfCondition } from "../manifests/conditions.ts";
import { taskStatus } from "../manifests/task-status.ts";
import type { ObservedTask } from "../observe/task.ts";
import { type EffectContext, namespaced, TASK } from "./context.ts";
import type { Job } from "./job-queue.ts";
import type { StatusKind, StatusPlan, StatusSubject } from "./statuses.ts";

export interface TaskStatusOptions extends EffectContext {
  readonly broker: Pick<BrokerContract, "taskView">;
  readonly task: (uid: string) => ObservedTask | undefined;
  /** Why the Task waits, where that is to be said in its status. */
  readonly waiting: (uid: string) => Explanation | undefined;
  /** Default 1 s. */
  readonly debounceMs?: number;
  /** Default 1 s. */
  readonly minIntervalMs?: number;
}

/** Being placed and started is seldom worth a write of its own: running comes soon, as a rule. */
const startingHoldMs = 5_000;

/** How statuses of Tasks are made. Its keys are UIDs. */
export function taskStatusKind(options: TaskStatusOptions): StatusKind {
  const { broker, task, waiting, clock, feed } = options;
  const startingSinceMs = new Map<string, number>();
  const plan = (uid: string, subject: StatusSubject, standing: { conditions: readonly Condition[] }): StatusPlan => {
    const view = broker.taskView(uid);
    if (view === undefined) return "nothing";
    const recorded = (): void => feed({ type: "task-recorded", uid, version: view.version });
    const pending = view.counts.pending > 0 ? (waiting(uid) ?? waitingOf(standing.conditions)) : undefined;
    const why = view.stuck ?? pending;
    const isFirst = standing.conditions.length === 0;
    if (isFirst && why === undefined && hasNothingToSay(view)) return "nothing";
    if (isFirst && (view.state === "Staging" || view.state === "Starting") && !hasEnded(view)) {
      const nowMs = clock.monotonicMs();
      const sinceMs = startingSinceMs.get(uid) ?? nowMs;
      startingSinceMs.set(uid, sinceMs);
      if (nowMs - sinceMs < startingHoldMs) return { againAfterMs: startingHoldMs - (nowMs - sinceMs) };
    }
    startingSinceMs.delete(uid);
    const { name, generation } = subject;
    const status = taskStatus({
      name,
      uid,
      generation,
      view,
      waiting: why,
      standing: standing.conditions,
      nowMs: clock.nowMs(),
    });
    return { status, recorded };
  };
  const { debounceMs = 1_000, minIntervalMs = 1_000 } = options;
  return {
    kind: "Task",
    resource: TASK,
    type: "task-changed",
    debounceMs,
    minIntervalMs,
    urgent: { debounceMs: 0, minIntervalMs },
    subject: task,
    plan,
  };
}

/** The default status says the same. */
function hasNothingToSay(view: TaskView): boolean {
  return view.state === "Pending" && view.rejected === undefined && !hasEnded(view);
}

/** An attempt has ended: that must stand in the status before its pod may go. */
function hasEnded({ succeededIndexes, failedIndexes, attempts, lastFailures }: TaskView): boolean {
  return succeededIndexes !== "" || failedIndexes !== "" || attempts.length > 0 || lastFailures.length > 0;
}

/** What an earlier term wrote, until there is something newer to say. */
function waitingOf(conditions: readonly Condition[]): Explanation | undefined {
  const condition = conditions.find(({ type, status }) => type === "Waiting" && status === "True");
  const reason = condition && reasonOfCondition(condition.reason);
  // Whether an instance is stuck is known as soon as its pod is.
  if (reason === "not-starting") return undefined;
  return reason && { reason, message: condition.message };
}

/** ttlSecondsAfterFinished: the garbage collector deletes the Task's pods after it. */
export function deleteTask({ type, key, uid }: Extract<Effect, { type: "delete-task" }>, context: EffectContext): Job {
  const { client, fence } = context;
  const run = async (): Promise<"done"> => {
    try {
      await client.delete(namespaced(TASK, key as Key), {
        uid,
        propagationPolicy: "Background",
        priority: "low",
        fence,
      });
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
    return "done";
  };
  return { key: `delete-task/${uid}`, lane: "status", type, run };
}
