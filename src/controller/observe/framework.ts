import { type Condition, describeIssues } from "../../api/common.ts";
import type { Constraints as ApiConstraints } from "../../api/constraints.ts";
import { type FrameworkSpec, frameworkSpec, type TaskDefaults } from "../../api/framework.ts";
import type { FrameworkFacts } from "../../offers/messages.ts";
import type { Toleration } from "../../offers/nodes/constraints.ts";
import { parseQuantities } from "../../offers/quantity.ts";
import { constraintsOf } from "./constraints.ts";
import { digestOfStatus } from "./digest.ts";
import { clip, record } from "./json.ts";
import { conditionsOf, type Meta, metaOf } from "./meta.ts";

export interface ObservedFramework extends Meta {
  /** Undefined: the object breaks a rule, and `invalid` says which. */
  readonly facts: FrameworkFacts | undefined;
  readonly invalid: string | undefined;
  readonly taskDefaults: TaskDefaults;
  readonly unreachableSeconds: number;
  /** The program that Proffer is to start for it. */
  readonly controller: FrameworkSpec["scheduler"]["controller"];
  /** Of the status as it stands, to write only what differs. */
  readonly statusDigest: string | undefined;
  readonly conditions: readonly Condition[];
}

const defaultPlacement = "BinPack";
const defaultUnreachableSeconds = 60;

/** A Framework as it comes → what the broker, its tasks and the status writer need of it. */
export function projectFramework(object: unknown): ObservedFramework {
  const meta = metaOf(object);
  const status = record(object, "status");
  const parsed = frameworkSpec.safeParse(record(object, "spec"));
  const common = { ...meta, statusDigest: digestOfStatus(status), conditions: conditionsOf(status) };
  if (!parsed.success) {
    const invalid = clip(describeIssues(parsed.error, "spec").join("; "), 1024);
    const unreachableSeconds = defaultUnreachableSeconds;
    return { ...common, facts: undefined, invalid, taskDefaults: {}, unreachableSeconds, controller: undefined };
  }
  const spec = parsed.data;
  const offerConstraints = spec.scheduler.type === "Offers" ? constraintsOf(spec.offers.constraints) : undefined;
  const facts: FrameworkFacts = {
    key: meta.key,
    uid: meta.uid,
    queues: spec.queues,
    scheduler: spec.scheduler.type,
    placement: spec.scheduler.placement ?? defaultPlacement,
    concurrency: spec.concurrency,
    ...(spec.optimistic && { optimistic: spec.optimistic }),
    offerTimeoutMs: spec.offers.timeoutSeconds * 1000,
    maxOutstanding: spec.offers.maxOutstanding,
    slack: spec.offers.slack,
    ...(offerConstraints && { constraints: offerConstraints }),
    minimum: parseQuantities(spec.offers.minimum, "up"),
    suppressed: spec.suppressed,
    revive: spec.revive ?? 0,
    demand: (spec.demand ?? []).map(({ instances, resources }) => ({
      instances,
      resources: { ...parseQuantities(resources, "up"), pods: 1 },
    })),
    answerers: answerersOf(spec, meta),
    unreachableAfterMs: spec.unreachableSeconds * 1000,
    failover: { timeoutMs: spec.failoverTimeoutSeconds * 1000, policy: spec.failoverPolicy },
  };
  const { taskDefaults = {}, unreachableSeconds } = spec;
  return {
    ...common,
    facts,
    invalid: undefined,
    taskDefaults,
    unreachableSeconds,
    controller: spec.scheduler.controller,
  };
}

/** Where nobody is named, the account of the program that Proffer starts. */
function answerersOf({ answerers, scheduler }: FrameworkSpec, { namespace }: Meta): readonly string[] {
  if (answerers !== undefined || scheduler.controller === undefined) return answerers ?? [];
  return [`system:serviceaccount:${namespace}:${scheduler.controller.serviceAccountName}`];
}

/**
 * All by which the broker may hold a node's taints tolerated for a Task: its own tolerations or its framework's defaults,
 * and those of its framework's offers. Its pods need every one: a NoExecute taint evicts whoever lacks it.
 */
export function podTolerations(
  task: { readonly constraints?: ApiConstraints | undefined },
  framework: ObservedFramework | undefined,
): readonly Toleration[] {
  const own = constraintsOf(task.constraints ?? framework?.taskDefaults.constraints);
  return [...(own?.tolerations ?? []), ...offerTolerations(framework)];
}

/** Tolerations by which nodes are offered to the framework. */
export function offerTolerations(framework: ObservedFramework | undefined): readonly Toleration[] {
  return framework?.facts?.constraints?.tolerations ?? [];
}
