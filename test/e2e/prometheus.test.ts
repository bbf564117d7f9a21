import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { QUEUE_LABEL } from "../../src/api/labels.ts";
import type { Json } from "../../tools/cluster/api-client.ts";
import type { OperatorProcess } from "../../tools/operator/start-operator.ts";
import { findPrometheus } from "../../tools/prometheus/programs.ts";
import type { PrometheusProcess, Sample } from "../../tools/prometheus/start-prometheus.ts";
import { eventually } from "./support/eventually.ts";
import { MONITORING_VALUES, OURS, STRANGERS, startMonitoring } from "./support/monitoring.ts";
import { DASHBOARD_FILES, emptyPanels, valuesOf } from "./support/panels.ts";
import { needs, Site } from "./support/site.ts";
import { QUEUES } from "./support/tenant.ts";
import { makeTraffic } from "./support/traffic.ts";

// A real Prometheus scrapes the operator as the chart configures it, and is asked in PromQL.

const programs = await findPrometheus();
const why = "missing" in programs ? ` (skipped: ${programs.missing})` : "";

describe.skipIf("missing" in programs)(`Prometheus${why}`, () => {
  let site: Site;
  let leader: OperatorProcess;
  let standby: OperatorProcess;
  let prometheus: PrometheusProcess;
  beforeAll(async () => {
    if ("missing" in programs) return;
    site = await Site.open({ values: MONITORING_VALUES });
    leader = site.operator;
    standby = await site.startOperator();
    prometheus = await startMonitoring(site, programs, { "proffer-0": leader, "proffer-1": standby });
  });
  afterAll(async () => {
    await prometheus?.stop();
    await site?.close();
  });
  needs(() => site.cluster, "fakeKubelets");

  test("scrapes leader and standby with the reader's token, and with no other", async () => {
    const up = (selector: string) => prometheus.query(`count_values("value", up{${selector}})`);
    const both = (value: string) => (samples: readonly Sample[]) =>
      samples.length === 1 && samples[0]?.labels.value === value && samples[0].value === 2;
    await eventually("both are up", () => up(OURS), both("1"));
    expect(await up(STRANGERS)).toSatisfy(both("0"));
    const refused = (await prometheus.targets()).filter(({ labels }) => labels.job === "stranger");
    for (const { lastError } of refused) expect(lastError).toContain("403");
    await eventually(
      "one leads, and the other does not",
      () => prometheus.query(`proffer_is_leader{${OURS}}`),
      (leads) => {
        const byPod = Object.fromEntries(leads.map(({ labels, value }) => [labels.pod, value]));
        return byPod["proffer-0"] === 1 && byPod["proffer-1"] === 0;
      },
    );
  });

  test("knows what each queue holds: what its pods request, and its children's", async () => {
    await site.queue("research", { weight: 2 });
    await site.queue("vision", { parent: "research" });
    await site.queue("speech", { parent: "research" });
    await site.queue("idle");
    const tenant = await site.tenant("holds", "cpu=16,memory=64Gi,gpu=4", 3);
    for (const queue of ["research", "vision", "speech", "default"]) {
      await tenant.framework({ queues: [{ name: queue }] }, queue);
    }
    const task = (framework: string, instances: number, requests: Readonly<Record<string, string>>) =>
      tenant.task(`in-${framework}`, { framework, instances, requests });
    await task("vision", 3, { cpu: "1500m", memory: "3Gi", "nvidia.com/gpu": "2" });
    await task("speech", 5, { cpu: "250m", memory: "128Mi" });
    await task("research", 2, { cpu: "2", memory: "1000Ki" });
    await task("default", 1, { cpu: "500m", memory: "1Mi" });
    await tenant.podsUntil(
      "all run",
      (pods) => pods.length === 11 && pods.every(({ status }) => status.phase === "Running"),
    );
    const requested = requestedByQueue(await tenant.pods(), await site.cluster.api.get(QUEUES));
    expect(requested.get("research cpu")).toBe(3 * 1.5 + 5 * 0.25 + 2 * 2);
    expect(requested.get("vision nvidia.com/gpu")).toBe(6);
    const allocated = await eventually(
      "Prometheus says the same",
      async () => byQueue(await prometheus.query(`max by (queue, resource) (proffer_queue_allocated{${OURS}}) > 0`)),
      (now) => isEqual(now, requested),
    );
    expect(allocated).toEqual(requested);
    // Queues contain their children: those at the top are everything.
    const total = requested.get("research cpu")! + requested.get("default cpu")!;
    await eventually(
      "the cluster's sum",
      () => prometheus.query(`sum(proffer_cluster_allocated{${OURS},resource="cpu"})`),
      (samples) => samples[0]?.value === total,
    );
  });

  test("evaluates every rule of the chart, and at a quiet moment no alert is even pending", async () => {
    const rules = await eventually(
      "every rule was evaluated, and none is loud",
      () => prometheus.rules(),
      (now) =>
        now.length > 0 &&
        now.every(({ health, type, state }) => health === "ok" && (type !== "alerting" || state === "inactive")),
    );
    const names = rules.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["ProfferDown", "proffer:launch_missed:ratio_rate5m"]));
  });

  describe("when everything happens that is counted", () => {
    beforeAll(async () => {
      if (site.cluster.capabilities.fakeKubelets) await makeTraffic(site);
    });

    test.each(Object.keys(DASHBOARD_FILES))("no panel of the dashboard %s is empty", async (name) => {
      const empty = () => emptyPanels(DASHBOARD_FILES[name], prometheus);
      await eventually("every query brings numbers", empty, (panels) => panels.length === 0, { everyMs: 1_000 });
    });

    test("a panel that is empty would be noticed", async () => {
      const panel = {
        title: "Nothing",
        targets: [{ expr: `proffer_tasks{${OURS},state="nonsense"}`, legendFormat: "" }],
      };
      const broken = { ...DASHBOARD_FILES.overview, panels: [panel] };
      expect(await emptyPanels(broken, prometheus)).toEqual([expect.stringContaining("Nothing: proffer_tasks{")]);
    });

    test("variables offer what there is", async () => {
      expect(await valuesOf(DASHBOARD_FILES.queues, prometheus)).toMatchObject({
        namespace: "proffer-system",
        job: "proffer",
        queue: expect.arrayContaining(["default", "traffic", "short", "long"]),
        framework: expect.arrayContaining(["traffic/stream", "traffic/declines"]),
        resource: expect.arrayContaining(["cpu", "memory", "nvidia.com/gpu", "pods"]),
      });
    });

    test("what became of offers is counted by outcome", async () => {
      const outcomes = await eventually(
        "every outcome",
        () => prometheus.query(`sum by (framework, outcome) (proffer_offers_total{${OURS}}) > 0`),
        (samples) => new Set(samples.map(({ labels }) => labels.outcome)).size === 5,
      );
      expect(outcomes.map(({ labels }) => `${labels.framework} ${labels.outcome}`)).toEqual(
        expect.arrayContaining([
          "traffic/accepts accepted",
          "traffic/declines declined",
          "traffic/refused refused",
          "traffic/rescinded rescinded",
          "traffic/silent expired",
        ]),
      );
    });

    test("every query that the documents recommend can be evaluated", async () => {
      const queries = documentedQueries();
      const pages = new Set(queries.map(({ page }) => page));
      expect(pages).toContain("guide/observe.md");
      expect(pages.size).toBeGreaterThan(10);
      for (const { page, query } of queries) {
        await expect(prometheus.query(query), page).resolves.toBeInstanceOf(Array);
      }
    });
  });

  describe("when something is wrong", () => {
    needs(() => site.cluster, "processes");

    const pending = async () =>
      (await prometheus.rules())
        .filter(({ state }) => state === "pending" || state === "firing")
        .map(({ name }) => name);

    test("an operator that cannot reach the API server does not lead, and an alert is pending until one leads again", async () => {
      const { processes } = site.cluster;
      await processes.pause("kube-apiserver");
      try {
        await eventually("ProfferNoLeader is pending", pending, (names) => names.includes("ProfferNoLeader"));
      } finally {
        processes.resume("kube-apiserver");
      }
      await eventually("somebody leads", pending, (names) => !names.includes("ProfferNoLeader"));
    });

    test("operators that are gone are missed, by one alert and not by two", async () => {
      await leader.kill();
      await standby.kill();
      const names = await eventually("ProfferDown is pending", pending, (now) => now.includes("ProfferDown"));
      expect(names).not.toContain("ProfferNoLeader");
    });
  });
});

