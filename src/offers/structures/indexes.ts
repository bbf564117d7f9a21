import { Bitset } from "./bitset.ts";

/** Instance indexes as text: "0-41,57". The empty text is the empty set. */
export function formatIndexes(indexes: Iterable<number>): string {
  const parts: string[] = [];
  let start = -1;
  let last = -2;
  const flush = () => {
    if (start >= 0) parts.push(start === last ? `${start}` : `${start}-${last}`);
  };
  for (const index of indexes) {
    if (index !== last + 1) {
      flush();
      start = index;
    }
    last = index;
  }
  flush();
  return parts.join(",");
}

/**
 * The set that a text like "0-41,57" names, cut to indexes below `instances`. What is not such a text names nothing:
 * admission has refused it, and a hand-made status must not stop us.
 */
export function parseIndexes(text: string, instances: number): Bitset {
  const set = new Bitset(instances);
  for (const part of text.split(",")) {
    const match = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(part);
    if (match === null) continue;
    const end = Math.min(Number(match[2] ?? match[1]), instances - 1);
    for (let index = Number(match[1]); index <= end; index++) set.add(index);
  }
  return set;
}
