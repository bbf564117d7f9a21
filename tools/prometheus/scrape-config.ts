/** What Prometheus Operator makes of a ServiceMonitor, as far as the chart's needs it. */
import type { Json } from "../cluster/api-client.ts";

/** A pod behind the Service, as discovery would find it. */
export interface ScrapedPod {
  readonly pod: string;
  /** Host and port. */
  readonly address: string;
}

/** Files that stand for what would be mounted in Prometheus' pod or read from Secrets. */
export interface TokenFiles {
  /** The token of the ServiceAccount that Prometheus runs as. */
  readonly own: string;
  /** By the Secret's name and key, as `name/key`. */
  readonly secrets?: Readonly<Record<string, string>>;
}

/**
 * An entry of `scrape_configs` for these pods of the Service.
 *
 * Throws where Prometheus would find nothing: when the monitor does not select the Service, or names a port or a Secret that
 * is not there.
 */
export function scrapeConfig(monitor: Json, service: Json, pods: readonly ScrapedPod[], tokens: TokenFiles): Json {
  const { selector, endpoints } = monitor.spec;
  for (const [label, value] of Object.entries(selector.matchLabels)) {
    if (service.metadata.labels[label] !== value) throw new Error(`the Service has no label ${label}=${value}`);
  }
  if (monitor.metadata.namespace !== service.metadata.namespace) throw new Error("the Service is in another namespace");
  if (endpoints.length !== 1) throw new Error(`${endpoints.length} endpoints`);
  const [{ port, path, interval, scrapeTimeout, scheme = "http", ...access }] = endpoints;
  if (!service.spec.ports.some(({ name }: Json) => name === port)) throw new Error(`the Service has no port ${port}`);
  return {
    job_name: `serviceMonitor/${monitor.metadata.namespace}/${monitor.metadata.name}/0`,
    metrics_path: path,
    scheme,
    scrape_interval: interval,
    scrape_timeout: scrapeTimeout,
    authorization: { credentials_file: tokenFile(access, tokens) },
    static_configs: pods.map(({ pod, address }) => ({
      targets: [address],
      labels: {
        namespace: service.metadata.namespace,
        service: service.metadata.name,
        pod,
        endpoint: port,
        job: service.metadata.name,
      },
    })),
  };
}

function tokenFile({ bearerTokenFile, authorization, ...unknown }: Json, { own, secrets = {} }: TokenFiles): string {
  if (Object.keys(unknown).length > 0) throw new Error(`fields that nobody reads here: ${Object.keys(unknown)}`);
  if (bearerTokenFile === "/var/run/secrets/kubernetes.io/serviceaccount/token") return own;
  const { name, key } = authorization?.credentials ?? {};
  const file = secrets[`${name}/${key}`];
  if (file === undefined) throw new Error(`no Secret ${name} with the key ${key}`);
  return file;
}
