import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Json } from "./cluster/api-client.ts";
import { ensureHelm } from "./cluster/helm-kubectl.ts";
import { helmOnChart } from "./operator/render-chart.ts";

const chart = join(import.meta.dirname, "../charts/proffer");
let helm: string;

beforeAll(async () => {
  helm = await ensureHelm();
});

/** Throws what Helm says. */
const run = (command: readonly string[], values: Json) => helmOnChart(helm, command, values, "system");

describe("values", () => {
  test.each<{ values: Json; says: string | RegExp }>([
    { values: { unknown: 1 }, says: "additional properties 'unknown' not allowed" },
    { values: { image: { repo: "x" } }, says: "additional properties 'repo' not allowed" },
    { values: { image: { digest: "sha256:1" } }, says: "/image/digest" },
    { values: { image: { pullPolicy: "Sometimes" } }, says: "'Always', 'IfNotPresent', 'Never'" },
    { values: { replicas: 0 }, says: /replicas.*minimum: got 0, want 1/ },
    { values: { replicas: "2" }, says: /replicas.*got string, want integer/ },
    { values: { logLevel: "loud" }, says: "/logLevel" },
    { values: { operator: { enabled: "false" } }, says: /operator\/enabled.*got string, want boolean/ },
    { values: { round: { minIntervalMs: 0 } }, says: /round\/minIntervalMs.*minimum/ },
    { values: { round: { holdAfterSeconds: 0 } }, says: /round\/holdAfterSeconds.*minimum/ },
    { values: { queues: { topOrder: "Random" } }, says: "/queues/topOrder" },
    { values: { queues: { topOrder: "Fair" } }, says: "/queues/topFairResource" },
    { values: { queues: { topFairResource: "cpu" } }, says: "/queues/topFairResource" },
    { values: { http: { throughApiServer: "no" } }, says: /http\/throughApiServer.*got string, want boolean/ },
    { values: { http: { port: 80 } }, says: /http\/port.*minimum: got 80, want 1,?024/ },
    { values: { extraArgs: ["connections 64"] }, says: "/extraArgs/0" },
    { values: { nodes: { headroom: { cpu: "-1" } } }, says: "/nodes/headroom/cpu" },
    { values: { nodes: { headroom: { cpu: "a lot" } } }, says: "/nodes/headroom/cpu" },
    { values: { nodes: { selector: { a: 1 } } }, says: /nodes\/selector\/a.*got number, want string/ },
    {
      values: { leaderElection: { leaseSeconds: 5 } },
      says: "renewDeadlineSeconds (4) must be at least 2 s (one request) less",
    },
    { values: { leaderElection: { retrySeconds: 4 } }, says: "retrySeconds (4) must be less than" },
    { values: { serviceAccount: { create: false } }, says: "/serviceAccount/name" },
    { values: { networkPolicy: { ingressFrom: [{}] } }, says: "/networkPolicy/ingressFrom/0" },
    { values: { podDisruptionBudget: { maxUnavailable: 0 } }, says: "/podDisruptionBudget/maxUnavailable" },
    { values: { podSecurityContext: { runAsNonRoot: false } }, says: "/podSecurityContext/runAsNonRoot" },
    { values: { podSecurityContext: { runAsUser: 0 } }, says: "/podSecurityContext/runAsUser" },
    { values: { securityContext: { privileged: true } }, says: "additional properties 'privileged' not allowed" },
    {
      values: { securityContext: { capabilities: { add: ["NET_ADMIN"] } } },
      says: "additional properties 'add' not allowed",
    },
    { values: { metrics: { serviceMonitor: { interval: "often" } } }, says: "/metrics/serviceMonitor/interval" },
    { values: { metrics: { readers: [{ name: "x" }] } }, says: "missing property 'namespace'" },
    { values: { metrics: { dashboards: { labels: { a: 1 } } } }, says: /dashboards\/labels\/a.*want string/ },
    { values: { metrics: { prometheusRule: { runbookUrl: "{{ x }}" } } }, says: "/metrics/prometheusRule/runbookUrl" },
    { values: { metrics: { prometheusRule: { launch: { seconds: 3 } } } }, says: "/prometheusRule/launch/seconds" },
    { values: { metrics: { prometheusRule: { launch: { objective: 1 } } } }, says: "/prometheusRule/launch/objective" },
  ])("$values are refused", ({ values, says }) => {
    let said = "";
    try {
      run(["template"], values);
    } catch (error) {
      said = (error as { stderr: string }).stderr;
    }
    expect(said).toMatch(says);
  });

  test("know no object that takes any key, Kubernetes' own aside", () => {
    const { properties } = JSON.parse(readFileSync(join(chart, "values.schema.json"), "utf8"));
    const free: string[] = [];
    const walk = (schema: Json, path: string) => {
      if (schema.type === "object" && schema.additionalProperties === undefined) free.push(path);
      for (const [key, inner] of Object.entries(schema.properties ?? {})) walk(inner, `${path}.${key}`);
    };
    for (const [key, schema] of Object.entries(properties)) walk(schema, key);
    expect(free.filter((path) => !/^(global|affinity\.|podSecurityContext\.seLinuxOptions)/.test(path))).toEqual([]);
  });
});
