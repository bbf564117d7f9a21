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
  /** By domain: instances that live, and those that open offers were drafted for. */
  readonly #counts = new Map<string, number>();
  /** By domain: those that are only offered. */
  readonly #offered = new Map<string, number>();
  /** Instance -> the domain it was counted in: labels may change under it. */
  readonly #members = new Map<string, { readonly domain: string; readonly offered: boolean }>();
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

  /** The instance is (or is offered to be) on the node now. A node without the label counts nowhere. */
  join(id: string, node: number, offered = false): void {
    this.leave(id);
    const domain = this.#domainOf(node);
    if (domain === undefined) return;
    this.#members.set(id, { domain, offered });
    if (offered) this.#offered.set(domain, (this.#offered.get(domain) ?? 0) + 1);
    const before = this.#counts.get(domain) ?? 0;
    this.#counts.set(domain, before + 1);
    if (this.#stale) return;
    if (before === this.#min && --this.#atMin === 0) this.#stale = true;
    else if (before + 2 - this.#min > this.constraint.maxSkew) {
      for (const i of this.#domains.get(domain) ?? []) this.#allowed.delete(i);
    }
  }

  /** The instance has ended, or the offer has. */
  leave(id: string): void {
    const member = this.#members.get(id);
    if (member === undefined) return;
    this.#members.delete(id);
    decrement(this.#counts, member.domain);
    if (member.offered) decrement(this.#offered, member.domain);
    this.#stale = true;
  }

  /** Would the live instances still be spread evenly with these more, one for each node? */
  admits(nodes: readonly number[]): boolean {
    if (this.#stale) this.#rebuild();
    const more = new Map<string, number>();
    for (const node of nodes) {
      const domain = this.#domainOf(node);
      if (domain === undefined) return false;
      more.set(domain, (more.get(domain) ?? 0) + 1);
    }
    const count = (domain: string) => this.#living(domain) + (more.get(domain) ?? 0);
    const least = Math.min(...[...this.#domains.keys()].map(count));
    return [...more.keys()].every((domain) => count(domain) - least <= this.constraint.maxSkew);
  }

  /** "zone-a 3, zone-b 2": for people; at most eight domains. */
  describe(): string {
    if (this.#stale) this.#rebuild();
    return [...this.#domains.keys()]
      .sort()
      .slice(0, 8)
      .map((domain) => `${domain} ${this.#living(domain)}`)
      .join(", ");
  }

  #living(domain: string): number {
    return (this.#counts.get(domain) ?? 0) - (this.#offered.get(domain) ?? 0);
  }

  #domainOf(node: number): string | undefined {
    return this.#nodes.entries[node]?.facts?.labels[this.constraint.topologyKey];
  }

  #rebuild(): void {
    this.#stale = false;
    this.#domains = new Map();
    for (const i of this.#admits) {
      const domain = this.#domainOf(i);
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

function decrement(counts: Map<string, number>, domain: string): void {
  const left = counts.get(domain)! - 1;
  if (left === 0) counts.delete(domain);
  else counts.set(domain, left);
}
