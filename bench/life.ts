import { waitFor } from "../tools/cluster/wait.ts";
import type { OperatorProcess } from "../tools/operator/start-operator.ts";
import { type BenchCluster, startBenchCluster, sumOf, untilPods, untilQuiet, writesOf } from "./bench-cluster.ts";
import { FRAMEWORKS, frameworkBody, TASKS, taskBody } from "./fast-client.ts";
import type { Figure } from "./figures.ts";

const IDLE_S = 60;
const OFFERS = "/apis/proffer.dev/v1alpha1/namespaces/default/offers";

/** An operator with nothing to do, after 10,000 tasks: its writes and its CPU for a minute. */
export async function idleFigures(program: string, tell: (line: string) => void): Promise<Figure[]> {
  const bench = await startBenchCluster({ nodes: 1_000, program });
  try {
    const operator = await bench.startOperator();
    await fill(bench, 10, tell);
    await untilQuiet(operator, 10_000);
    const [writes, cpu, startMs] = [sumOf(await writesOf(operator)), operator.cpuSeconds(), performance.now()];
    tell(`watching an idle operator for ${IDLE_S} s`);
    await waitFor("a minute has passed", () => performance.now() - startMs >= IDLE_S * 1_000, {
      everyMs: 1_000,
      timeoutMs: IDLE_S * 2_000,
    });
    const seconds = (performance.now() - startMs) / 1_000;
    return [
      {
        name: "idle_writes",
        value: sumOf(await writesOf(operator)) - writes,
        unit: `API writes in ${IDLE_S} s`,
        target: "0",
      },
      {
        name: "idle_cpu_percent",
        value: ((operator.cpuSeconds() - cpu) / seconds) * 100,
        unit: "% of a core",
        target: "≤ 0.5",
      },
    ];
  } finally {
    await bench.stop();
  }
}

/** 5,000 nodes and 50,000 pods: memory, and how soon a restarted operator makes its first offer. */
export async function sizeFigures(program: string, tell: (line: string) => void): Promise<Figure[]> {
  const bench = await startBenchCluster({ nodes: 5_000, program });
  try {
    const first = await bench.startOperator();
    await fill(bench, 50, tell);
    await untilQuiet(first);
    await first.stop();
    await wish(bench);
    const operator = await bench.startOperator();
    const seconds = await untilOffer(bench, () => leadsSinceMs(operator));
    await untilQuiet(operator, 10_000);
    const rss = operator.rssBytes() / 2 ** 20;
    return [
      { name: "restart_first_offer_s", value: seconds, unit: "s", target: "≤ 4", reference: 3.1, ratio: seconds / 3.1 },
      { name: "rss_mib", value: rss, unit: "MiB", target: "≤ 300", reference: 460, ratio: rss / 460 },
    ];
  } finally {
    await bench.stop();
  }
}

/** Two operators, the leading one is killed: until the other's first offer. */
export async function failoverFigures(program: string, tell: (line: string) => void): Promise<Figure[]> {
  const bench = await startBenchCluster({ nodes: 1_000, program });
  try {
    const leader = await bench.startOperator();
    await untilQuiet(leader);
    const standby = await bench.startOperator();
    await fill(bench, 1, tell);
    await untilQuiet(leader);
    await wish(bench);
    await untilOffer(bench, () => 0);
    const killedMs = Date.now();
    await leader.kill();
    const seconds = await untilOffer(bench, () => (leadsSinceMs(standby) === undefined ? undefined : killedMs));
    return [
      {
        name: "failover_first_offer_s",
        value: seconds,
        unit: "s",
        target: "≤ 8",
        details: { published: "Mesos: 4–8 s" },
      },
    ];
  } finally {
    await bench.stop();
  }
}

async function fill(bench: BenchCluster, tasks: number, tell: (line: string) => void): Promise<void> {
  await bench.client.createAll(FRAMEWORKS, 1, () => frameworkBody("batch", {}));
  await bench.client.createAll(TASKS, tasks, (i) => taskBody(i, "batch", 1_000));
  tell(`waiting for ${tasks * 1_000} pods`);
  await untilPods(bench, tasks * 1_000);
}

/** A framework that wants offers and never answers them. */
function wish(bench: BenchCluster): Promise<void> {
  const spec = {
    scheduler: { type: "Offers" },
    answerers: ["nobody"],
    demand: [{ instances: 1, resources: { cpu: "100m", memory: "128Mi" } }],
    offers: { timeoutSeconds: 3600 },
  };
  return bench.client.createAll(FRAMEWORKS, 1, () => frameworkBody("wishing", spec));
}

/** When the operator said that it leads, in wall-clock milliseconds; undefined while it does not. */
function leadsSinceMs(operator: OperatorProcess): number | undefined {
  const line = operator.log().findLast(({ msg }) => msg === "this process leads now");
  return line === undefined ? undefined : Date.parse(String(line.time));
}

/** Seconds from a moment (once it is known) to the first Offer made after it and still open. */
async function untilOffer({ cluster }: BenchCluster, sinceMs: () => number | undefined): Promise<number> {
  const known = new Set<string>(
    (await cluster.api.get(OFFERS)).items.map((offer: { metadata: { uid: string } }) => offer.metadata.uid),
  );
  const isNew = (offer: { metadata: { uid: string }; status?: { phase?: string } }) =>
    sinceMs() === 0 ? offer.status?.phase !== "Rescinded" : !known.has(offer.metadata.uid);
  return waitFor(
    "an offer",
    async () => {
      const { items } = await cluster.api.get(OFFERS);
      const from = sinceMs();
      return from !== undefined && items.some(isNew) ? Math.max(0.001, (Date.now() - from) / 1_000) : undefined;
    },
    { everyMs: 20, timeoutMs: 120_000 },
  );
}
