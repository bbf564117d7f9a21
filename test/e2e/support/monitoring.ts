/** A real Prometheus beside a site, configured by what the chart would give to Prometheus Operator. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Json } from "../../../tools/cluster/api-client.ts";
import { ensureHelm } from "../../../tools/cluster/helm-kubectl.ts";
import { renderChart } from "../../../tools/operator/render-chart.ts";
import type { OperatorProcess } from "../../../tools/operator/start-operator.ts";
import type { PrometheusPrograms } from "../../../tools/prometheus/programs.ts";
import { scrapeConfig } from "../../../tools/prometheus/scrape-config.ts";
import { type PrometheusProcess, startPrometheus } from "../../../tools/prometheus/start-prometheus.ts";
import { eventually } from "./eventually.ts";
import type { Site } from "./site.ts";

/** Whom the chart lets read the metrics, and somebody else. */
const NAMESPACE = "monitoring";
const READER = "prometheus-k8s";
const STRANGER = "stranger";

/** Values for `Site.open`: the chart binds its role to the reader. */
export const MONITORING_VALUES = {
  "metrics.readers[0].namespace": NAMESPACE,
  "metrics.readers[0].name": READER,
};

/** Of the chart, for what only Prometheus Operator would read. */
const VALUES = {
  metrics: {
    // Often, so that tests need not wait long.
    serviceMonitor: { enabled: true, interval: "2s", scrapeTimeout: "2s" },
    prometheusRule: { enabled: true },
  },
};

/** Series of the chart's release. */
export const OURS = 'namespace="proffer-system",job="proffer"';
/** Series of a scrape like the chart's, with the token of somebody who is no reader. */
export const STRANGERS = 'job="stranger"';

/** Starts Prometheus on these operators, which are as pods behind the chart's Service, and waits for the first scrape. */
export async function startMonitoring(
  site: Site,
  programs: PrometheusPrograms,
  operators: Readonly<Record<string, OperatorProcess>>,
): Promise<PrometheusProcess> {
  await site.namespace(NAMESPACE);
  const [own, strange] = await Promise.all([READER, STRANGER].map((account) => tokenFile(site, account)));
  const objects = renderChart(await ensureHelm(), VALUES);
  const [monitor, service, rule] = ["ServiceMonitor", "Service", "PrometheusRule"].map((wanted) =>
    objects.find(({ kind }) => kind === wanted),
  );
  const pods = Object.entries(operators).map(([pod, { url }]) => ({ pod, address: new URL(url).host }));
  const ours = scrapeConfig(monitor, service, pods, { own: own! });
  const prometheus = await startPrometheus({
    program: programs.prometheus,
    folder: join(site.cluster.dir, "prometheus"),
    scrapeConfigs: [ours, asStranger(ours, strange!)],
    ruleGroups: rule.spec.groups,
  });
  const targets = pods.length * 2;
  await eventually(
    "every target was scraped",
    () => prometheus.targets(),
    (now) => now.filter(({ health }) => health !== "unknown").length === targets,
  );
  return prometheus;
}

async function tokenFile({ cluster }: Site, account: string): Promise<string> {
  await cluster.api.create(`/api/v1/namespaces/${NAMESPACE}/serviceaccounts`, { metadata: { name: account } });
  const file = join(cluster.dir, `${account}.token`);
  writeFileSync(file, await cluster.requestToken(NAMESPACE, account), { mode: 0o600 });
  return file;
}

/** The same scrapes, with somebody else's token. */
function asStranger(config: Json, token: string): Json {
  const ofStranger = ({ targets, labels }: Json) => ({ targets, labels: { ...labels, job: STRANGER } });
  return {
    ...config,
    job_name: STRANGER,
    authorization: { credentials_file: token },
    static_configs: config.static_configs.map(ofStranger),
  };
}
