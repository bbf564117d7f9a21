import type { FailoverFacts } from "../offers/program-facts.ts";
import type { Cluster } from "./cluster.ts";
import type { Random } from "./random.ts";
import type { Schedule } from "./schedule.ts";

const DURATION_MS = 6_000;
const RENEWAL_MS = 2_000;
const FAILOVERS: readonly FailoverFacts[] = [
  { timeoutMs: 0, policy: "Kill" },
  { timeoutMs: 8_000, policy: "Kill" },
  { timeoutMs: 25_000, policy: "Kill" },
  { timeoutMs: 8_000, policy: "Orphan" },
];

/** The programs of some Offers frameworks: they renew a Lease, die, and come back sooner or later. */
export class Programs {
  readonly #cluster: Cluster;
  readonly #schedule: Schedule;
  readonly #random: Random;
  readonly #dead = new Set<string>();
  /** Frameworks whose tasks somebody may have killed. */
  readonly #overdue = new Set<string>();
  #calm = false;

  constructor(cluster: Cluster, schedule: Schedule, random: Random) {
    this.#cluster = cluster;
    this.#schedule = schedule;
    this.#random = random;
  }

  begin(): void {
    for (const framework of [...this.#cluster.frameworks.values()]) {
      if (framework.scheduler !== "Offers" || this.#random.chance(0.5)) continue;
      this.#cluster.putFramework({ ...framework, failover: this.#random.pick(FAILOVERS)! });
      this.#renew(framework.key);
      this.#planDeath(framework.key);
    }
  }

  /** Nobody answers for the framework now. */
  isDead(framework: string): boolean {
    return this.#dead.has(framework);
  }

  /** Its program was away for so long that its tasks may have been killed. */
  wasOverdue(framework: string): boolean {
    return this.#overdue.has(framework);
  }

  /** All are there, and nobody misses them any more. */
  calm(): void {
    this.#calm = true;
    for (const { framework } of this.#cluster.leases.values()) this.#judge(framework);
    this.#dead.clear();
    for (const key of [...this.#cluster.leases.keys()]) this.#cluster.removeLease(key);
  }

  #renew(framework: string): void {
    if (this.#calm || this.#dead.has(framework)) return;
    this.#put(framework, false);
    this.#schedule.in(RENEWAL_MS, () => this.#renew(framework));
  }

  #put(framework: string, released: boolean): void {
    this.#judge(framework);
    const renewedAtMs = this.#schedule.nowMs;
    const durationMs = released ? 1_000 : DURATION_MS;
    this.#cluster.putLease({ key: framework, framework, renewedAtMs, durationMs, released });
  }

  #planDeath(framework: string): void {
    const random = this.#random;
    this.#schedule.in(random.between(1_000, 40_000), () => {
      if (this.#calm) return;
      this.#dead.add(framework);
      if (random.chance(0.3)) this.#put(framework, true);
      this.#schedule.in(random.between(500, 40_000), () => {
        if (this.#calm) return;
        this.#dead.delete(framework);
        this.#renew(framework);
        this.#planDeath(framework);
      });
    });
  }

  /** Before the Lease changes: how long it was missed. */
  #judge(framework: string): void {
    const lease = this.#cluster.leases.get(framework);
    const failover = this.#cluster.frameworks.get(framework)?.failover ?? FAILOVERS[0]!;
    if (lease === undefined || failover.policy !== "Kill") return;
    const endMs = lease.renewedAtMs + (lease.released ? 0 : lease.durationMs);
    if (endMs + failover.timeoutMs <= this.#schedule.nowMs) this.#overdue.add(framework);
  }
}
