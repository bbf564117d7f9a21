import type { Input } from "../offers/messages.ts";
import type { Cluster } from "./cluster.ts";
import type { Network } from "./network.ts";

/** Who asks: a leader, its way to the API server, and its broker. */
interface Asking {
  readonly network: Network;
  feed(input: Input): void;
}

/**
 * Reads a framework's Leases from the API server itself, again until a reply comes; tells what is news of them, and then
 * that there is no more. `seen`: of the Leases, what version the watch has shown.
 */
export function confirmAbsence(framework: string, cluster: Cluster, asking: Asking, seen: () => number): void {
  const read = () => ({ leases: cluster.leasesOf(framework), version: cluster.version });
  asking.network.send("list-leases", read, (result) => {
    if (result === undefined) return confirmAbsence(framework, cluster, asking, seen);
    if (seen() < result.version) for (const lease of result.leases) asking.feed({ type: "lease-observed", lease });
    asking.feed({ type: "absence-confirmed", framework });
  });
}
