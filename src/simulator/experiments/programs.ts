import type { OfferDraft } from "../../offers/messages.ts";
import type { Site } from "./site.ts";
import type { StageRun, Work } from "./work.ts";

/** How an Offers framework's program thinks. */
export interface Thinking {
  /** For each answer, and besides for each instance that it starts. Milliseconds. */
  readonly answerMs: number;
  readonly instanceMs: number;
  /** Which of its jobs comes first: the oldest, or the one that has the least. */
  readonly among: "Fifo" | "Fair";
}

/** After an offer that nothing fits, the framework is left alone so long. */
const REFUSE_MS = 1_000;

/** The programs of all frameworks that answer offers: each takes what it has work for, after some thought. */
export class Programs {
  readonly #site: Site;
  readonly #work: Work;
  readonly #thinking: (framework: string) => Thinking;

  constructor(site: Site, work: Work, thinking: (framework: string) => Thinking) {
    this.#site = site;
    this.#work = work;
    this.#thinking = thinking;
  }

  /** It sees the offer as it was made, whatever has become of the nodes when it answers. */
  offered(offer: OfferDraft): void {
    const { answerMs, instanceMs, among } = this.#thinking(offer.framework);
    const wanted = this.#launches(offer, among).reduce((sum, { count }) => sum + count, 0);
    this.#site.schedule.in(answerMs + instanceMs * wanted, () => {
      const launches = this.#launches(offer, among);
      this.#site.answer(offer.key, launches, launches.length > 0 ? 0 : REFUSE_MS);
    });
  }

  #launches({ framework, slices }: OfferDraft, among: Thinking["among"]): Launch[] {
    const runs = this.#work.of(framework).map((run) => ({ run, waiting: run.waiting, held: run.placed.size }));
    const launches = new Map<string, Launch>();
    for (const { name, resources } of slices) {
      const free = { ...resources };
      for (let next = choose(runs, free, among); next !== undefined; next = choose(runs, free, among)) {
        const { task, stage } = next.run;
        for (const [resource, amount] of Object.entries(asked(stage))) free[resource] = free[resource]! - amount;
        next.waiting--;
        next.held++;
        const key = `${task} ${name}`;
        const count = (launches.get(key)?.count ?? 0) + 1;
        launches.set(key, { task, slice: name, count });
      }
    }
    return [...launches.values()];
  }
}

interface Launch {
  readonly task: string;
  readonly slice: string;
  readonly count: number;
}

interface Choice {
  readonly run: StageRun;
  waiting: number;
  held: number;
}

const asked = ({ requests }: StageRun["stage"]) => ({ ...requests, pods: 1 });

function choose(runs: readonly Choice[], free: Readonly<Record<string, number>>, among: "Fifo" | "Fair") {
  let best: Choice | undefined;
  for (const choice of runs) {
    if (choice.waiting === 0 || (among === "Fair" && best !== undefined && choice.held >= best.held)) continue;
    if (Object.entries(asked(choice.run.stage)).some(([name, amount]) => (free[name] ?? 0) < amount)) continue;
    if (among === "Fifo") return choice;
    best = choice;
  }
  return best;
}
