import {
  accept,
  type Example,
  framework,
  type Json,
  offer,
  offerSpec,
  queue,
  task,
} from "./object-builders.test-support.ts";

const long = (length: number) => "a".repeat(length);

const names: Example[] = [
  { name: "a name of 63 characters does as a label", object: queue({}, long(63)) },
  { name: "a name of 64 characters does not", object: queue({}, long(64)), refused: "63" },
  { name: "a framework's name has no dots", object: framework({}, "a.b"), refused: "name" },
  { name: "a task's name is no longer than 63", object: task({}, long(64)), refused: "63" },
];

const queues: Example[] = [
  { name: "a queue needs nothing", object: queue({}) },
  {
    name: "a queue may say everything",
    object: queue({
      parent: "root",
      weight: 3,
      guarantee: { cpu: "10", memory: "1.5Gi", "nvidia.com/gpu": 4, pods: "1e3" },
      limit: { cpu: 20 },
      order: "DominantShare",
      namespaces: ["a", "*"],
      maxFrameworkWeight: 10,
      maxPriority: 0,
      reclaim: { graceSeconds: 0, minimumRuntimeSeconds: 604_800 },
      maxTasks: 1000,
    }),
  },
  { name: "a grace has a bound", object: queue({ reclaim: { graceSeconds: 86_401 } }), refused: "graceSeconds" },
  { name: "a weight is at least one", object: queue({ weight: 0 }), refused: "weight" },
  { name: "a weight has a bound", object: queue({ weight: 1_000_001 }), refused: "weight" },
  { name: "a queue is not its own parent", object: queue({ parent: "q" }, "q"), refused: "cannot be its own parent" },
  { name: "an order that does not exist is refused", object: queue({ order: "Random" }), refused: "order" },
  ...["Capacity", "Priority", "Fifo"].map((order) => ({
    name: `a queue may be served by ${order}`,
    object: queue({ order }),
  })),
  { name: "Fair names its resource", object: queue({ order: "Fair", fairResource: "example.com/gpu" }) },
  { name: "Fair without a resource is refused", object: queue({ order: "Fair" }), refused: "name it in fairResource" },
  {
    name: "a resource for another order than Fair is refused",
    object: queue({ fairResource: "cpu" }),
    refused: "only the order Fair",
  },
  {
    name: "what is no resource's name is refused",
    object: queue({ order: "Fair", fairResource: "a b" }),
    refused: "fairResource",
  },
  { name: "a namespace is named once", object: queue({ namespaces: ["a", "a"] }), refused: "namespaces" },
  { name: "a pattern is no namespace", object: queue({ namespaces: ["a*"] }), refused: "namespaces" },
];

/** T3 and T15 of the threat model: quantities that are none, negative, or too large to expand. */
const quantities: Example[] = [
  ...["0", "500m", "1.5Gi", ".5", "1.", "1e3", "+1", "100n", "1E18"].map((text) => ({
    name: `${text} is a quantity`,
    object: queue({ limit: { cpu: text } }),
  })),
  {
    name: "a negative text says so",
    object: queue({ limit: { cpu: "-1" } }),
    refused: /must not be negative|zero or more/,
  },
  { name: "a negative number is none", object: queue({ limit: { cpu: -1 } }), refused: "limit" },
  ...[
    "",
    "NaN",
    "Infinity",
    "1 ",
    "1KiB",
    "--1",
    "1e",
    "2E6024865272343",
    "1e4294967297",
    "1e-2147483647",
    "1e19",
    long(33),
  ].map((text) => ({
    name: `"${text}" is no quantity`,
    object: queue({ limit: { cpu: text } }),
    refused: "limit",
  })),
  { name: "a fraction as a number is none", object: queue({ limit: { cpu: 0.5 } }), refused: "limit" },
  {
    name: "16 resources are not too many",
    object: queue({ limit: Object.fromEntries(Array.from({ length: 16 }, (_, index) => [`r${index}`, 1])) }),
  },
  {
    name: "17 resources are",
    object: queue({ limit: Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`r${index}`, 1])) }),
    refused: "limit",
  },
  {
    name: "a node may have more resources than anybody asks for",
    object: offer({
      slices: [
        {
          ...offerSpec.slices[0],
          resources: Object.fromEntries(Array.from({ length: 32 }, (_, index) => [`r${index}`, 1])),
        },
      ],
    }),
  },
  ...["hugepages-2Mi", "nvidia.com/mig-1g.5gb", "Example_1", `${long(253)}/${long(63)}`].map((name) => ({
    name: `${name.slice(0, 32)} is a resource`,
    object: queue({ limit: { [name]: 1 } }),
  })),
  ...["a b", "-a", "/a", "A.example/a", "a/b/c", "a/", "é", "a\n", long(64), `a/${long(64)}`, `${long(254)}/a`].map(
    (name) => ({
      name: `${JSON.stringify(name.slice(0, 32))} is no resource (${name.length})`,
      object: queue({ limit: { [name]: 1 } }),
      refused: "limit",
    }),
  ),
];

