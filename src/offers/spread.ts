import { Bitset } from "./bitset.ts";
import type { Spread } from "./constraints.ts";
import type { NodeTable } from "./nodes.ts";

/**
 * The instances that one spread constraint counts, by domain (value of the node label), and the nodes it allows:
 * those in whose domain one more keeps `count + 1 − min ≤ maxSkew`, min over the domains that have an admitted node
 * (Kubernetes' topologySpreadConstraints with DoNotSchedule).
 */
export class SpreadGroup {
  readonly constraint: Spread;
  readonly #counts = new Map<string, number>();
  /** Instance -> the domain it was counted in: labels may change under it. */
  readonly #members = new Map<string, string>();
  readonly #admits: Bitset;
  readonly #nodes: NodeTable;
  readonly #allowed = new Bitset();
  #domains = new Map<string, number[]>();
  #min = 0;
  /** Domains whose count is the minimum. */
  #atMin = 0;
  #stale = true;

  constructor(constraint: Spread, admits: Bitset, nodes: NodeTable) {
    this.constraint = constraint;
    this.#admits = admits;
    this.#nodes = nodes;
  }

  /** Nodes or what they are have changed. */
  stale(): void {
    this.#stale = true;
  }

  /** Nodes in domains that may take one more. */
  get allowed(): Bitset {
    if (this.#stale) this.#rebuild();
    return this.#allowed;
  }

  /** The instance is on the node now. A node without the label counts nowhere. */
  join(id: string, node: number): void {
    this.leave(id);
    const domain = this.#nodes.entries[node]?.facts?.labels[this.constraint.topologyKey];
    if (domain === undefined) return;
    this.#members.set(id, domain);
    const before = this.#counts.get(domain) ?? 0;
    this.#counts.set(domain, before + 1);
    if (this.#stale) return;
    if (before === this.#min && --this.#atMin === 0) this.#stale = true;
    else if (before + 2 - this.#min > this.constraint.maxSkew) {
      for (const i of this.#domains.get(domain) ?? []) this.#allowed.delete(i);
    }
  }

  /** The instance has ended. */
  leave(id: string): void {
    const domain = this.#members.get(id);
    if (domain === undefined) return;
    this.#members.delete(id);
    const left = this.#counts.get(domain)! - 1;
    if (left === 0) this.#counts.delete(domain);
    else this.#counts.set(domain, left);
    this.#stale = true;
  }

  /** "zone-a 3, zone-b 2": for people; at most eight domains. */
  describe(): string {
    if (this.#stale) this.#rebuild();
    return [...this.#domains.keys()]
      .sort()
      .slice(0, 8)
      .map((domain) => `${domain} ${this.#counts.get(domain) ?? 0}`)
      .join(", ");
  }

  #rebuild(): void {
    this.#stale = false;
    this.#domains = new Map();
    for (const i of this.#admits) {
      const domain = this.#nodes.entries[i]?.facts?.labels[this.constraint.topologyKey];
      if (domain === undefined) continue;
      const nodes = this.#domains.get(domain);
      if (nodes === undefined) this.#domains.set(domain, [i]);
      else nodes.push(i);
    }
    this.#min = Number.POSITIVE_INFINITY;
    for (const domain of this.#domains.keys()) this.#min = Math.min(this.#min, this.#counts.get(domain) ?? 0);
    this.#atMin = 0;
    this.#allowed.clear();
    for (const [domain, nodes] of this.#domains) {
      const count = this.#counts.get(domain) ?? 0;
      if (count === this.#min) this.#atMin++;
      if (count + 1 - this.#min <= this.constraint.maxSkew) for (const i of nodes) this.#allowed.add(i);
    }
  }
}
