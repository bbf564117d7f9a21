import type { ProcessName } from "../cluster.ts";
import type { ProcessSpec } from "../supervisor-protocol.ts";

/** A process of a cluster: how it is started, and how to see that it works. */
export interface Part {
  readonly name: ProcessName;
  /** Asked at each start: what runs on a node needs to know what the node is by then. */
  spec(): ProcessSpec;
  /** Looked at until it gives something other than false, and does not throw. */
  readonly works?: { readonly what: string; look(): Promise<unknown> };
}
