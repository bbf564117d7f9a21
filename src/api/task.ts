import { z } from "zod";
import {
  conditions,
  constrained,
  count,
  int,
  label,
  list,
  observedGeneration,
  type Resource,
  type ResourceDefinition,
  type ResourceInput,
  type Rule,
  ranges,
  text,
  time,
} from "./common.ts";
import { constraints } from "./constraints.ts";
import { podTemplate } from "./pod-template.ts";
import { retry, ttlSeconds } from "./retry.ts";

const MUTABLE = ["kill", "priority", "parallelism"];

const kill = z.object({
  indexes: ranges(1024)
    .min(1)
    .optional()
    .describe("The instances to end, as ranges. Absent: all, and none starts again."),
  gracePeriodSeconds: int(0, 86_400).optional().describe("Time to end by themselves. Absent: the template's."),
});

const gang = z.object({
  minimum: int(1, 10_000).describe(
    "So many instances start together or not at all, wherever they run. Those past it start singly once the others have.",
  ),
});

const group = z.object({
  name: label().describe("The group's name within the Framework."),
  size: int(2, 16).describe("How many Tasks of this name there are to be; the group starts once all of them exist."),
});

const specFields = z.object({
  framework: label().describe("The Framework, in the same namespace, that this Task belongs to."),
  queue: label().optional().describe("One of the Framework's queues. Absent: its first."),
  template: podTemplate().describe("The pod that each instance runs."),
  instances: int(1, 10_000).default(1).describe("How many pods to run to their end, numbered from 0."),
  parallelism: int(0, 10_000)
    .optional()
    .describe("How many instances may hold resources at once. Absent: all. 0 pauses."),
  gang: gang.optional().describe("Instances that start together. Absent: each starts on its own."),
  group: group
    .optional()
    .describe(
      "Tasks of one Framework and queue that start together: each with the minimum of its `gang`, without one with all its " +
        "instances. Absent: none.",
    ),
  priority: int(-1000, 1000)
    .optional()
    .describe("Which of a framework's Tasks come first: the greater ones. Absent: 0."),
  constraints: constraints().optional().describe("Which nodes the instances may run on."),
  retry: retry().optional().describe("What happens when an instance fails. Absent: the Framework's, else no retry."),
  durationSeconds: int(1, 31_536_000)
    .optional()
    .describe(
      "How long an instance is expected to run, from the start of its containers. Nothing is ended for running longer: it is what start estimates of others are made from. Absent: not known.",
    ),
  ttlSecondsAfterFinished: ttlSeconds().optional().describe("Delete this Task so long after its end. Absent: never."),
  kill: kill.optional().describe("Setting it ends instances; they count as killed."),
});

/** "Nothing but these may change", from the schema itself, so that a new field is frozen unless it says otherwise. */
function frozenFields(): string {
  const required = new Set(["framework", "template", "instances"]);
  return Object.keys(specFields.shape)
    .filter((field) => !MUTABLE.includes(field))
    .map((field) =>
      required.has(field)
        ? `self.${field} == oldSelf.${field}`
        : `has(self.${field}) == has(oldSelf.${field}) && (!has(self.${field}) || self.${field} == oldSelf.${field})`,
    )
    .join(" && ");
}

type Together = Pick<z.infer<typeof specFields>, "instances" | "parallelism" | "gang" | "group">;

const minimumOfInstances: Rule<Together> = {
  cel: "!has(self.gang) || self.gang.minimum <= self.instances",
  message: "gang.minimum must not exceed instances",
  at: ".gang.minimum",
  holds: ({ gang, instances }) => gang === undefined || gang.minimum <= instances,
};

const minimumInParallel: Rule<Together> = {
  cel:
    "!has(self.parallelism) || self.parallelism == 0 || (!has(self.gang) && !has(self.group)) || " +
    "self.parallelism >= (has(self.gang) ? self.gang.minimum : self.instances)",
  message:
    "parallelism must be 0 or at least as many as start together: gang.minimum, or in a group without it instances",
  at: ".parallelism",
  holds: ({ parallelism, gang, group, instances }) =>
    parallelism === undefined ||
    parallelism === 0 ||
    (gang === undefined && group === undefined) ||
    parallelism >= (gang?.minimum ?? instances),
};

/** What is to be run. */
export const taskSpec = constrained(
  specFields,
  {
    cel: frozenFields(),
    message: "after creation only kill, priority and parallelism may change: create another Task instead",
  },
  minimumOfInstances,
  minimumInParallel,
);

/** The same for a reader that looks at templates by itself. */
export const taskSpecWithoutTemplate = constrained(
  specFields.omit({ template: true }),
  minimumOfInstances,
  minimumInParallel,
);

