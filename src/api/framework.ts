import { z } from "zod";
import {
  amounts,
  conditions,
  constrained,
  count,
  int,
  label,
  list,
  listMap,
  listSet,
  observedGeneration,
  quantities,
  type Resource,
  type ResourceDefinition,
  type ResourceInput,
  subdomain,
  text,
} from "./common.ts";
import { constraints, nodeConstraints } from "./constraints.ts";
import { podTemplate } from "./pod-template.ts";
import { retry, ttlSeconds } from "./retry.ts";

const queueUse = z.object({
  name: label().describe("The Queue's name."),
  weight: int(1, 1_000_000)
    .default(1)
    .describe("This framework's share relative to the other frameworks of the queue."),
});

const controller = z.object({
  serviceAccountName: subdomain().describe(
    "The account whose token the program gets, in the Framework's namespace. It must carry the label " +
      "`proffer.dev/framework` with the Framework's name: whoever may edit the account says by it what it is for.",
  ),
  template: podTemplate().describe(
    "The program's pod. Placed by the cluster's default scheduler, not by Proffer; of its constraints there are none.",
  ),
});

const scheduler = constrained(
  z.object({
    type: z
      .enum(["Builtin", "Offers"])
      .default("Builtin")
      .describe("Who places the tasks: `Builtin` is the operator, `Offers` a program that answers Offer objects."),
    placement: z
      .enum(["BinPack", "Spread"])
      .optional()
      .describe(
        "How `Builtin` picks among the nodes: fullest first (`BinPack`, the default) or emptiest first (`Spread`).",
      ),
    controller: controller
      .optional()
      .describe(
        "The framework's own program, for `Offers`: Proffer starts one pod of it, and another when that has failed, " +
          "after 10 s at first and 5 min at last. Absent: you run it yourself.",
      ),
  }),
  {
    cel: "self.type == 'Builtin' || !has(self.placement)",
    message: "placement is for Builtin: with Offers, the framework's own program places the tasks",
    at: ".placement",
    holds: ({ type, placement }) => type === "Builtin" || placement === undefined,
  },
  {
    cel: "self.type == 'Offers' || !has(self.controller)",
    message: "controller is for Offers: with Builtin, the operator places the tasks",
    at: ".controller",
    holds: ({ type, controller }) => type === "Offers" || controller === undefined,
  },
);

const offers = z.object({
  timeoutSeconds: int(1, 3600).default(30).describe("How long an offer stays open."),
  maxOutstanding: int(1, 1000).default(16).describe("How many offers may be open at once."),
  slack: int(1, 10)
    .default(2)
    .describe("How many times the demand may be offered, so that there is something to choose from."),
  constraints: nodeConstraints()
    .optional()
    .describe("Nodes that are worth offering. Pods of the framework's Tasks get the tolerations as well."),
  minimum: quantities().optional().describe("What a slice must at least have to be worth offering."),
});

const optimistic = z.object({
  conflict: z
    .enum(["ResourceFit", "Version"])
    .default("ResourceFit")
    .describe(
      "What loses a race: what does not fit any more (`ResourceFit`), or everything on a node on which others have got " +
        "something since it was offered, even if it would fit (`Version`).",
    ),
  transaction: z
    .enum(["Incremental", "AllOrNothing"])
    .default("Incremental")
    .describe(
      "What a lost race does to the rest of the answer: `Incremental` starts what does not lose, `AllOrNothing` starts all " +
        "of the answer or nothing.",
    ),
});

const demand = z.object({
  instances: int(1, 100_000).describe("How many."),
  resources: quantities().describe("What each of them needs."),
});

const taskDefaults = z.object({
  priority: int(-1000, 1000).optional().describe("The priority of Tasks that state none."),
  retry: retry().optional().describe("How often instances of Tasks that state nothing are tried again."),
  ttlSecondsAfterFinished: ttlSeconds().optional().describe("When ended Tasks that state nothing are deleted."),
  constraints: constraints().optional().describe("The constraints of Tasks that state none."),
});

