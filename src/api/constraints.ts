import { z } from "zod";
import { constrained, int, list, map, shared, text } from "./common.ts";
import { allowList } from "./refused.ts";

const expression = constrained(
  z.object({
    key: text(317, 1).describe("The node label's key."),
    operator: z
      .enum(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"])
      .describe("How the label's value is compared with `values`. `Gt` and `Lt` compare whole numbers."),
    values: list(text(63), 64)
      .optional()
      .describe("The values: one or more for `In` and `NotIn`, exactly one for `Gt` and `Lt`, else none."),
  }),
  {
    cel: "self.operator in ['In', 'NotIn'] ? has(self.values) && self.values.size() > 0 : true",
    message: "In and NotIn need values",
    holds: ({ operator, values }) => !["In", "NotIn"].includes(operator) || (values ?? []).length > 0,
  },
  {
    cel: "self.operator in ['Exists', 'DoesNotExist'] ? !has(self.values) || self.values.size() == 0 : true",
    message: "Exists and DoesNotExist take no values",
    holds: ({ operator, values }) => !["Exists", "DoesNotExist"].includes(operator) || (values ?? []).length === 0,
  },
  {
    cel: "self.operator in ['Gt', 'Lt'] ? has(self.values) && self.values.size() == 1 && self.values[0].matches('^-?[0-9]{1,18}$') : true",
    message: "Gt and Lt need exactly one value, a whole number",
    holds: ({ operator, values }) =>
      !["Gt", "Lt"].includes(operator) || (values?.length === 1 && /^-?[0-9]{1,18}$/.test(values[0]!)),
  },
);

const affinityTerm = z.object({
  matchExpressions: list(expression, 16, 1).describe("Expressions that must all hold of the node's labels."),
});

const toleration = constrained(
  allowList(
    {
      key: text(317).optional().describe("The taint's key. Absent with `Exists` tolerates every taint."),
      operator: z.enum(["Equal", "Exists"]).default("Equal").describe("Whether the value matters."),
      value: text(63).optional().describe("The taint's value, with `Equal`."),
      effect: z
        .enum(["NoSchedule", "PreferNoSchedule", "NoExecute"])
        .optional()
        .describe("The taint's effect. Absent means all effects."),
    },
    { tolerationSeconds: ["integer", "tolerationSeconds has no effect here: see the Framework's unreachableSeconds"] },
    "a toleration",
  ),
  {
    cel: "self.operator == 'Exists' ? !has(self.value) : has(self.key)",
    message: "Exists takes no value, Equal needs a key",
    holds: ({ operator, key, value }) => (operator === "Exists" ? value === undefined : key !== undefined),
  },
);

const nodeFields = {
  nodeSelector: map(text(63), 32).optional().describe("Labels that the node must have."),
  nodeAffinity: list(affinityTerm, 8)
    .optional()
    .describe("Terms of which at least one must hold, as in `requiredDuringSchedulingIgnoredDuringExecution`."),
  tolerations: list(toleration, 16).optional().describe("Taints that do not keep the node away."),
};

/** What must be true of a node. */
export const nodeConstraints = () => shared("NodeConstraints", "What must be true of a node.", z.object(nodeFields));

const spread = z.object({
  topologyKey: text(317, 1).describe("The node label whose values are the domains, such as `kubernetes.io/hostname`."),
  maxSkew: int(1, 10_000)
    .default(1)
    .describe("By how many instances the fullest domain may exceed the emptiest one that could take an instance."),
  over: z
    .enum(["Task", "Framework"])
    .default("Task")
    .describe("Whose instances are counted: this Task's or all of its Framework's."),
});

/** What must be true of the nodes that a Task's instances are placed on. */
export const constraints = () =>
  shared(
    "Constraints",
    "What must be true of the nodes that instances are placed on. All parts must hold.",
    z.object({
      ...nodeFields,
      spread: list(spread, 4).optional().describe("Domains that the instances are spread over; every entry must hold."),
    }),
  );

export type NodeConstraints = z.infer<ReturnType<typeof nodeConstraints>>;
export type Constraints = z.infer<ReturnType<typeof constraints>>;
export type AffinityTerm = z.infer<typeof affinityTerm>;
export type NodeExpression = z.infer<typeof expression>;
export type Toleration = z.infer<typeof toleration>;
export type Spread = z.infer<typeof spread>;
