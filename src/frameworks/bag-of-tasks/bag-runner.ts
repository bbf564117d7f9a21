import type { Framework } from "../../api/framework.ts";
import type { Offer } from "../../api/offer.ts";
import type { Task, TaskState } from "../../api/task.ts";
import { type Clock, sleep } from "../../controller/kube/clock.ts";
import type { Answer, AnswerResult } from "../sdk/answer.ts";
import type { Change, FrameworkClient } from "../sdk/framework-client.ts";
import { type BagEntry, differenceOf } from "./bag.ts";
import { type Decision, decide, type Launch, type Wanted } from "./decide.ts";
import { isFinal, Memory, offeredOf, stateOf, unsettledLaunches, waitingOf, wantedOf } from "./progress.ts";

/** The label of a bag's Tasks. */
const BAG_LABEL = "bag-of-tasks";

export interface BagRunnerOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly bag: string;
  readonly entries: readonly BagEntry[];
  /** How long nodes that nothing was launched on are not wanted. */
  readonly refuseSeconds: number;
  readonly log: (message: string) => void;
}

/** What a bag needs of the SDK. */
export type Client = Pick<
  FrameworkClient,
  "offers" | "tasks" | "framework" | "answer" | "createTask" | "patchFramework" | "synced"
>;

/** How many Tasks ended in which state. */
export type Summary = Partial<Record<TaskState, number>>;

/** Why an offer is declined, as its answer says. */
const DECLINED = {
  idle: "nothing waits",
  unfit: "nothing that waits fits",
  covered: "what fits is launched already",
} as const;
/** Soon enough it is known whether those launches have come to something. */
const COVERED_SECONDS = 2;
const CREATES_AT_ONCE = 8;
/** Changes that come together are looked at together. */
const COALESCE_MS = 20;
const RETRY_MS = 1_000;

/**
 * Runs a bag of tasks to its end: creates what is missing, answers offers, suppresses the framework when nothing is left.
 * It keeps no state of its own that matters: after a crash it goes on with what the objects say.
 */
export class BagRunner {
  readonly #options: BagRunnerOptions;
  readonly #memory = new Memory();
  /** UIDs of offers with an answer under way, and what it launches. */
  readonly #answering = new Map<string, readonly Launch[]>();
  /** Offers whose answer the API server refused. */
  readonly #hopeless = new Set<string>();
  /** Tasks that someone deleted. */
  readonly #deleted = new Set<string>();
  #changed = Promise.withResolvers<void>();
  /** We declined for want of work until then: new work needs a revive, or the filters keep offers away. */
  #filteredUntilMs = 0;
  #lastProgress = "";

  constructor(options: BagRunnerOptions) {
    this.#options = options;
  }

  /** To be called with every change of the framework's objects. */
  onChange(change: Change): void {
    if (change.type === "offer") {
      const { log, clock } = this.#options;
      for (const { task, refused } of this.#memory.offerSeen(change.offer, clock.nowMs())) {
        log(`${change.offer.metadata.name}: ${task} was refused: ${refused?.reason}: ${refused?.message}`);
      }
    }
    if (change.type === "offer-gone") this.#forget(change.offer);
    if (change.type === "task") this.#memory.taskSeen(change.task);
    if (change.type === "task-gone") this.#deleted.add(change.task.metadata.name);
    this.#changed.resolve();
  }

  #forget(offer: Offer): void {
    this.#memory.offerGone(offer);
    if (this.#hopeless.delete(offer.metadata.uid!)) this.#answering.delete(offer.metadata.uid!);
  }

