import { readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import { parse as parseYaml } from "yaml";
import { z } from "zod";
import { queueSpec } from "../api/queue.ts";
import { parseQuantity, unitOf } from "../offers/quantity.ts";

/** One option of the program: `--flag`, `PROFFER_FLAG`, or `flag` in camel case in the configuration file. */
export interface ConfigOption {
  readonly name: string;
  readonly value: string;
  readonly about: string;
  readonly schema: z.ZodType;
  /** As shown to people; absent: none. */
  readonly defaultText?: string;
  /** May be given several times. */
  readonly repeated?: boolean;
}

const seconds = (min: number, max: number) => z.coerce.number().min(min).max(max);
const flag = z.union([z.boolean(), z.enum(["true", "false"]).transform((value) => value === "true")]);
const name = z.string().min(1).max(253);

/** `NAME=VALUE` entries, or a map of them, as a map without a prototype. */
const pairs = z.unknown().transform((given, context) => {
  const out: Record<string, string> = Object.create(null);
  if (typeof given === "object" && given !== null && !Array.isArray(given)) {
    for (const [key, value] of Object.entries(given)) out[key] = String(value);
    return out;
  }
  for (const entry of Array.isArray(given) ? given.map(String) : []) {
    const at = entry.indexOf("=");
    if (at < 1) context.addIssue({ code: "custom", message: `"${entry}" must be NAME=VALUE` });
    else out[entry.slice(0, at)] = entry.slice(at + 1);
  }
  return out;
});

const headroom = pairs.transform((entries, context) => {
  const out: Record<string, number> = {};
  for (const [resource, text] of Object.entries(entries)) {
    const amount = parseQuantity(text, "up", unitOf(resource));
    if (amount === undefined) context.addIssue({ code: "custom", message: `${resource}: "${text}" is no quantity` });
    else out[resource] = amount;
  }
  return out;
});

const schema = z.object({
  kubeconfig: z.string().optional(),
  context: z.string().optional(),
  namespace: name.optional(),
  leaseName: name.default("proffer-operator"),
  leaseSeconds: seconds(1, 3600).default(6),
  renewDeadlineSeconds: seconds(1, 3600).default(4),
  retrySeconds: seconds(0.1, 3600).default(1),
  requestTimeoutSeconds: seconds(0.1, 60).default(2),
  connections: z.coerce.number().int().min(1).max(1000).default(32),
  nodeSelector: pairs.prefault({}),
  nodeSettleSeconds: seconds(0, 3600).default(5),
  nodeHeadroom: headroom.prefault({}),
  roundMinIntervalMs: z.coerce.number().int().min(0).max(60_000).default(50),
  holdAfterSeconds: seconds(1, 86_400).default(300),
  topOrder: queueSpec.shape.order,
  topFairResource: queueSpec.shape.fairResource,
  statusDebounceMs: z.coerce.number().int().min(0).max(60_000).default(1000),
  requireAdmissionPolicy: flag.default(true),
  httpHost: z.string().default("0.0.0.0"),
  httpPort: z.coerce.number().int().min(0).max(65_535).default(8080),
  metricsAuth: flag.default(true),
  audience: z.string().optional(),
  logLevel: z.enum(["trace", "debug", "info", "warn", "error", "fatal"]).default("info"),
  recordFile: z.string().optional(),
});

export type Config = z.infer<typeof schema>;
type Field = keyof Config;

const table: Readonly<Record<Field, { value: string; about: string; default?: string; repeated?: true }>> = {
  kubeconfig: {
    value: "FILE",
    about: "How to reach the API server. Default: KUBECONFIG, the pod's ServiceAccount, ~/.kube/config.",
  },
  context: { value: "NAME", about: "The context of the kubeconfig. Default: its current one." },
  namespace: {
    value: "NAME",
    about: "The operator's own namespace: its Lease is there. Default: that of the pod or the context.",
  },
  leaseName: { value: "NAME", about: "The Lease that says who leads." },
  leaseSeconds: { value: "SECONDS", about: "A standby takes over this long after the leader's last sign of life." },
  renewDeadlineSeconds: { value: "SECONDS", about: "The leader stops acting when it could not renew for this long." },
  retrySeconds: { value: "SECONDS", about: "From one attempt to renew or to get the lease to the next." },
  requestTimeoutSeconds: {
    value: "SECONDS",
    about: "The longest that a write may take; with the renew deadline, at most the lease.",
  },
  connections: { value: "COUNT", about: "Connections to the API server for requests, and so requests at a time." },
  nodeSelector: {
    value: "KEY=VALUE",
    about: "A label that nodes must carry to be placed on. May be given several times.",
    default: "none",
    repeated: true,
  },
  nodeSettleSeconds: {
    value: "SECONDS",
    about: "A node that joins is offered after this long: DaemonSet pods come first.",
  },
  nodeHeadroom: {
    value: "RESOURCE=QUANTITY",
    about: "Kept free on every node. May be given several times.",
    default: "none",
    repeated: true,
  },
  roundMinIntervalMs: { value: "MS", about: "Changes that come within this time are decided on together." },
  holdAfterSeconds: {
    value: "SECONDS",
    about: "Who has waited so long for more room than is free at a time has what becomes free held, one at a time.",
  },
  topOrder: {
    value: "ORDER",
    about: "In which order queues without a parent are served, as `Queue.spec.order` says it for the others.",
  },
  topFairResource: { value: "RESOURCE", about: "The resource that a --top-order of Fair is about." },
  statusDebounceMs: { value: "MS", about: "Changes of a Task within this time are written together." },
  requireAdmissionPolicy: {
    value: "BOOL",
    about: "Publish no offer before the chart's admission policies are seen in force.",
  },
  httpHost: { value: "ADDRESS", about: "Where health, metrics and explanations are served." },
  httpPort: { value: "PORT", about: "The port of it; 0 takes a free one." },
  metricsAuth: { value: "BOOL", about: "Ask for a token before metrics are shown. False only on a loopback address." },
  audience: {
    value: "NAME",
    about: "The audience that callers' tokens must be meant for. Default: the API server's own.",
  },
  logLevel: { value: "LEVEL", about: "trace, debug, info, warn, error or fatal." },
  recordFile: {
    value: "FILE",
    about: "Write every input of the broker there, to replay a run. It grows without bound.",
  },
};

/** The options with their defaults, for `--help` and the reference. */
export const CONFIG_OPTIONS: readonly ConfigOption[] = (Object.keys(table) as Field[]).map((field) => {
  const { value, about, repeated, default: text } = table[field];
  const standard = (schema.parse({}) as Record<string, unknown>)[field];
  const defaultText = text ?? (standard === undefined ? undefined : String(standard));
  return {
    name: kebab(field),
    value,
    about,
    schema: schema.shape[field],
    ...(defaultText !== undefined && { defaultText }),
    ...(repeated && { repeated }),
  };
});

/** Not what somebody did wrong, but what is wrong with it: one line. */
export class ConfigError extends Error {}

/** Adds every option to a command; `configOf` reads them back. */
export function withConfigOptions(command: Command): Command {
  command.option("--config <FILE>", "A YAML file with any of the options below, named in camel case.");
  for (const { name: option, value, about, defaultText, repeated } of CONFIG_OPTIONS) {
    const text = defaultText === undefined ? about : `${about} (default: ${defaultText})`;
    const made = new Option(`--${option} <${value}>`, text);
    if (repeated) made.argParser((entry: string, all: string[] = []) => [...all, entry]);
    command.addOption(made);
  }
  return command;
}

/**
 * The configuration from flags, environment and file, in this order of precedence, checked once.
 *
 * @param flags as commander parsed them
 * @throws ConfigError
 */
export function configOf(flags: Record<string, unknown>, env: Readonly<Record<string, string | undefined>>): Config {
  const file = typeof flags.config === "string" ? flags.config : env.PROFFER_CONFIG;
  const merged: Record<string, unknown> = { ...(file === undefined ? {} : readFile(file)) };
  for (const { name: option, repeated } of CONFIG_OPTIONS) {
    const text = env[`PROFFER_${option.toUpperCase().replaceAll("-", "_")}`];
    if (text !== undefined) merged[camel(option)] = repeated ? text.split(",") : text;
  }
  for (const [field, value] of Object.entries(flags)) {
    if (field !== "config" && value !== undefined) merged[field] = value;
  }
  const parsed = schema.strict().safeParse(merged);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      ({ path, message }) => `--${kebab(String(path[0] ?? "config"))}: ${message}`,
    );
    throw new ConfigError(problems.join("; "));
  }
  return checked(parsed.data);
}

