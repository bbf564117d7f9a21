import { TRACKING_FINALIZER } from "../../api/labels.ts";
import type { Effect } from "../../offers/messages.ts";
import { isConflict, isNotFound } from "../kube/api-error.ts";
import type { KubeClient, ObjectMeta } from "../kube/client.ts";
import type { RequestOptions } from "../kube/transport.ts";
import { type EffectContext, namespaced, POD } from "./context.ts";
import type { Job } from "./job-queue.ts";

export type ReleasePod = Extract<Effect, { type: "release-pod" }>;

/** What must be known of a pod to take our finalizer off and nobody else's. */
export type FinalizedMeta = Pick<ObjectMeta, "uid" | "resourceVersion" | "finalizers">;

const maxConflicts = 8;

/** Ends the tracking of pods whose end is on record. */
export function releasePod(
  { type, key, uid }: ReleasePod,
  { client, fence }: EffectContext,
  cached: (key: string) => FinalizedMeta | undefined,
): Job {
  const run = async (): Promise<"done"> => {
    await removeTracking(client, key, uid, cached(key), { priority: "low", fence });
    return "done";
  };
  return { key: `release/${uid}`, lane: "status", type, run };
}

/**
 * Takes the tracking finalizer off one pod; others' finalizers stay, whoever adds or removes one meanwhile: the
 * resourceVersion guards the list. A pod that is gone, or another one by now, is released.
 *
 * @param known what a cache holds of it, to spare a read
 */
export async function removeTracking(
  client: KubeClient,
  key: string,
  uid: string | undefined,
  known: FinalizedMeta | undefined,
  options: RequestOptions,
): Promise<void> {
  const ref = namespaced(POD, key);
  let meta = known;
  for (let conflicts = 0; ; conflicts++) {
    meta ??= (await client.find(ref, options))?.metadata;
    if (meta === undefined || (uid !== undefined && meta.uid !== uid)) return;
    if (!meta.finalizers?.includes(TRACKING_FINALIZER)) return;
    const finalizers = meta.finalizers.filter((finalizer) => finalizer !== TRACKING_FINALIZER);
    const { uid: metaUid, resourceVersion } = meta;
    const patch = {
      metadata: { uid: metaUid, resourceVersion, finalizers: finalizers.length > 0 ? finalizers : null },
    };
    try {
      await client.mergePatch(ref, patch, options);
      return;
    } catch (error) {
      if (isNotFound(error)) return;
      if (!isConflict(error) || conflicts === maxConflicts) throw error;
      meta = undefined;
    }
  }
}
