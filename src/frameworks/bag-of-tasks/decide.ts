import type { OfferAnswer } from "../../api/offer.ts";
import { type Amounts, minus, timesFitting } from "../sdk/resources.ts";

/** A Task with instances that wait. */
export interface Wanted {
  readonly task: string;
  readonly count: number;
  /** What each instance needs. */
  readonly need: Amounts;
  readonly priority: number;
  /** Labels that the node must have. */
  readonly nodeSelector: Readonly<Record<string, string>>;
}

/** An open offer. */
export interface Offered {
  readonly name: string;
  readonly slices: readonly OfferedSlice[];
}

export interface OfferedSlice {
  readonly name: string;
  readonly free: Amounts;
  readonly labels: Readonly<Record<string, string>>;
}

export type Launch = NonNullable<OfferAnswer["launches"]>[number];

/** What to say to an offer: launches to accept with, or none to decline. */
export interface Decision {
  readonly offer: string;
  readonly launches: readonly Launch[];
}

/** As many launches as an answer may have. */
const MAX_LAUNCHES = 256;

interface Bin {
  readonly offer: string;
  readonly slice: OfferedSlice;
  free: Amounts;
}

/**
 * Best fit, decreasing: Tasks by priority, then the largest first; each instance goes where the least is left over. An
 * offer that nothing is launched on is declined.
 *
 * @returns one decision for each offer, in their order
 */
export function decide(offers: readonly Offered[], wanted: readonly Wanted[]): Decision[] {
  const launches = new Map<string, Launch[]>(offers.map(({ name }) => [name, []]));
  const bins: Bin[] = offers.flatMap((offer) =>
    offer.slices.map((slice) => ({ offer: offer.name, slice, free: slice.free })),
  );
  const scale = totalOf(bins);
  for (const { task, count, need, nodeSelector } of inOrder(wanted, scale)) {
    for (let left = count; left > 0; ) {
      const candidates = bins.filter(
        (bin) =>
          launches.get(bin.offer)!.length < MAX_LAUNCHES &&
          matches(nodeSelector, bin.slice.labels) &&
          timesFitting(need, bin.free) > 0,
      );
      const bin = tightest(candidates, need);
      if (!bin) break;
      // Filling a slice leaves it tighter than it was: it stays the best fit until it is full.
      const times = Math.min(left, timesFitting(need, bin.free));
      launches.get(bin.offer)!.push({ task, slice: bin.slice.name, count: times });
      bin.free = minus(bin.free, need, times);
      left -= times;
    }
  }
  return offers.map(({ name }) => ({ offer: name, launches: launches.get(name)! }));
}

/** Greater priority first, then greater size, then name. */
function inOrder(wanted: readonly Wanted[], scale: Amounts): Wanted[] {
  const size = (need: Amounts) =>
    Math.max(0, ...[...need].map(([name, amount]) => amount / Math.max(1, scale.get(name) ?? 0)));
  return [...wanted].sort(
    (a, b) => b.priority - a.priority || size(b.need) - size(a.need) || (a.task < b.task ? -1 : 1),
  );
}

function totalOf(bins: readonly Bin[]): Amounts {
  const total = new Map<string, number>();
  for (const { free } of bins) for (const [name, amount] of free) total.set(name, (total.get(name) ?? 0) + amount);
  return total;
}

/** The bin with the least left over of what is needed, relative to the whole slice; the first of equals. */
function tightest(bins: readonly Bin[], need: Amounts): Bin | undefined {
  let best: Bin | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const bin of bins) {
    const leftover = leftoverOf(bin, need);
    if (leftover < least) [best, least] = [bin, leftover];
  }
  return best;
}

function leftoverOf({ free, slice }: Bin, need: Amounts): number {
  let sum = 0;
  for (const [name, amount] of need) {
    const whole = slice.free.get(name) ?? 0;
    if (whole > 0 && Number.isFinite(whole)) sum += ((free.get(name) ?? 0) - amount) / whole;
  }
  return sum;
}

function matches(selector: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(selector).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value);
}