  /**
   * @param signal stops early: what runs goes on, and the framework is suppressed until the next start
   * @returns how the Tasks ended, or undefined if stopped
   */
  async run(signal: AbortSignal): Promise<Summary | undefined> {
    const { client, clock, log } = this.#options;
    if (!(await Promise.race([client.synced, aborted(signal)]))) return undefined;
    const names = await this.#createTasks();
    await this.#setSuppressed(false);
    for (;;) {
      const tasks = client.tasks().filter(({ metadata }) => names.has(metadata.name));
      this.#report(tasks);
      for (const name of this.#deleted) names.delete(name);
      const settled = tasks.length >= names.size && tasks.every(isFinal);
      if (settled || signal.aborted) {
        await this.#setSuppressed(true);
        return settled ? summaryOf(tasks) : undefined;
      }
      this.#changed = Promise.withResolvers<void>();
      this.#answerOffers(tasks);
      await this.#reviveIfNeeded(tasks).catch((error: unknown) => log(`cannot revive: ${textOf(error)}`));
      await this.#pause(signal);
      await sleep(clock, COALESCE_MS, signal);
    }
  }

  /** Creates what is not there yet; returns the names of all. */
  async #createTasks(): Promise<Set<string>> {
    const { client, entries, bag, log } = this.#options;
    const present = new Map(client.tasks().map((task) => [task.metadata.name, task]));
    const missing = entries.filter(({ name }) => !present.has(name));
    if (missing.length < entries.length) log(`${entries.length - missing.length} tasks are there already`);
    for (let first = 0; first < missing.length; first += CREATES_AT_ONCE) {
      const batch = missing.slice(first, first + CREATES_AT_ONCE);
      const made = await Promise.all(
        batch.map(({ name, spec }) => client.createTask(name, spec, { [BAG_LABEL]: bag })),
      );
      for (const task of made) present.set(task.metadata.name, task);
    }
    for (const entry of entries) {
      const difference = differenceOf(entry, present.get(entry.name)!);
      if (difference)
        throw new Error(`the task ${entry.name} is there already, but ${difference}: name the bag otherwise`);
    }
    return new Set(entries.map(({ name }) => name));
  }

  /** Decides on all open offers at once, and sends the answers without waiting for them. */
  #answerOffers(tasks: readonly Task[]): void {
    const open = this.#options.client.offers().filter(({ metadata }) => !this.#answering.has(metadata.uid!));
    const offered = offeredOf(open);
    if (offered.length === 0) return;
    const byName = new Map(open.map((offer) => [offer.metadata.name, offer]));
    const { clock } = this.#options;
    const waiting = waitingOf(tasks, this.#memory, clock.nowMs());
    for (const decision of decide(offered, this.#wanted(waiting))) {
      const slices = offered.filter(({ name }) => name === decision.offer);
      // What fits may be launched elsewhere already; if that comes to nothing, this offer was the right one.
      const fits =
        decision.launches.length === 0 && decide(slices, waiting).some(({ launches }) => launches.length > 0);
      void this.#answer(
        byName.get(decision.offer)!,
        decision,
        fits ? "covered" : waiting.length > 0 ? "unfit" : "idle",
      );
    }
  }

