import { GROUP, VERSION } from "../../api/common.ts";
import type { Input } from "../../offers/messages.ts";
import { ApiError } from "../kube/api-error.ts";
import type { KubeClient, ResourceRef, ResourceType } from "../kube/client.ts";
import type { Clock } from "../kube/clock.ts";
import { localName, namespaceOf } from "../manifests/keys.ts";
import type { Logger } from "../telemetry.ts";

/** What every effect needs to reach the world and to tell the broker what became of it. */
export interface EffectContext {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** Asked right before each byte of a write leaves: does this process still lead? */
  readonly fence: () => boolean;
  readonly feed: (input: Input) => void;
}

export const POD: ResourceType = { group: "", version: "v1", plural: "pods" };
export const NODE: ResourceType = { group: "", version: "v1", plural: "nodes" };
export const TASK: ResourceType = { group: GROUP, version: VERSION, plural: "tasks" };
export const FRAMEWORK: ResourceType = { group: GROUP, version: VERSION, plural: "frameworks" };
export const QUEUE: ResourceType = { group: GROUP, version: VERSION, plural: "queues" };
export const OFFER: ResourceType = { group: GROUP, version: VERSION, plural: "offers" };
export const SERVICE_ACCOUNT: ResourceType = { group: "", version: "v1", plural: "serviceaccounts" };
export const LEASE: ResourceType = { group: "coordination.k8s.io", version: "v1", plural: "leases" };

/** One namespaced object. */
export function namespaced(type: ResourceType, key: string, subresource?: string): ResourceRef {
  return { ...type, namespace: namespaceOf(key), name: localName(key), subresource };
}

// Those of 4xx that say "not now" rather than "never".
const passing = new Set([401, 408, 409, 425, 429]);

/** The server has understood and refused: the same request would be refused again. */
export function isRefusal(error: unknown): error is ApiError {
  return error instanceof ApiError && error.status >= 400 && error.status < 500 && !passing.has(error.status);
}
