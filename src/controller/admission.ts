import { API_VERSION } from "../api/common.ts";
import { OFFER, POD, QUEUE } from "./effects/context.ts";
import { ApiError, isStatus, TransportError } from "./kube/api-error.ts";
import type { KubeClient } from "./kube/client.ts";
import { type Clock, sleep } from "./kube/clock.ts";
import type { Logger } from "./telemetry.ts";

export interface AdmissionProbeOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** The operator's own. */
  readonly namespace: string;
  /** False: offers are published whatever the probe says; only for clusters without other users. */
  readonly required: boolean;
  /** The answer is another one. */
  readonly changed: () => void;
  /** While the policies are missing. Default 3 s. */
  readonly retryMs?: number;
  /** While they are in force. Default 5 min. */
  readonly repeatMs?: number;
}

const policyOf = { offers: "offers.proffer.dev", pods: "pods.proffer.dev", status: "status.proffer.dev" } as const;

/**
 * RBAC has no field level: that only answerers answer offers, that nobody else marks pods as ours, and that a role with a
 * wildcard writes no status of which a later term reads what has ended, is up to admission policies. Their objects say nothing about being in force, so dry runs try what they must refuse.
 */
export class AdmissionProbe {
  readonly #options: AdmissionProbeOptions;
  readonly #stop = new AbortController();
  #missing: string | undefined;
  #known = false;

  constructor(options: AdmissionProbeOptions) {
    this.#options = options;
  }

  /** Offers may be published. */
  get mayPublish(): boolean {
    return !this.#options.required || (this.#known && this.#missing === undefined);
  }

  /** Why they may not, once that is known. */
  get heldBack(): string | undefined {
    return this.#options.required ? this.#missing : undefined;
  }

  /** Probes until `stop`. */
  async run(): Promise<void> {
    const { clock, retryMs = 3_000, repeatMs = 300_000 } = this.#options;
    while (!this.#stop.signal.aborted) {
      this.#take(await this.#probe());
      await sleep(clock, this.#missing === undefined && this.#known ? repeatMs : retryMs, this.#stop.signal);
    }
  }

  stop(): void {
    this.#stop.abort();
  }

  #take(result: "in-force" | "unknown" | { missing: string }): void {
    if (result === "unknown" || this.#stop.signal.aborted) return;
    const missing = result === "in-force" ? undefined : result.missing;
    if (this.#known && missing === this.#missing) return;
    this.#known = true;
    this.#missing = missing;
    const { log, required, changed } = this.#options;
    if (missing === undefined) log.info({}, "the admission policies are in force");
    else if (required)
      log.warn({ reason: missing }, "no offer is published before the admission policies are in force");
    else
      log.warn(
        { reason: missing },
        "offers are published without admission policies: anybody who may patch one answers",
      );
    changed();
  }

  async #probe(): Promise<"in-force" | "unknown" | { missing: string }> {
    const { client, namespace } = this.#options;
    try {
      const offers = await this.#refused(policyOf.offers, () =>
        client.createDryRun({ ...OFFER, namespace }, offerThatIsAnswered(namespace)),
      );
      if (offers !== undefined) return { missing: offers };
      const pods = await this.#refused(policyOf.pods, () =>
        client.createDryRun({ ...POD, namespace }, markedPod(namespace)),
      );
      if (pods !== undefined) return { missing: pods };
      const status = await this.#refused(policyOf.status, () => client.createDryRun(QUEUE, markedQueue));
      return status === undefined ? "in-force" : { missing: status };
    } catch (error) {
      if (!(error instanceof ApiError || error instanceof TransportError)) throw error;
      this.#options.log.debug({ err: error }, "the admission policies could not be tried");
      return "unknown";
    }
  }

  /** @returns undefined if the policy refused it, else what is wrong */
  async #refused(policy: string, attempt: () => Promise<unknown>): Promise<string | undefined> {
    try {
      await attempt();
    } catch (error) {
      if (isStatus(error, 403)) {
        if (error.text.includes(policy)) return undefined;
        return `the operator may not try the admission policy ${policy}: ${error.text}`;
      }
      if (isStatus(error, 422) || isStatus(error, 404) || isStatus(error, 400)) {
        return `the admission policy ${policy} cannot be tried: ${error.text}`;
      }
      throw error;
    }
    return `the ValidatingAdmissionPolicy ${policy} is not in force: install it with the chart`;
  }
}

/** Valid by the schema, and answered from the start, which no offer may be. */
function offerThatIsAnswered(namespace: string): object {
  return {
    apiVersion: API_VERSION,
    kind: "Offer",
    metadata: { name: "admission-probe", namespace },
    spec: {
      framework: "admission-probe",
      queue: "default",
      concurrency: "Exclusive",
      slices: [{ name: "probe", node: "probe", nodeUID: "probe", resources: { cpu: "1m" } }],
      expiresAt: "2000-01-01T00:00:00Z",
      answerers: ["admission-probe"],
      term: "probe",
    },
    answer: { by: "admission-probe", decision: "Decline" },
  };
}

/** Not even the operator may set it. */
const probeLabels = { "proffer.dev/probe": "true" };

/** A status cannot be tried without an object: the policy refuses this beside statuses. */
const markedQueue = {
  apiVersion: API_VERSION,
  kind: "Queue",
  metadata: { name: "admission-probe", labels: probeLabels },
  spec: {},
};

function markedPod(namespace: string): object {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "admission-probe", namespace, labels: probeLabels },
    spec: {
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: "RuntimeDefault" } },
      containers: [
        {
          name: "probe",
          image: "probe",
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
          resources: { requests: { cpu: "1m", memory: "1Mi" }, limits: { cpu: "1m", memory: "1Mi" } },
        },
      ],
    },
  };
}
