import type { Framework } from "../framework.ts";
import type { Claimant, Queue } from "../queues/queues.ts";
import type { Vector } from "../resources.ts";
import { shownInAll } from "../shown.ts";
import type { State } from "../state.ts";
import { amountText } from "./wording.ts";

/** A bound on the way up the tree, for one resource: what must be left there, and what is. Canonical units. */
export interface Bound {
  /** Undefined: what is free in the cluster. */
  readonly queue: Queue | undefined;
  readonly resource: number;
  /** What the claimant asks for, and what is kept back below this bound. */
  readonly needs: number;
  readonly left: number;
  /** What of `needs` the claimant is shown already and may take besides (optimistic offers). */
  readonly shown: number;
  /** What of `needs` is kept back for siblings on the way. */
  readonly kept: readonly { readonly queue: string; readonly amount: number }[];
}

/**
 * Every bound that a claimant meets on its way up the tree with `asked` more, one for each queue and resource, and what is
 * free last: `Room.refuses` read backwards. With room(q) = min(L − U, max(room(parent) − Σ K(siblings), min(K(q), room(parent))))
 * of room.ts, room(q) ≥ n holds where L − U ≥ n and room(parent) ≥ n, or ≥ n + Σ K(siblings) if q's own K is below n.
 * So each bound is exact: one is broken by `needs − left`, and holds with that much more.
 */
export function boundsOf(state: State, framework: Framework, claimant: Claimant, asked: Vector): Bound[] {
  if (!state.tree.bounded) return [];
  state.room.refresh();
  const shown = shownOf(state, framework, claimant);
  const bounds: Bound[] = [];
  for (let r = 0; r < asked.length; r++) {
    if (asked[r]! <= 0) continue;
    const besides = shown?.[r] ?? 0;
    let needs = asked[r]! + besides;
    let kept: Bound["kept"] = [];
    for (const queue of state.tree.path(claimant.parent)) {
      bounds.push({ queue, resource: r, needs, left: queue.limit[r]! - queue.usage[r]!, shown: besides, kept });
      if ((state.room.keptBy(queue)?.[r] ?? 0) >= needs) continue;
      const others = keptBySiblings(state, queue, r);
      needs += others.reduce((sum, { amount }) => sum + amount, 0);
      kept = [...kept, ...others];
    }
    bounds.push({ queue: undefined, resource: r, needs, left: state.nodes.openFree[r] ?? 0, shown: besides, kept });
  }
  return bounds;
}

/** What the claimant is shown and does not hold; undefined where its offers are its own. */
export function shownOf({ resources }: State, framework: Framework, claimant: Claimant): Vector | undefined {
  return framework.optimisticIn(claimant.queueName) ? shownInAll(framework, claimant, resources.width) : undefined;
}

/** Is it what stands in the way? */
export const isBroken = ({ needs, left }: Bound): boolean => needs > left;

function keptBySiblings(state: State, queue: Queue, resource: number): Bound["kept"] {
  const others = [...(queue.parent?.children ?? [])].filter((sibling) => sibling !== queue);
  return others
    .map((sibling) => ({ queue: sibling.name, amount: state.room.keptBy(sibling)?.[resource] ?? 0 }))
    .filter(({ amount }) => amount > 0)
    .sort((a, b) => b.amount - a.amount || (a.queue < b.queue ? -1 : 1));
}

/** Queues of which the message tells by name. */
const NAMED = 3;

/** "queue batch: 2 asked, 1 left of its limit 3 (cpu)": the first bound that is broken for this reason. */
export function roomText(state: State, bounds: readonly Bound[], reason: "over-limit" | "kept-back"): string {
  const broken = bounds.filter(isBroken);
  // Limits are met by what is asked alone; where the same queue's limit has to hold what is kept back too, that is kept back.
  const first = broken.find((bound) => (bound.kept.length === 0) === (reason === "over-limit")) ?? broken[0];
  if (first === undefined) return "there is room by now";
  const { queue, resource, needs, left, shown, kept } = first;
  const name = state.resources.names[resource]!;
  const keptBack = kept.reduce((sum, { amount }) => sum + amount, 0);
  const besides = shown > 0 ? ` beside ${amountText(name, shown, "ceil")} offered` : "";
  const asked = amountText(name, needs - keptBack - shown, "ceil");
  const rest = amountText(name, Math.max(0, left), "floor");
  if (kept.length === 0 && queue !== undefined) {
    const limit = amountText(name, queue.limit[resource]!, "floor");
    const never = needs - shown > queue.limit[resource]! ? ": raise it, or ask for less" : "";
    return `queue ${queue.name}: ${asked} asked${besides}, ${rest} left of its limit ${limit} (${name})${never}`;
  }
  const of = queue === undefined ? "free" : `left of the limit of queue ${queue.name}`;
  if (kept.length === 0) return `${asked} ${name} asked${besides}, ${rest} ${of}`;
  const named = kept.slice(0, NAMED).map((one) => `${one.queue} (${amountText(name, one.amount, "ceil")})`);
  if (kept.length > NAMED) named.push(`${kept.length - NAMED} more`);
  const whom = kept.length === 1 ? `queue ${kept[0]!.queue}` : `queues ${named.join(", ")}`;
  return `${asked} ${name} asked${besides}, ${rest} ${of}, ${amountText(name, keptBack, "ceil")} of it kept back for ${whom}`;
}