const answerers = ["system:serviceaccount:ns:f"];
const optimistic = { scheduler: { type: "Offers" }, concurrency: "Optimistic", answerers };
const frameworks: Example[] = [
  { name: "a framework needs nothing", object: framework({}) },
  {
    name: "a framework with its own scheduler may say everything",
    object: framework({
      queues: [{ name: "a", weight: 2 }, { name: "b" }],
      scheduler: { type: "Offers" },
      concurrency: "Optimistic",
      offers: {
        timeoutSeconds: 1,
        maxOutstanding: 4,
        slack: 1,
        constraints: { nodeSelector: { zone: "a" }, tolerations: [{ operator: "Exists" }] },
        minimum: { cpu: "500m" },
      },
      suppressed: true,
      revive: 3,
      demand: [{ instances: 10, resources: { cpu: 1 } }],
      answerers,
      taskDefaults: { priority: 3, retry: { limit: 2 }, ttlSecondsAfterFinished: 60, constraints: {} },
      unreachableSeconds: 0,
    }),
  },
  { name: "a queue is named once", object: framework({ queues: [{ name: "a" }, { name: "a" }] }), refused: "queues" },
  { name: "a framework has a queue", object: framework({ queues: [] }), refused: "queues" },
  {
    name: "placement is for the built-in scheduler",
    object: framework({ scheduler: { type: "Offers", placement: "Spread" }, answerers }),
    refused: "placement is for Builtin",
  },
  {
    name: "offers need someone to answer",
    object: framework({ scheduler: { type: "Offers" } }),
    refused: "needs answerers",
  },
  {
    name: "nobody in the list is nobody",
    object: framework({ scheduler: { type: "Offers" }, answerers: [] }),
    refused: "needs answerers",
  },
  {
    name: "the built-in scheduler has nobody to race with",
    object: framework({ concurrency: "Optimistic" }),
    refused: "Optimistic needs scheduler.type Offers",
  },
  {
    name: "the races of optimistic offers are settled in one of four ways",
    object: framework({
      ...optimistic,
      optimistic: { conflict: "Version", transaction: "AllOrNothing" },
    }),
  },
  { name: "half of a way is the other half's default", object: framework({ ...optimistic, optimistic: {} }) },
  {
    name: "there are two kinds of conflict",
    object: framework({ ...optimistic, optimistic: { conflict: "Taste" } }),
    refused: "conflict",
  },
  {
    name: "and two kinds of transaction",
    object: framework({ ...optimistic, optimistic: { transaction: "Half" } }),
    refused: "transaction",
  },
  {
    name: "exclusive offers have no races to settle",
    object: framework({ scheduler: { type: "Offers" }, answerers, optimistic: {} }),
    refused: "optimistic is for concurrency Optimistic",
  },
  {
    name: "the built-in scheduler's demand is its tasks",
    object: framework({ demand: [{ instances: 1, resources: { cpu: 1 } }] }),
    refused: "demand is for scheduler.type Offers",
  },
  {
    name: "an offer has a deadline",
    object: framework({ offers: { timeoutSeconds: 3601 } }),
    refused: "timeoutSeconds",
  },
];

const affinity = (expression: Json) => ({ constraints: { nodeAffinity: [{ matchExpressions: [expression] }] } });
const tasks: Example[] = [
  { name: "a task needs a framework and a template", object: task({}) },
  {
    name: "a task may say everything",
    object: task({
      queue: "a",
      instances: 10_000,
      parallelism: 0,
      priority: -1000,
      constraints: {
        nodeSelector: { zone: "a" },
        nodeAffinity: [
          {
            matchExpressions: [
              { key: "gen", operator: "Gt", values: ["3"] },
              { key: "gpu", operator: "Exists" },
            ],
          },
          { matchExpressions: [{ key: "type", operator: "NotIn", values: ["a", "b"] }] },
        ],
        tolerations: [{ key: "dedicated", value: "batch", effect: "NoSchedule" }, { operator: "Exists" }],
        spread: [{ topologyKey: "zone" }],
      },
      retry: { limit: 100, backoffSeconds: 1, maxBackoffSeconds: 3600, onNodeLost: "Retry" },
      durationSeconds: 31_536_000,
      ttlSecondsAfterFinished: 0,
      kill: { indexes: "0-41,57", gracePeriodSeconds: 0 },
    }),
  },
  { name: "a task has an instance", object: task({ instances: 0 }), refused: "instances" },
  { name: "a task has at most 10,000 instances", object: task({ instances: 10_001 }), refused: "instances" },
  { name: "a priority has a bound", object: task({ priority: 1001 }), refused: "priority" },
  { name: "a duration is at least a second", object: task({ durationSeconds: 0 }), refused: "durationSeconds" },
  { name: "indexes are ranges", object: task({ kill: { indexes: "1-" } }), refused: "indexes" },
  { name: "no indexes is not nothing", object: task({ kill: { indexes: "" } }), refused: "indexes" },
  {
    name: "In needs values",
    object: task(affinity({ key: "a", operator: "In" })),
    refused: "In and NotIn need values",
  },
  {
    name: "Exists takes none",
    object: task(affinity({ key: "a", operator: "Exists", values: ["b"] })),
    refused: "Exists and DoesNotExist take no values",
  },
  {
    name: "Gt compares whole numbers",
    object: task(affinity({ key: "a", operator: "Gt", values: ["1.5"] })),
    refused: "Gt and Lt need exactly one value",
  },
  {
    name: "a toleration of no key tolerates everything, and must say so",
    object: task({ constraints: { tolerations: [{ value: "a" }] } }),
    refused: "Equal needs a key",
  },
  {
    name: "tolerationSeconds would be without effect",
    object: task({ constraints: { tolerations: [{ operator: "Exists", tolerationSeconds: 3 }] } }),
    refused: "unreachableSeconds",
  },
];

