import { hostname } from "node:os";
import { API_VERSION } from "../../api/common.ts";
import type { Framework } from "../../api/framework.ts";
import { FRAMEWORK_LABEL } from "../../api/labels.ts";
import { isAlreadyExists, isConflict, isNotFound, isStatus } from "../../controller/kube/api-error.ts";
import type { KubeObject, ResourceRef } from "../../controller/kube/client.ts";
import { sleep } from "../../controller/kube/clock.ts";
import { microTime } from "../../controller/kube/micro-time.ts";
import type { Connection } from "./connection.ts";

export interface LeaseKeeperOptions {
  readonly connection: Pick<Connection, "client" | "clock">;
  readonly namespace: string;
  /** The Framework's name. */
  readonly framework: string;
  /** The Framework object: the Lease goes with it. Nothing is renewed while there is none. */
  readonly owner: () => Framework | undefined;
  /** Renewed three times as often. Default 30. */
  readonly durationSeconds?: number | undefined;
  /** Could not be renewed this time. For logs. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

const OWNER_RETRY_MS = 1_000;
/** Rights may come later; until then the framework does without. */
const FORBIDDEN_RETRY_MS = 60_000;
const RELEASE_TIMEOUT_MS = 2_000;

/**
 * Tells the operator that the framework's program is there: a Lease in the Framework's namespace, with the label
 * `proffer.dev/framework`, renewed for as long as the program runs and given back when it ends in order.
 */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #durationSeconds: number;
  /** As we wrote it last. */
  #lease: KubeObject | undefined;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
    this.#durationSeconds = options.durationSeconds ?? 30;
  }

  /** Renews until `signal` aborts, and gives the Lease back then. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { onError, connection } = this.#options;
    while (!signal.aborted) {
      const waitMs = await this.#renew().catch((error: unknown) => {
        onError?.(error);
        return isStatus(error, 403) ? FORBIDDEN_RETRY_MS : (this.#durationSeconds * 1_000) / 15;
      });
      await sleep(connection.clock, waitMs, signal);
    }
    await this.#release().catch((error: unknown) => onError?.(error));
  }

  /** @returns when to do it again */
  async #renew(): Promise<number> {
    const { connection, framework, owner } = this.#options;
    const metadata = owner()?.metadata;
    if (metadata === undefined) return OWNER_RETRY_MS;
    const request = { retries: 0, timeoutMs: (this.#durationSeconds * 1_000) / 3, priority: "high" } as const;
    const labels = { [FRAMEWORK_LABEL]: framework };
    const spec = {
      holderIdentity: `${hostname()}_${process.pid}`,
      leaseDurationSeconds: this.#durationSeconds,
      renewTime: microTime(connection.clock.nowMs()),
    };
    try {
      this.#lease = await connection.client.mergePatch(this.#ref, { metadata: { labels }, spec }, request);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      const { name, namespace } = this.#ref;
      const ownerReferences = [
        { apiVersion: API_VERSION, kind: "Framework", name: metadata.name, uid: metadata.uid ?? "" },
      ];
      const made = { name, namespace, labels, ownerReferences };
      const lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: made, spec };
      try {
        this.#lease = await connection.client.create({ ...this.#ref, name: undefined }, lease, request);
      } catch (second) {
        // Another copy of the program was faster.
        if (!isAlreadyExists(second)) throw second;
        return 0;
      }
    }
    return (this.#durationSeconds * 1_000) / 3;
  }

  /** What somebody else has renewed since is not ours to give back. */
  async #release(): Promise<void> {
    if (this.#lease === undefined) return;
    const { client, clock } = this.#options.connection;
    const { uid, resourceVersion } = this.#lease.metadata;
    const spec = { holderIdentity: null, leaseDurationSeconds: 1, renewTime: microTime(clock.nowMs()) };
    try {
      await client.mergePatch(
        this.#ref,
        { metadata: { uid, resourceVersion }, spec },
        { retries: 0, timeoutMs: RELEASE_TIMEOUT_MS },
      );
    } catch (error) {
      if (!isConflict(error) && !isNotFound(error)) throw error;
    }
  }

  get #ref(): ResourceRef {
    const { namespace, framework } = this.#options;
    const name = `proffer-${framework}`;
    return { group: "coordination.k8s.io", version: "v1", plural: "leases", namespace, name };
  }
}
