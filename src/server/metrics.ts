import { setImmediate } from "node:timers/promises";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { unitOf } from "../offers/quantity.ts";
import type { Quantities } from "../offers/resources.ts";
import type { ClusterView, EndedOffer, FrameworkView, QueueView } from "../offers/views.ts";
import { LabelCap } from "./label-cap.ts";
import { METRICS, type MetricDefinition, type MetricName } from "./metric-catalogue.ts";

/** What is read of the broker when somebody scrapes; the broker's own contract has all of it. */
export interface MetricViews {
  frameworks(): readonly string[];
  queues(): readonly string[];
  frameworkView(
    key: string,
    nowMs: number,
  ): Pick<FrameworkView, "dominantShare" | "counts" | "vainTurns" | "presence"> | undefined;
  queueView(
    name: string,
  ): Pick<QueueView, "allocated" | "offered" | "held" | "demand" | "dominantShare" | "fairnessError"> | undefined;
  clusterView(): ClusterView;
}

export interface MetricsOptions {
  readonly version: string;
  readonly nodeVersion: string;
  /** The broker, while this process leads. */
  readonly views: () => MetricViews | undefined;
  /** Wall-clock time. */
  readonly nowMs: () => number;
  /** Frameworks, and queues, that have series of their own. Default 200. */
  readonly maxNames?: number;
  /** Resources that have series of their own. Default 16. */
  readonly maxResources?: number;
  /** Also the metrics of the process and of Node.js. Default true. */
  readonly processMetrics?: boolean;
}

type LabelOf<N extends MetricName> = (typeof METRICS)[N]["labels"][number];
type Instrument<N extends MetricName> = (typeof METRICS)[N]["type"] extends "counter"
  ? Counter<LabelOf<N>>
  : (typeof METRICS)[N]["type"] extends "gauge"
    ? Gauge<LabelOf<N>>
    : Histogram<LabelOf<N>>;
type Instruments = { readonly [N in MetricName]: Instrument<N> };

/** Of what the program itself names: effects, lanes, verbs, kinds. Far more than there are. */
const ownNames = 64;
const viewsAtOnce = 16;
const ends = ["accepted", "refused", "declined", "rescinded", "expired"] as const;
const answered: ReadonlySet<string> = new Set(["accepted", "refused", "declined"]);
const queueGauges = {
  allocated: "proffer_queue_allocated",
  offered: "proffer_queue_offered",
  held: "proffer_queue_held",
  demand: "proffer_queue_demand",
} as const;
const clusterGauges = {
  allocatable: "proffer_cluster_allocatable",
  allocated: "proffer_cluster_allocated",
  offered: "proffer_cluster_offered",
  held: "proffer_cluster_held",
  free: "proffer_cluster_free",
  foreign: "proffer_cluster_foreign",
} as const;

/**
 * Everything Prometheus learns of the operator; the only file that knows prom-client. Events count as they happen; what the
 * broker holds is read when somebody scrapes. The number of series has a fixed bound.
 */
export class Metrics {
  readonly contentType: string;
  readonly #options: MetricsOptions;
  readonly #registry = new Registry();
  readonly #made: Instruments;
  readonly #frameworks: LabelCap;
  readonly #queues: LabelCap;
  readonly #own = new Map<string, LabelCap>();
  #leading = false;
  #scrape: Promise<string> | undefined;

