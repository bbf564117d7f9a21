import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { METRICS } from "../../src/server/metric-catalogue.ts";
import type { Json } from "../cluster/api-client.ts";
import { ensureHelm } from "../cluster/helm-kubectl.ts";
import { renderChart } from "../operator/render-chart.ts";
import { knownSeries, unknownIn } from "./known-metrics.ts";
import { findPrometheus } from "./programs.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const TESTS = join(ROOT, "test", "rules");
const RUNBOOKS = join(ROOT, "docs", "runbooks");

const helm = await ensureHelm();
const found = await findPrometheus();
const why = "missing" in found ? ` (skipped: ${found.missing})` : "";

/** The groups of the chart's PrometheusRule. */
function groupsWith(values: Json = {}): Json[] {
  const objects = renderChart(helm, { metrics: { prometheusRule: { enabled: true, ...values } } });
  return objects.find(({ kind }) => kind === "PrometheusRule").spec.groups;
}
const groups = groupsWith();
const rules: Json[] = groups.flatMap((group) => group.rules);
const alerts: Json[] = rules.filter(({ alert }) => alert !== undefined);
const records: string[] = rules.flatMap(({ record }) => record ?? []);
const alertNames = [...new Set<string>(alerts.map(({ alert }) => alert))].sort();

/** The unit tests of one alert. */
const testsOf = (alert: string): Json[] => parse(readFileSync(join(TESTS, `${alert}.yaml`), "utf8")).tests;
const fileNames = (folder: string, end: string) =>
  readdirSync(folder).flatMap((name) => (name.endsWith(end) ? [basename(name, end)] : []));

describe("alerts", () => {
  test("tell of everything that somebody has to know", () => {
    expect(alertNames).toEqual(
      expect.arrayContaining([
        "ProfferDown",
        "ProfferNoLeader",
        "ProfferFrameworkNotAnswering",
        "ProfferFrameworkAway",
        "ProfferFailoverEnds",
        "ProfferReclaimEndless",
        "ProfferTurnsInVain",
        "ProfferDemandUnmet",
        "ProfferLedgerDisagrees",
        "ProfferApiErrors",
        "ProfferLaunchesLate",
      ]),
    );
  });

  test("have a severity, a summary, and a runbook where the values say", () => {
    for (const { alert, labels, annotations } of groupsWith({ runbookUrl: "https://r.example/" }).flatMap(({ rules }) =>
      rules.filter(({ alert }: Json) => alert),
    )) {
      expect(["critical", "warning"]).toContain(labels.severity);
      expect(annotations.summary).toMatch(/^[A-Z].*[.?]$/s);
      expect(annotations.runbook_url).toBe(`https://r.example/${alert}.md`);
    }
  });

  test("and recordings ask for metrics and labels that exist, of this release alone", () => {
    const known = new Map([...knownSeries(), ...records.map((name) => [name, new Set<string>()] as const)]);
    for (const { alert, record, expr } of rules) {
      expect(unknownIn(expr, known), alert ?? record).toEqual([]);
      const selectors = expr.match(/\{[^{}]*\}/g);
      for (const selector of selectors) expect(selector).toContain('namespace="proffer-system",job="proffer"');
    }
  });

  test("have the values' thresholds", () => {
    const values = {
      unmetDemandMinutes: 7,
      roundSeconds: 0.25,
      answerSeconds: 3,
      failoverMinutes: 2,
      evictedPart: 0.5,
      vainTurns: 6,
      launch: { seconds: 2.5, objective: 0.9 },
    };
    const found = groupsWith(values).flatMap(({ rules }): Json[] => rules);
    const of = (name: string) => found.find(({ alert, record }) => (alert ?? record) === name);
    expect(of("ProfferDemandUnmet").for).toBe("7m");
    expect(of("ProfferRoundsSlow").expr).toMatch(/> 0\.25$/);
    expect(of("ProfferAnswersSlow").expr).toMatch(/> 3$/);
    expect(of("ProfferFailoverEnds").expr).toContain("- time() < 120\n");
    expect(of("ProfferReclaimEndless").expr).toContain("> 0.5 * sum(");
    expect(of("ProfferTurnsInVain").expr).toMatch(/>= 6$/);
    expect(of("ProfferLaunchesLate").expr).toContain("> 14.4 * (1 - 0.9)");
    expect(of("proffer:launch_missed:ratio_rate1h").expr).toContain(String.raw`le=~"2\\.5(\\.0)?"`);
  });

  test("are about launches within a bound of the histogram, whichever the values choose", () => {
    const schema = JSON.parse(readFileSync(join(ROOT, "charts/proffer/values.schema.json"), "utf8"));
    const rule = schema.properties.metrics.properties.prometheusRule.properties;
    expect(METRICS.proffer_effect_duration_seconds.buckets).toEqual(
      expect.arrayContaining(rule.launch.properties.seconds.enum),
    );
  });
});

