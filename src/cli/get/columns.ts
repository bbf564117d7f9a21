import type { Column, ResourceDefinition } from "../../api/common.ts";
import type { KubeObject } from "../../controller/kube/client.ts";
import { ageText } from "../table.ts";

/** What is shown of each object, header first: the columns that kubectl shows, from the same definitions. */
export function rowsOf(
  definition: ResourceDefinition,
  objects: readonly KubeObject[],
  { wide, namespaces, nowMs }: { wide: boolean; namespaces: boolean; nowMs: number },
): string[][] {
  const columns = definition.columns.filter(({ priority = 0 }) => wide || priority === 0);
  const header = [...(namespaces ? ["NAMESPACE"] : []), "NAME", ...columns.map(({ name }) => name.toUpperCase())];
  const rows = objects.map((object) => [
    ...(namespaces ? [object.metadata.namespace ?? ""] : []),
    object.metadata.name,
    ...columns.map((column) => cellOf(object, column, nowMs)),
  ]);
  return [header, ...rows];
}

function cellOf(object: KubeObject, { jsonPath, type }: Column, nowMs: number): string {
  const value = valueAt(object, jsonPath);
  if (type !== "date") return value === undefined || value === null ? "" : String(value);
  const sinceMs = Date.parse(String(value));
  return Number.isNaN(sinceMs) ? "<unknown>" : ageText(sinceMs, nowMs);
}

/** What stands at a path of member names and indexes: `.spec.queues[0].name`. */
function valueAt(object: unknown, jsonPath: string): unknown {
  let value = object;
  for (const [, member, index] of jsonPath.matchAll(/\.([A-Za-z]+)|\[(\d+)\]/g)) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<string, unknown>)[member ?? index ?? ""];
  }
  return value;
}
