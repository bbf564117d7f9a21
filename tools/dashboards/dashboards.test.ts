import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Json } from "../cluster/api-client.ts";
import { knownSeries, unknownIn } from "../prometheus/known-metrics.ts";
import { readQuery } from "../prometheus/promql.ts";
import { queriesOf, substitute, variablesOf } from "./read.ts";

const FOLDER = join(import.meta.dirname, "../../charts/proffer/dashboards");
const files = readdirSync(FOLDER);
const read = (file: string): Json => JSON.parse(readFileSync(join(FOLDER, file), "utf8"));
const OF_GRAFANA = { __rate_interval: "1m" };

const known = knownSeries();

test("there is an overview, one of queues and one of the operator, each with an address of its own", () => {
  expect(files).toEqual(["operator.json", "overview.json", "queues.json"]);
  expect(files.map((file) => read(file).uid)).toEqual(["proffer-operator", "proffer-overview", "proffer-queues"]);
});

describe.each(files)("%s", (file) => {
  const dashboard = read(file);
  const values = {
    ...OF_GRAFANA,
    ...Object.fromEntries(variablesOf(dashboard).map(({ name, multi }) => [name, multi ? ["a", "b"] : "a"])),
  };

  test("asks for metrics and labels that exist", () => {
    for (const { panel, expr } of queriesOf(dashboard)) {
      expect(unknownIn(substitute(expr, values), known), panel).toEqual([]);
    }
    for (const { name, label, selector } of variablesOf(dashboard)) {
      expect(unknownIn(`count by (${label}) (${substitute(selector, values)})`, known), name).toEqual([]);
    }
  });

  test("asks for the chosen release alone, with variables that come before those who use them", () => {
    const seen = new Set<string>();
    for (const { name, selector } of variablesOf(dashboard)) {
      for (const [, used] of selector.matchAll(/\$(\w+)/g)) expect(seen).toContain(used);
      seen.add(name);
    }
    for (const { expr } of queriesOf(dashboard)) {
      const ours = expr.split('namespace="$namespace",job="$job"').length - 1;
      expect(ours, expr).toBe(readQuery(substitute(expr, values)).selectors.length);
    }
  });

  test("matches variables of many values as regular expressions", () => {
    for (const { name } of variablesOf(dashboard).filter(({ multi }) => multi)) {
      for (const { expr } of queriesOf(dashboard)) expect(expr).not.toMatch(new RegExp(String.raw`[^~]"\$${name}"`));
    }
  });

  test("names series by labels that they have", () => {
    for (const { panel, expr, legend } of queriesOf(dashboard)) {
      const { groupings, selectors } = readQuery(substitute(expr, values));
      const own = selectors.flatMap(({ metric }) => [...(known.get(metric) ?? [])]);
      const labels = groupings.length > 0 ? groupings : [...own, "pod"];
      for (const [, label] of legend.matchAll(/\{\{(\w+)\}\}/g)) expect(labels, panel).toContain(label);
    }
  });

  test("says of every panel what it shows, with numbers and addresses of their own", () => {
    const panels: Json[] = dashboard.panels.filter(({ type }: Json) => type !== "row");
    expect(panels.length).toBeGreaterThan(5);
    for (const { title, description, datasource, fieldConfig } of panels) {
      expect(description, title).toMatch(/^[0-9A-Z].*\.$/);
      expect(datasource).toEqual({ type: "prometheus", uid: `\${datasource}` });
      expect(fieldConfig.defaults.unit, title).toBeDefined();
    }
    const ids = dashboard.panels.map(({ id }: Json) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const titles = panels.map(({ title }) => title);
    expect(new Set(titles).size).toBe(titles.length);
  });
});

describe("variables", () => {
  test("of one value stand as they are, those of many as a regular expression in a string", () => {
    const values = { job: "proffer", queue: ["a.b", "c"], framework: ["team/x"] };
    expect(substitute('x{job="$job",queue=~"$queue",framework=~"$framework"}', values)).toBe(
      String.raw`x{job="proffer",queue=~"(a\\.b|c)",framework=~"team/x"}`,
    );
  });

  test("without a value are noticed", () => {
    expect(() => substitute("rate(x[$__rate_interval])", {})).toThrow("$__rate_interval has no value");
  });
});
