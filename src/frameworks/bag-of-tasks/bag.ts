import { z } from "zod";
import { describeIssues, quantities } from "../../api/common.ts";
import type { Task, TaskInput } from "../../api/task.ts";

/** A Task to be created: its name, and its spec without the framework. */
export interface BagEntry {
  readonly name: string;
  readonly spec: Omit<TaskInput["spec"], "framework">;
}

/** What lines of a file leave open. */
export interface BagDefaults {
  /** Names of Tasks begin with it; a label of theirs, too. */
  readonly bag: string;
  readonly image: string;
  readonly retryLimit: number;
  readonly queue: string | undefined;
  readonly podAnnotations: Readonly<Record<string, string>>;
}

/** As many instances as a Task may have. */
const MAX_INSTANCES = 10_000;

const line = z.strictObject({
  name: z
    .string()
    .max(40)
    .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, "must be a DNS label")
    .optional(),
  instances: z.int().min(1).max(10_000_000).default(1),
  resources: quantities().default({ cpu: "100m", memory: "64Mi" }),
  durationSeconds: z.number().min(0).max(31_536_000).optional(),
  image: z.string().min(1).max(1024).optional(),
  command: z.array(z.string()).min(1).max(256).optional(),
  env: z.record(z.string().min(1).max(256), z.string()).optional(),
  priority: z.int().min(-1000).max(1000).optional(),
  runAsUser: z.int().min(1).max(2_147_483_647).default(65_534),
  nodeSelector: z.record(z.string().max(317), z.string().max(63)).optional(),
  annotations: z.record(z.string().min(1).max(317), z.string()).optional(),
});

/** One line of a bag's file. */
export type BagLine = z.input<typeof line>;

/**
 * Reads a file of JSON lines, one Task (or more, past 10,000 instances) each. Empty lines and lines that begin with `#` are
 * left out.
 *
 * @throws Error that names the line and what is wrong with it
 */
export function parseBag(text: string, defaults: BagDefaults): BagEntry[] {
  const entries = text.split("\n").flatMap((source, index) => {
    const content = source.trim();
    return content === "" || content.startsWith("#")
      ? []
      : entriesOf(parseLine(content, index + 1), index + 1, defaults);
  });
  const seen = new Set<string>();
  for (const { name } of entries) {
    if (seen.has(name)) throw new Error(`two lines are named ${name}`);
    seen.add(name);
  }
  return entries;
}

/** The bag of one kind of task: what `--count` and its like describe. */
export function uniformBag(source: BagLine, defaults: BagDefaults): BagEntry[] {
  const parsed = line.safeParse(source);
  if (!parsed.success) throw new Error(describeIssues(parsed.error).join("; "));
  return entriesOf(parsed.data, 1, defaults);
}

function parseLine(content: string, number: number): z.output<typeof line> {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    throw new Error(`line ${number} is no JSON`);
  }
  const parsed = line.safeParse(value);
  if (!parsed.success) throw new Error(`line ${number}: ${describeIssues(parsed.error).join("; ")}`);
  return parsed.data;
}

function entriesOf(source: z.output<typeof line>, number: number, defaults: BagDefaults): BagEntry[] {
  const base = `${defaults.bag}-${source.name ?? number}`;
  if (source.instances <= MAX_INSTANCES) return [entryOf(base, source, source.instances, defaults)];
  const parts = Math.ceil(source.instances / MAX_INSTANCES);
  return Array.from({ length: parts }, (_, part) => {
    const instances = Math.min(MAX_INSTANCES, source.instances - part * MAX_INSTANCES);
    return entryOf(`${base}-${part}`, source, instances, defaults);
  });
}

function entryOf(name: string, source: z.output<typeof line>, instances: number, defaults: BagDefaults): BagEntry {
  if (name.length > 63)
    throw new Error(`the name ${name} is longer than 63 characters: choose a shorter one for the bag`);
  const { resources, command, durationSeconds, env, priority, nodeSelector } = source;
  const { queue, retryLimit, podAnnotations } = defaults;
  const container = {
    name: "main",
    image: source.image ?? defaults.image,
    command: command ?? ["sleep", String(durationSeconds ?? 0)],
    ...(env ? { env: Object.entries(env).map(([key, value]) => ({ name: key, value })) } : {}),
    resources: { requests: resources, limits: extended(resources) },
    // Tasks do not run as root, and many small images would.
    securityContext: { runAsUser: source.runAsUser },
  };
  const annotations = { ...podAnnotations, ...source.annotations };
  return {
    name,
    spec: {
      template: {
        ...(Object.keys(annotations).length > 0 ? { metadata: { annotations } } : {}),
        spec: { containers: [container] },
      },
      instances,
      ...(retryLimit > 0 ? { retry: { limit: retryLimit } } : {}),
      ...(queue === undefined ? {} : { queue }),
      ...(priority === undefined ? {} : { priority }),
      ...(nodeSelector ? { constraints: { nodeSelector } } : {}),
    },
  };
}

/** Extended resources (GPUs and their like) must have limits equal to their requests. */
function extended(resources: Readonly<Record<string, string | number>>): Record<string, string | number> {
  return Object.fromEntries(Object.entries(resources).filter(([name]) => name.includes("/")));
}

/**
 * Whether a Task that is there already is the one that an entry would create.
 *
 * @returns what differs, or undefined
 */
export function differenceOf(entry: BagEntry, task: Task): string | undefined {
  const { instances, template } = task.spec;
  if (instances !== (entry.spec.instances ?? 1)) return `it has ${instances} instances, not ${entry.spec.instances}`;
  const [there, ours] = [template.spec.containers[0], entry.spec.template.spec.containers[0]];
  const essence = ({ image, command, resources }: Record<string, unknown>) =>
    JSON.stringify([image, command, Object.entries((resources as { requests: object }).requests).sort()]);
  if (!there || !ours) return "it has no container";
  return essence(there) === essence(ours) ? undefined : "its container has another image, command or request";
}
