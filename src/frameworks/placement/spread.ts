import { meanFreeFraction, type Placement } from "./placement.ts";

/** The emptiest node first: load is even, and a node that fails takes few instances with it. */
export const spread: Placement = meanFreeFraction;
