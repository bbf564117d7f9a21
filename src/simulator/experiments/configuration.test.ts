import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { API_VERSION, problemsOf } from "../../api/common.ts";
import { definitions } from "../../api/definitions.ts";
import { fileOf, VARIANTS } from "./ancestors.ts";
import { readConfiguration, readManifests } from "./configuration.ts";

const EXAMPLES = join(import.meta.dirname, "../../../examples");
const files = readdirSync(EXAMPLES, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".yaml"));

describe("the examples", () => {
  test("are those that the experiments run, no more and no fewer", () => {
    const run = VARIANTS.flatMap((variant) => [fileOf(variant, "nsdi"), fileOf(variant, "small")]);
    expect([...files].sort()).toEqual([...run].sort());
  });

  test.each(files)("%s is what the API server accepts", (file) => {
    const objects = readManifests(join(EXAMPLES, file));
    expect(objects.length).toBeGreaterThan(1);
    for (const object of objects) {
      const definition = definitions.find(({ kind }) => kind === object.kind)!;
      expect(object.apiVersion).toBe(API_VERSION);
      expect(object.metadata.namespace, object.metadata.name).toBe(
        definition.scope === "Namespaced" ? "default" : undefined,
      );
      expect(problemsOf(definition, object), `${object.kind} ${object.metadata.name}`).toEqual([]);
    }
  });

  test.each(files)("%s says nothing that would be pruned", (file) => {
    for (const { kind, spec } of readManifests(join(EXAMPLES, file))) {
      const definition = definitions.find((other) => other.kind === kind)!;
      expect(definition.members.spec!.parse(spec)).toMatchObject(spec as object);
    }
  });

  test.each(files)("%s has a parent for every queue and a queue for every framework", (file) => {
    const { queues, frameworks } = readConfiguration(join(EXAMPLES, file));
    const names = queues.map(({ name }) => name);
    for (const { parent } of queues) if (parent !== undefined) expect(names).toContain(parent);
    for (const framework of frameworks) for (const { name } of framework.queues) expect(names).toContain(name);
  });
});

describe("a configuration that cannot be used", () => {
  const folder = mkdtempSync(join(tmpdir(), "configuration-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = (text: string) => {
    const path = join(folder, "c.yaml");
    writeFileSync(path, text);
    return path;
  };

  test("names the object and the rule that it breaks", () => {
    const path = file("kind: Queue\nmetadata: { name: q }\nspec: { weight: 0 }\n");
    expect(() => readConfiguration(path)).toThrow(/c\.yaml: Queue q: spec\.weight/);
  });

  test("names what is no YAML", () => {
    expect(() => readConfiguration(file("kind: [Queue\n"))).toThrow(/c\.yaml: /);
  });
});