describe("runbooks", () => {
  test("there is one for each alert, and an alert for each", () => {
    expect(fileNames(RUNBOOKS, ".md").filter((name) => name !== "README")).toEqual(alertNames);
  });

  test.each(alertNames)("%s says what it means, what it harms, how to find out and what to do", (alert) => {
    const text = readFileSync(join(RUNBOOKS, `${alert}.md`), "utf8");
    const headings = [...text.matchAll(/^#+ .*$/gm)].map(([heading]) => heading);
    expect(headings).toEqual([`# ${alert}`, "## Meaning", "## Impact", "## Diagnosis", "## What to do"]);
    const diagnosis = text.slice(text.indexOf("## Diagnosis"), text.indexOf("## What to do"));
    expect(diagnosis).toMatch(/```(promql|console)\n/);
  });

  test("ask for metrics that exist", () => {
    const known = new Map([...knownSeries(), ...records.map((name) => [name, new Set<string>()] as const)]);
    for (const name of alertNames) {
      const text = readFileSync(join(RUNBOOKS, `${name}.md`), "utf8");
      for (const [, query = ""] of text.matchAll(/```promql\n(.*?)```/gs)) {
        expect(unknownIn(query, known), name).toEqual([]);
      }
    }
  });

  test("are listed in their index", () => {
    const index = readFileSync(join(RUNBOOKS, "README.md"), "utf8");
    const links = [...index.matchAll(/\]\((\w+)\.md\)/g)].map(([, name]) => name);
    expect([...links].sort()).toEqual(alertNames);
  });
});

describe("unit tests of rules", () => {
  test("there are some for each alert, with a time at which it fires and one at which it does not", () => {
    expect(fileNames(TESTS, ".yaml")).toEqual(alertNames);
    for (const alert of alertNames) {
      const checks = testsOf(alert).flatMap((one): Json[] => one.alert_rule_test);
      expect(new Set(checks.map(({ alertname }) => alertname))).toEqual(new Set([alert]));
      expect(checks.some(({ exp_alerts }) => exp_alerts.length > 0)).toBe(true);
      const never = (one: Json) => one.alert_rule_test.every(({ exp_alerts }: Json) => exp_alerts.length === 0);
      expect(testsOf(alert).some(never), `${alert} has a world in which it does not fire`).toBe(true);
    }
  });

  test("there is one for each recording", () => {
    const asked = alertNames.flatMap(testsOf).flatMap((one): Json[] => one.promql_expr_test ?? []);
    for (const record of records)
      expect(
        asked.some(({ expr }) => expr.includes(record)),
        record,
      ).toBe(true);
  });
});

describe.skipIf("missing" in found)(`promtool${why}`, () => {
  const promtool = "missing" in found ? "" : found.promtool;
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "proffer-rules-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** Puts the rules and the tests of one alert into a folder of their own; returns whether the tests pass, and what is said. */
  function testRules(name: string, alert: string, tested: Json[]): { passed: boolean; said: string } {
    const here = mkdtempSync(join(folder, `${name}-`));
    writeFileSync(join(here, "rules.yaml"), stringify({ groups: tested }));
    writeFileSync(join(here, "test.yaml"), readFileSync(join(TESTS, `${alert}.yaml`)));
    try {
      return { passed: true, said: execFileSync(promtool, ["test", "rules", join(here, "test.yaml")], options) };
    } catch (error) {
      const { stdout, stderr } = error as { stdout: string; stderr: string };
      return { passed: false, said: `${stdout}${stderr}` };
    }
  }
  const options = { encoding: "utf8", stdio: "pipe" } as const;

  test.each([{}, { launch: { seconds: 0.5, objective: 0.999 }, roundSeconds: 0.001 }])(
    "finds nothing wrong with the rules, with values %o",
    (values) => {
      const file = join(folder, "checked.yaml");
      writeFileSync(file, stringify({ groups: groupsWith(values) }));
      expect(execFileSync(promtool, ["check", "rules", file], options)).toContain(`${rules.length} rules found`);
    },
  );

  test.each(alertNames)("%s fires when it should, and not when it should not", (alert) => {
    const { passed, said } = testRules("right", alert, groups);
    expect(passed, said).toBe(true);
  });

  /** The rules, with something else in those of one alert. */
  const changed = (alert: string, change: Json) =>
    groups.map((group) => ({
      ...group,
      rules: group.rules.map((rule: Json) => (rule.alert === alert ? { ...rule, ...change } : rule)),
    }));

  test.each(alertNames)("the tests of %s notice when it fires always, never, or too soon", (alert) => {
    for (const change of [{ expr: "vector(1)" }, { expr: "vector(1) > 1" }, { for: "0s" }]) {
      const { passed } = testRules("wrong", alert, changed(alert, change));
      expect(passed, JSON.stringify(change)).toBe(false);
    }
  });
});
