import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import type { Json } from "../cluster/api-client.ts";
import { freePorts } from "../cluster/ports.ts";
import { spawnTied } from "../cluster/tie-to-life.ts";
import { waitFor } from "../cluster/wait.ts";

export interface PrometheusOptions {
  /** The program, from `findPrometheus`. */
  readonly program: string;
  /** Where its configuration, data and log go; it need not exist. */
  readonly folder: string;
  readonly scrapeConfigs: readonly Json[];
  /** Groups of rules, as in a PrometheusRule. */
  readonly ruleGroups?: readonly Json[];
  /** How often rules are evaluated. Default 1s. */
  readonly evaluationInterval?: string;
}

/** One series of a result. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A series over time; values that are no number are NaN. */
export interface Range {
  readonly labels: Readonly<Record<string, string>>;
  readonly values: readonly number[];
}

/** A Prometheus that runs as a process of its own. */
export interface PrometheusProcess {
  readonly url: string;
  /** The result of an instant query now. Throws what Prometheus says of a query that it cannot evaluate. */
  query(expr: string): Promise<Sample[]>;
  /** As a panel asks: the last so many seconds, in steps of so many. */
  queryRange(expr: string, seconds: number, stepSeconds: number): Promise<Range[]>;
  /** Values of a label, of the series that a selector names. */
  labelValues(label: string, selector: string): Promise<string[]>;
  /** `/api/v1/targets`: those that are scraped. */
  targets(): Promise<Json[]>;
  /** `/api/v1/rules`: every rule with its health and, of alerts, its state. */
  rules(): Promise<Json[]>;
  stop(): Promise<void>;
}

/** Starts Prometheus on a free port of the loopback address and waits until it is ready. */
export async function startPrometheus(options: PrometheusOptions): Promise<PrometheusProcess> {
  const { program, folder, scrapeConfigs, ruleGroups = [], evaluationInterval = "1s" } = options;
  mkdirSync(folder, { recursive: true });
  const config = join(folder, "prometheus.yaml");
  const rules = join(folder, "rules.yaml");
  writeFileSync(rules, stringify({ groups: ruleGroups }));
  writeFileSync(
    config,
    stringify({
      global: { evaluation_interval: evaluationInterval },
      rule_files: [rules],
      scrape_configs: scrapeConfigs,
    }),
  );
  const [port] = await freePorts(1);
  const url = `http://127.0.0.1:${port}`;
  const logFile = join(folder, "prometheus.log");
  const out = openSync(logFile, "a");
  const args = [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  const child = spawnTied(program, args, { stdio: ["ignore", out, out] });
  closeSync(out);
  const running = () => child.exitCode === null && child.signalCode === null;
  const state = await waitFor(
    "Prometheus is ready",
    async () => {
      if (!running()) return "ended";
      return (await fetch(`${url}/-/ready`)).ok;
    },
    { timeoutMs: 60_000 },
  );
  if (state === "ended") throw new Error(`Prometheus ended:\n${readFileSync(logFile, "utf8").slice(-2_000)}`);
  const stop = async () => {
    if (!running()) return;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
  };
  return { url, ...client(url), stop };
}

function client(url: string): Omit<PrometheusProcess, "url" | "stop"> {
  const ask = async (path: string, params: Readonly<Record<string, string>> = {}): Promise<Json> => {
    const answer = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(params)}`);
    const { status, data, error } = (await answer.json()) as Json;
    if (status !== "success") throw new Error(`${params.query ?? path}: ${error}`);
    return data;
  };
  return {
    query: async (expr) => samplesOf(await ask("query", { query: expr })),
    queryRange: async (expr, seconds, stepSeconds) => {
      const end = Date.now() / 1_000;
      const times = { start: `${end - seconds}`, end: `${end}`, step: `${stepSeconds}` };
      const { result } = await ask("query_range", { query: expr, ...times });
      return result.map(({ metric, values }: Json) => ({
        labels: metric,
        values: values.map(([, value]: [number, string]) => Number(value)),
      }));
    },
    labelValues: (label, selector) => ask(`label/${label}/values`, { "match[]": selector }),
    targets: async () => (await ask("targets", { state: "active" })).activeTargets,
    rules: async () => (await ask("rules")).groups.flatMap((group: Json) => group.rules),
  };
}

function samplesOf({ resultType, result }: Json): Sample[] {
  if (resultType === "scalar") return [{ labels: {}, value: Number(result[1]) }];
  return result.map(({ metric, value }: Json) => ({ labels: metric, value: Number(value[1]) }));
}
