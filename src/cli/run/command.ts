import { randomInt, randomUUID } from "node:crypto";
import { Command, Option } from "commander";
import { stringify } from "yaml";
import type { FrameworkSpec } from "../../api/framework.ts";
import { connect, type Session } from "../connection.ts";
import { CliError } from "../errors.ts";
import { connectionFlags, withConnectionFlags } from "../flags.ts";
import { type CommandHelp, withHelp } from "../help.ts";
import { kindOf, refOf } from "../kinds.ts";
import type { Surroundings } from "../surroundings.ts";
import type { Terminal } from "../terminal.ts";
import { pair, quantityOf, resourcePair, seconds, wholeNumber } from "../values.ts";
import { createTask, runTask } from "./run-task.ts";
import { type RunWishes, taskObject } from "./task-object.ts";

const defaultImage = "busybox:1.37";
/** "nobody": the default image would run as root, and no task may. */
const nobody = 65_534;

interface RunFlags {
  instances: number;
  framework?: string;
  queue?: string;
  name?: string;
  image: string;
  cpu?: string;
  memory?: string;
  resource?: Record<string, string>;
  env?: Record<string, string>;
  annotation?: Record<string, string>;
  nodeSelector?: Record<string, string>;
  priority?: number;
  retry?: number;
  timeout?: number;
  ttl?: number;
  runAsUser?: number;
  detach?: true;
  rm?: true;
  prefix: boolean;
  quiet?: true;
  dryRun?: true;
  maxLogs: number;
}

const HELP: CommandHelp = {
  about: [
    "Creates one Task of a Builtin framework, waits for a place, shows the logs of all instances as they come, and ends with the exit code of the worst one. Logs go to standard output, everything else to standard error. A line of instance 3 begins with [3], one of its second attempt with [3.1].",
    "Unlike kubectl's, -n is the number of instances here: the namespace is --namespace alone.",
    "Ctrl-C kills all instances and waits for their end; a second one leaves at once. Exit codes: 0 when all instances succeeded; else the greatest exit code of an instance's last attempt, which is 124 for --timeout, and 1 where there is none; 130 after Ctrl-C; 1 when something else went wrong.",
  ],
  examples: [
    [
      "Four at once; each knows its number.",
      "kubectl proffer run -n 4 --framework nightly --cpu 1 --memory 1Gi -- sh -c 'echo part $PROFFER_TASK_INDEX'",
    ],
    [
      "One with a GPU, tried again twice, deleted at its end.",
      "kubectl proffer run --framework train --image registry.example.com/train:3 --resource nvidia.com/gpu=1 --retry 2 --rm",
    ],
    [
      "Only start them, and print the Task's name.",
      "kubectl proffer run -n 100 --framework nightly --cpu 500m --image registry.example.com/step:1 --detach -- ./step",
    ],
  ],
};

/** `kubectl proffer run`: YARN's distributed shell. */
export function runCommand(surroundings: Surroundings): Command {
  const command = new Command("run")
    .summary("run a command in any number of pods and show what they say")
    .description("Runs a command in any number of pods, placed by Proffer, and shows what they say.")
    .argument("[command...]", "what each instance runs, after --; without one, what the image runs")
    .option("-n, --instances <count>", "how many pods run it, numbered from 0", wholeNumber(1, 10_000), 1)
    .option("-f, --framework <name>", "the Framework (default: the only Builtin one of the namespace)")
    .option("--queue <name>", "one of the Framework's queues (default: its first)")
    .option("--name <name>", "the Task's name (default: run- and some letters)")
    .option("--image <image>", "the containers' image", defaultImage)
    .option("--cpu <quantity>", "what each instance needs", (text) => quantityOf("cpu", text))
    .option("--memory <quantity>", "what each instance needs", (text) => quantityOf("memory", text))
    .option("--resource <name=quantity>", "what else each needs, such as nvidia.com/gpu=1; repeatable", resourcePair)
    .option("-e, --env <name=value>", "a variable of the containers; repeatable", pair)
    .option("--annotation <name=value>", "an annotation of the pods; repeatable", pair)
    .option("--node-selector <label=value>", "a label that nodes must have; repeatable", pair)
    .option("--priority <number>", "which of the framework's Tasks come first: the greater", wholeNumber(-1000, 1000))
    .option("--retry <count>", "how often an instance that fails is tried again", wholeNumber(0, 100))
    .option("--timeout <time>", "an attempt that runs longer is failed: 90s, 10m, 2h", seconds)
    .option("--ttl <time>", "delete the Task so long after its end", seconds)
    .option(
      "--run-as-user <id>",
      `the user in the containers (default: ${nobody} in the default image)`,
      wholeNumber(1, 999_999_999),
    )
    .option("--max-logs <count>", "logs that are followed at once; others wait", wholeNumber(1, 1_000), 50)
    .option("--no-prefix", "lines of the logs as they are")
    .option("-q, --quiet", "say nothing but the logs")
    .addOption(new Option("--rm", "delete the Task at its end").conflicts("detach"))
    .option("-d, --detach", "create the Task, print its name, and leave")
    .option("--dry-run", "print the Task, and create nothing");
  return withHelp(withConnectionFlags(command, { shortNamespace: false }), HELP).action(
    (words: string[], flags: RunFlags) => run(words, flags, surroundings),
  );
}

