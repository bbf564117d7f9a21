import { type DashboardShape, OURS, type PanelShape, quantiles } from "./parts.ts";

const part = (what: string) =>
  `max by (resource) (proffer_cluster_${what}{${OURS},resource=~"$resource"}) / max by (resource) (proffer_cluster_allocatable{${OURS},resource=~"$resource"})`;
const WHERE = ["allocated", "offered", "held", "foreign", "free"] as const;

const count = (title: string, about: string, expr: string): PanelShape => ({
  kind: "stat",
  title,
  about,
  unit: "none",
  queries: [[title, expr]],
});

/** For everybody: is it well, how full is the cluster, and who has it? */
export const overview: DashboardShape = {
  name: "overview",
  title: "Overview",
  about: "Is Proffer well, how full is the cluster, and what becomes of offers and tasks?",
  variables: [
    {
      name: "resource",
      label: "Resource",
      query: 'label_values(proffer_cluster_allocatable{namespace="$namespace",job="$job"}, resource)',
      multi: true,
    },
  ],
  rows: [
    {
      title: "Now",
      panels: [
        count("Leaders", "Exactly one is right.", `sum(proffer_is_leader{${OURS}})`),
        count("Operators", "Pods that answer scrapes.", `sum(up{${OURS}})`),
        count("Nodes open", "Nodes that new tasks may go to.", `sum(proffer_nodes{${OURS},state="open"})`),
        count("Running", "Task instances that run.", `sum(proffer_tasks{${OURS},state="running"})`),
        count("Pending", "Task instances that wait.", `sum(proffer_tasks{${OURS},state="pending"})`),
        count("Open offers", "Offers that wait for an answer.", `sum(proffer_open_offers{${OURS}})`),
      ],
    },
    {
      title: "The cluster",
      panels: [
        {
          kind: "graph",
          title: "Where $resource is",
          about:
            "Parts of what the nodes have: of Proffer's tasks, in open offers, held for what waits, of other pods, free. What is missing to 100 % is on nodes that are closed.",
          unit: "percentunit",
          stacked: true,
          repeat: "resource",
          queries: WHERE.map((what) => [what, part(what)]),
        },
      ],
    },
    {
      title: "Tasks and offers",
      panels: [
        {
          kind: "graph",
          title: "Instances by state",
          about: "Instances of the tasks that exist.",
          unit: "short",
          stacked: true,
          queries: [["{{state}}", `sum by (state) (proffer_tasks{${OURS}})`]],
        },
        {
          kind: "graph",
          title: "Launches",
          about: "Pods created a second.",
          unit: "ops",
          queries: [
            [
              "launches",
              `sum(rate(proffer_effects_total{${OURS},type="create-pod",outcome="done"}[$__rate_interval]))`,
            ],
          ],
        },
        {
          kind: "graph",
          title: "Offers that end",
          about: "Offers a second, by what became of them. Expired ones were idle for nothing.",
          unit: "ops",
          stacked: true,
          queries: [["{{outcome}}", `sum by (outcome) (rate(proffer_offers_total{${OURS}}[$__rate_interval]))`]],
        },
      ],
    },
    {
      title: "Speed",
      panels: [
        {
          kind: "graph",
          title: "Launches written within a second",
          about: "The part of launches that is written within a second of the decision; the objective is 99 %.",
          unit: "percentunit",
          queries: [
            [
              "in time",
              String.raw`sum(rate(proffer_effect_duration_seconds_bucket{${OURS},lane="launch",le=~"1(\\.0)?"}[$__rate_interval])) / sum(rate(proffer_effect_duration_seconds_count{${OURS},lane="launch"}[$__rate_interval]))`,
            ],
          ],
        },
        {
          kind: "graph",
          title: "From decision to write",
          about: "99th percentile by lane: launches, ends of offers, statuses. Statuses are gathered on purpose.",
          unit: "s",
          queries: [quantiles("proffer_effect_duration_seconds", 0.99, "lane")],
        },
        {
          kind: "graph",
          title: "Answers of frameworks",
          about: "How long frameworks take to answer an offer. What they hold is idle meanwhile.",
          unit: "s",
          queries: [0.5, 0.9, 0.99].map((quantile) => quantiles("proffer_answer_latency_seconds", quantile)),
        },
      ],
    },
  ],
};
