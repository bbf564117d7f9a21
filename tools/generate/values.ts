import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isMap, isScalar, type Pair, parseDocument, type YAMLMap } from "yaml";
import { type Generator, markdownNotice } from "./output.ts";

const CHART = join(import.meta.dirname, "../../charts/proffer");

/** As much of JSON schema as the chart's values use. */
export interface ValueSchema {
  readonly $ref?: string;
  readonly description?: string;
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly ValueSchema[];
  readonly properties?: Readonly<Record<string, ValueSchema>>;
  readonly additionalProperties?: boolean | ValueSchema;
  readonly items?: ValueSchema;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly maxItems?: number;
  readonly definitions?: Readonly<Record<string, ValueSchema>>;
}

/** `docs/reference/values.md`: every value of the chart. */
export const valuesReferenceGenerator: Generator = {
  name: "values-reference",
  generate: async () => {
    const read = (name: string): Promise<string> => readFile(join(CHART, name), "utf8");
    const [schema, values] = await Promise.all([read("values.schema.json"), read("values.yaml")]);
    return [{ path: "docs/reference/values.md", content: valuesReference(JSON.parse(schema), values) }];
  },
};

const INTRODUCTION = `# Values of the chart

Every value of \`charts/proffer\`: what it may be, and what it is if you say nothing. What is not listed, or is not what it may be,
is refused before anything is installed. [Install](../guide/install.md#values) says which of them to think about.

| Value | May be | Default | Meaning |
|---|---|---|---|
`;

/**
 * The page. What a value may be comes from the schema, its default and its meaning from the commented `values.yaml`; the
 * meaning of what has no default stands in the schema.
 *
 * @throws Error when a default has no schema, or nobody says what a value means
 */
export function valuesReference(schema: ValueSchema, values: string): string {
  const root = parseDocument(values).contents;
  if (!isMap(root)) throw new Error("values.yaml must be a map");
  const rows = new Rows(schema.definitions ?? {});
  rows.addObject("", schema, root as YAMLMap, undefined);
  return `${markdownNotice("charts/proffer/values.yaml and values.schema.json")}${INTRODUCTION}${rows.lines.join("\n")}\n`;
}

class Rows {
  readonly lines: string[] = [];
  readonly #definitions: Readonly<Record<string, ValueSchema>>;

  constructor(definitions: Readonly<Record<string, ValueSchema>>) {
    this.#definitions = definitions;
  }

  /** What is in an object: first as values.yaml has it, then what the schema alone knows. */
  addObject(path: string, schema: ValueSchema, map: YAMLMap, firstComment: string | undefined): void {
    const properties = schema.properties ?? {};
    const given = new Set<string>();
    for (const [place, pair] of (map.items as Pair[]).entries()) {
      const name = String(isScalar(pair.key) ? pair.key.value : pair.key);
      given.add(name);
      const known = properties[name];
      if (known === undefined) throw new Error(`values.yaml has ${path}${name}, and values.schema.json does not`);
      const comment = (isScalar(pair.key) && pair.key.commentBefore) || (place === 0 ? firstComment : undefined);
      this.#addValue(`${path}${name}`, this.#resolve(known), pair.value, comment ? lastParagraph(comment) : undefined);
    }
    for (const [name, known] of Object.entries(properties)) {
      if (!given.has(name)) this.#addRow(`${path}${name}`, this.#resolve(known), "", undefined);
    }
  }

  #addValue(path: string, schema: ValueSchema, value: unknown, comment: string | undefined): void {
    if (isMap(value) && value.items.length > 0 && schema.properties !== undefined) {
      const meaning = comment ?? schema.description;
      if (meaning !== undefined) this.lines.push(row([`**\`${path}\`**`, "", "", meaning]));
      // The parser gives the comment before the first of an object's values to the object.
      this.addObject(`${path}.`, schema, value as YAMLMap, value.commentBefore ?? undefined);
    } else {
      const plain =
        isScalar(value) || isMap(value) ? value.toJSON() : (value as { toJSON(): unknown } | null)?.toJSON();
      this.#addRow(path, schema, `\`${JSON.stringify(plain)}\``, comment);
    }
  }

  #addRow(path: string, schema: ValueSchema, fallback: string, comment: string | undefined): void {
    const meaning = comment ?? schema.description;
    if (meaning === undefined) throw new Error(`nobody says what ${path} means: write a comment in values.yaml`);
    this.lines.push(row([`\`${path}\``, this.#accepted(schema), fallback, meaning]));
  }

  /** The description of a shared definition is about its form, not about what a value means. */
  #resolve(schema: ValueSchema): ValueSchema {
    if (schema.$ref === undefined) return schema;
    const known = this.#definitions[schema.$ref.replace("#/definitions/", "")];
    if (known === undefined) throw new Error(`values.schema.json does not define ${schema.$ref}`);
    const { description: _form, ...rest } = known;
    return schema.description === undefined ? rest : { ...rest, description: schema.description };
  }

  /** What a value may be, in words; patterns are left to its meaning. */
  #accepted(given: ValueSchema): string {
    const schema = this.#resolve(given);
    if (schema.const !== undefined) return `only \`${JSON.stringify(schema.const)}\``;
    if (schema.enum !== undefined) return schema.enum.map((value) => `\`${value}\``).join(", ");
    if (schema.anyOf !== undefined) return schema.anyOf.map((one) => this.#accepted(one)).join(" or ");
    const { type, items, maxItems, properties, additionalProperties } = schema;
    if (type === "boolean") return "`true`, `false`";
    if (type === "integer" || type === "number")
      return `${type === "number" ? "number" : "whole number"}${range(schema)}`;
    if (type === "string") return "text";
    if (type === "array")
      return `list of ${this.#named(items)}${maxItems === undefined ? "" : `, at most ${maxItems}`}`;
    if (typeof additionalProperties === "object") return `map to ${this.#named(additionalProperties)}`;
    return properties === undefined ? "object" : `object with ${keys(properties)}`;
  }

  /** What a list or a map holds. */
  #named(given: ValueSchema | undefined): string {
    const schema = this.#resolve(given ?? { type: "string" });
    if (schema.anyOf !== undefined) return "quantities";
    if (schema.type === "integer") return `whole numbers${range(schema)}`;
    if (schema.type === "string") return "texts";
    return schema.properties === undefined ? "objects" : `objects with ${keys(schema.properties)}`;
  }
}

/** What stands above it, after an empty line, is about the file. */
const lastParagraph = (comment: string) => comment.split(/\n\s*\n/).at(-1) ?? "";

function range({ minimum, exclusiveMinimum, maximum }: ValueSchema): string {
  if (exclusiveMinimum !== undefined) return ` above ${exclusiveMinimum}, at most ${maximum}`;
  if (minimum === undefined) return "";
  return maximum === undefined ? ` from ${minimum}` : `, ${minimum}–${maximum}`;
}

const keys = (properties: object) =>
  Object.keys(properties)
    .map((key) => `\`${key}\``)
    .join(", ");

const row = (cells: readonly string[]) =>
  `| ${cells
    .map((cell) =>
      cell
        .trim()
        .replaceAll("|", "\\|")
        .replaceAll(/\s*\n\s*/g, " "),
    )
    .join(" | ")} |`;
