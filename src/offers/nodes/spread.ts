import { Bitset } from "../structures/bitset.ts";
import type { Spread } from "./constraints.ts";
import type { NodeTable } from "./nodes.ts";

/**
 * Counts instances by domain (value of one node label), for all who are spread over that label together: the instances
 * of a Task, or those of all Tasks of a framework that name it, whatever else constrains each of them.
 */
export class SpreadCounts {
  readonly topologyKey: string;
  /** By domain: instances that live, and those that open offers were drafted for. */
  readonly #counts = new Map<string, number>();
  /** By domain: those that are only offered. */
  readonly #offered = new Map<string, number>();
  /** Instance -> the domain it was counted in: labels may change under it. */
  readonly #members = new Map<string, { readonly domain: string; readonly offered: boolean }>();
  readonly #groups = new Set<SpreadGroup>();
  readonly #nodes: NodeTable;

  constructor(topologyKey: string, nodes: NodeTable) {
    this.topologyKey = topologyKey;
    this.#nodes = nodes;
  }

  /** This one is told of every change. */
  attach(group: SpreadGroup): void {
    this.#groups.add(group);
  }

  detach(group: SpreadGroup): void {
    this.#groups.delete(group);
  }

  /** Nobody looks at it. */
  get idle(): boolean {
    return this.#groups.size === 0;
  }

  /** The instance is (or is offered to be) on the node now. A node without the label counts nowhere. */
  join(id: string, node: number, offered = false): void {
    this.leave(id);
    const domain = this.domainOf(node);
    if (domain === undefined) return;
    this.#members.set(id, { domain, offered });
    if (offered) this.#offered.set(domain, this.#offeredIn(domain) + 1);
    const before = this.in(domain);
    this.#counts.set(domain, before + 1);
    for (const group of this.#groups) group.joined(domain, before);
  }

  /** The instance has ended, or the offer has. */
  leave(id: string): void {
    const member = this.#members.get(id);
    if (member === undefined) return;
    this.#members.delete(id);
    decrement(this.#counts, member.domain);
    if (member.offered) decrement(this.#offered, member.domain);
    for (const group of this.#groups) group.stale();
  }

  /** Instances in a domain: living and offered. */
  in(domain: string): number {
    return this.#counts.get(domain) ?? 0;
  }

  livingIn(domain: string): number {
    return this.in(domain) - this.#offeredIn(domain);
  }

  domainOf(node: number): string | undefined {
    return this.#nodes.entries[node]?.facts?.labels[this.topologyKey];
  }

  #offeredIn(domain: string): number {
    return this.#offered.get(domain) ?? 0;
  }
}

/**
 * One spread constraint, as it holds for those with the same other constraints: the nodes it allows are those in whose
 * domain one more keeps `count + 1 − min ≤ maxSkew`, min over the domains that have an admitted node (Kubernetes'
 * topologySpreadConstraints with DoNotSchedule).
 */
export class SpreadGroup {
  readonly constraint: Spread;
  readonly counts: SpreadCounts;
  readonly #admits: Bitset;
  readonly #allowed = new Bitset();
  #domains = new Map<string, number[]>();
  #min = 0;
  /** Domains whose count is the minimum. */
  #atMin = 0;
  #stale = true;

  constructor(constraint: Spread, counts: SpreadCounts, admits: Bitset) {
    this.constraint = constraint;
    this.counts = counts;
    this.#admits = admits;
    counts.attach(this);
  }

  /** Nodes, what they are, or counts have changed. */
  stale(): void {
    this.#stale = true;
  }

  /** Nodes in domains that may take one more. */
  get allowed(): Bitset {
    if (this.#stale) this.#rebuild();
    return this.#allowed;
  }

  /** A domain has one more than `before`. */
  joined(domain: string, before: number): void {
    const nodes = this.#domains.get(domain);
    if (this.#stale || nodes === undefined) return;
    if (before === this.#min && --this.#atMin === 0) this.#stale = true;
    else if (before + 2 - this.#min > this.constraint.maxSkew) for (const node of nodes) this.#allowed.delete(node);
  }

  /** Could one live on `node`, where `all` are the nodes of everything that is to live besides, itself among them? */
  admits(node: number, all: readonly number[]): boolean {
    if (this.#stale) this.#rebuild();
    const more = new Map<string, number>();
    for (const other of all) {
      const domain = this.counts.domainOf(other);
      if (domain !== undefined) more.set(domain, (more.get(domain) ?? 0) + 1);
    }
    const own = this.counts.domainOf(node);
    if (own === undefined) return false;
    const count = (domain: string) => this.counts.livingIn(domain) + (more.get(domain) ?? 0);
    const least = Math.min(...[...this.#domains.keys()].map(count));
    return count(own) - least <= this.constraint.maxSkew;
  }

  /** "zone-a 3, zone-b 2": for people; at most eight domains. */
  describe(): string {
    if (this.#stale) this.#rebuild();
    return [...this.#domains.keys()]
      .sort()
      .slice(0, 8)
      .map((domain) => `${domain} ${this.counts.livingIn(domain)}`)
      .join(", ");
  }

  #rebuild(): void {
    this.#stale = false;
    this.#domains = new Map();
    for (const i of this.#admits) {
      const domain = this.counts.domainOf(i);
      if (domain === undefined) continue;
      const nodes = this.#domains.get(domain);
      if (nodes === undefined) this.#domains.set(domain, [i]);
      else nodes.push(i);
    }
    this.#min = Number.POSITIVE_INFINITY;
    for (const domain of this.#domains.keys()) this.#min = Math.min(this.#min, this.counts.in(domain));
    this.#atMin = 0;
    this.#allowed.clear();
    for (const [domain, nodes] of this.#domains) {
      const count = this.counts.in(domain);
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
