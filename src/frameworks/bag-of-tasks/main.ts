import { readFile } from "node:fs/promises";
import { Command, InvalidArgumentError, Option } from "commander";
import { FRAMEWORK_ENV } from "../../api/labels.ts";
import { connect, inWords } from "../sdk/connection.ts";
import { FrameworkClient } from "../sdk/framework-client.ts";
import { type BagDefaults, type BagEntry, parseBag, uniformBag } from "./bag.ts";
import { BagRunner, type Summary } from "./bag-runner.ts";
import { giveNewest } from "./give-back.ts";
import { prepareFramework } from "./prepare-framework.ts";

const HELP = `
Each line of a file is a JSON object; what is left out has the default shown:
  {"name": "‹line number›", "instances": 1, "resources": {"cpu": "100m", "memory": "64Mi"}, "durationSeconds": 0,
   "image": "‹--image›", "command": ["sleep", "‹durationSeconds›"], "env": {}, "priority": 0,
   "runAsUser": 65534, "nodeSelector": {}, "annotations": {}}

The program keeps nothing of its own: started again with the same bag, it goes on where it was. It ends when all tasks
have ended, with 0 if all have finished, else with 1. The tasks stay; delete them by the label bag-of-tasks=‹name›.

Examples:
  bag-of-tasks --name demo --count 100 --cpu 500m --memory 256Mi --duration 30
  bag-of-tasks --name sweep --file sweep.jsonl --queue research --optimistic`;

const GOODBYE_MS = 5_000;

interface Options {
  name: string;
  framework?: string;
  namespace?: string;
  queue: string;
  file?: string;
  count?: number;
  cpu: string;
  memory: string;
  resource: Record<string, string>;
  duration: number;
  image: string;
  retryLimit: number;
  annotation: Record<string, string>;
  optimistic: boolean;
  refuseSeconds: number;
  leaseSeconds: number;
  kubeconfig?: string;
  context?: string;
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("must be a whole number of zero or more.");
  return Number(text);
}

/** Collects `NAME=VALUE` of an option that may be given several times. */
function pair(text: string, earlier: Record<string, string>): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("must be NAME=VALUE.");
  return { ...earlier, [text.slice(0, at)]: text.slice(at + 1) };
}

function program(): Command {
  return new Command("bag-of-tasks")
    .description("Runs a bag of tasks through Proffer's offers: a reference framework")
    .requiredOption("--name <name>", "name of the bag; its tasks' names begin with it")
    .addOption(
      new Option("--framework <name>", "the Framework, created unless it is there (default: the bag's name)").env(
        FRAMEWORK_ENV,
      ),
    )
    .option("--namespace <name>", "where it lives (default: the kubeconfig's or the pod's own)")
    .option("--queue <name>", "the Queue to draw from", "default")
    .addOption(new Option("--file <path>", "JSON lines, one task each; - for standard input").conflicts("count"))
    .option("--count <number>", "so many equal instances, instead of a file", wholeNumber)
    .option("--cpu <quantity>", "what each needs, with --count", "100m")
    .option("--memory <quantity>", "what each needs, with --count", "64Mi")
    .option("--resource <name=quantity>", "what else each needs, with --count; may be repeated", pair, {})
    .option("--duration <seconds>", "how long each sleeps, with --count", wholeNumber, 0)
    .option("--image <image>", "the image of tasks that name none", "busybox:1.37")
    .option("--retry-limit <number>", "how often an instance that fails is tried again", wholeNumber, 0)
    .option("--annotation <key=value>", "an annotation of the pods; may be repeated", pair, {})
    .option("--optimistic", "see offers that others see as well: the first to accept wins", false)
    .option("--refuse-seconds <seconds>", "how long nodes that are declined are not wanted", wholeNumber, 60)
    .option(
      "--lease-seconds <seconds>",
      "without a sign of life for so long, the program counts as away",
      wholeNumber,
      30,
    )
    .option("--kubeconfig <path>", "a kubeconfig (default: as kubectl finds it, or the pod's ServiceAccount)")
    .option("--context <name>", "a context of the kubeconfig")
    .addHelpText("after", HELP);
}

async function readBag(options: Options): Promise<BagEntry[]> {
  const { name, image, retryLimit, queue, annotation } = options;
  const defaults: BagDefaults = { bag: name, image, retryLimit, queue, podAnnotations: annotation };
  if (options.file !== undefined) {
    return parseBag(await readFile(options.file === "-" ? "/dev/stdin" : options.file, "utf8"), defaults);
  }
  if (!options.count) throw new Error("say what to run: --file or --count");
  const resources = { cpu: options.cpu, memory: options.memory, ...options.resource };
  return uniformBag({ instances: options.count, resources, durationSeconds: options.duration }, defaults);
}

/** Aborts on SIGINT and SIGTERM; without a server to say goodbye to, the process ends soon after all the same. */
function stopOnSignals(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  stop.signal.addEventListener("abort", () => setTimeout(() => process.exit(1), GOODBYE_MS).unref());
  return stop.signal;
}

async function run(options: Options): Promise<Summary | undefined> {
  const entries = await readBag(options);
  const { kubeconfig, context, queue, optimistic, refuseSeconds } = options;
  const connection = await connect({ program: "bag-of-tasks", kubeconfig, context });
  const stop = stopOnSignals();
  const log = (message: string): void => console.log(`${new Date().toISOString()} ${message}`);
  let lastError = "";
  const client: FrameworkClient = new FrameworkClient({
    connection,
    namespace: options.namespace ?? connection.namespace,
    framework: options.framework ?? options.name,
    leaseSeconds: Math.max(options.leaseSeconds, 1),
    onChange: (change) => runner.onChange(change),
    giveBack: (offer) => giveNewest(offer, log),
    onError: (error) => {
      // An outage would otherwise fill the log with one line.
      const text = error instanceof Error ? error.message : String(error);
      if (text !== lastError) log(`watching: ${text}`);
      lastError = text;
    },
  });
  let watching: Promise<void> | undefined;
  const runner = new BagRunner({ client, clock: connection.clock, bag: options.name, entries, refuseSeconds, log });
  try {
    await prepareFramework(client, { username: connection.username, queue, optimistic });
    watching = client.start();
    return await Promise.race([runner.run(stop), watching.then(() => undefined)]);
  } catch (error) {
    throw inWords(connection.server, error);
  } finally {
    client.stop();
    await watching;
    await connection.close();
  }
}

const command = program();
await command.parseAsync();
try {
  const summary = await run(command.opts<Options>());
  if (summary) console.log(JSON.stringify(summary));
  const unfinished = Object.keys(summary ?? { stopped: 1 }).some((state) => state !== "Finished");
  process.exitCode = unfinished ? 1 : 0;
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