/** What a tenant says about a framework. */
export const frameworkSpec = constrained(
  z.object({
    queues: listMap(queueUse, ["name"], 16, 1)
      .default([{ name: "default", weight: 1 }])
      .describe("The Queues that this framework draws from. Tasks that state no queue use the first."),
    scheduler: scheduler.prefault({}).describe("Who places the tasks."),
    concurrency: z
      .enum(["Exclusive", "Optimistic"])
      .default("Exclusive")
      .describe(
        "`Exclusive` offers hold their resources until they are answered. `Optimistic` offers only show them: the first " +
          "accept wins, the others are refused with `lost-race`.",
      ),
    optimistic: optimistic
      .optional()
      .describe("How the races of optimistic offers are settled. With concurrency `Optimistic` only."),
    offers: offers.prefault({}).describe("How this framework wants its offers. Without effect with `Builtin`."),
    suppressed: z.boolean().default(false).describe("True: no offers and no new launches until it is false again."),
    revive: int(0, 2_147_483_647).optional().describe("A counter: changing it forgets all refusal filters."),
    demand: list(demand, 16).optional().describe("What will be wanted, stated ahead of any Task. With `Offers` only."),
    answerers: listSet(text(256, 1), 16)
      .optional()
      .describe(
        "User names that may answer this framework's offers, such as `system:serviceaccount:ns:name`. Absent, with " +
          "`scheduler.controller`: its account alone.",
      ),
    failoverTimeoutSeconds: int(0, 604_800)
      .default(3600)
      .describe(
        "How long the Tasks are kept for the framework's program when it has gone, counted from the end of its Lease. " +
          "With `Offers` only; a program without a Lease is never taken for gone.",
      ),
    failoverPolicy: z
      .enum(["Orphan", "Kill"])
      .default("Orphan")
      .describe(
        "What becomes of the Tasks of a program that stays away longer than that: `Orphan` lets run what runs, to its " +
          "end; `Kill` ends them, with the reason `framework-lost`.",
      ),
    taskDefaults: taskDefaults.optional().describe("What holds for Tasks that do not say otherwise."),
    unreachableSeconds: int(0, 86_400)
      .default(60)
      .describe("How long a node may be out of reach before its pods are evicted and their instances count as lost."),
  }),
  {
    cel: "self.concurrency == 'Exclusive' || self.scheduler.type == 'Offers'",
    message: "Optimistic needs scheduler.type Offers",
    at: ".concurrency",
    holds: (spec) => spec.concurrency === "Exclusive" || spec.scheduler.type === "Offers",
  },
  {
    cel: "self.concurrency == 'Optimistic' || !has(self.optimistic)",
    message: "optimistic is for concurrency Optimistic: exclusive offers have no races",
    at: ".optimistic",
    holds: (spec) => spec.concurrency === "Optimistic" || spec.optimistic === undefined,
  },
  {
    cel:
      "self.scheduler.type != 'Offers' || (has(self.answerers) && self.answerers.size() > 0) " +
      "|| (!has(self.answerers) && has(self.scheduler.controller))",
    message: "scheduler.type Offers needs answerers: the user names that may answer the offers",
    holds: ({ scheduler: { type, controller }, answerers }) =>
      type !== "Offers" || (answerers ?? []).length > 0 || (answerers === undefined && controller !== undefined),
  },
  {
    cel: "self.scheduler.type == 'Offers' || !has(self.demand)",
    message: "demand is for scheduler.type Offers: with Builtin, create Tasks",
    at: ".demand",
    holds: (spec) => spec.scheduler.type === "Offers" || spec.demand === undefined,
  },
);

