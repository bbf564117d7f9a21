import { TRACKING_FINALIZER } from "../api/labels.ts";
import { POD } from "./effects/context.ts";
import { removeTracking } from "./effects/tracking.ts";
import { isConflict } from "./kube/api-error.ts";
import type { KubeClient, KubeObject } from "./kube/client.ts";
import { type Clock, sleep } from "./kube/clock.ts";
import type { Logger } from "./telemetry.ts";

export interface ReleaseOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly namespace: string;
  readonly leaseName: string;
  readonly identity: string;
}

/** No operator leads for so long: time to remove it. If it stays after all, it goes on by itself. */
const heldSeconds = 120;
const pageLimit = 500;
const concurrency = 16;

/**
 * Takes the tracking finalizer off every pod, before Proffer is removed: nobody would do it afterwards, and namespaces
 * could not be deleted. The leader's lease is taken first, by force, so that no operator makes further pods.
 *
 * @returns how many pods were released
 */
export async function releaseFinalizers(options: ReleaseOptions): Promise<number> {
  await takeLease(options);
  const { client, log } = options;
  let released = 0;
  let token: string | undefined;
  do {
    const page = await client.list(POD, { query: { limit: pageLimit, continue: token } });
    const tracked = page.items.filter(({ metadata }) => metadata.finalizers?.includes(TRACKING_FINALIZER));
    await inParallel(tracked, async ({ metadata }: KubeObject) => {
      await removeTracking(client, `${metadata.namespace}/${metadata.name}`, metadata.uid, metadata, {});
      released++;
    });
    token = page.metadata.continue;
  } while (token);
  log.info({ released }, "the tracking finalizer is off all pods");
  return released;
}

async function takeLease({ client, clock, log, namespace, leaseName, identity }: ReleaseOptions): Promise<void> {
  const ref = { group: "coordination.k8s.io", version: "v1", plural: "leases", namespace, name: leaseName };
  for (;;) {
    const lease = await client.find(ref);
    if (lease === undefined) return;
    const spec = lease.spec as { leaseDurationSeconds?: number; leaseTransitions?: number } | undefined;
    const now = new Date(clock.nowMs()).toISOString().replace("Z", "000Z");
    const taken = {
      ...lease,
      spec: {
        ...spec,
        holderIdentity: identity,
        leaseDurationSeconds: heldSeconds,
        acquireTime: now,
        renewTime: now,
        leaseTransitions: (spec?.leaseTransitions ?? 0) + 1,
      },
    };
    try {
      await client.replace(ref, taken);
    } catch (error) {
      // The leader renewed meanwhile.
      if (isConflict(error)) continue;
      throw error;
    }
    // Whoever led may act until it looks at the lease again, and have requests under way.
    const waitMs = (spec?.leaseDurationSeconds ?? 6) * 1_000;
    log.info({ waitMs }, "took the lease; waiting until the leader has noticed");
    await sleep(clock, waitMs);
    return;
  }
}

async function inParallel<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const worker = async (): Promise<void> => {
    for (const item of rest) await run(item);
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}
