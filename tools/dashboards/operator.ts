import { type DashboardShape, OURS, quantiles } from "./parts.ts";

const rate = (metric: string, by: string, more = "") =>
  `sum by (${by}) (rate(${metric}{${OURS}${more}}[$__rate_interval]))`;
const ERRORS = ',code=~"5..|401|429|network|timeout|credentials"';

/** For those who run Proffer: leadership, rounds, writes, the API server, the process. */
export const operator: DashboardShape = {
  name: "operator",
  title: "Operator",
  about: "Does the operator keep up, and if not, where does it wait? By pod where pods differ.",
  rows: [
    {
      title: "Leadership",
      panels: [
        {
          kind: "graph",
          title: "Leader",
          about: "1 for the pod that leads.",
          unit: "none",
          queries: [["{{pod}}", `proffer_is_leader{${OURS}}`]],
        },
        {
          kind: "graph",
          title: "Leadership won",
          about: "How often, in an hour. More than three times is an alert.",
          unit: "none",
          queries: [["{{pod}}", `sum by (pod) (increase(proffer_leader_transitions_total{${OURS}}[1h]))`]],
        },
        {
          kind: "table",
          title: "Versions",
          about: "What runs, and since when.",
          unit: "dtdurations",
          queries: [
            ["Running for", `sum by (pod) (time() - process_start_time_seconds{${OURS}})`],
            ["", `sum by (pod, version, node_version) (proffer_build_info{${OURS}})`],
          ],
        },
      ],
    },
    {
      title: "Deciding",
      panels: [
        {
          kind: "graph",
          title: "Rounds",
          about: "Rounds a second.",
          unit: "ops",
          queries: [["rounds", `sum(rate(proffer_rounds_total{${OURS}}[$__rate_interval]))`]],
        },
        {
          kind: "graph",
          title: "Time of a round",
          about: "The process does nothing else meanwhile.",
          unit: "s",
          queries: [0.5, 0.9, 0.99].map((quantile) => quantiles("proffer_round_duration_seconds", quantile)),
        },
        {
          kind: "graph",
          title: "Life of offers",
          about: "From the publication to the end, whatever the end.",
          unit: "s",
          queries: [0.5, 0.9, 0.99].map((quantile) => quantiles("proffer_offer_open_seconds", quantile)),
        },
        {
          kind: "stat",
          title: "Wrong claims",
          about: "Anything but 0 is a bug: please report it.",
          unit: "none",
          queries: [["claims", `max(proffer_ledger_inconsistencies{${OURS}})`]],
        },
      ],
    },
    {
      title: "Writing",
      panels: [
        {
          kind: "graph",
          title: "Effects by type",
          about: "Decisions carried out a second.",
          unit: "ops",
          stacked: true,
          queries: [["{{type}}", rate("proffer_effects_total", "type")]],
        },
        {
          kind: "graph",
          title: "Effects by outcome",
          about: "Retried ones failed and are tried again; refused ones the API server refuses for good.",
          unit: "ops",
          queries: [["{{outcome}}", rate("proffer_effects_total", "outcome")]],
        },
        {
          kind: "graph",
          title: "From decision to write",
          about: "99th percentile by lane.",
          unit: "s",
          queries: [quantiles("proffer_effect_duration_seconds", 0.99, "lane")],
        },
        {
          kind: "graph",
          title: "Waiting to be written",
          about: "Decisions in line, by lane.",
          unit: "short",
          queries: [["{{lane}}", `sum by (lane) (proffer_effect_queue_depth{${OURS}})`]],
        },
      ],
    },
    {
      title: "The API server",
      panels: [
        {
          kind: "graph",
          title: "Requests by verb",
          about: "Requests a second, each attempt counted.",
          unit: "reqps",
          stacked: true,
          queries: [["{{verb}}", rate("proffer_api_requests_total", "verb")]],
        },
        {
          kind: "graph",
          title: "Requests by answer",
          about: "HTTP status, or why there was none. 404 and 409 are part of the work.",
          unit: "reqps",
          stacked: true,
          queries: [["{{code}}", rate("proffer_api_requests_total", "code")]],
        },
        {
          kind: "graph",
          title: "Errors",
          about: "The part of requests that failed; more than 5 % for ten minutes is an alert.",
          unit: "percentunit",
          queries: [
            [
              "errors",
              `(sum(rate(proffer_api_requests_total{${OURS}${ERRORS}}[$__rate_interval])) or vector(0)) / sum(rate(proffer_api_requests_total{${OURS}}[$__rate_interval]))`,
            ],
          ],
        },
        {
          kind: "graph",
          title: "Time of a request",
          about: "99th percentile by verb; a watch counts until it begins.",
          unit: "s",
          queries: [quantiles("proffer_api_request_duration_seconds", 0.99, "verb")],
        },
      ],
    },
    {
      title: "The process",
      panels: [
        {
          kind: "graph",
          title: "CPU",
          about: "Cores. It decides on one; more than two do not help.",
          unit: "none",
          queries: [["{{pod}}", rate("process_cpu_seconds_total", "pod")]],
        },
        {
          kind: "graph",
          title: "Memory",
          about: "Resident, and JavaScript's heap.",
          unit: "bytes",
          queries: [
            ["{{pod}} resident", `process_resident_memory_bytes{${OURS}}`],
            ["{{pod}} heap", `nodejs_heap_size_used_bytes{${OURS}}`],
          ],
        },
        {
          kind: "graph",
          title: "Lag of the event loop",
          about: "99th percentile. Beyond a second the lease is in danger.",
          unit: "s",
          queries: [["{{pod}}", `nodejs_eventloop_lag_p99_seconds{${OURS}}`]],
        },
        {
          kind: "graph",
          title: "Garbage collection",
          about: "Seconds a second that are spent on it.",
          unit: "percentunit",
          queries: [["{{pod}} {{kind}}", rate("nodejs_gc_duration_seconds_sum", "pod, kind")]],
        },
      ],
    },
  ],
};
