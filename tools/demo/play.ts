/** The show itself: work arrives, is watched, and ends. */
import { setTimeout as delay } from "node:timers/promises";
import { waitFor } from "../cluster/wait.ts";
import { type DemoFramework, FRAMEWORKS, QUEUES } from "./cast.ts";
import { type FrameworkReading, sampleSum, Totals } from "./readings.ts";
import type { Screen } from "./screen.ts";
import { GPU_MILLI } from "./shapes.ts";
import type { Stage } from "./stage.ts";
import type { Moment, Outcome } from "./summary.ts";
import { plainLine, type Scene, tableOf } from "./table.ts";
import { countTasks, feedBuiltin, lineOf, startProgram, tasksOf } from "./tenants.ts";
import type { Expected } from "./watch.ts";
import { instancesIn, type Workload } from "./workload.ts";

const LOOK_EVERY_MS = 500;
/** Nothing at all has happened for so long: something is broken. */
const STALLED_MS = 90_000;
/** Statuses and watches may lag behind. */
const SETTLE_MS = 20_000;
const RESOURCES = { cpu: "cpu", memory: "memory", GPUs: GPU_MILLI } as const;

export class Play {
  readonly #stage: Stage;
  readonly #workload: Workload;
  readonly #seconds: number;
  readonly #history: Moment[] = [];
  readonly #readings = new Map<string, FrameworkReading>();
  /** Frameworks whose work has arrived. */
  readonly #arrived = new Set<string>();
  /** Frameworks whose program has said that all is done. */
  readonly #ended = new Set<string>();
  /** By framework, once its Tasks are there. */
  readonly #expected = new Map<string, Expected[]>();
  readonly #totals = new Totals();
  #lostRaces = 0;

  /** @param seconds how long the work is to take */
  constructor(stage: Stage, workload: Workload, seconds: number) {
    this.#stage = stage;
    this.#workload = workload;
    this.#seconds = seconds;
  }

