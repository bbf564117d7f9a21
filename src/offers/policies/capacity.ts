import type { Policy } from "./policy.ts";

/** Has less than it is guaranteed, of some resource. */
const UNDER = 0;
const SERVED = 1;
/** Guaranteed nothing, so that used ÷ guaranteed says nothing. */
const NOT_GUARANTEED = 2;

/**
 * The child that has used the least part of its guarantee, as in YARN's Capacity scheduler: those with less than their
 * guarantee first, by the greatest part used of any resource that the guarantee names; then those that have all of it,
 * by the same; last those that are guaranteed nothing, frameworks among them, which stand evenly by instances held.
 */
export const capacity: Policy = {
  reads: "usage",
  rescales: false,
  rank(child) {
    const { usage, guarantee } = child;
    let [most, served, named] = [0, true, false];
    for (let r = 0; r < guarantee.length; r++) {
      const due = guarantee[r]!;
      if (!(due > 0)) continue;
      const used = usage[r] ?? 0;
      named = true;
      if (used < due) served = false;
      most = Math.max(most, used / due);
    }
    child.tier = !named ? NOT_GUARANTEED : served ? SERVED : UNDER;
    child.key = most;
  },
};
