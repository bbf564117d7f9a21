/** Every metric of the operator's own: `metrics.ts` makes them, the reference is generated from here. */

export interface MetricDefinition {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: readonly Label[];
  /** What one unit of the value is. */
  readonly unit: string;
  /** Upper bounds of a histogram's buckets. */
  readonly buckets?: readonly number[];
}

/** Every label, and what its values are. None is the name of an offer, a task or a node: their number has no bound. */
export const LABELS = {
  framework: "The framework as `namespace/name`. At most 200 of them; those after that are `other` together.",
  queue: "The queue's name. At most 200 of them; those after that are `other` together.",
  resource:
    "The resource: `cpu`, `memory`, `nvidia.com/gpu`, … At most 16 of them, the nodes' own first; those after that are left out. " +
    "In `proffer_api_requests_total`: the kind of object in the request's path, such as `pods` or `tasks/status`.",
  outcome:
    "Of offers, inverse ones included: `accepted`, `refused` (answered, but the answer was refused), `declined`, `rescinded` or `expired`. Of effects: " +
    "`done`, `refused` (by the API server, for good), `retried` (failed, and will be tried again) or `dropped` (the term ended first).",
  type: "The kind of effect: `publish-offer`, `create-pod`, `task-changed`, …",
  verb: "The kind of request: `get`, `list`, `watch`, `create`, `patch`, …",
  code: "The HTTP status, or why there was none: `network`, `timeout`, `aborted`, `fenced`, `credentials`.",
  lane: "Where effects wait: `launch` (pods and new offers), `close` (ends of offers) or `status`.",
  state:
    "Of task instances: `pending`, `staging`, `starting`, `running`, `unreachable`, `finished`, `failed`, `killed`, `lost`. Of " +
    "nodes: `open` or `closed` (not ready, cordoned, not selected, settling, …); `overfull` counts those among them that hold more than " +
    "they have, which get nothing new either.",
  version: "The operator's version.",
  node_version: "The version of Node.js.",
} as const;

export type Label = keyof typeof LABELS;

const secondsOfOffers = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600];
const byResource = "cores, bytes or counts, by resource";

