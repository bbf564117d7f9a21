import { REASONS } from "../offers/explain/reasons.ts";
import { standingsText } from "../offers/explain/standings.ts";
import { formatQuantities } from "../offers/quantity.ts";
import type { Quantities } from "../offers/resources.ts";
import type { Explanation, FailureView, FrameworkView, Outlook, QueueView, TaskView } from "../offers/views.ts";
import { amountsText, countsText, type Line, lines, percent, whyLines } from "./explain-text.ts";
import type { OutlookBudget } from "./outlook-budget.ts";
import type { Document } from "./respond.ts";

/** What the explanations are made of: the leader's broker, and the Task objects that it knows by UID. */
export interface ExplainSource {
  /** UID of the Task `namespace/name`. */
  taskUid(key: string): string | undefined;
  taskView(uid: string): TaskView | undefined;
  explainTask(uid: string, nowMs: number): Explanation | undefined;
  outlookOfTask(uid: string, explanation: Explanation, nowMs: number): Outlook | undefined;
  frameworkView(key: string, nowMs: number): FrameworkView | undefined;
  queueView(name: string): QueueView | undefined;
}

/** The objects that can be asked about, as the API server names their kinds. */
export const EXPLAINED = { task: "tasks", framework: "frameworks", queue: "queues" } as const;
export type Explained = keyof typeof EXPLAINED;

export interface ObjectName {
  /** Absent for a queue. */
  readonly namespace?: string | undefined;
  readonly name: string;
}

/**
 * What is known about an object, and why it gets nothing more now. Undefined if the broker does not know it. `budget`: the time
 * for answers to "when?"; without one there is enough.
 */
export function explain(
  source: ExplainSource,
  kind: Explained,
  object: ObjectName,
  nowMs: number,
  budget?: OutlookBudget,
): Document | undefined {
  switch (kind) {
    case "task":
      return explainTask(source, object, nowMs, budget);
    case "framework":
      return explainFramework(source, object, nowMs);
    case "queue":
      return explainQueue(source, object, nowMs);
  }
}

function explainTask(
  source: ExplainSource,
  object: ObjectName,
  nowMs: number,
  budget: OutlookBudget | undefined,
): Document | undefined {
  const uid = source.taskUid(keyOf(object));
  const view = uid === undefined ? undefined : source.taskView(uid);
  if (uid === undefined || view === undefined) return undefined;
  const explanation = view.rejected ?? source.explainTask(uid, nowMs);
  const why = reasonOf(explanation);
  const work = () => explanation && source.outlookOfTask(uid, explanation, nowMs);
  const outlook = view.counts.pending > 0 ? (budget === undefined ? work() : budget.outlook(work)) : undefined;
  const failures = view.lastFailures.map(failureOf);
  const { state, instances, counts, succeededIndexes, failedIndexes, node } = view;
  return {
    json: {
      ...headOf("Task", object, nowMs),
      uid,
      state,
      instances,
      counts,
      succeededIndexes,
      failedIndexes,
      node,
      why,
      when: whenOf(outlook),
      change: outlook?.change,
      lastFailures: failures,
    },
    text: lines(
      `Task ${keyOf(object)}: ${state}`,
      ["Instances", `${instances} (${countsText(counts)})`],
      ["Succeeded", succeededIndexes],
      ["Failed", failedIndexes],
      ["Node", node],
      ...whyLines(why),
      ...outlookLines(outlook),
      ...failures.map((failure): Line => ["Failure", failureText(failure)]),
    ),
  };
}

function explainFramework(source: ExplainSource, object: ObjectName, nowMs: number): Document | undefined {
  const view = source.frameworkView(keyOf(object), nowMs);
  if (view === undefined) return undefined;
  const why = reasonOf(view.rejected ?? view.why);
  const { queue, dominantShare, counts, offers } = view;
  const resources = amountsOf(view);
  return {
    json: { ...headOf("Framework", object, nowMs), queue, dominantShare, counts, offers, ...resources, why },
    text: lines(
      `Framework ${keyOf(object)} in queue ${queue}`,
      ["Dominant share", percent(dominantShare)],
      ["Instances", countsText(counts)],
      ["Offers", countsText(offers)],
      ...amountLines(resources),
      ...whyLines(why),
    ),
  };
}

