import { binPack } from "../../frameworks/placement/bin-pack.ts";
import { spread } from "../../frameworks/placement/spread.ts";
import type { Placement } from "../../offers/options.ts";

/** Those of the operator. */
export const PLACEMENTS: Readonly<Record<string, Placement>> = {
  BinPack: { score: binPack, rotate: false },
  Spread: { score: spread, rotate: true },
};
