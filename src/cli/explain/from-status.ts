import type { Condition } from "../../api/common.ts";
import type { FrameworkStatus } from "../../api/framework.ts";
import type { QueueStatus } from "../../api/queue.ts";
import type { Task, TaskStatus } from "../../api/task.ts";
import type { KubeObject } from "../../controller/kube/client.ts";
import { REASONS } from "../../offers/explain/reasons.ts";
import { amountsText, countsText, type Line, lines, whyLines } from "../../server/explain-text.ts";

/** What an object's status tells, as the operator would put it. */
export interface StatusExplanation {
  readonly json: object;
  readonly text: string;
}

interface Why {
  readonly reason: string;
  readonly message: string;
  readonly meaning: string | undefined;
  readonly whatToDo: string | undefined;
  /** When it was written. */
  readonly since: string;
}

/** The explanation that stands in the object itself: the same words, as of the operator's last write. */
export function explainFromStatus(object: KubeObject): StatusExplanation {
  const { kind = "", metadata } = object;
  const status = (object.status ?? {}) as { readonly conditions?: readonly Condition[] };
  const why = whyOf(status.conditions ?? []);
  const { namespace, name } = metadata;
  return {
    json: { kind, namespace, name, from: "status", why, status },
    text: lines(titleOf(object), ...entriesOf(object), ...whyLines(why), ["As of", why?.since]),
  };
}

/** Conditions that tell why something gets nothing, the gravest first. */
function whyOf(conditions: readonly Condition[]): Why | undefined {
  const found =
    conditions.find(({ type, status }) => type === "Accepted" && status === "False") ??
    conditions.find(({ type, status }) => type === "Waiting" && status === "True") ??
    conditions.find(({ type, status }) => type === "OffersHeldBack" && status === "True");
  if (found === undefined) return undefined;
  const reason = found.reason.replace(/(?<!^)[A-Z]/g, (letter) => `-${letter}`).toLowerCase();
  const [meaning, whatToDo] = (REASONS as Readonly<Record<string, readonly [string, string]>>)[reason] ?? [];
  return { reason, message: found.message, meaning, whatToDo, since: found.lastTransitionTime };
}

function titleOf({ kind, metadata, spec, status }: KubeObject): string {
  const key = metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
  const { state, queue } = (status ?? {}) as { state?: string; queue?: string };
  if (kind === "Task") return `Task ${key}: ${state ?? "not looked at by the operator yet"}`;
  if (kind === "Framework") return `Framework ${key}${queue === undefined ? "" : ` in queue ${queue}`}`;
  const { parent, weight } = (spec ?? {}) as { parent?: string; weight?: number };
  return `Queue ${key}${parent === undefined ? "" : ` below ${parent}`}, weight ${weight ?? 1}`;
}

function entriesOf({ kind, spec, status = {} }: KubeObject): Line[] {
  switch (kind) {
    case "Task":
      return taskLines(spec as Task["spec"], status as TaskStatus);
    case "Framework":
      return frameworkLines(status as FrameworkStatus);
    default:
      return queueLines(status as QueueStatus);
  }
}

function taskLines({ instances }: Task["spec"], status: TaskStatus): Line[] {
  const failures = status.lastFailures ?? [];
  return [
    ["Instances", `${instances} (${countsText(status.counts ?? {})})`],
    ["Succeeded", status.succeededIndexes],
    ["Failed", status.failedIndexes],
    ["Node", status.node],
    ...failures.map(({ at, index, attempt, node = "no node", reason, message }): Line => {
      return ["Failure", `${at} index ${index}, attempt ${attempt} on ${node}: ${reason}: ${message}`];
    }),
  ];
}

function frameworkLines({ share, counts, offers, why, ...amounts }: FrameworkStatus): Line[] {
  return [
    ["Dominant share", share],
    ["Instances", countsText(counts ?? {})],
    ["Offers", countsText(offers ?? {})],
    ...amountLines(amounts),
    ["Why", why],
  ];
}

function queueLines({ dominantShare, frameworks, counts, ...amounts }: QueueStatus): Line[] {
  return [
    ["Dominant share", dominantShare],
    ["Frameworks", frameworks === undefined ? undefined : String(frameworks)],
    ["Instances", countsText(counts ?? {})],
    ...amountLines(amounts),
  ];
}

type Amounts = Readonly<Record<string, string | number>>;

function amountLines(status: {
  readonly allocated?: Amounts | undefined;
  readonly offered?: Amounts | undefined;
  readonly held?: Amounts | undefined;
  readonly demand?: Amounts | undefined;
}): Line[] {
  return [
    ["Allocated", amountsText(status.allocated ?? {}) || "nothing"],
    ["Offered", amountsText(status.offered ?? {}) || "nothing"],
    ["Held", amountsText(status.held ?? {})],
    ["Demand", amountsText(status.demand ?? {}) || "nothing"],
  ];
}
