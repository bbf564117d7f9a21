import type { Gang } from "../gangs/gang.ts";
import { GangSearch } from "../gangs/gang-search.ts";
import type { Hold } from "../holds.ts";
import type { Line } from "../lines.ts";
import { add } from "../queues/queues.ts";
import type { Bidder } from "../round.ts";
import type { State } from "../state.ts";

/** Room is to be made for so many instances of the line on this node; some of it may be free. */
interface SpreadPlace {
  readonly line: Line;
  readonly node: number;
  readonly count: number;
}

/**
 * Where all instances of a gang that is spread would go, if those who may be asked for their room were gone: `chances`
 * says what they hold, by node, in the order in which they would go. Nodes on which something is free come first. The places
 * of what is `held` for the gang already are not named. Undefined: not all of it would start.
 */
export function spreadPlaces(
  state: State,
  bidder: Bidder,
  gang: Gang,
  chances: readonly ReadonlyMap<number, Float64Array>[],
  held: readonly Hold[],
): SpreadPlace[] | undefined {
  const { nodes } = state;
  const lines = gang.lines();
  const room = new Map<number, Float64Array>();
  const at = (node: number) => {
    const known = room.get(node) ?? new Float64Array(nodes.width);
    room.set(node, known);
    return known;
  };
  for (const { request, shape } of lines)
    for (const node of shape.where.admits) if (nodes.fits(node, request)) at(node);
  for (const some of chances) for (const [node, vector] of some) raise(at(node), vector);
  // Those that are not whole yet will be, by what their victims leave.
  for (const { line, claim } of held) add(at(claim.node), line.request, 1);
  const found = new GangSearch(state).find(bidder, gang.parts(), room);
  if (found.placed < found.wanted) return undefined;
  const counts = new Map<number, Map<Line, number>>();
  for (const { task, node, count } of found.places) {
    const here = counts.get(node) ?? new Map<Line, number>();
    counts.set(node, here.set(task.line!, (here.get(task.line!) ?? 0) + count));
  }
  for (const { line, claim } of held) {
    const here = counts.get(claim.node);
    if (here?.has(line)) here.set(line, Math.max(0, here.get(line)! - 1));
  }
  return [...counts].flatMap(([node, here]) => [...here].map(([line, count]) => ({ line, node, count })));
}

function raise(vector: Float64Array, to: Float64Array): void {
  for (let r = 0; r < vector.length; r++) vector[r] = Math.max(vector[r]!, to[r] ?? 0);
}