async function run(words: readonly string[], flags: RunFlags, surroundings: Surroundings): Promise<void> {
  if (words.length === 0 && flags.image === defaultImage) {
    throw new CliError("say what to run: a command after --, or an --image that runs something by itself");
  }
  const { onInterrupt, exitWith } = surroundings;
  const terminal = flags.quiet ? silenced(surroundings.terminal) : surroundings.terminal;
  const session = await connect(connectionFlags(flags), terminal);
  const framework = flags.framework ?? (await onlyBuiltin(session));
  const task = taskObject(wishesOf(words, flags, session.namespace, framework), randomUUID());
  if (flags.dryRun) return terminal.out(stringify(task));
  if (flags.detach) {
    await createTask(session, task);
    return terminal.out(`task.proffer.dev/${task.metadata.name}\n`);
  }
  const { prefix, maxLogs } = flags;
  exitWith(await runTask({ session, task, remove: flags.rm ?? false, prefix, maxLogs, onInterrupt }));
}

/** Results and errors stay. */
function silenced(terminal: Terminal): Terminal {
  return Object.create(terminal, { note: { value: () => {} } }) as Terminal;
}

async function onlyBuiltin({ client, namespace }: Session): Promise<string> {
  const { items } = await client.list(refOf(kindOf("framework"), namespace));
  const builtin = items.filter(({ spec }) => (spec as FrameworkSpec | undefined)?.scheduler.type === "Builtin");
  const names = builtin.map(({ metadata }) => metadata.name).sort();
  if (names.length === 1) return names[0]!;
  if (names.length > 1) throw new CliError(`say which --framework: ${names.join(", ")}`);
  throw new CliError(`namespace ${namespace} has no Builtin framework: create one, or name another --namespace`);
}

function wishesOf(words: readonly string[], flags: RunFlags, namespace: string, framework: string): RunWishes {
  const { cpu, memory, image } = flags;
  return {
    name: flags.name ?? freshName(),
    namespace,
    framework,
    queue: flags.queue,
    instances: flags.instances,
    image,
    command: words,
    requests: { ...(cpu !== undefined && { cpu }), ...(memory !== undefined && { memory }), ...flags.resource },
    env: flags.env ?? {},
    annotations: flags.annotation ?? {},
    nodeSelector: flags.nodeSelector ?? {},
    priority: flags.priority,
    retries: flags.retry,
    timeoutSeconds: flags.timeout,
    runAsUser: flags.runAsUser ?? (image === defaultImage ? nobody : undefined),
    ttlSeconds: flags.ttl,
  };
}

/** `run-` and eight letters and digits, as Kubernetes makes names: without those that look alike or make words. */
function freshName(): string {
  const letters = "bcdfghjklmnpqrstvwxz2456789";
  return `run-${Array.from({ length: 8 }, () => letters[randomInt(letters.length)]).join("")}`;
}
