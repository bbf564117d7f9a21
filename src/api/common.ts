import { z } from "zod";

/** The API group of all of Proffer's resources. */
export const GROUP = "proffer.dev";
/** The version that is served and stored. */
export const VERSION = "v1alpha1";
/** The `apiVersion` of every object. */
export const API_VERSION = `${GROUP}/${VERSION}` as const;

/** The part of Kubernetes' object metadata that Proffer reads or writes. */
export interface ObjectMeta {
  name: string;
  namespace?: string;
  generateName?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** An object as the API server returns it: defaults are filled in. */
export interface Resource<Kind extends string, Spec, Status> {
  apiVersion: typeof API_VERSION;
  kind: Kind;
  metadata: ObjectMeta;
  spec: Spec;
  status?: Status;
}

/** An object as a client writes it: what has a default may be left out. */
export interface ResourceInput<Kind extends string, Spec> {
  apiVersion: typeof API_VERSION;
  kind: Kind;
  metadata: ObjectMeta;
  spec: Spec;
}

/** A column of `kubectl get`. Priority 1 shows with `-o wide` only. */
export interface Column {
  name: string;
  type: "string" | "integer" | "date";
  jsonPath: string;
  description: string;
  priority?: 0 | 1;
}

/**
 * One rule, said twice: as CEL for the API server and as a function for the operator. A rule about a change (`oldSelf`)
 * has no function, since the operator never sees the old object.
 */
export interface Rule<T> {
  cel: string;
  message: string;
  /** The field to point at, as CEL's `fieldPath`: `.kill.indexes`. */
  at?: string;
  holds?: (value: T) => boolean;
}

/** Everything that makes one custom resource definition. */
export interface ResourceDefinition {
  kind: string;
  plural: string;
  singular: string;
  shortNames: string[];
  scope: "Namespaced" | "Cluster";
  description: string;
  /** Top-level members beside `metadata`: `spec`, `status`, and `answer` of an Offer. */
  members: Record<string, z.ZodType>;
  /** Whether its name is no longer than a label's value, and without dots. */
  nameIsLabel: boolean;
  /** Rules about the whole object. */
  // biome-ignore lint/suspicious/noExplicitAny: each resource has its own object type; rules are checked where they are made
  rules: Rule<any>[];
  columns: Column[];
  /** Fields that `fieldSelector` understands. */
  selectableFields: string[];
}

/** Adds rules to a schema, to be checked by the API server as CEL and by `parse` natively. */
export function constrained<S extends z.ZodType>(schema: S, ...rules: Rule<z.output<S>>[]): S {
  const earlier = (schema.meta()?.["x-kubernetes-validations"] ?? []) as object[];
  let result = schema;
  for (const { holds, message, at } of rules) {
    if (!holds) continue;
    const path = at ? at.slice(1).split(".") : [];
    result = result.refine((value) => holds(value as z.output<S>), { message, path });
  }
  const validations = rules.map(celOf);
  return result.meta({ "x-kubernetes-validations": [...earlier, ...validations] });
}

/** A rule as an entry of `x-kubernetes-validations`. */
export function celOf({ cel, message, at }: Rule<never>): object {
  return { rule: cel, message, ...(at ? { fieldPath: at } : {}) };
}

/** A list whose entries are told apart by `keys`: server-side apply merges by them, doubles are refused. */
export function listMap<S extends z.ZodType>(item: S, keys: string[], max: number, min = 0) {
  const keyOf = (entry: unknown) => JSON.stringify(keys.map((key) => (entry as Record<string, unknown>)[key]));
  return z
    .array(item)
    .min(min)
    .max(max)
    .refine((entries) => new Set(entries.map(keyOf)).size === entries.length, `each ${keys.join(" and ")} only once`)
    .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys });
}

/** A list of different plain values. */
export function listSet<S extends z.ZodType>(item: S, max: number) {
  return z
    .array(item)
    .max(max)
    .refine((entries) => new Set(entries).size === entries.length, "each value only once")
    .meta({ "x-kubernetes-list-type": "set" });
}

/** A list that is replaced as a whole. */
export function list<S extends z.ZodType>(item: S, max: number, min = 0) {
  return z.array(item).min(min).max(max).meta({ "x-kubernetes-list-type": "atomic" });
}

/** A map from bounded keys to values. */
export function map<S extends z.ZodType>(value: S, max: number, maxKeyLength = 317) {
  return z
    .record(z.string().min(1).max(maxKeyLength), value)
    .refine((entries) => Object.keys(entries).length <= max, `at most ${max} entries`)
    .meta({ maxProperties: max });
}

/** The metadata key under which the generator finds the name of a shared type. */
export const SHARED_TYPE = "x-proffer-type";

/** What stands under `SHARED_TYPE`. */
export interface SharedType {
  name: string;
  description: string;
  /** Another shared type, named before this one, whose fields this one has too: the reference does not repeat them. */
  like?: string;
}

/** Names a type that is used in several places: the reference describes it once. */
export function shared<S extends z.ZodType>(name: string, description: string, schema: S, like?: string): S {
  return schema.meta({ [SHARED_TYPE]: { name, description, ...(like ? { like } : {}) } satisfies SharedType });
}

/** A whole number with bounds; the generator derives int32 or int64 from them. */
export const int = (min: number, max: number) => z.int().min(min).max(max);