export const METRICS = {
  proffer_offers_total: {
    type: "counter",
    help: "Offers that ended, by framework and by what became of them.",
    labels: ["framework", "outcome"],
    unit: "offers",
  },
  proffer_offer_open_seconds: {
    type: "histogram",
    help: "Time from the publication of an offer to its end, whatever the end.",
    labels: [],
    unit: "seconds",
    buckets: secondsOfOffers,
  },
  proffer_answer_latency_seconds: {
    type: "histogram",
    help: "Time from the publication of an offer to the answer, for offers that were answered.",
    labels: [],
    unit: "seconds",
    buckets: secondsOfOffers,
  },
  proffer_open_offers: {
    type: "gauge",
    help: "Offers that are open now.",
    labels: [],
    unit: "offers",
  },
  proffer_lost_races_total: {
    type: "counter",
    help: "Launches on optimistic offers that were refused because the room was taken first. Begins anew with each term.",
    labels: [],
    unit: "launches",
  },
  proffer_inverse_offers_total: {
    type: "counter",
    help: "Inverse offers made: requests to give back what a queue has borrowed. Begins anew with each term.",
    labels: [],
    unit: "offers",
  },
  proffer_inverse_offers_ended_total: {
    type: "counter",
    help: "Inverse offers that ended, by what became of them. Begins anew with each term.",
    labels: ["outcome"],
    unit: "offers",
  },
  proffer_evictions_total: {
    type: "counter",
    help: "Instances ended to give their room back for another queue's guarantee. Begins anew with each term.",
    labels: [],
    unit: "instances",
  },
  proffer_holds_passed_total: {
    type: "counter",
    help: "Times that room was held in vain for what waits long, and the turn passed on. Begins anew with each term.",
    labels: [],
    unit: "turns",
  },
  proffer_framework_vain_turns: {
    type: "gauge",
    help: "Of what waits of the framework: how often room was held for it in vain, at most. `other`: the greatest of them.",
    labels: ["framework"],
    unit: "turns",
  },
  proffer_framework_kept_until_timestamp_seconds: {
    type: "gauge",
    help: "Until when the tasks of a framework whose program is away are kept for it. Absent while it is there. `other`: the earliest of them.",
    labels: ["framework"],
    unit: "seconds since 1970",
  },
  proffer_queue_allocated: {
    type: "gauge",
    help: "What running tasks of the queue and its children hold.",
    labels: ["queue", "resource"],
    unit: byResource,
  },
  proffer_queue_offered: {
    type: "gauge",
    help: "What open exclusive offers of the queue and its children hold.",
    labels: ["queue", "resource"],
    unit: byResource,
  },
  proffer_queue_held: {
    type: "gauge",
    help: "What is held for instances of the queue and its children that wait: room that is taken back, or gathers, for them.",
    labels: ["queue", "resource"],
    unit: byResource,
  },
  proffer_queue_demand: {
    type: "gauge",
    help: "What pending tasks and stated demand of the queue and its children ask for.",
    labels: ["queue", "resource"],
    unit: byResource,
  },
  proffer_dominant_share: {
    type: "gauge",
    help: "The queue's dominant share: the greatest part of any one resource of the cluster that it holds. `other`: the greatest of them.",
    labels: ["queue"],
    unit: "ratio, 0 to 1",
  },
  proffer_framework_dominant_share: {
    type: "gauge",
    help: "The framework's dominant share in its first queue, divided by its weight. `other`: the greatest of them.",
    labels: ["framework"],
    unit: "ratio",
  },
  proffer_fairness_error: {
    type: "gauge",
    help: "How far the queue's dominant share is from its fair share among the siblings with demand. `other`: the greatest of them.",
    labels: ["queue"],
    unit: "ratio, 0 to 1",
  },
  proffer_cluster_allocatable: {
    type: "gauge",
    help: "What the nodes have in all that Proffer may place on.",
    labels: ["resource"],
    unit: byResource,
  },
  proffer_cluster_allocated: {
    type: "gauge",
    help: "What Proffer's tasks hold.",
    labels: ["resource"],
    unit: byResource,
  },
  proffer_cluster_offered: {
    type: "gauge",
    help: "What open exclusive offers hold.",
    labels: ["resource"],
    unit: byResource,
  },
  proffer_cluster_held: {
    type: "gauge",
    help: "What is held for instances that wait: room that is taken back, or gathers, for them.",
    labels: ["resource"],
    unit: byResource,
  },
  proffer_cluster_free: {
    type: "gauge",
    help: "What nobody holds, on nodes that are open and not over-full.",
    labels: ["resource"],
    unit: byResource,
  },
  proffer_cluster_foreign: {
    type: "gauge",
    help: "What pods hold that are not Proffer's.",
    labels: ["resource"],
    unit: byResource,
  },
  proffer_tasks: {
    type: "gauge",
    help: "Instances of the tasks that exist, by state.",
    labels: ["framework", "state"],
    unit: "instances",
  },
  proffer_nodes: {
    type: "gauge",
    help: "Nodes, by whether anything new may go there.",
    labels: ["state"],
    unit: "nodes",
  },
  proffer_rounds_total: {
    type: "counter",
    help: "Rounds of deciding what to offer and launch.",
    labels: [],
    unit: "rounds",
  },
  proffer_round_duration_seconds: {
    type: "histogram",
    help: "Time that a round took.",
    labels: [],
    unit: "seconds",
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
  },
  proffer_effects_total: {
    type: "counter",
    help: "Decisions carried out, by kind and by what the write came to.",
    labels: ["type", "outcome"],
    unit: "effects",
  },
  proffer_effect_duration_seconds: {
    type: "histogram",
    help: "Time from a decision to its having been carried out or refused for good, with all waiting and repeating in between.",
    labels: ["lane"],
    unit: "seconds",
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  },
  proffer_effect_queue_depth: {
    type: "gauge",
    help: "Decisions that wait to be carried out.",
    labels: ["lane"],
    unit: "effects",
  },
  proffer_api_requests_total: {
    type: "counter",
    help: "Requests to the API server, each attempt counted.",
    labels: ["verb", "resource", "code"],
    unit: "requests",
  },
  proffer_api_request_duration_seconds: {
    type: "histogram",
    help: "Time that a request to the API server took.",
    labels: ["verb"],
    unit: "seconds",
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
  proffer_ledger_inconsistencies: {
    type: "gauge",
    help: "Claims that a count from scratch would count otherwise. Anything but 0 is a bug: please report it.",
    labels: [],
    unit: "claims",
  },
  proffer_is_leader: {
    type: "gauge",
    help: "1 if this process leads, 0 if it stands by.",
    labels: [],
    unit: "boolean",
  },
  proffer_leader_transitions_total: {
    type: "counter",
    help: "How often this process became the leader.",
    labels: [],
    unit: "transitions",
  },
  proffer_history_doubts_total: {
    type: "counter",
    help: "How often everything was read again because etcd went back to a backup (restored) or may have (recreated, unseen).",
    labels: ["type"],
    unit: "doubts",
  },
  proffer_build_info: {
    type: "gauge",
    help: "Always 1; the labels say what runs.",
    labels: ["version", "node_version"],
    unit: "none",
  },
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof METRICS;
