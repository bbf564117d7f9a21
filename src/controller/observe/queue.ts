import { type Condition, describeIssues } from "../../api/common.ts";
import { type QueueSpec, queueSpec } from "../../api/queue.ts";
import type { QueueFacts, ReclaimFacts } from "../../offers/messages.ts";
import { parseLimits, parseQuantities } from "../../offers/quantity.ts";
import { digestOfStatus } from "./digest.ts";
import { clip, record } from "./json.ts";
import { conditionsOf, type Meta, metaOf } from "./meta.ts";

export interface ObservedQueue extends Meta {
  /** Undefined: the object breaks a rule, and `invalid` says which. */
  readonly facts: QueueFacts | undefined;
  readonly invalid: string | undefined;
  /** Of the status as it stands, to write only what differs. */
  readonly statusDigest: string | undefined;
  readonly conditions: readonly Condition[];
}

/** A Queue as it comes → what the broker and the status writer need of it. */
export function projectQueue(object: unknown): ObservedQueue {
  const meta = metaOf(object);
  const status = record(object, "status");
  const parsed = queueSpec.safeParse(record(object, "spec"));
  const common = { ...meta, statusDigest: digestOfStatus(status), conditions: conditionsOf(status) };
  if (!parsed.success) {
    return { ...common, facts: undefined, invalid: clip(describeIssues(parsed.error, "spec").join("; "), 1024) };
  }
  const { parent, weight, guarantee, limit, order, fairResource } = parsed.data;
  const { namespaces, maxFrameworkWeight, maxPriority, maxTasks, reclaim } = parsed.data;
  const facts: QueueFacts = {
    name: meta.name,
    ...(parent !== undefined && { parent }),
    weight,
    guarantee: parseQuantities(guarantee, "up"),
    limit: parseLimits(limit),
    order,
    ...(fairResource !== undefined && { fairResource }),
    namespaces: namespaces ?? [],
    ...(maxFrameworkWeight !== undefined && { maxFrameworkWeight }),
    ...(maxPriority !== undefined && { maxPriority }),
    ...(maxTasks !== undefined && { maxTasks }),
    ...(reclaim !== undefined && { reclaim: reclaimOf(reclaim) }),
  };
  return { ...common, facts, invalid: undefined };
}

function reclaimOf({ graceSeconds, minimumRuntimeSeconds }: NonNullable<QueueSpec["reclaim"]>): ReclaimFacts {
  return {
    ...(graceSeconds !== undefined && { graceMs: graceSeconds * 1000 }),
    ...(minimumRuntimeSeconds !== undefined && { minimumRuntimeMs: minimumRuntimeSeconds * 1000 }),
  };
}