/** The queries that the guide and the runbooks recommend. */
function documentedQueries(): { page: string; query: string }[] {
  const docs = new URL("../../docs/", import.meta.url).pathname;
  const runbooks = readdirSync(join(docs, "runbooks")).map((name) => `runbooks/${name}`);
  return ["guide/observe.md", ...runbooks].flatMap((page) => {
    const text = readFileSync(join(docs, page), "utf8");
    const blocks = [...text.matchAll(/```promql\n(.*?)```/gs)];
    const cells = [...text.matchAll(/^\| [^|]*\? \| `([^`|]*proffer_[^`|]*)` \|$/gm)];
    return [...blocks, ...cells].map(([, query = ""]) => ({ page, query: query.trim() }));
  });
}

/** Sums of the pods' requests by `QUEUE RESOURCE`, in cores, bytes and counts; of a queue with its children. */
function requestedByQueue(pods: readonly Json[], { items }: Json): Map<string, number> {
  const parents = new Map<string, string | undefined>(
    items.map(({ metadata, spec }: Json) => [metadata.name, spec.parent]),
  );
  const sums = new Map<string, number>();
  for (const { metadata, spec } of pods) {
    const requests = { pods: 1, ...inBaseUnits(spec.containers[0].resources.requests) };
    for (let queue = metadata.labels[QUEUE_LABEL]; queue !== undefined; queue = parents.get(queue)) {
      for (const [resource, amount] of Object.entries(requests)) {
        const key = `${queue} ${resource}`;
        sums.set(key, (sums.get(key) ?? 0) + amount);
      }
    }
  }
  return sums;
}

const FACTORS: Readonly<Record<string, number>> = { "": 1, m: 1 / 1_000, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 };

/** cpu in cores, memory in bytes, the rest in counts. */
function inBaseUnits(requests: Readonly<Record<string, string>>): Record<string, number> {
  const amount = (quantity: string) => {
    const [, digits, suffix = ""] = /^(\d+)(\D*)$/.exec(quantity) ?? [];
    return Number(digits) * FACTORS[suffix]!;
  };
  return Object.fromEntries(Object.entries(requests).map(([resource, quantity]) => [resource, amount(quantity)]));
}

function byQueue(samples: readonly Sample[]): Map<string, number> {
  return new Map(samples.map(({ labels, value }) => [`${labels.queue} ${labels.resource}`, value]));
}

function isEqual(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}
