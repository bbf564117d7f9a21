/** `npm run demo`: frameworks that share a cluster through offers, and a referee who watches the pods. */
import { Random } from "../../src/simulator/random.ts";
import type { EmbeddedCluster } from "../cluster/embedded-cluster.ts";
import { duration, progressOn } from "../cluster/progress.ts";
import { FRAMEWORKS } from "./cast.ts";
import { drawMachines, drawPods } from "./distribution.ts";
import { invitation, letGo, prepareToLinger, refuseSecond } from "./linger.ts";
import { type DemoOptions, parseOptions } from "./options.ts";
import { Play } from "./play.ts";
import { Screen } from "./screen.ts";
import { type Machine, type PodSample, sumOf } from "./shapes.ts";
import { refuseTakenPort, type Stage, setStage, startControlPlane } from "./stage.ts";
import { succeeded, summaryOf } from "./summary.ts";
import { readTrace } from "./trace.ts";
import { instancesIn, planWorkload, type Workload } from "./workload.ts";

/** As many as there are in the trace's list, about. */
const DRAWN_PODS = 8_000;
/** npm passes on a Ctrl-C that the terminal has sent us as well. */
const SAME_SIGNAL_MS = 1_000;

interface Cast {
  readonly machines: readonly Machine[];
  readonly workload: Workload;
}

function chooseCast({ trace, nodes, seed, seconds }: DemoOptions): Cast {
  const random = new Random(seed);
  let machines: readonly Machine[];
  let pods: readonly PodSample[];
  if (trace === undefined) {
    machines = drawMachines(random, nodes);
    pods = drawPods(random, DRAWN_PODS);
  } else {
    const all = readTrace(trace);
    machines = random.shuffled(all.machines).slice(0, nodes);
    pods = all.pods;
  }
  return { machines, workload: planWorkload({ machines, pods, frameworks: FRAMEWORKS, random, seconds }) };
}

function describeCast({ machines, workload }: Cast, { trace, seed }: DemoOptions): string {
  const { cpuMilli, memoryMib, gpuMilli } = sumOf(machines);
  const tasks = [...workload.values()].flat();
  const size = `${Math.round(cpuMilli / 1000)} cores, ${(memoryMib / 2 ** 20).toFixed(1)} TiB, ${gpuMilli / 1000} GPUs`;
  const source = trace === undefined ? "drawn from the published shapes of a GPU cluster" : `of the trace in ${trace}`;
  return (
    `${machines.length} nodes (${size}) and ${tasks.length} tasks with ${instancesIn(tasks)} instances, ` +
    `${source}, seed ${seed}`
  );
}

/** Everything that an end, whatever its cause, has to undo. */
class Undo {
  cluster: EmbeddedCluster | undefined;
  stage: Stage | undefined;

  async all(): Promise<void> {
    await this.stage?.watch.stop();
    await this.cluster?.stop();
    this.cluster = undefined;
  }
}

async function demo(options: DemoOptions, undo: Undo, signal: AbortSignal): Promise<boolean> {
  const startedAt = performance.now();
  const progress = progressOn();
  refuseSecond();
  await refuseTakenPort(options.port);
  const cast = chooseCast(options);
  progress.done(describeCast(cast, options));
  const cluster = await startControlPlane(progress);
  undo.cluster = cluster;
  signal.throwIfAborted();
  const stage = await setStage(cluster, cast.machines, options.port, progress);
  undo.stage = stage;
  const screen = new Screen();
  console.log();
  const outcome = await new Play(stage, cast.workload, options.seconds).run(screen, signal);
  console.log();
  for (const line of summaryOf(outcome)) console.log(line);
  console.log(`Took ${duration(performance.now() - startedAt)}.`);
  if (!options.keep) {
    console.log("Run it again with KEEP=1 to look around with kubectl; docs/guide/demo.md says more.");
    return succeeded(outcome);
  }
  progress.update("leaving some things to look at");
  await prepareToLinger(stage, cast.machines);
  const words = await invitation(stage);
  await letGo(stage, cast.machines.length);
  undo.cluster = undefined;
  console.log();
  for (const line of words) console.log(line);
  return succeeded(outcome);
}

/** Aborts at SIGINT or SIGTERM, and resolves with the exit code for it. */
function interruption(stop: AbortController): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  let firstMs = 0;
  const interrupt = (code: number): void => {
    if (!stop.signal.aborted) {
      firstMs = performance.now();
      resolve(code);
      stop.abort();
    } else if (performance.now() - firstMs > SAME_SIGNAL_MS) {
      // Nobody has to wait: the supervisor sees our end and cleans up.
      process.exit(code);
    }
  };
  process.on("SIGINT", () => interrupt(130));
  process.on("SIGTERM", () => interrupt(143));
  return promise;
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2), process.env);
  if (!["", "embedded"].includes(process.env.CLUSTER ?? "")) {
    throw new Error("the demo brings its own cluster and fills it with fake nodes: unset CLUSTER");
  }
  const stop = new AbortController();
  const interrupted = interruption(stop);
  const undo = new Undo();
  try {
    const shown = demo(options, undo, stop.signal).then((good) => (good ? 0 : 1));
    const code = await Promise.race([shown, interrupted]);
    if (stop.signal.aborted) console.error("\nInterrupted: ending everything.");
    return code;
  } finally {
    await undo.all();
  }
}

try {
  // What is still under way, such as a build, ends with us.
  process.exit(await main());
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