  constructor(options: MetricsOptions) {
    const maxNames = options.maxNames ?? 200;
    this.#options = options;
    this.#frameworks = new LabelCap(maxNames);
    this.#queues = new LabelCap(maxNames);
    this.#made = makeAll(this.#registry);
    this.contentType = this.#registry.contentType;
    this.#made.proffer_build_info.set({ version: options.version, node_version: options.nodeVersion }, 1);
    if (options.processMetrics ?? true) {
      // The lag of the event loop is found by looking again and again: every 10 ms unless told otherwise, which was most of
      // what an idle operator did.
      collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: 100 });
    }
  }

  roundFinished(seconds: number): void {
    this.#made.proffer_rounds_total.inc();
    this.#made.proffer_round_duration_seconds.observe(seconds);
  }

  /** An effect was carried out or given up. */
  effect(type: string, outcome: string): void {
    this.#made.proffer_effects_total.inc({
      type: this.#ownName("type", type),
      outcome: this.#ownName("outcome", outcome),
    });
  }

  effectEnded(lane: string, seconds: number): void {
    this.#made.proffer_effect_duration_seconds.observe({ lane: this.#ownName("lane", lane) }, seconds);
  }

  /** One attempt of a request to the API server, as the transport reports it. */
  apiRequest(request: { verb: string; resource: string; code: string; seconds: number }): void {
    const verb = this.#ownName("verb", request.verb);
    const resource = this.#ownName("resource", request.resource);
    const code = this.#ownName("code", request.code);
    this.#made.proffer_api_requests_total.inc({ verb, resource, code });
    this.#made.proffer_api_request_duration_seconds.observe({ verb }, request.seconds);
  }

  queueDepth(lane: string, depth: number): void {
    this.#made.proffer_effect_queue_depth.set({ lane: this.#ownName("lane", lane) }, depth);
  }

  leader(leading: boolean): void {
    if (leading && !this.#leading) this.#made.proffer_leader_transitions_total.inc();
    this.#leading = leading;
    this.#made.proffer_is_leader.set(leading ? 1 : 0);
    // With the term, whatever waited to be carried out is dropped.
    if (!leading) this.#made.proffer_effect_queue_depth.reset();
  }

  doubted(doubt: string): void {
    this.#made.proffer_history_doubts_total.inc({ type: this.#ownName("type", doubt) });
  }

  offerEnded(offer: Pick<EndedOffer, "framework" | "phase" | "openMs">): void {
    const outcome = offer.phase.toLowerCase();
    this.#made.proffer_offers_total.inc({ framework: this.#frameworks.admit(offer.framework), outcome });
    const seconds = Math.max(0, offer.openMs) / 1_000;
    this.#made.proffer_offer_open_seconds.observe(seconds);
    if (answered.has(outcome)) this.#made.proffer_answer_latency_seconds.observe(seconds);
  }

  /** The text of a scrape; those who ask at the same time get the same. */
  scrape(): Promise<string> {
    this.#scrape ??= this.#read().finally(() => {
      this.#scrape = undefined;
    });
    return this.#scrape;
  }

  async #read(): Promise<string> {
    const views = this.#options.views();
    this.#forget();
    if (views !== undefined) {
      const names = this.#readCluster(views.clusterView());
      this.#readQueues(views, names);
      await this.#readFrameworks(views);
    }
    return this.#registry.metrics();
  }

  /** What is gone must not stay as it was last seen. */
  #forget(): void {
    const made = this.#made;
    for (const name of [...Object.values(clusterGauges), ...Object.values(queueGauges)]) made[name].reset();
    made.proffer_dominant_share.reset();
    made.proffer_fairness_error.reset();
    made.proffer_framework_dominant_share.reset();
    made.proffer_framework_vain_turns.reset();
    made.proffer_framework_kept_until_timestamp_seconds.reset();
    made.proffer_tasks.reset();
    made.proffer_nodes.reset();
    made.proffer_open_offers.reset();
    made.proffer_ledger_inconsistencies.reset();
    made.proffer_lost_races_total.reset();
    made.proffer_inverse_offers_total.reset();
    made.proffer_inverse_offers_ended_total.reset();
    made.proffer_evictions_total.reset();
    made.proffer_holds_passed_total.reset();
  }

  /** @returns the resources that have series, for this scrape */
  #readCluster(view: ClusterView): ReadonlySet<string> {
    const made = this.#made;
    const parts = Object.entries(clusterGauges) as [keyof typeof clusterGauges, MetricName][];
    const named = new Set<string>();
    for (const [part] of parts) for (const resource of Object.keys(view[part])) this.#nameResource(named, resource);
    for (const resource of named) {
      for (const [part] of parts) made[clusterGauges[part]].set({ resource }, baseUnits(resource, view[part]));
    }
    for (const state of ["open", "closed", "overfull"] as const) made.proffer_nodes.set({ state }, view.nodes[state]);
    made.proffer_open_offers.set(view.openOffers);
    made.proffer_ledger_inconsistencies.set(view.inconsistencies);
    made.proffer_lost_races_total.inc(view.lostRaces);
    made.proffer_inverse_offers_total.inc(view.inverseOffers);
    for (const outcome of ends)
      made.proffer_inverse_offers_ended_total.inc({ outcome }, view.inverseOfferEnds[outcome]);
    made.proffer_evictions_total.inc(view.evictions);
    made.proffer_holds_passed_total.inc(view.passedHolds);
    return named;
  }

  #readQueues(views: MetricViews, clusterResources: ReadonlySet<string>): void {
    const made = this.#made;
    const names = views.queues();
    // Wishes may name what no node has; the nodes' own resources come first.
    const resources = new Set(clusterResources);
    const [share, error] = [new Greatest(), new Greatest()];
    this.#queues.retain(names);
    for (const name of names) {
      const view = views.queueView(name);
      if (view === undefined) continue;
      const queue = this.#queues.admit(name);
      share.take(queue, view.dominantShare);
      error.take(queue, view.fairnessError);
      for (const resource of resourcesOf(view.allocated, view.offered, view.held, view.demand)) {
        if (!this.#nameResource(resources, resource)) continue;
        for (const [part, gauge] of Object.entries(queueGauges) as [keyof typeof queueGauges, MetricName][]) {
          made[gauge as (typeof queueGauges)[typeof part]].inc({ queue, resource }, baseUnits(resource, view[part]));
        }
      }
    }
    for (const [queue, value] of share.values) made.proffer_dominant_share.set({ queue }, value);
    for (const [queue, value] of error.values) made.proffer_fairness_error.set({ queue }, value);
  }

  async #readFrameworks(views: MetricViews): Promise<void> {
    const made = this.#made;
    const keys = views.frameworks();
    for (const framework of this.#frameworks.retain(keys)) {
      for (const outcome of ends) made.proffer_offers_total.remove({ framework, outcome });
    }
    const [share, vainTurns, endsEarliest] = [new Greatest(), new Greatest(), new Greatest()];
    for (const [i, key] of keys.entries()) {
      // Such a view goes over all tasks and nodes: let others have their turn.
      if (i % viewsAtOnce === 0) await setImmediate();
      const view = views.frameworkView(key, this.#options.nowMs());
      if (view === undefined) continue;
      const framework = this.#frameworks.admit(key);
      share.take(framework, view.dominantShare);
      vainTurns.take(framework, view.vainTurns);
      const { presence } = view;
      if (presence !== undefined && presence.state !== "connected") endsEarliest.take(framework, -presence.keptUntilMs);
      for (const [state, count] of Object.entries(view.counts)) made.proffer_tasks.inc({ framework, state }, count);
    }
    for (const [framework, value] of share.values) made.proffer_framework_dominant_share.set({ framework }, value);
    for (const [framework, value] of vainTurns.values) made.proffer_framework_vain_turns.set({ framework }, value);
    for (const [framework, value] of endsEarliest.values) {
      made.proffer_framework_kept_until_timestamp_seconds.set({ framework }, -value / 1_000);
    }
  }

  /** Sums of different resources mean nothing: what is past the bound is left out, not put together. */
  #nameResource(named: Set<string>, resource: string): boolean {
    if (named.has(resource)) return true;
    if (named.size >= (this.#options.maxResources ?? 16) || !/^[\x21-\x7e]{1,317}$/.test(resource)) return false;
    named.add(resource);
    return true;
  }

  #ownName(label: string, text: string): string {
    let cap = this.#own.get(label);
    if (cap === undefined) {
      cap = new LabelCap(ownNames);
      this.#own.set(label, cap);
    }
    return cap.admit(text);
  }
}

