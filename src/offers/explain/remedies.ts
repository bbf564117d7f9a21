import type { Framework } from "../framework.ts";
import type { Line } from "../lines.ts";
import { matchesLabels, untoleratedTaint } from "../nodes/constraints.ts";
import type { NodeEntry } from "../nodes/nodes.ts";
import { UNKNOWN, type Vector } from "../resources.ts";
import { shownTo } from "../shown.ts";
import type { State } from "../state.ts";
import type { ChangePart } from "../views.ts";
import { needOf } from "./node-survey.ts";
import { boundsOf, isBroken } from "./room-survey.ts";

/** What would open a node to one more instance: the only thing that stands in the way there. */
interface Remedy {
  /** How much it asks of people: kinds first, then, among nodes that lack something, the part of the need that is lacking. */
  readonly cost: number;
  /** Made for the cheapest alone: there are as many as nodes. */
  readonly make: () => Made;
}

interface Made {
  /** Undefined: nothing stands in the way. */
  readonly part: ChangePart | undefined;
  /** What more is free in the cluster then. */
  readonly freed: Vector;
}

/** Kinds of remedies, the cheapest first; a shortage costs up to one more, by its size. */
const COST = { nothing: -1, revive: 0, answer: 1, uncordon: 2, node: 3, tolerate: 5 };

/**
 * The least that would start the first instance of the line: what opens a node, where none fits, and what more the queues
 * above must admit. Exact in the ledger as it is: with it the next round serves the line if nobody else is before it, with
 * a unit less it does not. Undefined where no node is one step away.
 */
export function changesFor(state: State, framework: Framework, line: Line): ChangePart[] | undefined {
  const need = needOf(state, framework, line.request);
  const found = cheapest(state, framework, line, need);
  if (found === undefined) return undefined;
  const { part, freed } = found.remedy.make();
  return [...(part === undefined ? [] : [part]), ...roomFor(state, framework, line, need, found.node, freed)];
}

function cheapest(
  state: State,
  framework: Framework,
  line: Line,
  need: Vector,
): { readonly node: string; readonly remedy: Remedy } | undefined {
  const shown = framework.optimisticIn(line.claimant.queueName) ? shownTo(framework) : undefined;
  const nothing: Remedy = { cost: COST.nothing, make: () => ({ part: undefined, freed: none(need) }) };
  let best: { readonly node: string; readonly remedy: Remedy } | undefined;
  for (const node of state.nodes.entries) {
    if (node?.facts === undefined) continue;
    const remedies = remediesOn(state, framework, line, node, need, shown?.get(node.index));
    const remedy = remedies.length === 0 ? nothing : remedies[0];
    if (remedies.length > 1 || remedy === undefined) continue;
    if (best === undefined || remedy.cost < best.remedy.cost) best = { node: node.name, remedy };
  }
  return best;
}

/** One for each obstacle on the node, in the order of the checks; undefined for one that nothing of this kind removes. */
function remediesOn(
  state: State,
  framework: Framework,
  line: Line,
  node: NodeEntry,
  need: Vector,
  shown: Vector | undefined,
): (Remedy | undefined)[] {
  const { shape } = line;
  const { constraints } = shape.where;
  const { index, name, closed } = node;
  const found: (Remedy | undefined)[] = [];
  const by = (cost: number, part: ChangePart, freed = () => none(need)) =>
    found.push({ cost, make: () => ({ part, freed: freed() }) });
  if (closed === "cordoned") {
    by(COST.uncordon, { type: "uncordon", node: name }, () => state.nodes.freeVector(index));
  } else if (closed !== undefined) {
    found.push(undefined);
  }
  if (!matchesLabels(constraints, node.facts!.labels)) found.push(undefined);
  for (const taint of node.facts!.taints) {
    if (untoleratedTaint(constraints.tolerations ?? [], [taint]) === undefined) continue;
    by(COST.tolerate, { type: "tolerate", node: name, taint: taint.key });
  }
  if (shape.spread.some((group) => !group.allowed.has(index))) found.push(undefined);
  const lacking = lackingOn(state, index, need);
  if (lacking > 0) {
    found.push({ cost: COST.node + lacking, make: () => shortageOn(state, framework, node, line, need) });
  } else if (shown !== undefined && !state.nodes.fits(index, sumOf(need, shown))) {
    const offer = [...framework.offers].find(({ slices }) => slices.has(index));
    if (offer === undefined) found.push(undefined);
    else by(COST.answer, { type: "answer", offer: offer.key, untilMs: offer.expiresAtMs });
  }
  const untilMs = state.refusals.untilMs(framework, index);
  if (untilMs !== undefined) by(COST.revive, { type: "revive", untilMs });
  return found;
}

