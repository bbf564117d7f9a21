import { type Condition, describeIssues } from "../../api/common.ts";
import { type QueueSpec, queueSpec } from "../../api/queue.ts";
import { formatQuantities, parseLimits, parseQuantities } from "../../offers/quantity.ts";
import type { QueueFacts, QueueRecord, ReclaimFacts } from "../../offers/queues/queue-facts.ts";
import { digestOfStatus } from "./digest.ts";
import { clip, number, record } from "./json.ts";
import { conditionsOf, type Meta, metaOf } from "./meta.ts";

export interface ObservedQueue extends Meta {
  readonly facts: QueueFacts;
  /** What the status says that an earlier term decided; undefined: nothing. */
  readonly recorded: QueueRecord | undefined;
  /** Of the status as it stands, to write only what differs. */
  readonly statusDigest: string | undefined;
  readonly conditions: readonly Condition[];
}

type Identity = Pick<QueueFacts, "name" | "createdAtMs" | "generation">;

/** A Queue as it comes → what the broker and the status writer need of it. */
export function projectQueue(object: unknown): ObservedQueue {
  const meta = metaOf(object);
  const status = record(object, "status");
  const { name, createdAtMs, generation } = meta;
  const identity = { name, createdAtMs, generation };
  const parsed = queueSpec.safeParse(record(object, "spec"));
  const facts = parsed.success
    ? queueFacts(parsed.data, identity)
    : nothing(clip(describeIssues(parsed.error, "spec").join("; "), 1024), identity);
  const recorded = recordOf(status, identity);
  return { ...meta, facts, recorded, statusDigest: digestOfStatus(status), conditions: conditionsOf(status) };
}

function queueFacts(spec: QueueSpec, identity: Identity): QueueFacts {
  const { parent, weight, guarantee, limit, order, fairResource } = spec;
  const { namespaces, maxFrameworkWeight, maxPriority, maxTasks, reclaim } = spec;
  return {
    ...identity,
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
}

/** The way back: a spec that says the same, to be kept in a status. */
export function queueSpecOf(facts: QueueFacts): QueueSpec {
  const { parent, weight, guarantee, limit, order, fairResource } = facts;
  const { namespaces, maxFrameworkWeight, maxPriority, maxTasks, reclaim } = facts;
  return {
    ...(parent !== undefined && { parent }),
    weight,
    ...(Object.keys(guarantee).length > 0 && { guarantee: formatQuantities(guarantee) }),
    ...(Object.keys(limit).length > 0 && { limit: formatQuantities(limit) }),
    order: order ?? "DominantShare",
    ...(fairResource !== undefined && { fairResource }),
    ...(namespaces.length > 0 && { namespaces: [...namespaces] }),
    ...(maxFrameworkWeight !== undefined && { maxFrameworkWeight }),
    ...(maxPriority !== undefined && { maxPriority }),
    ...(maxTasks !== undefined && { maxTasks }),
    ...(reclaim !== undefined && { reclaim: reclaimSpecOf(reclaim) }),
  };
}

function nothing(invalid: string, identity: Identity): QueueFacts {
  return { ...identity, weight: 1, guarantee: {}, limit: {}, namespaces: [], invalid };
}

function recordOf(status: unknown, identity: Identity): QueueRecord | undefined {
  const kept = record(status, "lastGood");
  const parsed = queueSpec.safeParse(kept.spec);
  const generation = number(kept, "generation");
  if (!parsed.success || generation === undefined) return undefined;
  return { lastGood: queueFacts(parsed.data, { ...identity, generation }), inForce: kept.inForce === true };
}

function reclaimOf({ graceSeconds, minimumRuntimeSeconds }: NonNullable<QueueSpec["reclaim"]>): ReclaimFacts {
  return {
    ...(graceSeconds !== undefined && { graceMs: graceSeconds * 1000 }),
    ...(minimumRuntimeSeconds !== undefined && { minimumRuntimeMs: minimumRuntimeSeconds * 1000 }),
  };
}

function reclaimSpecOf({ graceMs, minimumRuntimeMs }: ReclaimFacts): NonNullable<QueueSpec["reclaim"]> {
  return {
    ...(graceMs !== undefined && { graceSeconds: graceMs / 1000 }),
    ...(minimumRuntimeMs !== undefined && { minimumRuntimeSeconds: minimumRuntimeMs / 1000 }),
  };
}
