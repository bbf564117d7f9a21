import { API_VERSION, GROUP } from "../api/common.ts";
import { outdatedDefinitions } from "./definitions-check.ts";
import { FRAMEWORK, NODE, OFFER, POD, QUEUE, TASK } from "./effects/context.ts";
import { isNotFound, isStatus } from "./kube/api-error.ts";
import type { KubeClient } from "./kube/client.ts";
import { type Clock, sleep } from "./kube/clock.ts";
import type { Transport } from "./kube/transport.ts";
import { troubleWith } from "./kube/trouble.ts";
import { SaidSeldom } from "./said-seldom.ts";
import type { Logger } from "./telemetry.ts";

export interface PreflightOptions {
  readonly transport: Transport;
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly server: string;
  readonly signal: AbortSignal;
  /** Default 3 s. */
  readonly retryMs?: number;
}

const needed = [NODE, POD, QUEUE, FRAMEWORK, TASK, OFFER];

/**
 * Waits until the API server can be reached, has Proffer's kinds with all their fields and lets us read what we need; says
 * in one line what is missing until then.
 *
 * @returns false if `signal` came first
 */
export async function preflight(options: PreflightOptions): Promise<boolean> {
  const { clock, log, signal, retryMs = 3_000 } = options;
  const seldom = new SaidSeldom(clock);
  while (!signal.aborted) {
    const missing = await whatIsMissing(options);
    if (missing === undefined) return true;
    if (seldom.isNews("start", missing)) log.warn({}, `${missing}; trying again`);
    await sleep(clock, retryMs, signal);
  }
  return false;
}

async function whatIsMissing({
  transport,
  client,
  log,
  server,
  signal,
}: PreflightOptions): Promise<string | undefined> {
  const options = { retries: 0, signal };
  try {
    await transport.request("GET", "/version", options);
  } catch (error) {
    if (!isStatus(error, 403)) return describe(server, error);
  }
  try {
    await transport.request("GET", `/apis/${API_VERSION}`, options);
  } catch (error) {
    if (isNotFound(error))
      return `the custom resource definitions of ${GROUP} are not installed: install the chart first`;
    if (!isStatus(error, 403)) return describe(server, error);
  }
  for (const type of needed) {
    try {
      await client.list(type, { ...options, query: { limit: 1 } });
    } catch (error) {
      const name = type.group === "" ? type.plural : `${type.plural}.${type.group}`;
      if (isStatus(error, 403)) return `missing right: list ${name} in all namespaces (403: ${error.text})`;
      if (isNotFound(error)) return `the custom resource definition ${name} is not installed: install the chart first`;
      return describe(server, error);
    }
  }
  try {
    const outdated = await outdatedDefinitions(transport, options);
    if (outdated !== "unknown") return outdated;
  } catch (error) {
    return describe(server, error);
  }
  log.info({}, `the API server does not show the schemas of ${GROUP}: they are taken to be of this version`);
  return undefined;
}

function describe(server: string, error: unknown): string {
  const trouble = troubleWith(server, error);
  if (trouble === undefined) throw error;
  return trouble;
}
