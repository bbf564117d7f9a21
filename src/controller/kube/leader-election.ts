import { ApiError, isConflict, isNotFound, isStatus, TransportError } from "./api-error.ts";
import type { KubeClient, KubeObject, ObjectMeta, ResourceRef } from "./client.ts";
import { type Clock, sleep, type TimerHandle } from "./clock.ts";
import { microTime } from "./micro-time.ts";
import { compareResourceVersions } from "./resource-version.ts";
import type { RequestOptions } from "./transport.ts";

/**
 * `expired`: not renewed in time; `taken`: another holds the lease; `deleted`: the Lease is gone; `restored`: the store
 * went back to an earlier state; `stopped`: by `stop`.
 */
export type LossReason = "expired" | "taken" | "deleted" | "restored" | "stopped";

/**
 * Why nothing that was read before counts any more. `restored`: the Lease went back to an earlier version, as only a
 * backup of etcd makes it do. `recreated`: the Lease is another one; somebody deleted it, or a backup is older than it.
 * `unseen`: others wrote the Lease while it was not read for so long that a restore would have gone unnoticed.
 */
export type Doubt = "restored" | "recreated" | "unseen";

export interface ElectorOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly namespace: string;
  /** Of the Lease. */
  readonly name: string;
  /** Unlike that of any other process, ever: see `processIdentity`. */
  readonly identity: string;
  /** After so long without a renewal others may take over. Default 6 s. */
  readonly leaseMs?: number;
  /** After so long without a renewal we are no leader any more. Default 4 s. */
  readonly renewDeadlineMs?: number;
  /** Between two renewals. Default 1 s. */
  readonly retryMs?: number;
  /** Between two looks of a standby, which sees a renewal or a release at most so much late. Default 0.5 s. */
  readonly standbyMs?: number;
  /** Of a request to the Lease, and of every request that is fenced by it. Default 2 s. */
  readonly requestTimeoutMs?: number;
  /** The start of a term. Terms differ from each other, and later ones are greater as resourceVersions. */
  readonly onAcquired: (term: string) => void;
  /** The end of a term; `isLeader` was false before. The elector stands by for the next one. */
  readonly onLost: (reason: LossReason) => void;
  /** What was read before may be of a history that is no more: read it again. No term runs when this is called. */
  readonly onDoubt?: (doubt: Doubt) => void;
  /** For logs: an attempt failed; the elector goes on. */
  readonly onError?: (error: unknown) => void;
}

interface Term {
  /** The Lease's resourceVersion when acquired. */
  readonly name: string;
  readonly acquireTime: string;
  /** By the monotonic clock. */
  validUntilMs: number;
}

interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

interface Lease {
  readonly apiVersion: "coordination.k8s.io/v1";
  readonly kind: "Lease";
  readonly metadata: ObjectMeta;
  readonly spec: LeaseSpec;
}

interface Observation {
  readonly lease: Lease;
  /** When we first saw this version of it; the write itself was no later. */
  readonly sinceMs: number;
}

/** The host's name for people, and an id that no other process has, after a restart under the same name either. */
export function processIdentity(hostname: string, uuid: string): string {
  return `${hostname}_${uuid}`;
}

/**
 * One leader among several processes, by a Lease. Follows client-go's leaderelection; stricter in that a term once
 * lapsed is over even if its last renewal did arrive, and that wall-clock time decides nothing.
 *
 * A leader asks `isLeader` (or a `fence`) before each send: with requests no longer than `requestTimeoutMs`, nothing of
 * its own is under way when another may lead (renew deadline + request time-out ≤ lease).
 */
export class LeaderElector {
  readonly #options: ElectorOptions;
  readonly #clock: Clock;
  readonly #ref: ResourceRef;
  readonly #leaseMs: number;
  readonly #renewDeadlineMs: number;
  readonly #retryMs: number;
  readonly #standbyMs: number;
  readonly #requestTimeoutMs: number;
  readonly #stop = new AbortController();
  readonly #firstLook = Promise.withResolvers<void>();
  #run: Promise<void> | undefined;
  #term: Term | undefined;
  #expiry: TimerHandle | undefined;
  #observed: Observation | undefined;
  /** When the last request was sent that showed the Lease. */
  #lookedMs = Number.POSITIVE_INFINITY;
  /** Until then nobody takes a Lease that went back. */
  #heldBackUntilMs = Number.NEGATIVE_INFINITY;
  #lastTime = "";

