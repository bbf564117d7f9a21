import { z } from "zod";
import { SHARED_TYPE, type SharedType } from "../../src/api/common.ts";
import { REFUSED, type RefusedKind } from "../../src/api/refused.ts";

/** A node of an OpenAPI v3 schema. */
export interface SchemaNode {
  type?: string;
  description?: string;
  format?: string;
  properties?: Record<string, SchemaNode>;
  additionalProperties?: SchemaNode;
  items?: SchemaNode;
  required?: string[];
  anyOf?: SchemaNode[];
  enum?: unknown[];
  default?: unknown;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  "x-kubernetes-int-or-string"?: boolean;
  "x-kubernetes-preserve-unknown-fields"?: boolean;
  "x-kubernetes-validations"?: { rule: string; message: string; fieldPath?: string }[];
  [REFUSED]?: RefusedKind;
  [SHARED_TYPE]?: SharedType;
  [extension: string]: unknown;
}

const INT32_MAX = 2_147_483_647;
const HAS_NO_FORM_IN_A_CRD = ["$ref", "oneOf", "allOf", "not", "nullable", "prefixItems", "propertyNames", "const"];

/**
 * A zod schema as OpenAPI v3, still with Proffer's own marks (`REFUSED`, `SHARED_TYPE`), as the reference wants it.
 * @throws when the schema has something that a CRD cannot say, or lacks a bound
 */
export function openApiSchema(schema: z.ZodType, path: string): SchemaNode {
  const json = z.toJSONSchema(schema, { target: "openapi-3.0", io: "input", reused: "inline" }) as SchemaNode;
  return normalize(json, path);
}

/** The same as a structural schema: what goes into a CRD. */
export function structuralSchema(schema: z.ZodType, path: string): SchemaNode {
  return withoutMarks(withWholeDefaults(openApiSchema(schema, path)));
}

/** The API server checks a default against the rules as it stands, without the defaults inside it: write them out. */
function withWholeDefaults(node: SchemaNode): SchemaNode {
  const result = mapChildren(node, withWholeDefaults);
  const defaults = Object.entries(result.properties ?? {}).filter(([, child]) => child.default !== undefined);
  if (result.default !== undefined && result.properties) {
    result.default = {
      ...Object.fromEntries(defaults.map(([name, child]) => [name, child.default])),
      ...result.default,
    };
  }
  return result;
}

function normalize(node: SchemaNode, path: string): SchemaNode {
  if (node[REFUSED]) return refusedSchema(node);
  if (node["x-kubernetes-int-or-string"]) return intOrString(node);
  const result = mapChildren(node, (child, part) => normalize(child, path + part));
  if (result.format === "date-time") delete result.pattern;
  if (result.type === "integer") result.format = formatOf(result);
  const problem = problemOf(result);
  if (problem) throw new Error(`${path}: ${problem}`);
  return result;
}

/** Why this node cannot stand in a CRD or would make its rules too dear, or undefined. Children are not looked at. */
export function problemOf(node: SchemaNode): string | undefined {
  const unsayable = HAS_NO_FORM_IN_A_CRD.find((key) => key in node);
  if (unsayable) return `${unsayable} has no form in a CRD`;
  if (node.anyOf && !node["x-kubernetes-int-or-string"]) return "a union has no form in a CRD";
  if (node.pattern && /\(\?[=!<]/.test(node.pattern)) return "RE2 has no lookaround";
  switch (node.type) {
    case "string":
      return node.maxLength === undefined && !node.enum ? "a string needs maxLength or enum" : undefined;
    case "array":
      return node.maxItems === undefined || !node.items ? "a list needs items and maxItems" : undefined;
    case "integer":
      return node.minimum === undefined || node.maximum === undefined ? "an integer needs bounds" : undefined;
    case "object":
      return node.additionalProperties && node.maxProperties === undefined ? "a map needs maxProperties" : undefined;
    case "boolean":
      return undefined;
    default:
      return node["x-kubernetes-int-or-string"] && node.maxLength
        ? undefined
        : `type ${node.type} has no form in a CRD`;
  }
}

/**
 * Bounds stand beside the mark and act on the type that they are about. The two types are not named again in an `anyOf`, as
 * they may be: the API server would check each quantity three times.
 */
function intOrString({ anyOf = [], ...rest }: SchemaNode): SchemaNode {
  return Object.assign(rest, ...anyOf.map(({ type: _, format: __, ...bound }) => bound)) as SchemaNode;
}

function formatOf({ minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY }: SchemaNode): string {
  return minimum >= -INT32_MAX - 1 && maximum <= INT32_MAX ? "int32" : "int64";
}

/** A field that a rule refuses needs its real type, since rules see no fields of unknown type. */
function refusedSchema(node: SchemaNode): SchemaNode {
  const rules = node["x-kubernetes-validations"]!;
  const kept = { description: node.description ?? "", [REFUSED]: node[REFUSED]!, "x-kubernetes-validations": rules };
  const anything: SchemaNode = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  switch (node[REFUSED]!) {
    case "switch":
    case "boolean":
      return { ...kept, type: "boolean" };
    case "integer":
      return { ...kept, type: "integer", format: "int64", minimum: -1_000_000_000_000, maximum: 1_000_000_000_000 };
    case "string":
      return { ...kept, type: "string", maxLength: 1024 };
    case "object":
      return { ...kept, ...anything };
    case "strings":
      return { ...kept, type: "array", maxItems: 256, items: { type: "string", maxLength: 1024 } };
    case "objects":
      return { ...kept, type: "array", maxItems: 256, items: anything };
  }
}

function withoutMarks({ [REFUSED]: _, [SHARED_TYPE]: __, ...node }: SchemaNode): SchemaNode {
  return mapChildren(node, withoutMarks);
}

/** The node with each child changed; `part` is what the child adds to the path. */
function mapChildren(node: SchemaNode, change: (child: SchemaNode, part: string) => SchemaNode): SchemaNode {
  const { properties, items, additionalProperties } = node;
  const changed = Object.entries(properties ?? {}).map(([name, child]) => [name, change(child, `.${name}`)]);
  return {
    ...node,
    ...(properties ? { properties: Object.fromEntries(changed) } : {}),
    ...(items ? { items: change(items, "[]") } : {}),
    ...(additionalProperties ? { additionalProperties: change(additionalProperties, "{}") } : {}),
  };
}
