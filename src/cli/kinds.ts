import { GROUP, type ResourceDefinition, VERSION } from "../api/common.ts";
import { frameworkDefinition } from "../api/framework.ts";
import { offerDefinition } from "../api/offer.ts";
import { queueDefinition } from "../api/queue.ts";
import { taskDefinition } from "../api/task.ts";
import type { ResourceRef } from "../controller/kube/client.ts";
import { CliError } from "./errors.ts";

/** Proffer's kinds, in the order in which an overview shows them. */
export const KINDS: readonly ResourceDefinition[] = [
  queueDefinition,
  frameworkDefinition,
  taskDefinition,
  offerDefinition,
];

/**
 * A kind by any of the names that kubectl knows it by.
 *
 * @throws CliError
 */
export function kindOf(name: string): ResourceDefinition {
  const wanted = name.toLowerCase().replace(/\.proffer\.dev$/, "");
  const found = KINDS.find(({ plural, singular, shortNames }) => [plural, singular, ...shortNames].includes(wanted));
  if (found !== undefined) return found;
  throw new CliError(`"${name}" is none of Proffer's kinds: ${KINDS.map(({ plural }) => plural).join(", ")}`);
}

/** Where objects of a kind are; without a namespace, those of all. */
export function refOf({ plural, scope }: ResourceDefinition, namespace?: string, name?: string): ResourceRef {
  return {
    group: GROUP,
    version: VERSION,
    plural,
    namespace: scope === "Namespaced" ? namespace : undefined,
    name,
  };
}