  /**
   * Until everything has ended.
   *
   * @throws Error when a program ended that should not, or when nothing happens any more
   */
  async run(screen: Screen, signal: AbortSignal): Promise<Outcome> {
    const startedAt = performance.now();
    let events = 0;
    let movedAt = startedAt;
    for (;;) {
      const elapsed = (performance.now() - startedAt) / 1000;
      this.#letArrive(elapsed);
      await this.#look();
      const scene = this.#scene(elapsed);
      screen.show(tableOf(scene), plainLine(scene));
      this.#history.push({ seconds: elapsed, shares: this.#stage.referee.shares() });
      const [failure] = this.#stage.failures;
      if (failure !== undefined) throw new Error(failure);
      if (this.#allEnded()) return await this.#outcome();
      if (this.#stage.referee.events > events) movedAt = performance.now();
      events = this.#stage.referee.events;
      if (performance.now() - movedAt > STALLED_MS) throw new Error(stalled(scene));
      await delay(LOOK_EVERY_MS, undefined, { signal });
    }
  }

  #letArrive(elapsed: number): void {
    const { cluster, failures } = this.#stage;
    for (const framework of FRAMEWORKS) {
      const { name, kind } = framework;
      if (this.#arrived.has(name) || elapsed < framework.arrives * this.#seconds) continue;
      this.#arrived.add(name);
      const lines = this.#workload.get(name)!.map(lineOf);
      const onEnd = (failure: string | undefined) => {
        if (failure === undefined) this.#ended.add(name);
        else failures.push(failure);
      };
      const started =
        kind === "Builtin" ? feedBuiltin(cluster, framework, lines) : startProgram(cluster, framework, lines, onEnd);
      started.then(
        () => kind === "Builtin" && this.#ended.add(name),
        (error: Error) => failures.push(`the framework ${name} could not be fed: ${error.message}`),
      );
    }
  }

  async #look(): Promise<void> {
    const { readings } = this.#stage;
    const [metrics] = await Promise.all([
      readings.metrics(),
      ...FRAMEWORKS.map(async ({ name }) => {
        const reading = this.#arrived.has(name) ? await readings.framework(name, name) : undefined;
        if (reading !== undefined) this.#readings.set(name, { ...reading, offers: this.#allOffers(name, reading) });
      }),
      ...FRAMEWORKS.map((framework) => this.#findTasks(framework)),
    ]);
    if (metrics !== undefined) {
      this.#lostRaces = this.#totals.add("lost races", sampleSum(metrics, "proffer_lost_races_total"));
    }
  }

  #allOffers(name: string, { offers }: FrameworkReading): Record<string, number> {
    const { open = 0, ...ended } = offers;
    const totals = Object.entries(ended).map(([end, count]) => [end, this.#totals.add(`${name}/${end}`, count)]);
    return { open, ...Object.fromEntries(totals) };
  }

  /** The Tasks' UIDs, by which their pods are told, once all of them have been created. */
  async #findTasks({ name }: DemoFramework): Promise<void> {
    if (!this.#arrived.has(name) || this.#expected.has(name)) return;
    const planned = new Map(this.#workload.get(name)!.map((task) => [`${name}-${task.name}`, task]));
    const { api } = this.#stage.cluster;
    if ((await countTasks(api, name)) < planned.size) return;
    const tasks = await tasksOf(api, name);
    const expected = tasks.map(({ metadata }) => {
      // What is to run is what was planned, not what the API server may have made of it.
      const instances = planned.get(metadata.name)?.instances ?? 0;
      return { uid: metadata.uid, key: `${name}/${metadata.name}`, instances };
    });
    this.#expected.set(name, expected);
  }

  #done(name: string): number {
    return (this.#expected.get(name) ?? []).reduce((sum, task) => sum + this.#stage.referee.succeeded(task), 0);
  }

  /** As the operator sees it; whether it is right is the referee's to say. */
  #allEnded(): boolean {
    return FRAMEWORKS.every(({ name }) => {
      const { finished = 0, failed = 0, killed = 0, lost = 0 } = this.#readings.get(name)?.counts ?? {};
      return this.#ended.has(name) && finished + failed + killed + lost >= instancesIn(this.#workload.get(name)!);
    });
  }

  #scene(elapsedSeconds: number): Scene {
    const { referee } = this.#stage;
    const shares = referee.shares();
    return {
      elapsedSeconds,
      rows: FRAMEWORKS.map((framework) => {
        const { name, arrives } = framework;
        const reading = this.#readings.get(name);
        return {
          framework,
          ...(reading === undefined ? {} : { reading }),
          arrivesInSeconds: Math.max(0, arrives * this.#seconds - elapsedSeconds),
          instances: instancesIn(this.#workload.get(name)!),
          done: this.#done(name),
        };
      }),
      queues: QUEUES.map((queue) => ({ queue, share: shares.get(queue.name) ?? 0 })),
      utilisation: Object.entries(RESOURCES).map(([resource, key]) => ({ resource, part: referee.utilisation(key) })),
      lostRaces: this.#lostRaces,
    };
  }

  async #outcome(): Promise<Outcome> {
    const { cluster, referee, watch } = this.#stage;
    const expected = [...this.#expected.values()].flat();
    const total = FRAMEWORKS.reduce((sum, { name }) => sum + instancesIn(this.#workload.get(name)!), 0);
    let unfinished: string[] = [];
    const settled = async () => {
      const lists = await Promise.all(FRAMEWORKS.map(({ name }) => tasksOf(cluster.api, name)));
      unfinished = lists
        .flat()
        .filter(({ status }) => status?.state !== "Finished")
        .map(({ metadata, status }) => `${metadata.namespace}/${metadata.name} says ${status?.state}, not Finished`);
      return unfinished.length === 0 && referee.verdict(expected).once === total;
    };
    // What is still wrong then stands in the outcome.
    await waitFor("statuses and watch to catch up", settled, { timeoutMs: SETTLE_MS, everyMs: 250 }).catch(() => {});
    await this.#look();
    return {
      verdict: { ...referee.verdict(expected), expected: total },
      events: referee.events,
      hole: watch.hole,
      queues: QUEUES,
      history: this.#history,
      offers: this.#offers(),
      lostRaces: this.#lostRaces,
      unfinished,
    };
  }

  #offers(): Record<string, number> {
    const sum: Record<string, number> = {};
    for (const { offers } of this.#readings.values()) {
      for (const [end, count] of Object.entries(offers)) sum[end] = (sum[end] ?? 0) + count;
    }
    return sum;
  }
}

function stalled(scene: Scene): string {
  return `nothing has happened for ${STALLED_MS / 1000} s:\n${tableOf(scene).join("\n")}`;
}
