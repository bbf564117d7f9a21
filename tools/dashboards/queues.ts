import { type DashboardShape, OURS } from "./parts.ts";

const QUEUES = `${OURS},queue=~"$queue"`;
const FRAMEWORKS = `${OURS},framework=~"$framework"`;
/** Of the cluster's allocatable, by queue and resource. */
const part = (what: string) =>
  `max by (queue, resource) (proffer_queue_${what}{${QUEUES},resource=~"$resource"}) / on (resource) group_left () max by (resource) (proffer_cluster_allocatable{${OURS},resource=~"$resource"})`;

/** For administrators of queues and for tenants: who holds, wants and gets what? */
export const queues: DashboardShape = {
  name: "queues",
  title: "Queues and frameworks",
  about: "Who holds how much, who wants more, and is it fair? Queues contain their children.",
  variables: [
    {
      name: "queue",
      label: "Queue",
      query: 'label_values(proffer_dominant_share{namespace="$namespace",job="$job"}, queue)',
      multi: true,
    },
    {
      name: "framework",
      label: "Framework",
      query: 'label_values(proffer_framework_dominant_share{namespace="$namespace",job="$job"}, framework)',
      multi: true,
    },
    {
      name: "resource",
      label: "Resource",
      query: 'label_values(proffer_cluster_allocatable{namespace="$namespace",job="$job"}, resource)',
      multi: true,
    },
  ],
  rows: [
    {
      title: "Queues now",
      panels: [
        {
          kind: "table",
          title: "Queues",
          about:
            "Shares of the cluster. The error is how far a queue is from its fair share among the siblings with demand.",
          unit: "percentunit",
          queries: [
            ["Dominant share", `max by (queue) (proffer_dominant_share{${QUEUES}})`],
            ["Fairness error", `max by (queue) (proffer_fairness_error{${QUEUES}})`],
          ],
        },
        {
          kind: "table",
          title: "Frameworks",
          about: "Dominant share in the framework's first queue, divided by its weight.",
          unit: "percentunit",
          queries: [["Dominant share", `max by (framework) (proffer_framework_dominant_share{${FRAMEWORKS}})`]],
        },
      ],
    },
    {
      title: "Shares",
      panels: [
        {
          kind: "graph",
          title: "Dominant share of queues",
          about: "The greatest part of any one resource that the queue holds.",
          unit: "percentunit",
          queries: [["{{queue}}", `max by (queue) (proffer_dominant_share{${QUEUES}})`]],
        },
        {
          kind: "graph",
          title: "Fairness error",
          about: "0 is fair. Large and lasting: guarantees, limits or long tasks keep others from their share.",
          unit: "percentunit",
          queries: [["{{queue}}", `max by (queue) (proffer_fairness_error{${QUEUES}})`]],
        },
      ],
    },
    {
      title: "Allocated",
      panels: [
        {
          kind: "graph",
          title: "$resource allocated, of the cluster",
          about: "What running tasks of the queue and its children hold.",
          unit: "percentunit",
          repeat: "resource",
          queries: [["{{queue}}", part("allocated")]],
        },
      ],
    },
    {
      title: "Wanted",
      panels: [
        {
          kind: "graph",
          title: "$resource wanted, of the cluster",
          about: "What pending tasks and stated demand ask for; more than 100 % is more than there is.",
          unit: "percentunit",
          repeat: "resource",
          queries: [["{{queue}}", part("demand")]],
        },
      ],
    },
    {
      title: "Offered",
      panels: [
        {
          kind: "graph",
          title: "$resource in open offers, of the cluster",
          about: "What open exclusive offers hold back.",
          unit: "percentunit",
          repeat: "resource",
          queries: [["{{queue}}", part("offered")]],
        },
      ],
    },
    {
      title: "Held for what waits",
      panels: [
        {
          kind: "graph",
          title: "$resource held, of the cluster",
          about:
            "Room that is taken back for a guarantee, or gathers for a gang or a large instance, until that starts.",
          unit: "percentunit",
          repeat: "resource",
          queries: [["{{queue}}", part("held")]],
        },
      ],
    },
    {
      title: "Giving back",
      panels: [
        {
          kind: "graph",
          title: "Asked back",
          about: "Inverse offers a second: what a queue has borrowed is wanted for another one's guarantee.",
          unit: "ops",
          queries: [["inverse offers", `sum(rate(proffer_inverse_offers_total{${OURS}}[$__rate_interval]))`]],
        },
        {
          kind: "graph",
          title: "What came of it",
          about:
            "Inverse offers that ended, a second. Expired: nobody chose, so the operator did. Rescinded: it was not needed after all.",
          unit: "ops",
          queries: [
            ["{{outcome}}", `sum by (outcome) (rate(proffer_inverse_offers_ended_total{${OURS}}[$__rate_interval]))`],
          ],
        },
        {
          kind: "graph",
          title: "Taken back",
          about: "Instances a second that were ended for a guarantee. They run again as soon as there is room.",
          unit: "ops",
          queries: [["instances", `sum(rate(proffer_evictions_total{${OURS}}[$__rate_interval]))`]],
        },
        {
          kind: "graph",
          title: "Turns in vain",
          about:
            "Turns a second in which room was held and did not suffice. Many: what waits is too large for what becomes free.",
          unit: "ops",
          queries: [["turns", `sum(rate(proffer_holds_passed_total{${OURS}}[$__rate_interval]))`]],
        },
        {
          kind: "graph",
          title: "Waiting in vain",
          about: "How often room was held in vain for what still waits, gangs and large instances, at most.",
          unit: "short",
          queries: [["{{framework}}", `max by (framework) (proffer_framework_vain_turns{${FRAMEWORKS}})`]],
        },
      ],
    },
    {
      title: "Frameworks",
      panels: [
        {
          kind: "graph",
          title: "Running",
          about: "Instances that run.",
          unit: "short",
          stacked: true,
          queries: [["{{framework}}", `sum by (framework) (proffer_tasks{${FRAMEWORKS},state="running"})`]],
        },
        {
          kind: "graph",
          title: "Pending",
          about: "Instances that wait. The tasks' conditions say why.",
          unit: "short",
          stacked: true,
          queries: [["{{framework}}", `sum by (framework) (proffer_tasks{${FRAMEWORKS},state="pending"})`]],
        },
        {
          kind: "graph",
          title: "Away",
          about:
            "Frameworks whose program is away: for how long their tasks are kept for it. Below 0 that time is over.",
          unit: "s",
          queries: [
            [
              "{{framework}}",
              `min by (framework) (proffer_framework_kept_until_timestamp_seconds{${FRAMEWORKS}}) - time()`,
            ],
          ],
        },
        {
          kind: "graph",
          title: "Failed and lost",
          about: "Instances of the tasks that exist which ended otherwise than with success.",
          unit: "short",
          stacked: true,
          queries: [
            [
              "{{framework}} {{state}}",
              `sum by (framework, state) (proffer_tasks{${FRAMEWORKS},state=~"failed|lost|killed"})`,
            ],
          ],
        },
      ],
    },
    {
      title: "Offers of frameworks",
      panels: [
        {
          kind: "graph",
          title: "Accepted",
          about: "Offers a second that the framework accepted.",
          unit: "ops",
          queries: [
            [
              "{{framework}}",
              `sum by (framework) (rate(proffer_offers_total{${FRAMEWORKS},outcome="accepted"}[$__rate_interval]))`,
            ],
          ],
        },
        {
          kind: "graph",
          title: "Not accepted",
          about: "Offers a second that ended otherwise. Expired: nobody answered. Refused: the answer was wrong.",
          unit: "ops",
          queries: [
            [
              "{{framework}} {{outcome}}",
              `sum by (framework, outcome) (rate(proffer_offers_total{${FRAMEWORKS},outcome!="accepted"}[$__rate_interval]))`,
            ],
          ],
        },
        {
          kind: "graph",
          title: "Lost races",
          about: "Launches on optimistic offers that came second, a second. Many: the frameworks want the same nodes.",
          unit: "ops",
          queries: [["lost races", `sum(rate(proffer_lost_races_total{${OURS}}[$__rate_interval]))`]],
        },
      ],
    },
  ],
};