/** The greatest value seen for each label value. */
class Greatest {
  readonly values = new Map<string, number>();

  take(label: string, value: number): void {
    this.values.set(label, Math.max(value, this.values.get(label) ?? Number.NEGATIVE_INFINITY));
  }
}

function makeAll(registry: Registry): Instruments {
  const made = Object.entries(METRICS).map(([name, definition]) => [name, make(registry, name, definition)]);
  return Object.fromEntries(made) as Instruments;
}

function make(registry: Registry, name: string, { type, help, labels, buckets }: MetricDefinition) {
  const common = { name, help, labelNames: labels, registers: [registry] };
  if (type === "counter") return new Counter(common);
  if (type === "gauge") return new Gauge(common);
  return new Histogram({ ...common, ...(buckets === undefined ? {} : { buckets: [...buckets] }) });
}

function resourcesOf(...quantities: readonly Quantities[]): Set<string> {
  return new Set(quantities.flatMap((entries) => Object.keys(entries)));
}

/** Canonical units to what Prometheus counts in: millicores to cores, KiB to bytes. */
function baseUnits(resource: string, quantities: Quantities): number {
  const amount = quantities[resource] ?? 0;
  switch (unitOf(resource)) {
    case "milli":
      return amount / 1_000;
    case "kibi":
      return amount * 1_024;
    case "count":
      return amount;
  }
}
