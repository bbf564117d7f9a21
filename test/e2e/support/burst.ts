/** Many instances at once, and the check that each of them ran exactly once. */
import { expect } from "vitest";
import { parseRequests } from "../../../src/offers/quantity.ts";
import type { Json } from "../../../tools/cluster/api-client.ts";
import { eventually } from "./eventually.ts";
import type { PodWatch } from "./pod-watch.ts";
import type { Tenant } from "./tenant.ts";

export interface BurstWishes {
  /** Instances of one Task. */
  readonly together: number;
  /** Tasks of one instance each. */
  readonly alone?: number;
  /** How long each instance runs. */
  readonly duration: string;
  readonly framework?: string;
}

const LONG = { timeoutMs: 180_000 };

/** Creates the Tasks; returns how many instances they have. */
export async function burst(tenant: Tenant, wishes: BurstWishes): Promise<number> {
  const { together, alone = 0, duration, framework = "fw" } = wishes;
  const fake = { duration };
  await tenant.task("together", { framework, instances: together, fake });
  await Promise.all(Array.from({ length: alone }, (_, i) => tenant.task(`alone-${i}`, { framework, fake })));
  return together + alone;
}

/** Waits until so many pods of the tenant were made at least. */
export function madeAtLeast(watch: PodWatch, { namespace }: Tenant, count: number): Promise<number> {
  const made = () => [...watch.pods.values()].filter((pod) => pod.namespace === namespace).length;
  return eventually(`${count} pods of ${namespace} were made`, made, (n) => n >= count, LONG);
}

/** Waits until all Tasks of the tenant have finished. */
export async function allFinished(tenant: Tenant): Promise<Json[]> {
  const unfinished = async () => {
    const { items } = await tenant.api.get(tenant.path("tasks"));
    return items.filter((task: Json) => task.status?.state !== "Finished").map(brief);
  };
  const what = `all Tasks of ${tenant.namespace} have finished`;
  await eventually(what, unfinished, (tasks) => tasks.length === 0, { ...LONG, everyMs: 500 });
  return (await tenant.api.get(tenant.path("tasks"))).items;
}

/**
 * Each instance had one pod, which ran once and succeeded; the Tasks say so; no node ever held more than it has; and no
 * pod is held by the operator any more.
 */
export async function ranExactlyOnce(
  watch: PodWatch,
  tenant: Tenant,
  instances: number,
  nodes = `${tenant.namespace}-`,
): Promise<void> {
  const tasks = await allFinished(tenant);
  expect(tasks.reduce((sum, { status }) => sum + status.counts.finished, 0)).toBe(instances);
  const seen = await tenant.seen();
  const indexes = new Set(seen.map(({ taskUid, index }) => `${taskUid}/${index}`));
  expect({ pods: seen.length, indexes: indexes.size }).toEqual({ pods: instances, indexes: instances });
  const odd = seen.filter(({ phases, attempt }) => attempt !== 0 || phases.at(-1) !== "Succeeded");
  expect(odd.map(({ name, phases, attempt }) => ({ name, phases, attempt }))).toEqual([]);
  await neverTooFull(watch, tenant, nodes);
  await noFinalizers(tenant);
}

/** What was requested on each of the tenant's nodes, or of those whose names begin so, was never more than it has. */
export async function neverTooFull(watch: PodWatch, tenant: Tenant, nodes = `${tenant.namespace}-`): Promise<void> {
  await watch.caughtUp(tenant.namespace);
  const { items } = await tenant.api.get("/api/v1/nodes");
  const own = items.filter(({ metadata }: Json) => metadata.name.startsWith(nodes));
  expect(own.length).toBeGreaterThan(0);
  for (const { metadata, status } of own) {
    const has = parseRequests(status.allocatable);
    for (const [resource, most] of Object.entries(watch.peaksOn(metadata.name))) {
      expect({ node: metadata.name, resource, fits: most <= (has[resource] ?? 0), most }).toMatchObject({ fits: true });
    }
  }
}

/** Waits until no pod of the tenant carries the operator's finalizer. */
export async function noFinalizers(tenant: Tenant): Promise<void> {
  const tracked = async () => {
    const held = (await tenant.pods()).filter(({ metadata }) => metadata.finalizers !== undefined);
    return held.map(({ metadata }) => metadata.name);
  };
  const what = `no pod of ${tenant.namespace} is held`;
  await eventually(what, tracked, (names) => names.length === 0, { everyMs: 500 });
}

function brief({ metadata, status }: Json) {
  return { name: metadata.name, state: status?.state, counts: status?.counts };
}