/** A count in a status. */
export const count = () => int(0, 1_000_000_000);

/** A text with a bound. */
export const text = (max: number, min = 0) => (min > 0 ? z.string().min(min).max(max) : z.string().max(max));

/**
 * Names of Queues, Frameworks and Tasks, which become label values and parts of pod names. A bound of the schema and no rule:
 * a rule that reads the name took the API server longer than all others of a Task together.
 */
export const LABEL_NAME = {
  maxLength: 63,
  pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
  message: "the name must be a DNS label: at most 63 characters, no dots",
};

/** A DNS label: the name of a queue, framework or task, which must also do as a label's value. */
export const label = () =>
  z.string().min(1).max(LABEL_NAME.maxLength).regex(new RegExp(LABEL_NAME.pattern), "must be a DNS label");

/** A DNS subdomain: the name of a node, a config map, and so on. */
export const subdomain = () =>
  z
    .string()
    .min(1)
    .max(253)
    .regex(/^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/, "must be a lower-case DNS name");

/** A point in time, RFC 3339. */
export const time = () => z.iso.datetime({ offset: true }).meta({ maxLength: 64 });

/** Instance indexes as ranges: `0-41,57`. */
export const ranges = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^([0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*)?$/, "must be ranges: 0-41,57");

/**
 * A Kubernetes quantity of zero or more. At most 32 characters and a decimal exponent within ±18, so that no text can
 * stand for a number whose digits fill the memory.
 */
export const quantity = () =>
  shared(
    "Quantity",
    "An amount of a resource as Kubernetes writes it: `500m`, `2`, `1.5Gi`. Zero or more, at most 32 characters.",
    z
      .union([
        z.int().min(0).max(1_000_000_000_000_000),
        z
          .string()
          .max(32)
          .regex(/^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?(1[0-8]|0?[0-9]))?$/, {
            message: "must be a quantity of zero or more, such as 500m, 2 or 1.5Gi",
          }),
      ])
      .meta({ "x-kubernetes-int-or-string": true }),
  );

/** Amounts that the operator alone writes, as in a status: no rule is spent on them at each write. */
export const amounts = () => map(quantity(), 32);

/** As Kubernetes names resources, and no longer: what is no name can never be granted, and is kept for ever. */
const RESOURCE_NAME = "^([a-z0-9.-]{1,253}/)?[A-Za-z0-9][-A-Za-z0-9_.]{0,62}$";
export const resourceName = new RegExp(RESOURCE_NAME);

/** Resource name to quantity. */
export const quantities = () =>
  constrained(
    map(quantity(), 16),
    {
      cel: `self.all(name, name.matches('${RESOURCE_NAME}'))`,
      message: "a resource must have a name such as cpu or example.com/gpu",
      holds: (entries) => Object.keys(entries).every((name) => resourceName.test(name)),
    },
    {
      cel: "self.all(name, type(self[name]) == int ? self[name] >= 0 : !self[name].startsWith('-'))",
      message: "a quantity must not be negative",
      holds: (entries) => Object.values(entries).every((value) => !String(value).startsWith("-")),
    },
  );

/** Resource name to quantity. */
export type Quantities = z.infer<ReturnType<typeof quantities>>;

const condition = shared(
  "Condition",
  "One thing that holds or does not hold of an object, as everywhere in Kubernetes.",
  z.object({
    type: text(316, 1).describe("What the condition is about."),
    status: z.enum(["True", "False", "Unknown"]).describe("Whether it holds."),
    observedGeneration: int(0, 9_007_199_254_740_000).optional().describe("The generation of the spec it was set for."),
    lastTransitionTime: time().describe("When the status last changed."),
    reason: text(128, 1).describe("Why, in one word of a closed list."),
    message: text(4096).describe("Why, for people."),
  }),
);

/** One entry of `status.conditions`. */
export type Condition = z.infer<typeof condition>;

/** `status.conditions`. */
export const conditions = () => listMap(condition, ["type"], 16).optional().describe("What holds at present, and why.");

/** `status.observedGeneration`. */
export const observedGeneration = () =>
  int(0, 9_007_199_254_740_000).optional().describe("The generation of the spec that this status was made from.");

/**
 * Checks a whole object against a definition: every member and every rule but those about a change.
 * @returns what is wrong, one sentence each; empty when nothing is
 */
export function problemsOf(definition: ResourceDefinition, object: object): string[] {
  const problems: string[] = [];
  for (const [member, schema] of Object.entries(definition.members)) {
    const parsed = schema.safeParse((object as Record<string, unknown>)[member]);
    if (!parsed.success) problems.push(...describeIssues(parsed.error, member));
  }
  if (problems.length > 0) return problems;
  const { nameIsLabel, rules } = definition;
  if (nameIsLabel && !label().safeParse((object as { metadata: ObjectMeta }).metadata.name).success) {
    problems.push(LABEL_NAME.message);
  }
  return [...problems, ...rules.filter((rule) => rule.holds && !rule.holds(object)).map((rule) => rule.message)];
}

/** Parse errors as sentences: `spec.weight: must be …`. */
export function describeIssues(error: z.ZodError, prefix = ""): string[] {
  return error.issues.map((issue) => {
    const path = [prefix, ...issue.path.map(String)].filter((part) => part !== "").join(".");
    return `${path}: ${issue.message}`;
  });
}
