import type { Answer, Inverse, Launch, OfferFacts, Slice, TaskFacts } from "../offers/messages.ts";
import { matchesLabels, untoleratedTaint } from "../offers/nodes/constraints.ts";
import { parseIndexes } from "../offers/structures/indexes.ts";
import type { Cluster } from "./cluster.ts";
import { minimumOf } from "./gang-tenants.ts";
import type { Programs } from "./programs.ts";
import type { Random } from "./random.ts";
import type { Schedule } from "./schedule.ts";

/** How often a framework's controller does what when an offer comes. Weights. */
export interface Manners {
  accept: number;
  part: number;
  decline: number;
  ignore: number;
  nonsense: number;
  /** Weight of answering about when the offer expires. */
  late: number;
}

export const GOOD_MANNERS: Manners = { accept: 1, part: 0, decline: 0, ignore: 0, nonsense: 0, late: 0 };

/** The controllers of all frameworks that answer Offers. */
export class Answerers {
  manners: Manners;
  longestThoughtMs = 3_000;
  readonly #cluster: Cluster;
  readonly #schedule: Schedule;
  readonly #random: Random;
  readonly #programs: Programs;

  constructor(cluster: Cluster, schedule: Schedule, random: Random, manners: Manners, programs: Programs) {
    this.#programs = programs;
    this.#cluster = cluster;
    this.#schedule = schedule;
    this.#random = random;
    this.manners = manners;
    const known = new Set<string>();
    cluster.watch(({ input }) => {
      if (input.type !== "offer-observed" || known.has(input.offer.uid)) return;
      known.add(input.offer.uid);
      this.#think(input.offer.key);
    });
  }

