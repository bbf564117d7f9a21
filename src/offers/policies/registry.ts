import { capacity } from "./capacity.ts";
import { dominantShare } from "./dominant-share.ts";
import { fair } from "./fair.ts";
import { fifo } from "./fifo.ts";
import type { Policy } from "./policy.ts";
import { priority } from "./priority.ts";

/** Every order that a queue may have for its children. `resource` is the index of its `fairResource`, if it names one. */
export const POLICIES = {
  DominantShare: () => dominantShare,
  Fair: (resource) => fair(resource),
  Capacity: () => capacity,
  Priority: () => priority,
  Fifo: () => fifo,
} as const satisfies Record<string, (resource: number) => Policy>;

export type Order = keyof typeof POLICIES;
