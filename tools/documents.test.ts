import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { problemsOf } from "../src/api/common.ts";
import { definitions } from "../src/api/definitions.ts";
import { ROOT } from "./check/command.ts";
import { anchorsOf, linksIn, unknownFields, yamlIn } from "./documents.ts";

const PAGES = globSync(["*.md", "{docs,examples,tools}/**/*.md"], {
  cwd: ROOT,
  exclude: (name) => name.includes("node_modules"),
}).sort();
const EXAMPLES = globSync("examples/*/*.yaml", { cwd: ROOT }).sort();
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

/** Objects of ours, or excerpts of them: these have no `apiVersion`. */
const objectsIn = (yaml: string) =>
  parseAllDocuments(yaml)
    .map((document) => document.toJS())
    .filter((object) => definitions.some(({ kind }) => kind === object?.kind));

function brokenLinks(page: string): string[] {
  return linksIn(read(page))
    .filter(({ path, anchor }) => {
      const target = path === "" ? page : join(dirname(page), path);
      if (!existsSync(join(ROOT, target))) return true;
      return anchor !== undefined && target.endsWith(".md") && !anchorsOf(read(target)).has(anchor);
    })
    .map(({ path, anchor }) => (anchor === undefined ? path : `${path}#${anchor}`));
}

describe("the documents", () => {
  test.each(PAGES)("%s has links that lead somewhere", (page) => {
    expect(brokenLinks(page)).toEqual([]);
  });

  test("show objects that the API server takes", () => {
    const objects = PAGES.flatMap((page) =>
      yamlIn(read(page))
        .flatMap(objectsIn)
        .map((object) => ({ page, object })),
    );
    expect(objects.length).toBeGreaterThan(10);
    for (const { page, object } of objects) {
      expect(unknownFields(object), page).toEqual([]);
      const definition = definitions.find(({ kind }) => kind === object.kind)!;
      if (object.apiVersion !== undefined) expect(problemsOf(definition, object), page).toEqual([]);
    }
  });

  test.each(EXAMPLES)("%s is taken by the API server", (path) => {
    for (const object of objectsIn(read(path))) {
      expect(unknownFields(object)).toEqual([]);
      expect(problemsOf(definitions.find(({ kind }) => kind === object.kind)!, object)).toEqual([]);
    }
  });
});

test("a link that leads nowhere and a field that does not exist would be noticed", () => {
  expect(linksIn("See [a](b.md#c), [d](#e) and [f](https://g).\n```\n[h](i.md)\n```\n")).toEqual([
    { path: "b.md", anchor: "c" },
    { path: "", anchor: "e" },
  ]);
  expect([...anchorsOf("# When will it `start`?\n## A-b, c\n## A-b, c\n")]).toEqual([
    "when-will-it-start",
    "a-b-c",
    "a-b-c-1",
  ]);
  const inverse = { candidates: [{ task: "etl", "31-33": null }] };
  expect(unknownFields({ kind: "Offer", metadata: { name: "a" }, spec: { inverse } })).toEqual([
    "spec.inverse.candidates[0].31-33",
  ]);
});
