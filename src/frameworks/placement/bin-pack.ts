import { meanFreeFraction, type Placement } from "./placement.ts";

/** The fullest node first: whole nodes stay free for large instances, and can be given back. */
export const binPack: Placement = (free, total, offset, count) => {
  for (let index = 0; index < count; index++) {
    // A node without cpu and memory is neither full nor empty.
    if (index < 2 && total[offset + index]! > 0) return 1 - meanFreeFraction(free, total, offset, count);
  }
  return 0;
};
