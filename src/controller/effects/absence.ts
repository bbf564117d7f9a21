import { FRAMEWORK_LABEL } from "../../api/labels.ts";
import type { Effect } from "../../offers/messages.ts";
import { localName, namespaceOf } from "../manifests/keys.ts";
import { type ObservedLease, projectLease } from "../observe/lease.ts";
import { type EffectContext, LEASE } from "./context.ts";
import type { Job } from "./job-queue.ts";

export type ConfirmAbsence = Extract<Effect, { type: "confirm-absence" }>;

/**
 * Reads a framework's Leases from the API server itself: a watch may have been silent for a while before anybody notices.
 *
 * @param listed is told of all of them, before the broker is told that it knows all
 */
export function confirmAbsence(
  { type, framework }: ConfirmAbsence,
  { client, feed }: Pick<EffectContext, "client" | "feed">,
  listed: (framework: string, leases: readonly ObservedLease[], resourceVersion: string) => void,
): Job {
  const run = async (): Promise<"done"> => {
    const labelSelector = `${FRAMEWORK_LABEL}=${localName(framework)}`;
    const ref = { ...LEASE, namespace: namespaceOf(framework) };
    const { items, metadata } = await client.list(ref, { query: { labelSelector } });
    const leases = (items ?? []).map((item) => projectLease(item)).filter((lease) => lease !== undefined);
    listed(framework, leases, metadata.resourceVersion);
    feed({ type: "absence-confirmed", framework });
    return "done";
  };
  return { key: `absence/${framework}`, lane: "close", type, run };
}
