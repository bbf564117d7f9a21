import { shownTo } from "./bidders.ts";
import { matchesLabels, untoleratedTaint } from "./constraints.ts";
import type { Framework } from "./framework.ts";
import type { Line } from "./lines.ts";
import { needOf } from "./node-survey.ts";
import type { NodeEntry } from "./nodes.ts";
import { type Quantities, UNKNOWN, type Vector } from "./resources.ts";
import { boundsOf, isBroken } from "./room-survey.ts";
import type { State } from "./state.ts";
import type { ChangePart } from "./views.ts";

/** What would open a node to one more instance: the only thing that stands in the way there. */
interface Remedy {
  /** Undefined: nothing does. */
  readonly part: ChangePart | undefined;
  /** How much it asks of people: kinds first, then, among nodes that lack something, the part of the need that is lacking. */
  readonly cost: number;
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
  const { node, part, freed } = found;
  return [...(part === undefined ? [] : [part]), ...roomFor(state, framework, line, need, node, freed)];
}

function cheapest(
  state: State,
  framework: Framework,
  line: Line,
  need: Vector,
): (Remedy & { node: string }) | undefined {
  const shown = framework.optimisticIn(line.claimant.queueName) ? shownTo(framework) : undefined;
  const nothing: Remedy = { part: undefined, cost: COST.nothing, freed: new Float64Array(need.length) };
  let best: (Remedy & { node: string }) | undefined;
  for (const node of state.nodes.entries) {
    if (node?.facts === undefined) continue;
    const remedies = remediesOn(state, framework, line, node, need, shown?.get(node.index));
    const only = remedies.length === 0 ? nothing : remedies[0];
    if (remedies.length > 1 || only === undefined) continue;
    if (best === undefined || only.cost < best.cost) best = { ...only, node: node.name };
  }
  return best;
}

/** One for each obstacle on the node, in the order of the checks; undefined for one that nothing of this kind removes. */
function remediesOn(
  state: State,
  framework: Framework,
  { shape, head }: Line,
  node: NodeEntry,
  need: Vector,
  shown: Vector | undefined,
): (Remedy | undefined)[] {
  const { constraints } = shape.where;
  const { index, name, closed } = node;
  const none = new Float64Array(need.length);
  const found: (Remedy | undefined)[] = [];
  if (closed === "cordoned") {
    found.push({ part: { type: "uncordon", node: name }, cost: COST.uncordon, freed: state.nodes.freeVector(index) });
  } else if (closed !== undefined) {
    found.push(undefined);
  }
  if (!matchesLabels(constraints, node.facts!.labels)) found.push(undefined);
  for (const taint of node.facts!.taints) {
    if (untoleratedTaint(constraints.tolerations ?? [], [taint]) === undefined) continue;
    found.push({ part: { type: "tolerate", node: name, taint: taint.key }, cost: COST.tolerate, freed: none });
  }
  if (shape.spread.some((group) => !group.allowed.has(index))) found.push(undefined);
  const short = shortageOn(state, index, need, head?.facts.requests ?? {});
  if (short !== undefined) {
    const part = { type: "node", node: name, more: short.more } as const;
    found.push({ part, cost: COST.node + short.part, freed: short.freed });
  } else if (shown !== undefined && !state.nodes.fits(index, sumOf(need, shown))) {
    const offer = [...framework.offers].find(({ slices }) => slices.has(index));
    const part = offer && ({ type: "answer", offer: offer.key, untilMs: offer.expiresAtMs } as const);
    found.push(part && { part, cost: COST.answer, freed: none });
  }
  const untilMs = state.refusals.untilMs(framework, index);
  if (untilMs !== undefined) found.push({ part: { type: "revive", untilMs }, cost: COST.revive, freed: none });
  return found;
}

interface Shortage {
  readonly more: Quantities;
  /** The largest part of what is needed that is lacking, 0–1. */
  readonly part: number;
  readonly freed: Vector;
}

/** What the node has too little of: of everything asked for, and of what it is over-full in. */
function shortageOn(state: State, node: number, need: Vector, requests: Quantities): Shortage | undefined {
  const free = state.nodes.freeVector(node);
  const more: Record<string, number> = {};
  let part = 0;
  const freed = new Float64Array(free.length);
  for (let r = 0; r < free.length; r++) {
    const lacking = (need[r] ?? 0) - free[r]!;
    if (lacking <= 0) continue;
    part = Math.max(part, lacking / Math.max(need[r] ?? 0, lacking));
    freed[r] = lacking;
    if (r !== UNKNOWN) more[state.resources.names[r]!] = lacking;
  }
  if (part === 0) return undefined;
  for (const [name, amount] of Object.entries(requests)) {
    if (amount > 0 && state.resources.index(name) === UNKNOWN) more[name] = amount;
  }
  // What is over-full counts as having nothing free; with its lack it has all it has.
  if (state.nodes.overfull(node)) for (let r = 0; r < free.length; r++) freed[r]! += free[r]!;
  return { more, part, freed };
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
