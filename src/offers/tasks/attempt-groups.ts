import { formatIndexes } from "../structures/indexes.ts";
import type { TaskView } from "../views.ts";

/** Of one index: attempts that have ended, and how many of them count as its own failures. */
export interface Attempts {
  readonly ended: number;
  readonly failed: number;
}

/** What an index does now: it is over for good, waits for its next attempt, or has one that runs. */
export type Rank = "over" | "waiting" | "live";

/** At most so many groups of equal attempts are told in a status. */
const ATTEMPT_GROUPS = 64;

/**
 * Indexes by equal attempts. Past the bound those that have ended for good are left out, and then neighbours merge:
 * those that wait upwards, for a name once used is never used again; those that run downwards, for their pods tell
 * their own numbers, and what the status calls over would not be known for theirs.
 */
export function attemptGroups(
  attempts: ReadonlyMap<number, Attempts>,
  rankOf: (index: number) => Rank,
): TaskView["attempts"] {
  const ranks: Readonly<Record<Rank, Map<string, Group>>> = { over: new Map(), waiting: new Map(), live: new Map() };
  for (const [index, { ended, failed }] of attempts) {
    const groups = ranks[rankOf(index)];
    const group = groups.get(`${ended}/${failed}`);
    if (group === undefined) groups.set(`${ended}/${failed}`, { ended, failed, indexes: [index] });
    else group.indexes.push(index);
  }
  const [over, waiting, live] = [byAttempts(ranks.over), byAttempts(ranks.waiting), byAttempts(ranks.live)];
  if (over.length + waiting.length + live.length > ATTEMPT_GROUPS) over.length = 0;
  const half = ATTEMPT_GROUPS / 2;
  mergeUp(waiting, Math.max(half, ATTEMPT_GROUPS - live.length));
  mergeDown(live, ATTEMPT_GROUPS - waiting.length);
  return [...over, ...waiting, ...live].map(({ ended, failed, indexes }) => ({
    indexes: formatIndexes(indexes.sort((a, b) => a - b)),
    ended,
    failed,
  }));
}

interface Group {
  readonly ended: number;
  readonly failed: number;
  readonly indexes: number[];
}

function byAttempts(groups: ReadonlyMap<string, Group>): Group[] {
  return [...groups.values()].sort((a, b) => a.ended - b.ended || a.failed - b.failed);
}

function mergeUp(groups: Group[], most: number): void {
  while (groups.length > most) {
    const [low, high] = [groups.shift()!, groups[0]!];
    groups[0] = { ...high, failed: Math.max(low.failed, high.failed), indexes: [...low.indexes, ...high.indexes] };
  }
}

function mergeDown(groups: Group[], most: number): void {
  while (groups.length > most) {
    const [high, low] = [groups.pop()!, groups.pop()!];
    groups.push({ ...low, failed: Math.min(low.failed, high.failed), indexes: [...low.indexes, ...high.indexes] });
  }
}
