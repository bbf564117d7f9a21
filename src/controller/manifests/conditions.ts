import type { Condition } from "../../api/common.ts";
import { REASONS, type Reason } from "../../offers/explain/reasons.ts";
import { clip } from "../observe/json.ts";

export interface ConditionDraft {
  readonly type: string;
  readonly status: Condition["status"];
  readonly reason: string;
  readonly message: string;
}

const maxMessageLength = 1024;

/**
 * Conditions to be written: the time of the last transition stays while the status stays. Types that nobody drafts are
 * dropped.
 */
export function conditionsFrom(
  drafts: readonly ConditionDraft[],
  standing: readonly Condition[],
  generation: number,
  nowMs: number,
): Condition[] {
  return drafts.map(({ type, status, reason, message }) => {
    const before = standing.find((condition) => condition.type === type);
    const same = before !== undefined && before.status === status;
    return {
      type,
      status,
      observedGeneration: generation,
      lastTransitionTime: same ? before.lastTransitionTime : timeText(nowMs),
      reason,
      message: clip(message, maxMessageLength),
    };
  });
}

/** Whole seconds, as Kubernetes writes them. */
export function timeText(ms: number): string {
  return new Date(Math.floor(ms / 1000) * 1000).toISOString().replace(".000Z", "Z");
}

/** `no-node` → `NoNode`: reasons of conditions are CamelCase. */
export function conditionReason(reason: Reason): string {
  return camelCase(reason);
}

export function camelCase(kebab: string): string {
  return kebab.replace(/(^|-)([a-z])/g, (_, _dash, letter: string) => letter.toUpperCase());
}

const reasonsByCondition = new Map(
  Object.keys(REASONS).map((reason) => [conditionReason(reason as Reason), reason as Reason]),
);

/** `NoNode` → `no-node`; undefined for what no reason of ours is. */
export function reasonOfCondition(conditionReason: string): Reason | undefined {
  return reasonsByCondition.get(conditionReason);
}
