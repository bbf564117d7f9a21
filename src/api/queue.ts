import { z } from "zod";
import {
  amounts,
  conditions,
  constrained,
  count,
  int,
  label,
  listSet,
  observedGeneration,
  quantities,
  type Resource,
  type ResourceDefinition,
  type ResourceInput,
  type Rule,
  resourceName,
  shared,
  text,
} from "./common.ts";

const reclaim = z.object({
  graceSeconds: int(0, 86_400)
    .optional()
    .describe(
      "How long Frameworks of this queue have from an inverse offer until the operator itself chooses what they give back. " +
        "Nobody says: 30. 0: nobody is asked.",
    ),
  minimumRuntimeSeconds: int(0, 604_800)
    .optional()
    .describe("How long each attempt of an instance in this queue may run before it can be taken. Nobody says: 0."),
});

const spec = z.object({
  parent: label().optional().describe("The Queue that this one is part of. Absent: a child of the root."),
  weight: int(1, 1_000_000)
    .default(1)
    .describe("This queue's share relative to its siblings': twice the weight is due twice as much."),
  guarantee: quantities()
    .optional()
    .describe(
      "What this queue gets whenever it asks for it. Not above `limit` in any resource. What the queues below one queue are " +
        "guaranteed must not add up to more than it states itself; the operator checks this and says so in the condition " +
        "`Accepted`.",
    ),
  limit: quantities().optional().describe("What this queue and its children may use at most. Absent: no limit."),
  order: z
    .enum(["DominantShare", "Fair", "Capacity", "Priority", "Fifo"])
    .default("DominantShare")
    .describe(
      "Which child, a queue or a Framework, is served first: the one with the lowest dominant share (`DominantShare`), the " +
        "lowest share of one resource (`Fair`), the lowest part of its guarantee in use (`Capacity`), the Task of the " +
        "highest priority (`Priority`), or the first Task by priority and age (`Fifo`).",
    ),
  fairResource: text(317, 1)
    .regex(resourceName, "must be the name of a resource such as memory or example.com/gpu")
    .optional()
    .describe("The resource that the order `Fair` is about."),
  namespaces: listSet(text(63, 1).regex(/^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$/, "must be a namespace or *"), 256)
    .optional()
    .describe("Namespaces whose Frameworks may use this queue; `*` means all. Absent or empty: none."),
  maxFrameworkWeight: int(1, 1_000_000)
    .optional()
    .describe("The greatest weight that a Framework may give itself here."),
  maxPriority: int(-1000, 1000).optional().describe("The greatest priority that a Task may have here."),
  reclaim: reclaim
    .optional()
    .describe(
      "What holds when capacity that this queue has borrowed is taken back for another queue's guarantee. What is not said " +
        "here holds as the nearest queue above says.",
    ),
  maxTasks: int(0, 10_000_000).optional().describe("How many unfinished Tasks this queue takes; further ones wait."),
});

/** What an administrator says about a queue. */
export const queueSpec = constrained(
  spec,
  {
    cel: "self.order != 'Fair' || has(self.fairResource)",
    message: "the order Fair is about one resource: name it in fairResource",
    at: ".fairResource",
    holds: ({ order, fairResource }) => order !== "Fair" || fairResource !== undefined,
  },
  {
    cel: "self.order == 'Fair' || !has(self.fairResource)",
    message: "only the order Fair has a fairResource",
    at: ".fairResource",
    holds: ({ order, fairResource }) => order === "Fair" || fairResource === undefined,
  },
  {
    cel:
      "!has(self.guarantee) || !has(self.limit) || self.guarantee.all(name, !(name in self.limit) || " +
      "quantity(string(self.guarantee[name])).compareTo(quantity(string(self.limit[name]))) <= 0)",
    message: "the guarantee must not be above the limit",
    at: ".guarantee",
  },
);

const queueStatus = z.object({
  observedGeneration: observedGeneration(),
  conditions: conditions(),
  lastGood: z
    .object({
      generation: int(0, 9_007_199_254_740_000).describe("Its generation."),
      inForce: z.boolean().describe("Whether it is in force now."),
      spec: shared("QueueSpec", "What an administrator says about a queue.", queueSpec).describe("What it said."),
    })
    .optional()
    .describe(
      "The last spec of this queue that was in force. It stays so while a later one is contradictory, across changes of the " +
        "leader, too.",
    ),
  allocated: amounts().optional().describe("What running tasks hold, children included."),
  offered: amounts().optional().describe("What open exclusive offers hold, children included."),
  held: amounts()
    .optional()
    .describe(
      "What is kept free for instances that wait, children included: room that is taken back, or gathers, for them. Absent: " +
        "nothing. It counts as used.",
    ),
  demand: amounts().optional().describe("What pending tasks ask for, children included."),
  dominantShare: text(16)
    .optional()
    .describe(
      "The greatest part, over all resources, of the cluster that this queue holds: `0.123`. Not divided by weight.",
    ),
  frameworks: count().optional().describe("How many Frameworks list this queue or one below it."),
  queues: count().optional().describe("How many queues in force are its children."),
  counts: z
    .object({
      pending: count()
        .default(0)
        .describe(
          "Instances that could start if there were room. Not counted are those that wait for something of their own: " +
            "`parallelism`, a pause after a failure, the rest of what they start with.",
        ),
      running: count().default(0).describe("Instances that hold resources."),
    })
    .optional()
    .describe("Task instances, children included."),
});

export type QueueSpec = z.infer<typeof queueSpec>;
export type QueueStatus = z.infer<typeof queueStatus>;
export type Queue = Resource<"Queue", QueueSpec, QueueStatus>;
export type QueueInput = ResourceInput<"Queue", z.input<typeof queueSpec>>;

const notOwnParent: Rule<Queue> = {
  cel: "!has(self.spec.parent) || self.spec.parent != self.metadata.name",
  message: "a queue cannot be its own parent",
  at: ".spec.parent",
  holds: ({ metadata, spec }) => spec.parent !== metadata.name,
};

/** The custom resource definition of Queue. */
export const queueDefinition: ResourceDefinition = {
  kind: "Queue",
  plural: "queues",
  singular: "queue",
  shortNames: ["pq"],
  scope: "Cluster",
  description:
    "A place in the tree of tenants: how much of the cluster its Frameworks are due, are sure of and may use at most. " +
    "A queue named `default`, open to every namespace, always exists.",
  members: { spec: queueSpec.prefault({}), status: queueStatus.optional() },
  nameIsLabel: true,
  rules: [notOwnParent],
  selectableFields: [],
  columns: [
    { name: "Parent", type: "string", jsonPath: ".spec.parent", description: "The queue above this one" },
    { name: "Weight", type: "integer", jsonPath: ".spec.weight", description: "Share relative to the siblings" },
    { name: "Share", type: "string", jsonPath: ".status.dominantShare", description: "Dominant share of the cluster" },
    { name: "Running", type: "integer", jsonPath: ".status.counts.running", description: "Instances with resources" },
    { name: "Pending", type: "integer", jsonPath: ".status.counts.pending", description: "Instances that wait" },
    { name: "Frameworks", type: "integer", jsonPath: ".status.frameworks", description: "Frameworks in this queue" },
    {
      name: "Accepted",
      type: "string",
      jsonPath: '.status.conditions[?(@.type=="Accepted")].status',
      description: "Whether the queue is in use as declared",
      priority: 1,
    },
    { name: "Held", type: "string", jsonPath: ".status.held", description: "Kept free for what waits", priority: 1 },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp", description: "Time since creation" },
  ],
};