  #wanted(waiting: readonly Wanted[]): Wanted[] {
    const { client, clock } = this.#options;
    const underWay = [...this.#answering.values()].flat();
    // An answer may stand already while its request is still under way.
    const standing = client.offers().filter(({ metadata }) => !this.#answering.has(metadata.uid!));
    return wantedOf(waiting, [...underWay, ...unsettledLaunches(standing)], this.#memory, clock.nowMs());
  }

  async #answer(offer: Offer, { launches }: Decision, why: keyof typeof DECLINED): Promise<void> {
    const { client, clock, log, refuseSeconds } = this.#options;
    const { uid = "", name } = offer.metadata;
    const declines = launches.length === 0;
    const answer: Answer = declines
      ? {
          decision: "Decline",
          filter: { refuseSeconds: why === "covered" ? Math.min(COVERED_SECONDS, refuseSeconds) : refuseSeconds },
          reason: DECLINED[why],
        }
      : { decision: "Accept", launches: [...launches], filter: { refuseSeconds: 0 } };
    this.#answering.set(uid, launches);
    this.#memory.answerGiven(uid, launches, clock.nowMs());
    try {
      const result = await client.answer(offer, answer);
      log(`${name}: ${describe(answer, result)}`);
      // Asked again, the server would say the same: let the offer expire.
      if (result.type === "refused") this.#hopeless.add(uid);
      if (declines && why === "idle") this.#filteredUntilMs = clock.nowMs() + refuseSeconds * 1_000;
      // The watch may lag behind the answer: wait for it, or the same instances would be launched again.
      if (result.type === "answered") await this.#seen(uid);
    } catch (error) {
      log(`${name}: no answer could be given: ${textOf(error)}`);
      await sleep(clock, RETRY_MS);
    } finally {
      if (!this.#hopeless.has(uid)) this.#answering.delete(uid);
      else this.#answering.set(uid, []);
      this.#changed.resolve();
    }
  }

  /** Waits until the watch shows the answer; a second should be long enough for that. */
  async #seen(uid: string): Promise<void> {
    const { client, clock } = this.#options;
    const untilMs = clock.monotonicMs() + RETRY_MS;
    while (clock.monotonicMs() < untilMs) {
      const offer = client.offers().find(({ metadata }) => metadata.uid === uid);
      if (!offer || offer.answer !== undefined) return;
      await sleep(clock, COALESCE_MS);
    }
  }

  /** Work that appears while filters of ours are in force (a retry, say) would wait for their end. */
  async #reviveIfNeeded(tasks: readonly Task[]): Promise<void> {
    const { client, clock } = this.#options;
    if (clock.nowMs() >= this.#filteredUntilMs || offeredOf(client.offers()).length > 0) return;
    if (this.#wanted(waitingOf(tasks, this.#memory, clock.nowMs())).length === 0) return;
    this.#filteredUntilMs = 0;
    await client.patchFramework({ revive: ((client.framework()?.spec.revive ?? 0) + 1) % 2_147_483_648 });
  }

  async #setSuppressed(suppressed: boolean): Promise<void> {
    const { client, log } = this.#options;
    const framework: Framework | undefined = client.framework();
    if (!framework || framework.spec.suppressed === suppressed) return;
    await client.patchFramework({ suppressed });
    log(suppressed ? "suppressed: no more offers" : "resumed");
  }

  /** Until something changes, or a time that matters comes. */
  async #pause(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const nowMs = clock.nowMs();
    const nextMs = this.#memory.nextMs(nowMs);
    const over = new AbortController();
    const ended = AbortSignal.any([signal, over.signal]);
    const waits = [this.#changed.promise, sleep(clock, (nextMs ?? nowMs + 60_000) - nowMs, ended)];
    await Promise.race(waits);
    over.abort();
  }

  #report(tasks: readonly Task[]): void {
    const sum = { pending: 0, running: 0, finished: 0, failed: 0 };
    for (const { status, spec } of tasks) {
      const counts = status?.counts;
      if (!counts) {
        sum.pending += spec.instances;
        continue;
      }
      sum.pending += counts.pending;
      sum.running += counts.staging + counts.starting + counts.running + counts.unreachable;
      sum.finished += counts.finished;
      sum.failed += counts.failed + counts.killed + counts.lost;
    }
    const text = `${sum.pending} wait, ${sum.running} run, ${sum.finished} finished, ${sum.failed} failed`;
    if (text !== this.#lastProgress) this.#options.log(text);
    this.#lastProgress = text;
  }
}

/** Resolves false when `signal` aborts. */
function aborted(signal: AbortSignal): Promise<false> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(false);
    signal.addEventListener("abort", () => resolve(false), { once: true });
  });
}

function summaryOf(tasks: readonly Task[]): Summary {
  const summary: Summary = {};
  for (const task of tasks) summary[stateOf(task)] = (summary[stateOf(task)] ?? 0) + 1;
  return summary;
}

function describe(answer: Answer, result: AnswerResult): string {
  if (result.type === "gone") return "gone before it was answered";
  if (result.type === "refused") return `the answer was refused: ${result.message}`;
  if (answer.decision === "Decline") return "declined";
  const instances = (answer.launches ?? []).reduce((sum, { count }) => sum + count, 0);
  return `accepted for ${instances} instances`;
}

const textOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