function explainQueue(source: ExplainSource, object: ObjectName, nowMs: number): Document | undefined {
  const view = source.queueView(object.name);
  if (view === undefined) return undefined;
  const why = reasonOf(view.rejected);
  const { parent, weight, dominantShare, fairnessError, frameworks, counts } = view;
  const bounds = { guarantee: formatQuantities(view.guarantee), limit: formatQuantities(view.limit) };
  const resources = amountsOf(view);
  return {
    json: {
      ...headOf("Queue", object, nowMs),
      parent,
      weight,
      ...bounds,
      dominantShare,
      fairnessError,
      frameworks,
      counts,
      ...resources,
      why,
    },
    text: lines(
      `Queue ${object.name}${parent === undefined ? "" : ` below ${parent}`}, weight ${weight}`,
      ["Guarantee", amountsText(bounds.guarantee)],
      ["Limit", amountsText(bounds.limit) || "none"],
      ["Dominant share", percent(dominantShare)],
      ["Fairness error", percent(fairnessError)],
      ["Frameworks", String(frameworks)],
      ["Instances", countsText(counts)],
      ...amountLines(resources),
      ...whyLines(why),
    ),
  };
}

const keyOf = ({ namespace, name }: ObjectName): string => (namespace === undefined ? name : `${namespace}/${name}`);

function headOf(kind: string, { namespace, name }: ObjectName, nowMs: number) {
  return { kind, namespace, name, at: new Date(nowMs).toISOString() };
}

function reasonOf(explanation: Explanation | undefined) {
  if (explanation === undefined) return undefined;
  const { reason, message } = explanation;
  const [meaning, whatToDo] = REASONS[reason];
  return { reason, message, meaning, whatToDo, page: `docs/reference/reasons.md#${reason}` };
}

function whenOf(outlook: Outlook | undefined) {
  if (outlook === undefined) return undefined;
  const { place, estimateMs, unknown } = outlook.when;
  return { place, estimate: estimateMs === undefined ? undefined : new Date(estimateMs).toISOString(), unknown };
}

function outlookLines(outlook: Outlook | undefined): Line[] {
  const when = whenOf(outlook);
  const place = when?.place;
  const within = place?.tasks === 0 ? "first of its shape" : `${place?.tasks} tasks of its shape before it`;
  const found =
    when?.estimate === undefined ? when?.unknown && `not known: ${when.unknown}` : `foreseen for ${when.estimate}`;
  return [
    ["Place", place && [within, standingsText(place.levels)].filter(Boolean).join("; ")],
    ["When", found],
    ["Change", outlook?.change?.text],
  ];
}

function failureOf({ atMs, ...failure }: FailureView) {
  return { ...failure, at: new Date(atMs).toISOString() };
}

function failureText({ index, attempt, node, reason, message, at }: ReturnType<typeof failureOf>): string {
  return `${at} index ${index}, attempt ${attempt} on ${node}: ${reason}: ${message}`;
}

function amountsOf(view: { allocated: Quantities; offered: Quantities; held: Quantities; demand: Quantities }) {
  const { allocated, offered, held, demand } = view;
  return {
    allocated: formatQuantities(allocated),
    offered: formatQuantities(offered),
    held: formatQuantities(held),
    demand: formatQuantities(demand),
  };
}

function amountLines({ allocated, offered, held, demand }: ReturnType<typeof amountsOf>): Line[] {
  return [
    ["Allocated", amountsText(allocated) || "nothing"],
    ["Offered", amountsText(offered) || "nothing"],
    // Seldom there: room that is kept for what waits.
    ["Held", amountsText(held)],
    ["Demand", amountsText(demand) || "nothing"],
  ];
}
