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
    // The wait may have been as long as the lease lasts, where another of these had it; and pods may be many.
    await writeLease(options);
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

/** Waits until whoever led has noticed: it may act until it looks at the lease again, and have requests under way. */
async function takeLease(options: ReleaseOptions): Promise<void> {
  const before = await writeLease(options);
  if (before === undefined) return;
  const waitMs = (before.leaseDurationSeconds ?? 6) * 1_000;
  options.log.info({ waitMs }, "took the lease; waiting until the leader has noticed");
  await sleep(options.clock, waitMs);
}

interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly leaseTransitions?: number;
}

/** Takes or renews the lease, whoever has it; returns what was in it before, undefined where there is none. */
async function writeLease({ client, clock, namespace, leaseName, identity }: ReleaseOptions) {
  const ref = { group: "coordination.k8s.io", version: "v1", plural: "leases", namespace, name: leaseName };
  for (;;) {
    const lease = await client.find(ref);
    if (lease === undefined) return undefined;
    const spec = (lease.spec ?? {}) as LeaseSpec;
    const now = new Date(clock.nowMs()).toISOString().replace("Z", "000Z");
    const taken = spec.holderIdentity !== identity;
    const written = {
      ...spec,
      holderIdentity: identity,
      leaseDurationSeconds: heldSeconds,
      renewTime: now,
      ...(taken && { acquireTime: now, leaseTransitions: (spec.leaseTransitions ?? 0) + 1 }),
    };
    try {
      await client.replace(ref, { ...lease, spec: written });
      return spec;
    } catch (error) {
      // The leader renewed meanwhile.
      if (!isConflict(error)) throw error;
    }
  }
}

async function inParallel<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const worker = async (): Promise<void> => {
    for (const item of rest) await run(item);
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}
