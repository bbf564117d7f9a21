import type { Framework } from "../framework.ts";
import type { Line } from "../lines.ts";
import { matchesLabels, untoleratedTaint } from "../nodes/constraints.ts";
import type { NodeEntry } from "../nodes/nodes.ts";
import type { Shape } from "../nodes/shapes.ts";
import { atLeast, UNKNOWN, type Vector } from "../resources.ts";
import { shownTo } from "../shown.ts";
import type { State } from "../state.ts";
import { amountText, clockTime } from "./wording.ts";

/** Nodes that fail the same check: how many, and the one that fails it by the least. */
interface Tally {
  nodes: number;
  /** What is lacking, for checks of amounts. */
  readonly short: Shortage | undefined;
}

interface Shortage {
  /** Dense indices of the resources of which there is too little. */
  readonly resources: readonly number[];
  /** In thousandths of what is needed: the largest part that any of them lacks. */
  readonly distance: number;
  /** Free, one for each of `resources`. */
  readonly free: readonly number[];
  readonly need: Vector;
}

interface Failure {
  readonly why: string;
  readonly short?: Shortage;
}

/** What a look at every node has found. */
export interface Surveyed {
  /** Nodes that pass every check. */
  readonly fit: number;
  /** "14 nodes: 9 insufficient cpu (needs 4, largest free 2.5), 5 cordoned" */
  readonly message: string;
}

/**
 * Goes over all nodes and counts each at the first check that it fails for one more instance of the shape, in the order in
 * which the broker checks. The numbers are true: what is said to be lacking, and not a bit less, makes the nearest node fit. `left`: of nodes on which others that
 * it starts with would stand, what they leave.
 */
export function surveyNodes(
  state: State,
  framework: Framework,
  line: Line,
  left: ReadonlyMap<number, Vector> = new Map(),
): Surveyed {
  const { shape } = line;
  const names = namesFor(state, line);
  const need = needOf(state, framework, shape.request);
  const shown = framework.optimisticIn(line.claimant.queueName) ? shownTo(framework) : undefined;
  const tallies = new Map<string, Tally>();
  let [all, fit, filteredUntilMs] = [0, 0, 0];
  for (const node of state.nodes.entries) {
    if (node?.facts === undefined) continue;
    all++;
    const failure =
      closedTo(state, node, shape) ??
      tooSmall(names, left.get(node.index) ?? freeOn(state, node), shape.request, need, shown?.get(node.index));
    const untilMs = failure === undefined ? state.refusals.untilMs(framework, node.index) : undefined;
    if (failure !== undefined) count(tallies, failure);
    else if (untilMs === undefined) fit++;
    else {
      count(tallies, { why: "filtered by a refusal" });
      filteredUntilMs = Math.max(filteredUntilMs, untilMs);
    }
  }
  const parts = [...tallies]
    .sort(([a, { nodes: n }], [b, { nodes: m }]) => m - n || (a < b ? -1 : 1))
    .map(([why, { nodes, short }]) => {
      if (short !== undefined) return `${nodes} ${why} ${numbers(state, short)}`;
      return why === "filtered by a refusal"
        ? `${nodes} ${why} until ${clockTime(filteredUntilMs)}`
        : `${nodes} ${why}`;
    });
  const spread = shape.spread.map((group) => `spread over ${group.constraint.topologyKey}: ${group.describe()}`);
  return { fit, message: [`${all} nodes: ${parts.join(", ") || "none"}`, ...spread].join("; ") };
}

/** What one more instance takes of a node that holds nothing for it yet: a slice starts with its framework's minimum. */
export function needOf({ resources }: State, { facts }: Framework, request: Vector): Vector {
  return facts?.scheduler === "Offers" ? atLeast(request, resources.vector(facts.minimum)) : request;
}

/** The node may not be used, however much room it has. */
function closedTo(state: State, node: NodeEntry, shape: Shape): Failure | undefined {
  const { constraints } = shape.where;
  if (node.closed !== undefined) return { why: node.closed };
  if (!matchesLabels(constraints, node.facts!.labels)) return { why: "not matching the constraints" };
  const taint = untoleratedTaint(constraints.tolerations ?? [], node.facts!.taints);
  if (taint !== undefined) return { why: `with taint ${taint.key} that is not tolerated` };
  if (shape.spread.some((group) => !group.allowed.has(node.index)))
    return { why: "in a domain that is ahead of others" };
  return state.nodes.overfull(node.index) ? { why: "over-full" } : undefined;
}

/** Of what no node has there is no index, only the name that the Task gives it. */
function namesFor({ resources }: State, { head }: Line): readonly string[] {
  const unknown = Object.keys(head?.facts.requests ?? {}).filter((name) => resources.index(name) === UNKNOWN);
  if (unknown.length === 0) return resources.names;
  return resources.names.map((name, r) => (r === UNKNOWN ? unknown.sort().join(" and ") : name));
}

function freeOn({ nodes: { free, width } }: State, { index }: NodeEntry): Vector {
  return free.subarray(index * width, (index + 1) * width);
}

function tooSmall(
  names: readonly string[],
  here: Vector,
  request: Vector,
  need: Vector,
  shown: Vector | undefined,
): Failure | undefined {
  const lacks = shortage(here, need);
  if (lacks !== undefined) {
    const what = lacks.resources.map((r) => names[r]).join(" and ");
    const fits = shortage(here, request) === undefined;
    return { why: fits ? `below the framework's minimum of ${what}` : `insufficient ${what}`, short: lacks };
  }
  const left = shown === undefined ? here : here.map((amount, r) => amount - (shown[r] ?? 0));
  return shortage(left, need) && { why: "offered to it already" };
}

function shortage(free: Vector, need: Vector): Shortage | undefined {
  const resources: number[] = [];
  let distance = 0;
  for (let r = 0; r < need.length; r++) {
    if (need[r]! <= free[r]!) continue;
    resources.push(r);
    distance = Math.max(distance, Math.ceil((1000 * (need[r]! - free[r]!)) / need[r]!));
  }
  if (resources.length === 0) return undefined;
  return { resources, distance, free: resources.map((r) => free[r]!), need };
}

function count(tallies: Map<string, Tally>, { why, short }: Failure): void {
  const before = tallies.get(why);
  const nearest =
    before?.short === undefined || (short !== undefined && isNearer(short, before.short)) ? short : before.short;
  tallies.set(why, { nodes: (before?.nodes ?? 0) + 1, short: nearest });
}

function isNearer(a: Shortage, b: Shortage): boolean {
  return a.distance < b.distance || (a.distance === b.distance && a.free[0]! > b.free[0]!);
}

function numbers(state: State, { resources, free, need }: Shortage): string {
  const text = (amounts: readonly number[], rounding: "floor" | "ceil") =>
    resources.map((r, i) => amountText(state.resources.names[r]!, amounts[i]!, rounding)).join(" and ");
  const needs = text(
    resources.map((r) => need[r]!),
    "ceil",
  );
  const has = text(free, "floor");
  return resources.length === 1 ? `(needs ${needs}, largest free ${has})` : `(needs ${needs}, the nearest has ${has})`;
}
