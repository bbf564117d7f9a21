/** `npm run cluster -- COMMAND`: clusters that stay until they are taken down. */
import { readFileSync } from "node:fs";
import { Command, InvalidArgumentError } from "commander";
import { BINARY_NAMES, ensureBinaries } from "./binaries.ts";
import { ensureHelm, ensureKubectl } from "./helm-kubectl.ts";
import { type NodeShape, parseNodesCsv, parseShape, repeatShapes } from "./node-shapes.ts";
import { duration, progressOn } from "./progress.ts";
import { endCluster, findCluster, listClusters, writeCard } from "./registry.ts";
import { startEmbedded } from "./start-cluster.ts";
import { sweepStale } from "./sweep.ts";

const DEFAULT_NAME = "proffer";
const DEFAULT_SHAPE = "cpu=32,memory=128Gi";
const EXTRAS = ["kube-controller-manager", "kube-scheduler"] as const;
type Extra = (typeof EXTRAS)[number];

interface UpOptions {
  readonly name: string;
  readonly nodes?: number;
  readonly shape?: readonly NodeShape[];
  readonly nodesFrom?: string;
  readonly with?: readonly Extra[];
  readonly kwok?: boolean;
  readonly realNode?: boolean;
}

/** Makes a parser's error one of the command line's. */
function parsing<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
    }
  };
}

const parseCount = parsing((text) => {
  if (!/^\d+$/.test(text)) throw new Error("Not a whole number.");
  return Number(text);
});

const parseExtras = parsing((text): Extra[] =>
  text.split(",").map((name) => {
    const extra = EXTRAS.find((known) => known === name);
    if (extra === undefined) throw new Error(`Known: ${EXTRAS.join(", ")}.`);
    return extra;
  }),
);

function wantedNodes(options: UpOptions): NodeShape[] {
  if (options.nodesFrom !== undefined) {
    if (options.shape !== undefined) throw new Error("--shape and --nodes-from exclude each other");
    const all = parseNodesCsv(readFileSync(options.nodesFrom, "utf8"));
    return options.nodes === undefined ? all : all.slice(0, options.nodes);
  }
  const shapes = options.shape ?? [parseShape(DEFAULT_SHAPE)];
  return repeatShapes(shapes, options.nodes ?? (options.shape === undefined ? 0 : shapes.length));
}

async function up(options: UpOptions): Promise<void> {
  const startedAt = performance.now();
  const shapes = wantedNodes(options);
  if (listClusters().some(({ name }) => name === options.name)) {
    throw new Error(`cluster ${options.name} is running already; see: npm run cluster -- status`);
  }
  const progress = progressOn();
  const cluster = await startEmbedded({
    name: options.name,
    kwok: options.kwok ?? shapes.length > 0,
    controllerManager: options.with?.includes("kube-controller-manager") ?? false,
    scheduler: options.with?.includes("kube-scheduler") ?? false,
    ...(options.realNode && { realNode: { images: ["workload", "operator"] } }),
    progress,
  });
  try {
    if (shapes.length > 0) await cluster.addNodes(shapes, { progress });
    const { name, url, kubeconfigPath } = cluster;
    writeCard(cluster.dir, { name, url, kubeconfigPath, nodes: shapes.length, startedAt: new Date().toISOString() });
    await cluster.detach();
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  progress.done(`cluster ${cluster.name} is ready at ${cluster.url} after ${duration(performance.now() - startedAt)}`);
  console.log(`export KUBECONFIG=${cluster.kubeconfigPath}`);
}

async function down(options: { readonly name: string; readonly all?: boolean }): Promise<void> {
  const doomed = options.all === true ? listClusters() : [findCluster(options.name)];
  for (const cluster of doomed) {
    await endCluster(cluster);
    console.log(`cluster ${cluster.name} is gone`);
  }
  await sweepStale();
}

function status(): void {
  const clusters = listClusters();
  if (clusters.length === 0) {
    console.log("no cluster is running");
    return;
  }
  const rows = clusters.map(({ name, nodes, url, startedAt, processes }) => {
    const age = duration(Date.now() - Date.parse(startedAt));
    return [name, String(nodes), age, url, processes.join(",")];
  });
  const table = [["NAME", "NODES", "AGE", "URL", "PROCESSES"], ...rows];
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
  for (const row of table)
    console.log(
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("   ")
        .trimEnd(),
    );
}

async function build(names: readonly string[]): Promise<void> {
  const unknown = names.find((name) => !(BINARY_NAMES as readonly string[]).includes(name));
  if (unknown !== undefined) throw new Error(`no binary ${unknown}; known: ${BINARY_NAMES.join(", ")}`);
  const wanted = names.length === 0 ? BINARY_NAMES : BINARY_NAMES.filter((name) => names.includes(name));
  const paths: Record<string, string> = await ensureBinaries(wanted, progressOn());
  if (names.length === 0) Object.assign(paths, { helm: await ensureHelm(), kubectl: await ensureKubectl() });
  for (const [name, path] of Object.entries(paths)) console.log(`${name.padEnd(24)} ${path}`);
}

const program = new Command("cluster").description("Kubernetes control planes on this machine, with fake nodes");

program
  .command("up")
  .description("start a cluster that stays until `down`")
  .option("--name <name>", "what to call it", DEFAULT_NAME)
  .option("--nodes <n>", "how many fake nodes; of a file, the first n", parseCount)
  .option(
    "--shape <shape>",
    `what a node has, such as cpu=32,memory=128Gi,gpu=8,model=A100; several take turns (default: ${DEFAULT_SHAPE})`,
    (text, sofar: NodeShape[] | undefined) => [...(sofar ?? []), parsing(parseShape)(text)],
  )
  .option("--nodes-from <csv>", "fake nodes from a table with the columns sn,cpu_milli,memory_mib,gpu,model")
  .option("--with <programs>", `also run ${EXTRAS.join(",")}`, parseExtras)
  .option("--real-node", "a node with containerd and a kubelet, and with our images; needs root")
  .option("--kwok", "kwok plays the kubelets (default: with nodes)")
  .option("--no-kwok", "nothing happens to pods on fake nodes")
  .action(up);
program
  .command("down")
  .description("end a cluster and remove every trace of it")
  .option("--name <name>", "which", DEFAULT_NAME)
  .option("--all", "all of them")
  .action(down);
program.command("status").description("list the clusters that `up` started").action(status);
program
  .command("kubeconfig")
  .description("print the path of the administrator's kubeconfig file")
  .option("--name <name>", "which", DEFAULT_NAME)
  .action((options: { readonly name: string }) => console.log(findCluster(options.name).kubeconfigPath));
program
  .command("build")
  .description(`build what is missing in the cache: ${BINARY_NAMES.join(", ")}; without names also helm and kubectl`)
  .argument("[names...]")
  .action(build);

try {
  await program.parseAsync();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