const none = ({ length }: Vector): Vector => new Float64Array(length);

/** The largest part of what is needed that the node lacks, 0–1; of what it is over-full in, all is lacking. */
function lackingOn({ nodes }: State, node: number, need: Vector): number {
  let part = 0;
  for (let r = 0; r < nodes.width; r++) {
    const lacking = (need[r] ?? 0) - nodes.free[node * nodes.width + r]!;
    if (lacking > 0) part = Math.max(part, lacking / Math.max(need[r] ?? 0, lacking));
  }
  return part;
}

/** What the node has too little of: of everything asked for, and of what it is over-full in. */
function shortageOn(
  state: State,
  framework: Framework,
  { name: node, index }: NodeEntry,
  { head }: Line,
  need: Vector,
): Made {
  const free = state.nodes.freeVector(index);
  const more: Record<string, number> = {};
  const freed = new Float64Array(free.length);
  // What is taken however little is asked for: a framework's minimum.
  const least = needOf(state, framework, none(need));
  let orLess = true;
  for (let r = 0; r < free.length; r++) {
    const lacking = (need[r] ?? 0) - free[r]!;
    if (lacking <= 0) continue;
    freed[r] = lacking;
    // Asking for nothing at all is no way out.
    if (free[r]! <= 0 || (least[r] ?? 0) > free[r]!) orLess = false;
    if (r !== UNKNOWN) more[state.resources.names[r]!] = lacking;
  }
  for (const [name, amount] of Object.entries(head?.facts.requests ?? {})) {
    if (amount > 0 && state.resources.index(name) === UNKNOWN) more[name] = amount;
  }
  // What is over-full counts as having nothing free; with its lack it has all it has.
  if (state.nodes.overfull(index)) for (let r = 0; r < free.length; r++) freed[r]! += free[r]!;
  return { part: { type: "node", node, more, orLess }, freed };
}

function sumOf(a: Vector, b: Vector): Vector {
  return b.map((amount, r) => amount + (a[r] ?? 0));
}

/** What more the bounds above must admit, once `freed` is free besides; what must be free in all may be so on `node`. */
function roomFor(
  state: State,
  framework: Framework,
  line: Line,
  need: Vector,
  node: string,
  freed: Vector,
): ChangePart[] {
  const limits = new Map<string, Record<string, number>>();
  const free: Record<string, number> = {};
  for (const bound of boundsOf(state, framework, line.claimant, need)) {
    const more = bound.queue === undefined ? (freed[bound.resource] ?? 0) : 0;
    const lacking = bound.needs - bound.left - more;
    if (!isBroken(bound) || lacking <= 0) continue;
    const name = state.resources.names[bound.resource]!;
    if (bound.queue === undefined) {
      free[name] = lacking;
    } else {
      const amounts = limits.get(bound.queue.name) ?? {};
      amounts[name] = lacking;
      limits.set(bound.queue.name, amounts);
    }
  }
  const parts: ChangePart[] = [...limits].map(([queue, more]) => ({ type: "limit", queue, more }));
  return Object.keys(free).length === 0 ? parts : [...parts, { type: "free", node, more: free }];
}