/** The states of a whole Task and of each instance. */
export const taskStates = [
  "Pending",
  "Staging",
  "Starting",
  "Running",
  "Finished",
  "Failed",
  "Killing",
  "Killed",
  "Lost",
  "Unreachable",
  "Error",
] as const;

const taskCounts = z.object({
  pending: count().default(0).describe("Waiting for a place."),
  staging: count().default(0).describe("With a place; the pod is being made."),
  starting: count().default(0).describe("On their node; images are pulled, init containers run."),
  running: count().default(0).describe("Running."),
  unreachable: count().default(0).describe("On a node out of reach."),
  finished: count().default(0).describe("Succeeded."),
  failed: count().default(0).describe("Failed, with no retry left."),
  killed: count().default(0).describe("Killed on request."),
  lost: count().default(0).describe("Gone with their node or pod."),
});

const attempts = z.object({
  indexes: ranges(32_768).describe("The instances."),
  ended: int(0, 1_000_000).describe("How many attempts of each of them have ended at all."),
  failed: int(0, 1_000_000).describe("How many of those count against `retry.limit`."),
});

const failure = z.object({
  index: int(0, 9_999).describe("The instance."),
  attempt: int(0, 1_000_000).describe("The attempt, from 0."),
  node: text(253).optional().describe("Where it ran."),
  reason: text(64, 1).describe("Why, as a failure reason."),
  message: text(1024).describe("Why, for people."),
  exitCode: int(-2_147_483_648, 2_147_483_647).optional().describe("The exit code of the container that failed."),
  at: time().describe("When."),
});

const taskStatus = z.object({
  observedGeneration: observedGeneration(),
  state: z
    .enum(taskStates)
    .default("Pending")
    .describe("The state of the whole: `Finished`, `Failed`, `Killed`, `Lost` and `Error` are final."),
  counts: taskCounts.optional().describe("Instances by state."),
  progress: text(16).optional().describe("Finished of all instances: `3/10`."),
  succeededIndexes: ranges(32_768).optional().describe("Instances that succeeded, as ranges: `0-41,57`."),
  failedIndexes: ranges(32_768).optional().describe("Instances that ended otherwise than by success, as ranges."),
  attempts: list(attempts, 64)
    .optional()
    .describe("How often instances were tried, those with equal numbers together. Those not named: never."),
  node: text(253).optional().describe("The node, with one instance."),
  pod: text(253).optional().describe("The pod, with one instance."),
  startedTogether: z
    .boolean()
    .optional()
    .describe(
      "Of instances that start together: whether all of their pods exist or have existed. False again while they wait to " +
        "start anew, since none was left.",
    ),
  lastFailures: list(failure, 5).optional().describe("The latest failures, newest first."),
  startedAt: time().optional().describe("When the first instance started."),
  finishedAt: time().optional().describe("When the last instance ended."),
  why: text(1024).optional().describe("Why it waits or failed."),
  conditions: conditions(),
});

export type TaskSpec = z.infer<typeof taskSpec>;
export type TaskStatus = z.infer<typeof taskStatus>;
export type TaskState = (typeof taskStates)[number];
export type TaskCounts = z.infer<typeof taskCounts>;
export type TaskAttempts = z.infer<typeof attempts>;
export type TaskFailure = z.infer<typeof failure>;
export type Task = Resource<"Task", TaskSpec, TaskStatus>;
export type TaskInput = ResourceInput<"Task", z.input<typeof taskSpec>>;

/** The custom resource definition of Task. */
export const taskDefinition: ResourceDefinition = {
  kind: "Task",
  plural: "tasks",
  singular: "task",
  shortNames: ["ptask"],
  scope: "Namespaced",
  description: "Work: a number of equal pods, each placed, run to its end and tried again on its own.",
  members: { spec: taskSpec, status: taskStatus.prefault({}) },
  nameIsLabel: true,
  rules: [],
  selectableFields: [".spec.framework"],
  columns: [
    { name: "Framework", type: "string", jsonPath: ".spec.framework", description: "The framework" },
    { name: "State", type: "string", jsonPath: ".status.state", description: "State of the whole" },
    { name: "Running", type: "integer", jsonPath: ".status.counts.running", description: "Instances that run" },
    { name: "Done", type: "string", jsonPath: ".status.progress", description: "Finished of all instances" },
    { name: "Node", type: "string", jsonPath: ".status.node", description: "The node, with one instance" },
    { name: "Why", type: "string", jsonPath: ".status.why", description: "Why it waits or failed" },
    { name: "Queue", type: "string", jsonPath: ".spec.queue", description: "The queue", priority: 1 },
    { name: "Priority", type: "integer", jsonPath: ".spec.priority", description: "The priority", priority: 1 },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp", description: "Time since creation" },
  ],
};