const frameworkStatus = z.object({
  observedGeneration: observedGeneration(),
  conditions: conditions(),
  queue: text(63).optional().describe("The first queue."),
  share: text(16).optional().describe("The dominant share as people read it: `12.3%`."),
  dominantShare: text(16).optional().describe("The greatest part, over all resources, of the cluster that it holds."),
  counts: z
    .object({
      pending: count().default(0).describe("Instances that wait."),
      staging: count().default(0).describe("Instances with a place whose pod has not started."),
      running: count().default(0).describe("Instances that run."),
      finished: count().default(0).describe("Instances that succeeded."),
      failed: count().default(0).describe("Instances that failed for good."),
      killed: count().default(0).describe("Instances that were killed."),
      lost: count().default(0).describe("Instances whose node or pod went away."),
      unreachable: count().default(0).describe("Instances on nodes out of reach."),
    })
    .optional()
    .describe("Instances of the Tasks that exist."),
  offers: z
    .object({
      open: count().default(0).describe("Open now."),
      accepted: count().default(0).describe("Accepted."),
      declined: count().default(0).describe("Declined."),
      expired: count().default(0).describe("Not answered in time."),
      rescinded: count().default(0).describe("Taken back before an answer."),
      refused: count().default(0).describe("Answered, but the answer was refused."),
    })
    .optional()
    .describe("What became of the offers since the present leader's term began; a new leader counts from zero."),
  allocated: amounts().optional().describe("What running tasks hold."),
  offered: amounts().optional().describe("What open exclusive offers hold."),
  held: amounts()
    .optional()
    .describe(
      "What is kept free for its instances that wait: room that is taken back, or gathers, for them. Absent: nothing. It " +
        "counts as used.",
    ),
  demand: amounts().optional().describe("What pending tasks and stated demand ask for."),
  controller: z
    .object({
      pod: text(63).optional().describe("The pod that is there now."),
      state: z
        .enum(["Starting", "Running", "BackOff", "Ended", "Refused"])
        .describe(
          "`BackOff`: it failed, and another is started soon. `Ended`: it ended with success, and is not started again " +
            "until its pod is deleted or the template changes. `Refused`: it cannot be started, for `lastFailure`.",
        ),
      restarts: count().default(0).describe("Pods before this one."),
      lastFailure: text(512).optional().describe("Why the last one failed, or none can be started."),
    })
    .optional()
    .describe("The framework's own program, where Proffer starts it."),
  why: text(1024).optional().describe("Why there was no offer or launch the last time."),
});

export type FrameworkSpec = z.infer<typeof frameworkSpec>;
export type FrameworkStatus = z.infer<typeof frameworkStatus>;
export type TaskDefaults = z.infer<typeof taskDefaults>;
export type Framework = Resource<"Framework", FrameworkSpec, FrameworkStatus>;
export type FrameworkInput = ResourceInput<"Framework", z.input<typeof frameworkSpec>>;

/** The custom resource definition of Framework. */
export const frameworkDefinition: ResourceDefinition = {
  kind: "Framework",
  plural: "frameworks",
  singular: "framework",
  shortNames: ["fw"],
  scope: "Namespaced",
  description: "An application's scheduler and its tasks: which queues it draws from and who decides about placement.",
  members: { spec: frameworkSpec.prefault({}), status: frameworkStatus.optional() },
  nameIsLabel: true,
  rules: [],
  selectableFields: [],
  columns: [
    { name: "Queue", type: "string", jsonPath: ".spec.queues[0].name", description: "The first queue" },
    { name: "Share", type: "string", jsonPath: ".status.share", description: "Dominant share of the cluster" },
    { name: "Running", type: "integer", jsonPath: ".status.counts.running", description: "Instances that run" },
    { name: "Pending", type: "integer", jsonPath: ".status.counts.pending", description: "Instances that wait" },
    { name: "Offers", type: "integer", jsonPath: ".status.offers.open", description: "Open offers" },
    { name: "Why", type: "string", jsonPath: ".status.why", description: "Why there is no offer or launch" },
    { name: "Scheduler", type: "string", jsonPath: ".spec.scheduler.type", description: "Who places", priority: 1 },
    { name: "Failed", type: "integer", jsonPath: ".status.counts.failed", description: "Failures", priority: 1 },
    { name: "Held", type: "string", jsonPath: ".status.held", description: "Kept free for what waits", priority: 1 },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp", description: "Time since creation" },
  ],
};