function checked(config: Config): Config {
  const { leaseSeconds, renewDeadlineSeconds, requestTimeoutSeconds, retrySeconds } = config;
  if (renewDeadlineSeconds + requestTimeoutSeconds > leaseSeconds) {
    throw new ConfigError(
      `--renew-deadline-seconds (${renewDeadlineSeconds}) and --request-timeout-seconds (${requestTimeoutSeconds}) ` +
        `must together be at most --lease-seconds (${leaseSeconds}): else two leaders could act at once`,
    );
  }
  if (retrySeconds >= renewDeadlineSeconds) {
    throw new ConfigError(
      "--retry-seconds must be less than --renew-deadline-seconds: else one failed renewal loses the lease",
    );
  }
  if ((config.topOrder === "Fair") !== (config.topFairResource !== undefined)) {
    throw new ConfigError("--top-fair-resource must be given with --top-order=Fair, and with no other order");
  }
  return config;
}

function readFile(path: string): Record<string, unknown> {
  let content: unknown;
  try {
    content = parseYaml(readFileSync(path, "utf8"));
  } catch (error) {
    throw new ConfigError(`--config ${path}: ${(error as Error).message.split("\n")[0]}`);
  }
  if (content === null || content === undefined) return {};
  if (typeof content !== "object" || Array.isArray(content)) throw new ConfigError(`--config ${path}: must be a map`);
  return content as Record<string, unknown>;
}

function kebab(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function camel(option: string): string {
  return option.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
