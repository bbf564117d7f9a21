import type { Condition } from "../../api/common.ts";
import type { FrameworkStatus } from "../../api/framework.ts";
import type { QueueStatus } from "../../api/queue.ts";
import { formatQuantities } from "../../offers/quantity.ts";
import type { Explanation, FrameworkView, PresenceView, QueueView } from "../../offers/views.ts";
import { clip } from "../observe/json.ts";
import { queueSpecOf } from "../observe/queue.ts";
import { type ConditionDraft, conditionReason, conditionsFrom } from "./conditions.ts";

/** What stands, and what a status is written beside. */
export interface StatusContext {
  readonly generation: number;
  /** The object breaks a rule that admission did not see: a text for people. */
  readonly invalid: string | undefined;
  readonly standing: readonly Condition[];
  readonly nowMs: number;
}

const maxWhyLength = 1024;

/** @param unpublished why offers are held back, where they are */
export function frameworkStatus(
  view: FrameworkView | undefined,
  unpublished: string | undefined,
  context: StatusContext,
): FrameworkStatus {
  const drafts = [accepted(view?.rejected, context.invalid, view?.lowered)];
  if (unpublished !== undefined) {
    drafts.push({ type: "OffersHeldBack", status: "True", reason: "AdmissionPolicyMissing", message: unpublished });
  }
  if (view?.presence !== undefined) drafts.push(connected(view.presence));
  const common = {
    observedGeneration: context.generation,
    conditions: conditionsFrom(drafts, context.standing, context.generation, context.nowMs),
  };
  if (view === undefined) return { ...common, ...(context.invalid && { why: clip(context.invalid, maxWhyLength) }) };
  const { counts, offers } = view;
  return {
    ...common,
    queue: view.queue,
    share: `${(view.dominantShare * 100).toFixed(1)}%`,
    dominantShare: view.dominantShare.toFixed(4),
    counts: {
      pending: counts.pending,
      staging: counts.staging + counts.starting,
      running: counts.running,
      finished: counts.finished,
      failed: counts.failed,
      killed: counts.killed,
      lost: counts.lost,
      unreachable: counts.unreachable,
    },
    offers: { ...offers },
    allocated: formatQuantities(view.allocated),
    offered: formatQuantities(view.offered),
    ...heldOf(view),
    demand: formatQuantities(view.demand),
    why: clip(unpublished ?? view.rejected?.message ?? view.why.message, maxWhyLength),
  };
}

export function queueStatus(view: QueueView | undefined, context: StatusContext): QueueStatus {
  // What is told is of the spec that was decided on, which may not be the newest yet.
  const generation = view?.generation ?? context.generation;
  const drafts = [accepted(view?.rejected, view === undefined ? context.invalid : undefined)];
  const common = {
    observedGeneration: generation,
    conditions: conditionsFrom(drafts, context.standing, generation, context.nowMs),
  };
  if (view === undefined) return common;
  const { lastGood, inForce } = view;
  return {
    ...common,
    ...(lastGood !== undefined && {
      lastGood: { generation: lastGood.generation ?? generation, inForce, spec: queueSpecOf(lastGood) },
    }),
    allocated: formatQuantities(view.allocated),
    offered: formatQuantities(view.offered),
    ...heldOf(view),
    demand: formatQuantities(view.demand),
    dominantShare: view.dominantShare.toFixed(4),
    frameworks: view.frameworks,
    queues: view.queues,
    counts: { pending: view.counts.pending, running: view.counts.running },
  };
}

/** Seldom there, so it is left out where there is nothing. */
function heldOf({ held }: FrameworkView | QueueView): Pick<QueueStatus, "held"> {
  return Object.keys(held).length > 0 ? { held: formatQuantities(held) } : {};
}

function connected({ state, message }: PresenceView): ConditionDraft {
  const reasons = { connected: "Connected", disconnected: "Disconnected", abandoned: "FailoverTimeout" } as const;
  return { type: "Connected", status: state === "connected" ? "True" : "False", reason: reasons[state], message };
}

function accepted(
  rejected: Explanation | undefined,
  invalid: string | undefined,
  lowered: FrameworkView["lowered"] = [],
): ConditionDraft {
  if (invalid !== undefined) return { type: "Accepted", status: "False", reason: "Invalid", message: invalid };
  if (rejected === undefined) {
    const but = lowered.map(
      ({ queue, weight, most }) => `weight ${weight} in queue ${queue} counts as ${most}, its maxFrameworkWeight`,
    );
    const message = but.length > 0 ? `In use, but ${but.join("; ")}.` : "In use as declared.";
    return { type: "Accepted", status: "True", reason: "Accepted", message };
  }
  return { type: "Accepted", status: "False", reason: conditionReason(rejected.reason), message: rejected.message };
}