  constructor(options: ElectorOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#leaseMs = options.leaseMs ?? 6_000;
    this.#renewDeadlineMs = options.renewDeadlineMs ?? 4_000;
    this.#retryMs = options.retryMs ?? 1_000;
    this.#standbyMs = options.standbyMs ?? 500;
    this.#requestTimeoutMs = options.requestTimeoutMs ?? 2_000;
    if (this.#renewDeadlineMs + this.#requestTimeoutMs > this.#leaseMs) {
      throw new Error(
        "renewDeadlineMs + requestTimeoutMs must not exceed leaseMs: a late request would meet a new leader",
      );
    }
    const { namespace, name } = options;
    this.#ref = { group: "coordination.k8s.io", version: "v1", plural: "leases", namespace, name };
  }

  /** Runs until `stop`; rejects only if a callback threw. */
  start(): Promise<void> {
    this.#run ??= this.#loop();
    return this.#run;
  }

  /** Resolves when the lease has been tried for once, with or without success. */
  get looked(): Promise<void> {
    return this.#firstLook.promise;
  }

  /**
   * Ends the term, if any, and gives the lease back, so that a successor takes over at once. Let what was sent under the
   * term end before.
   */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#run;
    if (this.#term !== undefined) this.#lose("stopped");
    await this.#release().catch((error: unknown) => this.#options.onError?.(error));
  }

  /** May we send now? `nowMs` is monotonic time. False from the renew deadline on, whether or not anyone noticed. */
  isLeader(nowMs: number = this.#clock.monotonicMs()): boolean {
    return this.#term !== undefined && nowMs < this.#term.validUntilMs && !this.#stop.signal.aborted;
  }

  /** True as long as the term that is now runs; a later term of our own is another one. For `RequestOptions.fence`. */
  fence(): () => boolean {
    const term = this.#term;
    return () => term !== undefined && this.#term === term && this.isLeader();
  }

  /** The term that runs; undefined while we do not lead. */
  get term(): string | undefined {
    return this.isLeader() ? this.#term?.name : undefined;
  }

  /** Who held the lease when it was last looked at; "" if nobody. */
  get holder(): string {
    return this.#observed?.lease.spec.holderIdentity ?? "";
  }

