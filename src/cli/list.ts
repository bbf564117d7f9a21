import type { ResourceDefinition } from "../api/common.ts";
import type { KubeObject } from "../controller/kube/client.ts";
import { listAll } from "../controller/kube/list-watch.ts";
import type { Session } from "./connection.ts";
import { refOf } from "./kinds.ts";

export interface Listing {
  /** Absent: of all namespaces. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
}

/** All objects of a kind, in the order of their namespaces and names, with `apiVersion` and `kind`. */
export async function listObjects(
  { transport }: Session,
  definition: ResourceDefinition,
  { namespace, labelSelector }: Listing,
): Promise<KubeObject[]> {
  const { group, version, plural, namespace: within } = refOf(definition, namespace);
  const selection = {
    resource: { group, version, plural },
    ...(within !== undefined && { namespace: within }),
    ...(labelSelector !== undefined && { labelSelector }),
  };
  let objects: KubeObject[] = [];
  await listAll(transport, selection, new AbortController().signal, (items, isFirst) => {
    const named = items.map((item) => ({ ...item, apiVersion: `${group}/${version}`, kind: definition.kind }));
    objects = isFirst ? named : [...objects, ...named];
  });
  return objects.map(withoutManagedFields);
}

/** Who wrote which field is of no interest, and half of the text. */
export function withoutManagedFields(object: KubeObject): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata: metadata as KubeObject["metadata"] };
}
