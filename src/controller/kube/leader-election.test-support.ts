import { expect } from "vitest";
import { ApiError, TransportError } from "./api-error.ts";
import { KubeClient } from "./client.ts";
import { FakeClock, settle } from "./clock.test-support.ts";
import { type ElectorOptions, LeaderElector } from "./leader-election.ts";
import type { Method, RequestOptions, Transport } from "./transport.ts";

export interface StoredLease {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels?: object;
  };
  readonly spec: Readonly<Record<string, string | number | undefined>>;
}

/** What happens to the requests of one process. `reply-lost`: applied, never answered. `late`: not even applied yet. */
export type Network = "up" | "refused" | "unanswered" | "reply-lost" | "late";

/** An API server that stores one Lease. */
export class LeaseServer {
  lease: StoredLease | undefined;
  #version = 100;

  /** Makes a backup; the function that is returned restores it, with `writes` of others right after. */
  backup(): (writes?: number) => void {
    const [lease, version] = [this.lease, this.#version];
    return (writes = 0) => {
      this.lease = lease;
      this.#version = version + writes;
    };
  }

  apply(method: Method, body: unknown): unknown {
    const given = body as
      | { metadata: { resourceVersion?: string; labels?: object }; spec: StoredLease["spec"] }
      | undefined;
    const { lease } = this;
    if (method === "POST" ? lease !== undefined : lease === undefined) {
      // A PUT would make a Lease anew, but not under the UID of one that is gone.
      const reason = { POST: "AlreadyExists", PUT: "Conflict" }[method as string] ?? "NotFound";
      throw new ApiError({ status: reason === "NotFound" ? 404 : 409, reason });
    }
    if (method === "GET") return lease;
    if (lease !== undefined && given?.metadata.resourceVersion !== lease.metadata.resourceVersion) {
      throw new ApiError({ status: 409, reason: "Conflict" });
    }
    const spec = given?.spec ?? {};
    const labels = given?.metadata.labels ?? {};
    // An update that changes nothing makes no new version.
    const unchanged = JSON.stringify([lease?.spec, lease?.metadata.labels]) === JSON.stringify([spec, labels]);
    if (lease !== undefined && unchanged) return lease;
    const uid = lease?.metadata.uid ?? `uid-${this.#version}`;
    this.lease = { metadata: { name: "proffer", uid, resourceVersion: String(++this.#version), labels }, spec };
    return this.lease;
  }
}

/** One replica of the operator: its elector, its clocks, its network, and whether it runs at all. */
export class Replica implements Transport {
  readonly clock = new FakeClock();
  readonly elector: LeaderElector;
  readonly log: string[] = [];
  readonly doubts: string[] = [];
  network: Network = "up";
  paused = false;
  sent = 0;
  /** What was asked of the transport with each request. */
  readonly asked: RequestOptions[] = [];
  readonly #server: LeaseServer;
  #late: (() => void)[] = [];

  constructor(server: LeaseServer, name: string, options: Partial<ElectorOptions> = {}) {
    this.#server = server;
    this.elector = new LeaderElector({
      client: new KubeClient(this, "proffer"),
      clock: this.clock,
      random: () => 0.5,
      namespace: "ns",
      name: "proffer",
      identity: name,
      onAcquired: (term) => this.log.push(`acquired ${term}`),
      onLost: (reason) => this.log.push(reason),
      onDoubt: (doubt) => this.doubts.push(`${doubt}${this.elector.isLeader() ? " in office" : ""}`),
      ...options,
    });
  }

  request(method: Method, _: string, options: RequestOptions = {}): Promise<unknown> {
    this.sent++;
    this.asked.push(options);
    const { network } = this;
    if (network === "refused") return Promise.reject(new TransportError("network", "ECONNREFUSED", false, false));
    return new Promise((resolve, reject) => {
      const timeout = (): void => reject(new TransportError("timeout", "", true, method !== "GET"));
      const timer = this.clock.setTimeout(timeout, options.timeoutMs ?? 0);
      const apply = (answered: boolean): void => {
        try {
          const answer = this.#server.apply(method, options.body);
          if (!answered) return;
          this.clock.clearTimeout(timer);
          resolve(answer);
        } catch (error) {
          if (!answered) return;
          this.clock.clearTimeout(timer);
          reject(error);
        }
      };
      if (network === "up") apply(true);
      if (network === "reply-lost") apply(false);
      if (network === "late") this.#late.push(() => apply(true));
    });
  }

  /** What was under way arrives now. */
  arrive(): void {
    for (const apply of this.#late.splice(0)) apply();
  }

  stream(): Promise<void> {
    throw new Error("the elector needs no stream");
  }

  onReachable(): () => void {
    return () => {};
  }
}

/** Lets `ms` of real time pass for all replicas, in small steps; on paused ones nothing runs. */
export async function pass(replicas: readonly Replica[], ms: number, look: () => void = () => {}): Promise<void> {
  const stepMs = 50;
  for (let passed = 0; passed < ms; passed += stepMs) {
    for (const replica of replicas) {
      if (replica.paused) replica.clock.freeze(stepMs);
      else await replica.clock.advance(stepMs);
      await settle();
      look();
    }
  }
}

/** To call at every step: fails if one leads while a request of another, which led before, may still be under way. */
export function neverTwoAtOnce(replicas: readonly Replica[]): () => void {
  const ledUntilMs = new Map<Replica, number>();
  return () => {
    for (const replica of replicas) {
      if (!replica.elector.isLeader()) continue;
      const nowMs = replica.clock.monotonicMs();
      for (const [other, untilMs] of ledUntilMs) {
        // All clocks here run at one rate; only the last step may not have reached everyone yet.
        if (other !== replica) expect(nowMs + 50).toBeGreaterThanOrEqual(untilMs + 2_000);
      }
      ledUntilMs.set(replica, nowMs);
    }
  };
}

/** Starts their electors, one after the other: the first takes a free Lease. */
export async function start(...replicas: Replica[]): Promise<void> {
  for (const replica of replicas) {
    void replica.elector.start();
    await pass([replica], 50);
  }
}

/** Stops their electors, whatever state the test has left them in. */
export async function stopAll(...replicas: Replica[]): Promise<void> {
  for (const replica of replicas) {
    replica.paused = false;
    replica.network = "up";
    const stopped = replica.elector.stop();
    await pass([replica], 3_000);
    await stopped;
  }
}
