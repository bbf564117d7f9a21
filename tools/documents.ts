/** What the documents say that can be checked: their links, and the objects that they show. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { ROOT } from "./check/command.ts";
import type { Json } from "./cluster/api-client.ts";

export interface Link {
  /** Relative to the page; empty for the page itself. */
  readonly path: string;
  readonly anchor?: string;
}

const FENCE = /^( *)```(\w*)[^\n]*\n([\s\S]*?)^ *```/gm;
const withoutBlocks = (markdown: string): string => markdown.replace(FENCE, "");

/** Links to files and anchors of the checkout; not those to other sites. */
export function linksIn(markdown: string): Link[] {
  return [...withoutBlocks(markdown).matchAll(/\[[^\]]*\]\(([^)\s]+)\)/g)]
    .map(([, link = ""]) => link)
    .filter((link) => !/^[a-z]+:/.test(link))
    .map((link) => {
      const [path = "", anchor] = link.split("#");
      return anchor === undefined ? { path } : { path, anchor };
    });
}

/** What a page's headings are called in links to them, by GitHub's rule. */
export function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ""] of withoutBlocks(markdown).matchAll(/^#{1,6} (.*)$/gm)) {
    const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const slug = text.replace(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-");
    let name = slug;
    for (let n = 1; anchors.has(name); n++) name = `${slug}-${n}`;
    anchors.add(name);
  }
  return anchors;
}

/** The blocks of YAML of a page. */
export function yamlIn(markdown: string): string[] {
  return [...markdown.matchAll(FENCE)].filter(([, , language]) => language === "yaml").map(([, , , text = ""]) => text);
}

/** Paths of fields that the definition of the object's kind does not have: the API server refuses or drops them. */
export function unknownFields({ apiVersion: _, kind, metadata: __, ...object }: Json): string[] {
  const file = join(ROOT, "crds", `proffer.dev_${kind.toLowerCase()}s.yaml`);
  const [version] = parse(readFileSync(file, "utf8")).spec.versions;
  return unknownIn(object, version.schema.openAPIV3Schema, "");
}

function unknownIn(value: Json, schema: Json, path: string): string[] {
  if (Array.isArray(value)) return value.flatMap((item, i) => unknownIn(item, schema.items, `${path}[${i}]`));
  if (value === null || typeof value !== "object") return [];
  return Object.entries(value).flatMap(([name, field]) => {
    const here = path === "" ? name : `${path}.${name}`;
    const known = schema.properties?.[name] ?? schema.additionalProperties;
    return known === undefined ? [here] : unknownIn(field, known, here);
  });
}
