import { beforeAll, expect, test } from "vitest";
import type { Json } from "../cluster/api-client.ts";
import { ensureHelm } from "../cluster/helm-kubectl.ts";
import { renderChart } from "../operator/render-chart.ts";
import { scrapeConfig } from "./scrape-config.ts";

let helm: string;
beforeAll(async () => {
  helm = await ensureHelm();
});

function chart(serviceMonitor: Json = {}): { monitor: Json; service: Json } {
  const objects = renderChart(helm, { metrics: { serviceMonitor: { enabled: true, ...serviceMonitor } } });
  const of = (kind: string) => structuredClone(objects.find((object) => object.kind === kind));
  return { monitor: of("ServiceMonitor"), service: of("Service") };
}
const pods = [{ pod: "proffer-0", address: "10.0.0.7:8080" }];
const tokens = { own: "/own", secrets: { "reader/token": "/secret" } };

test("the chart's monitor scrapes the pods of the chart's Service, with the labels that alerts ask for", () => {
  const { monitor, service } = chart({ interval: "15s", scrapeTimeout: "5s" });
  expect(scrapeConfig(monitor, service, pods, tokens)).toEqual({
    job_name: "serviceMonitor/proffer-system/proffer/0",
    metrics_path: "/metrics",
    scheme: "http",
    scrape_interval: "15s",
    scrape_timeout: "5s",
    authorization: { credentials_file: "/own" },
    static_configs: [
      {
        targets: ["10.0.0.7:8080"],
        labels: { namespace: "proffer-system", service: "proffer", pod: "proffer-0", endpoint: "http", job: "proffer" },
      },
    ],
  });
});

test("the token may be one of a Secret, if there is one", () => {
  const { monitor, service } = chart({ tokenSecret: { name: "reader" } });
  expect(scrapeConfig(monitor, service, pods, tokens).authorization).toEqual({ credentials_file: "/secret" });
  expect(() => scrapeConfig(monitor, service, pods, { own: "/own" })).toThrow("no Secret reader with the key token");
});

test.each<{ change: (service: Json) => void; says: string }>([
  {
    change: ({ metadata }) => delete metadata.labels["app.kubernetes.io/name"],
    says: "no label app.kubernetes.io/name",
  },
  { change: ({ metadata }) => (metadata.namespace = "other"), says: "in another namespace" },
  { change: ({ spec }) => (spec.ports[0].name = "web"), says: "no port http" },
])("a Service that the monitor does not find is noticed: $says", ({ change, says }) => {
  const { monitor, service } = chart();
  change(service);
  expect(() => scrapeConfig(monitor, service, pods, tokens)).toThrow(says);
});

test("a field of the monitor that nobody reads here is noticed", () => {
  const { monitor, service } = chart();
  monitor.spec.endpoints[0].tlsConfig = {};
  expect(() => scrapeConfig(monitor, service, pods, tokens)).toThrow("fields that nobody reads here: tlsConfig");
});