  async #loop(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const startMs = this.#clock.monotonicMs();
      let retryAfterMs = 0;
      try {
        if (this.#term === undefined) await this.#standBy();
        else await this.#renew(this.#term);
      } catch (error) {
        if (!isRequestFailure(error)) throw error;
        retryAfterMs = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
        this.#options.onError?.(error);
      } finally {
        this.#firstLook.resolve();
      }
      if (this.#stop.signal.aborted) return;
      const nextMs = Math.max(startMs + this.#pauseMs(), this.#clock.monotonicMs() + retryAfterMs);
      await sleep(this.#clock, nextMs - this.#clock.monotonicMs(), this.#stop.signal);
    }
  }

  /** From the start of one attempt to the next: a standby looks again just when the lease runs out. */
  #pauseMs(): number {
    if (this.#term !== undefined) return this.#retryMs;
    const jittered = this.#standbyMs * (1 + this.#options.random() / 5);
    if (this.#observed === undefined) return jittered;
    const expiresInMs = this.#expiresAtMs(this.#observed) - this.#clock.monotonicMs();
    return expiresInMs > 0 ? Math.min(jittered, expiresInMs) : jittered;
  }

  async #standBy(): Promise<void> {
    const sentMs = this.#clock.monotonicMs();
    let lease: Lease;
    try {
      lease = (await this.#options.client.get(this.#ref, this.#requestOptions())) as unknown as Lease;
    } catch (error) {
      if (!isNotFound(error)) throw error;
      // Whoever held it when it was deleted may not know yet.
      if (this.#observed === undefined || this.#isFree(this.#observed)) await this.#acquire(undefined);
      return;
    }
    this.#observe(lease, sentMs);
    if (this.#observed !== undefined && this.#isFree(this.#observed)) await this.#acquire(lease);
  }

  async #acquire(lease: Lease | undefined): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const { identity } = this.#options;
    const sentMs = this.#clock.monotonicMs();
    const now = this.#microTime();
    const transitions = lease?.spec.leaseTransitions ?? 0;
    const spec: LeaseSpec = {
      ...lease?.spec,
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(this.#leaseMs / 1_000),
      acquireTime: now,
      renewTime: now,
      leaseTransitions: lease === undefined || lease.spec.holderIdentity === identity ? transitions : transitions + 1,
    };
    const written = await this.#write(lease, spec).catch((error: unknown) => {
      // Another was faster: nothing wrong.
      if (isStatus(error, 409)) return undefined;
      throw error;
    });
    if (written === undefined) return;
    this.#observe(written, sentMs);
    // Too late to be sure that nobody took it from us already; the next look will tell.
    const validUntilMs = sentMs + this.#renewDeadlineMs;
    if (this.#clock.monotonicMs() >= validUntilMs || this.#stop.signal.aborted) return;
    const name = written.metadata.resourceVersion ?? "";
    this.#term = { name, acquireTime: now, validUntilMs };
    this.#watchExpiry(this.#term);
    this.#options.onAcquired(name);
  }

  async #renew(term: Term): Promise<void> {
    if (this.#clock.monotonicMs() >= term.validUntilMs) return this.#lose("expired");
    let lease = this.#observed?.lease;
    for (let attempt = 0; lease !== undefined && this.#term === term; attempt++) {
      const sentMs = this.#clock.monotonicMs();
      try {
        const written = await this.#write(lease, { ...lease.spec, renewTime: this.#microTime() });
        if (this.#term !== term) return;
        // Lapsed is lapsed: others may have acted on it, even if this renewal came through.
        if (this.#clock.monotonicMs() >= term.validUntilMs) this.#lose("expired");
        else term.validUntilMs = sentMs + this.#renewDeadlineMs;
        this.#observe(written, sentMs);
        return;
      } catch (error) {
        if (this.#term !== term) return;
        if (isNotFound(error)) return this.#lose("deleted");
        if (!isConflict(error) || attempt > 0) throw error;
        // Somebody else's write, or our own last one that was never answered; or the Lease is gone, and its UID with it.
        lease = await this.#stillOurs(term);
      }
    }
  }

  async #stillOurs(term: Term): Promise<Lease | undefined> {
    const sentMs = this.#clock.monotonicMs();
    const found = await this.#options.client.find(this.#ref, this.#requestOptions());
    const lease = found as unknown as Lease | undefined;
    if (lease !== undefined) {
      this.#observe(lease, sentMs);
      const { holderIdentity, acquireTime } = lease.spec;
      const ours = holderIdentity === this.#options.identity && acquireTime === term.acquireTime;
      if (ours && this.#term === term) return lease;
    }
    if (this.#term === term) this.#lose(lease === undefined ? "deleted" : "taken");
    return undefined;
  }

  async #release(): Promise<void> {
    let lease = this.#observed?.lease;
    for (let attempt = 0; lease !== undefined && lease.spec.holderIdentity === this.#options.identity; attempt++) {
      const spec = { ...lease.spec, holderIdentity: "", leaseDurationSeconds: 1, renewTime: this.#microTime() };
      try {
        await this.#write(lease, spec);
        return;
      } catch (error) {
        if (!isConflict(error) || attempt > 0) throw error;
        lease = (await this.#options.client.get(this.#ref, this.#requestOptions())) as unknown as Lease;
      }
    }
  }

  async #write(lease: Lease | undefined, spec: LeaseSpec): Promise<Lease> {
    const { client, namespace, name } = this.#options;
    if (lease !== undefined) {
      return (await client.replace(this.#ref, { ...lease, spec }, this.#requestOptions())) as unknown as Lease;
    }
    const created: Lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name, namespace }, spec };
    const collection = { ...this.#ref, name: undefined };
    return (await client.create(collection, created, this.#requestOptions())) as KubeObject as unknown as Lease;
  }

  #requestOptions(): RequestOptions {
    return { urgent: true, retries: 0, timeoutMs: this.#requestTimeoutMs };
  }

  /** Takes in what a request that was sent at `sentMs` showed. */
  #observe(lease: Lease, sentMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    const doubt = this.#doubtIn(lease, nowMs);
    this.#lookedMs = sentMs;
    const known = this.#observed?.lease.metadata;
    if (doubt !== undefined || known?.resourceVersion !== lease.metadata.resourceVersion) {
      this.#observed = { lease, sinceMs: nowMs };
    }
    if (doubt === undefined) return;
    // Whoever led before the restore may not know of it yet. And for so long everybody finds the Lease as it was restored.
    if (doubt === "restored") this.#heldBackUntilMs = nowMs + this.#leaseMs;
    const left = lease.spec.holderIdentity === this.#options.identity ? "expired" : "taken";
    if (this.#term !== undefined) this.#lose(doubt === "restored" ? doubt : left);
    this.#options.onDoubt?.(doubt);
  }

  /** One request comes after the other, and each is answered from etcd: versions only go up, unless etcd went back. */
  #doubtIn({ metadata, spec }: Lease, nowMs: number): Doubt | undefined {
    const known = this.#observed?.lease;
    if (known === undefined) return undefined;
    const change = compareResourceVersions(metadata.resourceVersion ?? "", known.metadata.resourceVersion ?? "");
    // One version has one content. After a restore another may have taken the Lease, at a version that we know as our own.
    const differs = spec.holderIdentity !== known.spec.holderIdentity || spec.renewTime !== known.spec.renewTime;
    if (change < 0 || (change === 0 && differs)) return "restored";
    if (metadata.uid !== known.metadata.uid) return "recreated";
    // An outage for all leaves the Lease as it was, and is no reason to list everything while a server recovers.
    if (change === 0) return undefined;
    return nowMs - this.#lookedMs > this.#leaseMs ? "unseen" : undefined;
  }

  #isFree(observed: Observation): boolean {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < this.#heldBackUntilMs) return false;
    const holder = observed.lease.spec.holderIdentity ?? "";
    return holder === "" || holder === this.#options.identity || nowMs >= this.#expiresAtMs(observed);
  }

  /** By the duration that the holder promised, which another release may have set otherwise than ours. */
  #expiresAtMs({ lease, sinceMs }: Observation): number {
    const seconds = lease.spec.leaseDurationSeconds ?? 0;
    return sinceMs + (seconds > 0 ? seconds * 1_000 : this.#leaseMs);
  }

  #watchExpiry(term: Term): void {
    this.#expiry = this.#clock.setTimeout(() => {
      if (this.#term !== term) return;
      if (this.#clock.monotonicMs() >= term.validUntilMs) this.#lose("expired");
      else this.#watchExpiry(term);
    }, term.validUntilMs - this.#clock.monotonicMs());
  }

  #lose(reason: LossReason): void {
    this.#term = undefined;
    if (this.#expiry !== undefined) this.#clock.clearTimeout(this.#expiry);
    this.#options.onLost(reason);
  }

  /** Never the same twice in a row: an update that changes nothing makes no new version, and would look like silence. */
  #microTime(): string {
    const nowMs = this.#clock.nowMs();
    const time = microTime(nowMs);
    const sameMilli = this.#lastTime.slice(0, -4) === time.slice(0, -4);
    this.#lastTime = sameMilli ? microTime(nowMs, (Number(this.#lastTime.slice(-4, -1)) + 1) % 1_000) : time;
    return this.#lastTime;
  }
}

function isRequestFailure(error: unknown): boolean {
  return error instanceof ApiError || error instanceof TransportError;
}
