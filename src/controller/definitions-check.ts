import { z } from "zod";
import { API_VERSION, GROUP, type ResourceDefinition, VERSION } from "../api/common.ts";
import { definitions } from "../api/definitions.ts";
import { isStatus } from "./kube/api-error.ts";
import type { RequestOptions, Transport } from "./kube/transport.ts";

/** As much of an OpenAPI schema as says which fields there are. */
interface Fields {
  readonly properties?: Readonly<Record<string, Fields>>;
  readonly items?: Fields;
  readonly additionalProperties?: Fields | boolean;
  readonly "x-kubernetes-preserve-unknown-fields"?: boolean;
}

interface PublishedSchema extends Fields {
  readonly "x-kubernetes-group-version-kind"?: readonly { readonly group: string; readonly kind: string }[];
}

/** What the API server publishes of a group: the fields that it keeps. Whoever may discover kinds may read it. */
const PUBLISHED = `/openapi/v3/apis/${API_VERSION}`;
/** So many fields are named; the rest are counted. */
const namedFields = 3;

/**
 * An API server drops fields that its definitions do not know, without a word: an operator that is newer than they are would
 * read half of what was declared and lose half of what it writes.
 *
 * @returns what is wrong in one sentence, undefined if every field is known; "unknown" where the API server does not tell
 * @throws what `Transport.request` throws, but 403 and 404
 */
export async function outdatedDefinitions(
  transport: Transport,
  options: RequestOptions,
): Promise<string | "unknown" | undefined> {
  let published: readonly PublishedSchema[];
  try {
    published = publishedSchemas(await transport.request("GET", PUBLISHED, options));
  } catch (error) {
    if (isStatus(error, 403) || isStatus(error, 404)) return "unknown";
    throw error;
  }
  for (const definition of definitions) {
    const found = published.find((schema) => isOf(schema, definition));
    if (found === undefined) return "unknown";
    const missing = missingFields(definition, found);
    if (missing.length > 0) return sentence(definition, missing);
  }
  return undefined;
}

function publishedSchemas(document: unknown): PublishedSchema[] {
  const { components } = (document ?? {}) as { components?: { schemas?: Record<string, PublishedSchema> } };
  return Object.values(components?.schemas ?? {});
}

const isOf = (schema: PublishedSchema, { kind }: ResourceDefinition): boolean =>
  schema["x-kubernetes-group-version-kind"]?.some((one) => one.group === GROUP && one.kind === kind) ?? false;

function sentence({ plural }: ResourceDefinition, missing: readonly string[]): string {
  const named = missing.slice(0, namedFields).join(", ");
  const more = missing.length > namedFields ? ` and ${missing.length - namedFields} more` : "";
  return `the custom resource definition ${plural}.${GROUP} is older than this operator: ${VERSION} has no ${named}${more}; apply the definitions of the operator's version (the chart, or crds/)`;
}

/** Paths of the fields of ours that the other schema lacks; of a field that is missing whole, not what is below it. */
export function missingFields(definition: ResourceDefinition, published: object): string[] {
  return Object.entries(definition.members).flatMap(([member, schema]) => {
    const ours = z.toJSONSchema(schema, { target: "openapi-3.0", io: "input", reused: "inline" }) as Fields;
    const theirs = (published as Fields).properties?.[member];
    return theirs === undefined ? [member] : missingBelow(ours, theirs, member);
  });
}

function missingBelow(ours: Fields, theirs: Fields, path: string): string[] {
  if (theirs["x-kubernetes-preserve-unknown-fields"]) return [];
  const missing = Object.entries(ours.properties ?? {}).flatMap(([name, field]) => {
    const other = theirs.properties?.[name];
    return other === undefined ? [`${path}.${name}`] : missingBelow(field, other, `${path}.${name}`);
  });
  if (ours.items !== undefined) missing.push(...missingBelow(ours.items, theirs.items ?? {}, `${path}[]`));
  const { additionalProperties: entries } = ours;
  if (typeof entries === "object" && typeof theirs.additionalProperties === "object") {
    missing.push(...missingBelow(entries, theirs.additionalProperties, `${path}.*`));
  }
  return missing;
}
