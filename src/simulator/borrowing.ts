import type { Effect, Input, TaskFacts } from "../offers/messages.ts";
import { Answerers, type Manners } from "./answerers.ts";
import { Checks } from "./checks.ts";
import { Cluster } from "./cluster.ts";
import { Kubelets } from "./kubelets.ts";
import { Leader } from "./leader.ts";
import { CALM } from "./network.ts";
import { capacity, framework, queue } from "./plain-facts.ts";
import { Programs } from "./programs.ts";
import { Random } from "./random.ts";
import { Schedule } from "./schedule.ts";

const START_MS = 1_700_000_000_000;
/** A kubelet ends a pod within 3 s, and three writes come before that. */
const ENDING_MS = 4_000;
const TAKEOVER_MS = 2_000;
const MANNERS: Manners = { accept: 3, part: 1, decline: 2, ignore: 2, nonsense: 1, late: 1 };

export interface BorrowingOptions {
  readonly seed: number;
  /** Somebody else leads every so often; absent: never. */
  readonly termMs?: number;
  readonly trace?: (line: string) => void;
}

/**
 * A world in which everybody wants more than there is: a random tree of queues with guarantees, frameworks that borrow
 * what they can and want it back at once, and others that come and go. Nothing breaks but leaders.
 */
export class Borrowing {
  readonly #options: BorrowingOptions;
  readonly #random: Random;
  readonly #schedule = new Schedule(START_MS);
  readonly #cluster = new Cluster();
  readonly #graceMs: number;
  readonly #minimumRuntimeMs: number;
  readonly checks: Checks;
  #leader: Leader | undefined;
  #terms = 0;
  #tasks = 0;

  constructor(options: BorrowingOptions) {
    const { seed, trace } = options;
    const random = new Random(seed);
    const [cluster, schedule] = [this.#cluster, this.#schedule];
    this.#options = options;
    this.#random = random;
    this.#graceMs = random.pick([0, 2_000, 10_000])!;
    this.#minimumRuntimeMs = random.pick([0, 0, 3_000])!;
    const programs = new Programs(cluster, schedule, random);
    this.checks = new Checks(cluster, programs);
    new Kubelets(cluster, schedule, random, {
      exitCode: 0,
      eviction: 0,
      refusal: 0,
      longestRunMs: 120_000,
      podGc: false,
    });
    new Answerers(cluster, schedule, random, MANNERS, programs);
    if (trace !== undefined) cluster.watch(({ input }) => trace(`world ${JSON.stringify(input)}`));
  }

  /** Throws with the seed where a guarantee is not met, or what is not borrowed is taken. */
  run(ms: number): Checks {
    try {
      this.#begin();
      const endMs = START_MS + ms;
      while (this.#schedule.nextMs <= endMs) this.#schedule.step();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const at = this.#schedule.nowMs - START_MS;
      throw new Error(`seed ${this.#options.seed}, at ${at} ms: ${why}`, { cause: error });
    }
    return this.checks;
  }

  #begin(): void {
    const random = this.#random;
    const nodes = random.between(2, 4);
    const reclaim = { graceMs: this.#graceMs, minimumRuntimeMs: this.#minimumRuntimeMs };
    for (let n = 0; n < nodes; n++) {
      const name = `n${n}`;
      const facts = { name, uid: `${name}-uid`, labels: {}, taints: [], ready: true };
      this.#cluster.putNode({ ...facts, allocatable: capacity(6_000, 60_000, 30, 0) });
    }
    // No more is guaranteed in all than there is.
    let left = nodes * 6;
    const leaves: string[] = [];
    for (const top of ["a", "b", "c"]) {
      this.#cluster.putQueue({ ...queue(top), reclaim });
      const children = random.chance(0.5) ? [`${top}1`, `${top}2`] : [top];
      for (const name of children) {
        const cores = random.chance(0.6) ? random.between(0, Math.min(6, left)) : 0;
        left -= cores;
        const guarantee = cores > 0 ? { cpu: cores * 1_000 } : {};
        this.#cluster.putQueue({ ...queue(name), ...(name === top ? { reclaim } : { parent: top }), guarantee });
        leaves.push(name);
      }
    }
    for (const name of leaves) {
      const facts = framework(`red/${name}`, `${name}-uid`, [name]);
      const scheduler = random.chance(0.7) ? "Builtin" : "Offers";
      this.#cluster.putFramework({ ...facts, scheduler, offerTimeoutMs: 5_000 });
    }
    this.#lead();
    this.#arrive();
  }

  /** One framework after another wants a lot, and what it wants is gone again after a while. */
  #arrive(): void {
    const random = this.#random;
    const { key } = random.pick([...this.#cluster.frameworks.values()])!;
    const uid = `t${this.#tasks++}`;
    const requests = { cpu: random.pick([1_000, 1_500, 2_000])!, memory: 100, pods: 1 };
    const facts: TaskFacts = {
      key: `red/${uid}`,
      uid,
      framework: key,
      templateKey: `red/${requests.cpu}`,
      requests,
      instances: random.between(1, 30),
      priority: random.between(0, 2),
      retry: { limit: 0, backoffMs: 1_000, maxBackoffMs: 1_000, onNodeLost: "Never" },
      createdAtMs: this.#schedule.nowMs,
      deleting: false,
    };
    this.#cluster.templates.set(facts.templateKey, requests);
    this.#cluster.putTask(facts);
    if (random.chance(0.3)) this.#schedule.in(random.between(10_000, 60_000), () => this.#cluster.removeTask(uid));
    this.#schedule.in(random.between(1_000, 15_000), () => this.#arrive());
  }

  #lead(): void {
    const { termMs, trace } = this.#options;
    const leader = new Leader({
      cluster: this.#cluster,
      schedule: this.#schedule,
      random: this.#random,
      faults: { ...CALM },
      term: `t${this.#terms++}`,
      placements: { BinPack: { score: () => 0, rotate: false } },
      top: {},
      applied: (now, input, effects) => {
        trace?.(`${this.#schedule.nowMs - START_MS} ${now.term} ${JSON.stringify(input)}`);
        for (const effect of effects) trace?.(`  -> ${JSON.stringify(effect)}`);
        this.#applied(now, input, effects);
      },
      died: () => this.#schedule.in(TAKEOVER_MS, () => this.#lead()),
    });
    this.#leader = leader;
    leader.start();
    if (termMs !== undefined) this.#schedule.in(termMs, () => leader.die());
  }

  /** A deadline, the time that protects, and the end of the pods; each of them twice where one plan has made way for another. */
  get #boundMs(): number {
    const { termMs } = this.#options;
    return 2 * (this.#graceMs + this.#minimumRuntimeMs + ENDING_MS + (termMs === undefined ? 0 : TAKEOVER_MS));
  }

  #applied(leader: Leader, input: Input, effects: readonly Effect[]): void {
    const { nowMs } = this.#schedule;
    this.checks.step(leader, input, effects, nowMs);
    for (const effect of effects) {
      if (effect.type === "create-pod") this.checks.guarantees.served(effect.attempt.taskUid);
    }
    if (leader !== this.#leader || input.type !== "tick") return;
    this.checks.guarantees.met(leader, nowMs, this.#boundMs, this.#minimumRuntimeMs);
  }
}
