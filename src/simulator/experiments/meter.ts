import type { Quantities } from "../../offers/resources.ts";
import { fairnessError } from "./fair-share.ts";
import type { Site } from "./site.ts";
import type { Work } from "./work.ts";

const EVERY_MS = 1_000;

/** What was seen in one second. Parts of the whole cluster, 0 to 1. */
export interface Reading {
  readonly atMs: number;
  /** What works: neither offers nor places held for a gang count. */
  readonly cpu: number;
  readonly memory: number;
  readonly fairnessError: number;
}

/** Looks at a site once a second of virtual time, for as long as there is work. */
export class Meter {
  readonly readings: Reading[] = [];
  readonly #site: Site;
  readonly #work: Work;
  readonly #tenants: readonly string[];
  readonly #total: Quantities;

  constructor(site: Site, work: Work, tenants: readonly string[]) {
    this.#site = site;
    this.#work = work;
    this.#tenants = tenants;
    const sum = (name: string) => site.nodes.reduce((all, { allocatable }) => all + (allocatable[name] ?? 0), 0);
    this.#total = { cpu: sum("cpu"), memory: sum("memory") };
    this.#plan();
  }

  #plan(): void {
    this.#site.schedule.in(EVERY_MS, () => {
      this.#read();
      if (!this.#work.done) this.#plan();
    });
  }

  #read(): void {
    const working = { cpu: 0, memory: 0 };
    const held = new Map(this.#tenants.map((tenant) => [tenant, { cpu: 0, memory: 0 }]));
    const wanted = new Map(this.#tenants.map((tenant) => [tenant, { cpu: 0, memory: 0 }]));
    for (const { record, stage, placed, waiting } of this.#work.running.values()) {
      const { tenant } = record.job;
      grow(held.get(tenant)!, stage.requests, placed.size);
      grow(wanted.get(tenant)!, stage.requests, placed.size + waiting);
      // A rigid stage works as a whole or not at all.
      if (stage.rigid !== true || waiting === 0) grow(working, stage.requests, placed.size);
    }
    const demands = this.#tenants.map((tenant) => ({ held: held.get(tenant)!, wanted: wanted.get(tenant)! }));
    this.readings.push({
      atMs: this.#site.nowMs,
      cpu: working.cpu / this.#total.cpu!,
      memory: working.memory / this.#total.memory!,
      fairnessError: fairnessError(demands, this.#total),
    });
  }
}

function grow(sum: { cpu: number; memory: number }, { cpu = 0, memory = 0 }: Quantities, times: number): void {
  sum.cpu += times * cpu;
  sum.memory += times * memory;
}
