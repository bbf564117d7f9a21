import { AdmissionProbe } from "./admission.ts";
import type { BrokerContract } from "./broker-contract.ts";
import type { KubeClient } from "./kube/client.ts";
import { type Clock, sleep } from "./kube/clock.ts";
import type { Doubt } from "./kube/leader-election.ts";
import type { Logger, Telemetry } from "./telemetry.ts";
import { type EventEffect, Term, type TermSettings } from "./term.ts";
import type { World } from "./world.ts";

export interface OperatorOptions {
  readonly world: World;
  readonly client: KubeClient;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
  readonly telemetry: Telemetry;
  /** A new broker with an empty ledger; `term` is part of its offers' names. */
  readonly createBroker: (term: string) => BrokerContract;
  readonly tell: (event: EventEffect) => void;
  readonly settings: TermSettings & {
    readonly namespace: string;
    readonly requireAdmissionPolicy: boolean;
    /** How long requests under way may take to end when the process stops. Default 5 s. */
    readonly shutdownMs?: number;
  };
}

/** What this process is at present. */
export type Standing = { readonly role: "starting" | "standby" } | { readonly role: "leader"; readonly open: boolean };

/** A broker that failed is rebuilt after so long, doubled each time up to the limit. */
const rebuildMs = { first: 1_000, longest: 60_000, forgottenAfter: 600_000 };

const doubts = {
  restored: "versions went back: the API server's store was restored from a backup; everything is read again",
  recreated: "the Lease was deleted and made anew, or the store was restored from a backup; everything is read again",
  unseen: "others wrote the Lease while it was out of sight, perhaps after a restore; everything is read again",
} satisfies Record<Doubt, string>;

/**
 * Leader or standby: what changes when the lease comes and goes. A lost lease ends the term and nothing else; the caches
 * stay warm for the next one.
 */
export class Operator {
  readonly #options: OperatorOptions;
  #tenure: Tenure | undefined;
  #synced = false;

  constructor(options: OperatorOptions) {
    this.#options = options;
    void options.world.synced().then((synced) => {
      this.#synced = synced;
    });
  }

  get standing(): Standing {
    if (this.#tenure !== undefined) return { role: "leader", open: this.#tenure.isOpen };
    return { role: this.#synced ? "standby" : "starting" };
  }

  /** The leader's broker; undefined on a standby and until its term is open. */
  get broker(): BrokerContract | undefined {
    return this.#tenure?.isOpen === true ? this.#tenure.term?.broker : undefined;
  }

  /** The lease is ours. `fence` tells whether it still is. */
  acquired(term: string, fence: () => boolean): void {
    const { log, telemetry } = this.#options;
    log.info({ term }, "this process leads now");
    telemetry.leader(true);
    this.#tenure?.end();
    this.#tenure = new Tenure(this.#options, term, fence);
  }

  /** The lease is gone, and with it the right to write anything. */
  lost(reason: string): void {
    const { log, telemetry } = this.#options;
    telemetry.leader(false);
    if (this.#tenure === undefined) return;
    log.warn({ reason }, "this process does not lead any more; it stands by");
    this.#tenure.end();
    this.#tenure = undefined;
  }

  /** What was read before may be of a history that is no more. Leader or standby: everything is read again. */
  doubted(doubt: Doubt): void {
    const { log, telemetry, world } = this.#options;
    log.warn({ doubt }, doubts[doubt]);
    telemetry.doubted(doubt);
    world.startOver();
  }

  /** Ends the term in order, before the lease is given back. */
  async close(): Promise<void> {
    const { clock, log, settings } = this.#options;
    const tenure = this.#tenure;
    if (tenure === undefined) return;
    const done = new AbortController();
    const timeout = sleep(clock, settings.shutdownMs ?? 5_000, done.signal);
    const closed = tenure.close().then(() => done.abort());
    await Promise.race([closed, timeout]);
    if (!done.signal.aborted)
      log.warn({}, "requests are still under way; the next leader finds out what became of them");
    tenure.end();
    this.#tenure = undefined;
  }
}

/** The time between getting the lease and losing it: one term, or several if the broker fails. */
class Tenure {
  term: Term | undefined;
  /** The term's broker knows everything: before, what it says is not the half of it. */
  isOpen = false;
  readonly #options: OperatorOptions;
  readonly #name: string;
  readonly #fence: () => boolean;
  readonly #admission: AdmissionProbe;
  readonly #over = new AbortController();
  #failures = 0;
  #lastFailureMs = Number.NEGATIVE_INFINITY;

  constructor(options: OperatorOptions, name: string, fence: () => boolean) {
    this.#options = options;
    this.#name = name;
    this.#fence = fence;
    const { client, clock, log, settings } = options;
    this.#admission = new AdmissionProbe({
      client,
      clock,
      log,
      namespace: settings.namespace,
      required: settings.requireAdmissionPolicy,
      changed: () => this.term?.admissionChanged(),
    });
    void this.#admission.run().catch((error: unknown) => log.error({ err: error }, "the admission probe failed"));
    void this.#begin().catch((error: unknown) => this.#failed(error));
  }

  end(): void {
    this.#over.abort();
    this.#admission.stop();
    this.term?.abandon();
    this.term = undefined;
    this.isOpen = false;
  }

  async close(): Promise<void> {
    this.#over.abort();
    this.#admission.stop();
    await this.term?.close();
  }

  async #begin(): Promise<void> {
    const { world, clock, log, createBroker, settings } = this.#options;
    const startMs = clock.monotonicMs();
    const upToDate = await world.catchUp(startMs);
    if (!upToDate || this.#over.signal.aborted) return;
    const name = this.#failures === 0 ? this.#name : `${this.#name}x${this.#failures}`;
    this.term = new Term({
      ...this.#options,
      fence: this.#fence,
      broker: createBroker(name),
      admission: this.#admission,
      onOpen: () => {
        this.isOpen = true;
        const ms = Math.round(clock.monotonicMs() - startMs);
        const { nodes, pods, tasks, frameworks } = world;
        const sizes = { nodes: nodes.size, pods: pods.size, tasks: tasks.size, frameworks: frameworks.size };
        log.info({ term: name, ms, ...sizes }, "the term is open");
      },
      onBug: (error) => this.#failed(error),
      settings,
    });
    this.term.open();
  }

  /** Never go on with what may be wrong: a new broker reads everything again. */
  #failed(error: unknown): void {
    const { clock, log } = this.#options;
    this.term?.abandon();
    this.term = undefined;
    this.isOpen = false;
    if (this.#over.signal.aborted) return;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#lastFailureMs > rebuildMs.forgottenAfter) this.#recentFailures = 0;
    this.#lastFailureMs = nowMs;
    this.#failures++;
    const delayMs = Math.min(rebuildMs.first * 2 ** this.#recentFailures++, rebuildMs.longest);
    log.error({ err: error, delayMs }, "the term failed; it begins anew from what the API server shows");
    void sleep(clock, delayMs, this.#over.signal)
      .then(() => (this.#over.signal.aborted ? undefined : this.#begin()))
      .catch((again: unknown) => this.#failed(again));
  }

  #recentFailures = 0;
}
