import { API_VERSION, LABEL_NAME, type ResourceDefinition, SHARED_TYPE } from "../../src/api/common.ts";
import { definitions } from "../../src/api/definitions.ts";
import { REFUSED } from "../../src/api/refused.ts";
import { openApiSchema, type SchemaNode } from "./crd-schema.ts";
import { type Generator, markdownNotice } from "./output.ts";

/** `docs/reference/resources.md`: every field of every resource. */
export const resourceReferenceGenerator: Generator = {
  name: "resource-reference",
  generate: () => [{ path: "docs/reference/resources.md", content: new Reference().render() }],
};

const INTRODUCTION = `# Resources

Every field of the custom resources of \`${API_VERSION}\`, with its default and bounds. A field without a default may be left
out unless it is marked **required**. "Checked" lists what the API server checks beyond types and bounds, with the message
that it answers with.

`;

/** What the top-level members are for, where they do not say it themselves. */
const MEMBERS: Record<string, string> = {
  spec: "What is wanted.",
  answer: "The framework's answer, given once by one of `spec.answerers`.",
  status: "What is. Written by the operator alone.",
};

/** What a table says of one object: its fields, what is refused, and the rules. */
interface Section {
  rows: string[];
  refused: string[];
  rules: string[];
}

class Reference {
  /** Shared types by name, in the order in which they were first met. */
  readonly #shared = new Map<string, SchemaNode>();

  render(): string {
    const resources = definitions.map((definition) => this.#resource(definition));
    const rendered = new Map<string, string>();
    // Rendering a shared type may meet others, which are then added at the end of the map while it is walked.
    for (const [name, node] of this.#shared) rendered.set(name, this.#sharedType(name, node));
    const types = [...rendered].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, text]) => text);
    return [markdownNotice("src/api"), INTRODUCTION, ...resources, "## Shared types\n\n", ...types].join("");
  }

  #resource(definition: ResourceDefinition): string {
    const { kind, description, shortNames, plural, scope, members, nameIsLabel, rules, selectableFields } = definition;
    const facts = [
      `\`kubectl get ${plural}\` (\`${shortNames.join("`, `")}\`)`,
      scope === "Cluster" ? "cluster-scoped" : "namespaced",
      ...(selectableFields.length > 0 ? [`field selectors: ${selectableFields.map(fieldSelector).join(", ")}`] : []),
    ];
    const said = rules.map(({ message }) => message);
    const section: Section = { rows: [], refused: [], rules: nameIsLabel ? [LABEL_NAME.message, ...said] : said };
    for (const [name, schema] of Object.entries(members)) {
      const required = !schema.safeParse(undefined).success;
      const node = openApiSchema(schema, `${kind}.${name}`);
      node.description ??= MEMBERS[name] ?? "";
      this.#field(section, name, node, required);
    }
    return `## ${kind}\n\n${description}\n\n${facts.join("; ")}.\n\n${renderSection(section)}`;
  }

  #sharedType(name: string, node: SchemaNode): string {
    const section: Section = { rows: [], refused: [], rules: [] };
    this.#inside(section, "", node);
    const { description, like } = node[SHARED_TYPE]!;
    const also = like ? `It has the fields of [${like}](#${like.toLowerCase()}), and these.\n\n` : "";
    if (like) this.#without(section, this.#shared.get(like)!);
    const bounds = section.rows.length === 0 ? boundsOf(node) : "";
    const extra = bounds ? `Bounds: ${bounds}.\n\n` : "";
    return `### ${name}\n\n${description}\n\n${also}${extra}${renderSection(section)}`;
  }

  /** Leaves out what the table of another type says. */
  #without(section: Section, other: SchemaNode): void {
    const said: Section = { rows: [], refused: [], rules: [] };
    this.#inside(said, "", other);
    for (const part of ["rows", "refused", "rules"] as const) {
      section[part] = section[part].filter((line) => !said[part].includes(line));
    }
  }

  /** Adds the row of a field and, unless its type is described elsewhere, those of the fields inside it. */
  #field(section: Section, path: string, node: SchemaNode, required: boolean): void {
    if (node[REFUSED]) {
      section.refused.push(`\`${path}\``);
      return;
    }
    const fallback =
      node.default === undefined ? (required ? "**required**" : "") : `\`${JSON.stringify(node.default)}\``;
    const cells = [`\`${path}\``, this.#typeOf(node), fallback, boundsOf(node), node.description ?? ""];
    section.rows.push(`| ${cells.map(escapeCell).join(" | ")} |`);
    if (!node[SHARED_TYPE]) this.#inside(section, path, node);
  }

  #inside(section: Section, path: string, node: SchemaNode): void {
    for (const { message } of node["x-kubernetes-validations"] ?? []) {
      section.rules.push(path ? `\`${path}\`: ${message}` : message);
    }
    if (node.items && !node.items[SHARED_TYPE]) this.#inside(section, `${path}[]`, node.items);
    if (node.additionalProperties && !node.additionalProperties[SHARED_TYPE]) {
      this.#inside(section, `${path}{}`, node.additionalProperties);
    }
    for (const [name, child] of Object.entries(node.properties ?? {})) {
      this.#field(section, path ? `${path}.${name}` : name, child, (node.required ?? []).includes(name));
    }
  }

  #typeOf(node: SchemaNode): string {
    const shared = node[SHARED_TYPE];
    if (shared) {
      if (!this.#shared.has(shared.name)) this.#shared.set(shared.name, node);
      return `[${shared.name}](#${shared.name.toLowerCase()})`;
    }
    if (node.items) return `list of ${this.#typeOf(node.items)}`;
    if (node.additionalProperties) return `map to ${this.#typeOf(node.additionalProperties)}`;
    if (node.enum) return node.enum.map((value) => `\`${value === "" ? '""' : value}\``).join(", ");
    return node.format === "date-time" ? "time" : (node.type ?? "");
  }
}

const fieldSelector = (path: string) => `\`${path.slice(1)}\``;

function renderSection({ rows, refused, rules }: Section): string {
  const header = "| Field | Type | Default | Bounds | Meaning |\n|---|---|---|---|---|\n";
  const table = rows.length > 0 ? `${header}${rows.join("\n")}\n\n` : "";
  const checked = rules.length > 0 ? `Checked:\n\n${rules.map((rule) => `- ${rule}`).join("\n")}\n\n` : "";
  const forbidden = refused.length > 0 ? `Refused, with a message that says why: ${refused.join(", ")}.\n\n` : "";
  return table + checked + forbidden;
}

/** Bounds in words. Patterns are left to the description. */
function boundsOf(node: SchemaNode): string {
  if (node[SHARED_TYPE]) return "";
  const parts: string[] = [];
  if (node.type === "integer") parts.push(`${node.minimum}–${node.maximum}`);
  if (node.type === "array") parts.push(`${node.minItems ?? 0}–${node.maxItems} entries`);
  if (node.maxProperties !== undefined) parts.push(`at most ${node.maxProperties} entries`);
  if (node.type === "string" && !node.enum && node.format !== "date-time") {
    parts.push(
      node.minLength ? `${node.minLength}–${node.maxLength} characters` : `at most ${node.maxLength} characters`,
    );
  }
  return parts.join(", ");
}

const escapeCell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ");