  #think(key: string): void {
    const draft = this.#cluster.offers.get(key)!.draft;
    const manner = this.#random.weighted(this.manners);
    if (manner === "ignore") return;
    const untilMs = draft.expiresAtMs - this.#schedule.nowMs;
    const delayMs = manner === "late" ? untilMs + this.#random.between(-100, 300) : this.#thought();
    this.#schedule.in(Math.max(1, delayMs), () => this.#answer(key, manner));
  }

  #thought(): number {
    return this.#random.between(1, this.longestThoughtMs);
  }

  #answer(key: string, manner: keyof Manners): void {
    const offer = this.#cluster.offers.get(key);
    if (offer === undefined || this.#programs.isDead(offer.facts.framework)) return;
    const answers: Record<keyof Manners, () => Answer> = {
      accept: () => this.#accept(offer.facts, false),
      part: () => this.#accept(offer.facts, true),
      late: () => this.#accept(offer.facts, false),
      decline: () => this.#decline(offer.facts),
      ignore: () => this.#decline(offer.facts),
      nonsense: () => this.#nonsense(offer.facts),
    };
    const { inverse } = offer.facts;
    const answer = inverse === undefined ? answers[manner]() : this.#giveBack(offer.facts, inverse, manner);
    this.#cluster.answerOffer(key, answer);
  }

  /** What it is asked for, or anything else that it runs, or too little, or nothing. */
  #giveBack(offer: OfferFacts, { candidates }: Inverse, manner: keyof Manners): Answer {
    const by = manner === "nonsense" && this.#random.chance(0.5) ? "mallory" : this.#by(offer);
    const asked = candidates.map(({ task, indexes }) => ({ task, indexes }));
    const tasks = [...this.#cluster.tasks.values()].filter(({ facts }) => facts.framework === offer.framework);
    const own = tasks.map(({ facts }) => ({ task: facts.key.split("/")[1]!, indexes: "0-9" }));
    const release = manner === "accept" ? asked : manner === "late" ? own : this.#random.shuffled(own).slice(0, 1);
    if (manner === "decline" || release.length === 0) return { by, decision: "Decline", launches: [], refuseMs: 0 };
    return { by, decision: "Accept", launches: [], release, refuseMs: 0 };
  }

  #by({ framework }: OfferFacts): string {
    return this.#cluster.frameworks.get(framework)?.answerers[0] ?? "nobody";
  }

  #decline(offer: OfferFacts): Answer {
    const refuseMs = this.#random.pick([0, 1_000, 5_000, 30_000, 120_000])!;
    return { by: this.#by(offer), decision: "Decline", launches: [], refuseMs, reason: "not now" };
  }

  /** What fits, tasks in turn; `part`: leaves some of it. */
  #accept(offer: OfferFacts, part: boolean): Answer {
    const launches: Launch[] = [];
    // Of what starts together the least: there may be room for no more of each.
    const waiting = new Map(this.#waiting(offer).map((task) => [task, this.#together(task) || this.#missing(task)]));
    // One more might not be spread evenly: one at a time.
    let spread = false;
    for (const slice of offer.slices) {
      const free = { ...slice.resources };
      for (const [task, missing] of waiting) {
        const isSpread = (task.constraints?.spread ?? []).length > 0;
        if (!this.#admits(task, offer, slice) || (isSpread && spread)) continue;
        const most = isSpread ? Math.min(1, missing) : missing;
        let count = 0;
        while (count < most && this.#take(free, task)) count++;
        if (part && count > 0) count = this.#random.between(0, count);
        if (count === 0) continue;
        spread ||= isSpread;
        waiting.set(task, missing - count);
        launches.push({ task: task.key.split("/")[1]!, slice: slice.name, count });
      }
    }
    if (!part) withoutHalves(launches, this.#waiting(offer), (task) => this.#together(task));
    const by = this.#by(offer);
    if (launches.length === 0) return { by, decision: "Decline", launches, refuseMs: 1_000 };
    return { by, decision: "Accept", launches, refuseMs: this.#random.pick([0, 0, 5_000])! };
  }

  #nonsense(offer: OfferFacts): Answer {
    const good = this.#accept(offer, false);
    const first = good.launches[0] ?? { task: "no-such-task", slice: "s0", count: 1 };
    const wrong: readonly Answer[] = [
      { ...good, decision: "Accept", by: "mallory" },
      { ...good, decision: "Accept", launches: [{ ...first, slice: "s99" }] },
      { ...good, decision: "Accept", launches: [...good.launches, { ...first, task: "no-such-task" }] },
      { ...good, decision: "Accept", launches: [{ ...first, count: 1000 }] },
      // One more than waits, or than fits.
      { ...good, decision: "Accept", launches: [{ ...first, count: first.count + 1 }] },
      { ...good, decision: "Accept", launches: [...good.launches, ...good.launches, ...good.launches] },
      { ...good, decision: "Accept", launches: [] },
    ];
    return this.#random.pick(wrong)!;
  }

  #waiting(offer: OfferFacts): TaskFacts[] {
    const framework = this.#cluster.frameworks.get(offer.framework);
    return this.#random
      .shuffled([...this.#cluster.tasks.values()].map(({ facts }) => facts))
      .filter((task) => task.framework === offer.framework && !task.deleting)
      .filter((task) => (task.queue ?? framework?.queues[0]?.name) === offer.queue);
  }

  /** Instances that neither run nor have ended, as far as anyone outside can see. */
  #missing(task: TaskFacts): number {
    const status = this.#cluster.tasks.get(task.uid)?.status;
    const over = [status?.succeededIndexes ?? "", status?.failedIndexes ?? ""].join(",");
    const busy = new Set(parseIndexes(over, task.instances));
    for (const { facts } of this.#cluster.pods.values()) {
      if (facts.taskUid === task.uid && facts.phase !== "Failed") busy.add(facts.index);
    }
    const missing = task.instances - busy.size;
    return Math.min(missing, (task.parallelism ?? Number.POSITIVE_INFINITY) - this.#running(task));
  }

  /** How many of its instances an answer must start, if any; 0 once they have started together. */
  #together(task: TaskFacts): number {
    if (this.#cluster.tasks.get(task.uid)?.status?.startedTogether === true) return 0;
    return task.gang === undefined && task.group === undefined ? 0 : Math.min(minimumOf(task), this.#missing(task));
  }

  #running(task: TaskFacts): number {
    const live = [...this.#cluster.pods.values()].filter(
      ({ facts }) => facts.taskUid === task.uid && facts.phase !== "Failed" && facts.phase !== "Succeeded",
    );
    return live.length;
  }

  #admits(task: TaskFacts, offer: OfferFacts, slice: Slice): boolean {
    const framework = this.#cluster.frameworks.get(offer.framework);
    const taints = this.#cluster.nodes.get(slice.node)?.taints ?? [];
    return [task.constraints ?? {}, framework?.constraints ?? {}].every(
      (constraints) =>
        matchesLabels(constraints, slice.labels) &&
        untoleratedTaint([...(constraints.tolerations ?? []), ...(task.constraints?.tolerations ?? [])], taints) ===
          undefined,
    );
  }

  #take(free: Record<string, number>, task: TaskFacts): boolean {
    const requests = this.#cluster.templates.get(task.templateKey) ?? task.requests;
    if (typeof requests === "string") return false;
    const fits = Object.entries(requests).every(([name, amount]) => (free[name] ?? 0) >= amount);
    if (fits) for (const [name, amount] of Object.entries(requests)) free[name] = free[name]! - amount;
    return fits;
  }
}

/** Takes out what starts a part of what starts together. */
function withoutHalves(launches: Launch[], tasks: readonly TaskFacts[], least: (task: TaskFacts) => number): void {
  const launched = (task: TaskFacts) =>
    launches.reduce((sum, launch) => sum + (task.key.endsWith(`/${launch.task}`) ? launch.count : 0), 0);
  const fellows = ({ uid, group }: TaskFacts) =>
    tasks.filter((other) => other.uid === uid || (group !== undefined && other.group?.name === group.name));
  for (const task of tasks) {
    if (launched(task) === 0 || fellows(task).every((fellow) => launched(fellow) >= least(fellow))) continue;
    for (const fellow of fellows(task)) {
      for (let at = launches.length - 1; at >= 0; at--) {
        if (fellow.key.endsWith(`/${launches[at]!.task}`)) launches.splice(at, 1);
      }
    }
  }
}
