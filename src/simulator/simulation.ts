import type { Effect, Input } from "../offers/messages.ts";
import type { Placement } from "../offers/options.ts";
import type { QueueOrder } from "../offers/queues/queues.ts";
import { Answerers, GOOD_MANNERS, type Manners } from "./answerers.ts";
import { check } from "./check.ts";
import { Checks } from "./checks.ts";
import { Cluster } from "./cluster.ts";
import { type Fates, Kubelets } from "./kubelets.ts";
import { Leader } from "./leader.ts";
import { CALM, type Crash, type Faults } from "./network.ts";
import { Programs } from "./programs.ts";
import { Random } from "./random.ts";
import { Schedule } from "./schedule.ts";
import { randomOrder, Tenants } from "./tenants.ts";

export interface SimulationOptions {
  readonly seed: number;
  /** So long things go wrong. Default 90 s of virtual time. */
  readonly roughMs?: number;
  /** Between two whims of the tenants, at most. */
  readonly whimMs?: number;
  readonly faults?: Partial<Faults>;
  readonly manners?: Manners;
  readonly fates?: Partial<Fates>;
  /** Chance that the leader dies, with each whim. */
  readonly deaths?: number;
  readonly crash?: (label: string) => Crash | undefined;
  readonly trace?: (line: string) => void;
}

const START_MS = 1_700_000_000_000;
const ROUGH: Faults = { lostRequest: 0.03, lostReply: 0.03, refusal: 0.01, requestMs: 300, replyMs: 300, watchMs: 400 };
const ROUGH_MANNERS: Manners = { accept: 6, part: 2, decline: 2, ignore: 1, nonsense: 1, late: 2 };
const ROUGH_FATES: Fates = { exitCode: 0.15, eviction: 0.05, refusal: 0.04, longestRunMs: 25_000, podGc: true };
const GOOD_FATES = { exitCode: 0, eviction: 0, refusal: 0, longestRunMs: 5_000 };
/** After this much calm all must be done. */
const CALM_MS = 1_200_000;
const TAKEOVER_MS = 6_000;

const mean = (free: Float64Array, total: Float64Array, at: number) =>
  total[at]! > 0 ? Math.min(1, Math.max(0, free[at]! / total[at]!)) : 0;
const PLACEMENTS: Readonly<Record<string, Placement>> = {
  BinPack: { score: (free, total, at) => 1 - mean(free, total, at), rotate: false },
  Spread: { score: mean, rotate: true },
};

/** One run from one seed: rough times first, in which nothing may break; then calm, in which everything must end well. */
export class Simulation {
  readonly options: SimulationOptions;
  readonly random: Random;
  readonly schedule = new Schedule(START_MS);
  readonly cluster = new Cluster();
  readonly checks: Checks;
  readonly faults: Faults;
  readonly #kubelets: Kubelets;
  readonly #answerers: Answerers;
  readonly #tenants: Tenants;
  readonly #programs: Programs;
  readonly #top: QueueOrder;
  leader: Leader | undefined;
  #terms = 0;
  #calm = false;

  constructor(options: SimulationOptions) {
    this.options = options;
    this.random = new Random(options.seed);
    this.faults = { ...ROUGH, ...options.faults };
    // A stream of its own: what others draw does not depend on it.
    this.#programs = new Programs(this.cluster, this.schedule, new Random(options.seed ^ 0x5eed));
    this.checks = new Checks(this.cluster, this.#programs);
    const fates = { ...ROUGH_FATES, podGc: this.random.chance(0.5), ...options.fates };
    this.#kubelets = new Kubelets(this.cluster, this.schedule, this.random, fates);
    const manners = options.manners ?? ROUGH_MANNERS;
    this.#answerers = new Answerers(this.cluster, this.schedule, this.random, manners, this.#programs);
    this.#top = randomOrder(this.random);
    this.#tenants = new Tenants(this.cluster, this.schedule, this.random);
    if (options.trace !== undefined) {
      this.cluster.watch(({ input }) => this.#trace("world", JSON.stringify(input)));
    }
  }

  /** Throws with the seed where something is wrong. */
  run(): Checks {
    try {
      this.#rough();
      this.#rest();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const at = this.schedule.nowMs - START_MS;
      throw new Error(`seed ${this.options.seed}, at ${at} ms, step ${this.checks.steps}: ${why}`, { cause: error });
    }
    return this.checks;
  }

  #rough(): void {
    const { roughMs = 90_000 } = this.options;
    this.#tenants.begin();
    this.#programs.begin();
    this.lead();
    this.#planWhim();
    this.#runUntil(START_MS + roughMs);
  }

  #planWhim(): void {
    const { whimMs = 3_000, deaths = 0.05 } = this.options;
    this.schedule.in(this.random.between(1, whimMs), () => {
      if (this.#calm) return;
      this.#tenants.disturb();
      if (this.random.chance(deaths)) this.leader?.die();
      this.#planWhim();
    });
  }

  #rest(): void {
    this.#calm = true;
    Object.assign(this.faults, CALM);
    Object.assign(this.#kubelets.fates, GOOD_FATES);
    this.#answerers.manners = GOOD_MANNERS;
    this.#answerers.longestThoughtMs = 500;
    this.#tenants.calm();
    this.#programs.calm();
    this.#runUntil(this.schedule.nowMs + CALM_MS);
    const { leader } = this;
    check(leader !== undefined, "somebody leads");
    this.checks.end(leader);
    check(leader.idle, "something is still under way");
    this.checks.idle(leader, this.schedule.nowMs);
  }

  lead(): void {
    const { cluster, schedule, random, faults } = this;
    const { crash } = this.options;
    this.checks.counts.terms++;
    const leader = new Leader({
      cluster,
      schedule,
      random,
      faults,
      term: `t${this.#terms++}`,
      placements: PLACEMENTS,
      top: this.#top,
      crash,
      applied: (now, input, effects) => this.#applied(now, input, effects),
      died: () => {
        this.#trace("died", leader.term);
        schedule.in(this.#calm ? TAKEOVER_MS : random.between(0, TAKEOVER_MS), () => this.lead());
      },
    });
    this.leader = leader;
    leader.start();
  }

  #applied(leader: Leader, input: Input, effects: readonly Effect[]): void {
    if (this.options.trace !== undefined) {
      this.#trace(leader.term, JSON.stringify(input));
      for (const effect of effects) this.#trace(leader.term, `  -> ${JSON.stringify(effect)}`);
    }
    if (input.type === "pod-refused" && input.byQuota !== true)
      this.checks.refused.add(`${input.attempt.taskUid}/${input.attempt.index}`);
    this.checks.step(leader, input, effects, this.schedule.nowMs);
  }

  #runUntil(endMs: number): void {
    while (this.schedule.nextMs <= endMs) {
      this.schedule.step();
      if (this.leader?.alive === true && this.leader.idle) this.checks.idle(this.leader, this.schedule.nowMs);
    }
    this.schedule.nowMs = endMs;
  }

  #trace(who: string, what: string): void {
    this.options.trace?.(`${this.schedule.nowMs - START_MS} ${who} ${what}`);
  }
}