const inverse = {
  queue: "owner",
  reason: "Guarantee",
  each: { cpu: "2" },
  instances: 2,
  candidates: [{ task: "t", slice: "s0", indexes: "0-3,7" }],
  message: "queue owner has less than its guarantee",
};
const giveBack = (fields: Json = {}) => ({
  by: "system:serviceaccount:ns:f",
  decision: "Accept",
  release: [{ task: "t", indexes: "0-3" }],
  ...fields,
});

const inverseOffers: Example[] = [
  { name: "an inverse offer as the operator makes it", object: offer({ inverse }) },
  { name: "an inverse offer that names what is given back", object: offer({ inverse }, giveBack()) },
  { name: "an inverse offer that is declined", object: offer({ inverse }, { by: "a", decision: "Decline" }) },
  {
    name: "an inverse offer wants something for somebody",
    object: offer({ inverse: { ...inverse, instances: 0 } }),
    refused: "instances",
  },
  {
    name: "the reason is of a closed list",
    object: offer({ inverse: { ...inverse, reason: "Whim" } }),
    refused: "reason",
  },
  {
    name: "an inverse offer is accepted by giving something back",
    object: offer({ inverse }, giveBack({ release: [] })),
    refused: "Accept needs launches, or release",
  },
  {
    name: "declining gives nothing back",
    object: offer({ inverse }, giveBack({ decision: "Decline" })),
    refused: "Decline gives nothing back",
  },
  {
    name: "what is given back is named by indexes",
    object: offer({ inverse }, giveBack({ release: [{ task: "t", indexes: "all" }] })),
    refused: "indexes",
  },
  { name: "an offer takes nothing back", object: offer({}, giveBack()), refused: "asks nothing back" },
  { name: "an inverse offer starts nothing", object: offer({ inverse }, accept()), refused: "offers none" },
];

const offers: Example[] = [
  { name: "an offer as the operator makes it", object: offer() },
  { name: "an offer that is accepted", object: offer({}, accept({ filter: {}, reason: "thanks" })) },
  {
    name: "an offer that is declined",
    object: offer({}, { by: "a", decision: "Decline", filter: { refuseSeconds: 0 } }),
  },
  { name: "an offer offers something", object: offer({ slices: [] }), refused: "slices" },
  {
    name: "a slice is named once",
    object: offer({ slices: [offerSpec.slices[0], offerSpec.slices[0]] }),
    refused: "slices",
  },
  {
    name: "declining launches nothing",
    object: offer({}, accept({ decision: "Decline" })),
    refused: "Decline launches nothing",
  },
  {
    name: "accepting launches something",
    object: offer({}, accept({ launches: [] })),
    refused: "Accept needs launches",
  },
  {
    name: "accepting says what to launch",
    object: offer({}, { by: "a", decision: "Accept" }),
    refused: "Accept needs launches",
  },
  {
    name: "a launch goes to a slice that was offered",
    object: offer({}, accept({ launches: [{ task: "t", slice: "other", count: 1 }] })),
    refused: "a slice that is not in spec.slices",
  },
  {
    name: "a launch of nothing is none",
    object: offer({}, accept({ launches: [{ task: "t", slice: "s0", count: 0 }] })),
    refused: "count",
  },
  { name: "a deadline is a time", object: offer({ expiresAt: "soon" }), refused: "expiresAt" },
];

/** Every object but those about templates. */
export const examples: Example[] = [
  ...names,
  ...queues,
  ...quantities,
  ...frameworks,
  ...tasks,
  ...offers,
  ...inverseOffers,
];
