import type { Explain } from "./explain/explain.ts";
import type { Framework } from "./framework.ts";
import type { Frameworks } from "./frameworks.ts";
import type { FrameworkFacts } from "./messages.ts";
import { add, type Queue } from "./queues/queues.ts";
import { PODS, type Quantities, type Vector } from "./resources.ts";
import type { State } from "./state.ts";
import type { Task } from "./tasks/task.ts";
import {
  type ClusterView,
  type FrameworkView,
  type InstanceCounts,
  NO_INSTANCES,
  type OfferCounts,
  type QueueView,
} from "./views.ts";

type Counts = { -readonly [State in keyof InstanceCounts]: number };

/** Read-only summaries for status, metrics and people. */
export class Summary {
  readonly #state: State;
  readonly #explain: Explain;
  readonly #frameworks: Frameworks;
  /** Of each Task as it last was: a framework has thousands, of which few change between two looks. */
  readonly #counts = new WeakMap<Task, { readonly version: number; readonly counts: InstanceCounts }>();

  constructor(state: State, explain: Explain, frameworks: Frameworks) {
    this.#state = state;
    this.#explain = explain;
    this.#frameworks = frameworks;
  }

  framework(framework: Framework): FrameworkView | undefined {
    const { facts } = framework;
    if (facts === undefined) return undefined;
    const width = this.#state.resources.width;
    const [allocated, held, demand] = [new Float64Array(width), new Float64Array(width), new Float64Array(width)];
    const holding = new Float64Array(width);
    let vainTurns = 0;
    for (const { name } of facts.queues) {
      const claimant = this.#state.tree.claimants.get(`${facts.key} ${name}`);
      if (claimant === undefined) continue;
      add(allocated, claimant.allocated, 1);
      add(held, claimant.usage, 1);
      add(holding, claimant.holding, 1);
      for (const line of this.#state.lines.of(claimant)) {
        add(demand, line.request, line.pending);
        if (line.pending > 0) vainTurns = Math.max(vainTurns, (line.gang ?? line).vainHolds);
      }
    }
    const first = facts.queues[0]?.name ?? "";
    const claimant = this.#state.tree.claimants.get(`${facts.key} ${first}`);
    const rejected = this.#frameworks.rejection(facts);
    const explain = this.#explain;
    return {
      key: facts.key,
      queue: first,
      dominantShare: claimant === undefined ? 0 : this.#share(claimant.usage),
      counts: this.#countsOf(framework),
      offers: offerCounts(framework),
      allocated: this.#state.resources.quantities(allocated),
      offered: this.#difference(held, allocated, holding),
      held: this.#state.resources.quantities(holding),
      demand: this.#state.resources.quantities(demand),
      vainTurns,
      lowered: this.#lowered(facts.queues),
      ...(rejected === undefined ? {} : { rejected }),
      ...(framework.presence === undefined ? {} : { presence: framework.presence }),
      // Worked out when read: it looks at every node.
      get why() {
        return rejected ?? explain.framework(framework);
      },
    };
  }

  queue(queue: Queue): QueueView | undefined {
    const { facts } = queue;
    if (facts === undefined) return undefined;
    const demand = new Float64Array(this.#state.resources.width);
    const counts = { pending: 0, running: 0 };
    const names = new Set<string>();
    this.#below(queue, demand, counts, names);
    const problem = this.#problem(queue);
    const { lastGood, inForce, declared } = queue.standing!;
    return {
      name: facts.name,
      ...(declared.generation === undefined ? {} : { generation: declared.generation }),
      ...(lastGood === undefined ? {} : { lastGood }),
      inForce,
      ...(facts.parent === undefined ? {} : { parent: facts.parent }),
      weight: facts.weight,
      guarantee: facts.guarantee,
      limit: facts.limit,
      allocated: this.#state.resources.quantities(queue.allocated),
      offered: this.#difference(queue.usage, queue.allocated, queue.holding),
      held: this.#state.resources.quantities(queue.holding),
      demand: this.#state.resources.quantities(demand),
      dominantShare: this.#share(queue.usage),
      fairnessError: this.#fairnessError(queue),
      frameworks: this.#frameworksOf(names),
      queues: queue.children.size,
      counts,
      ...(problem === undefined ? {} : { rejected: { reason: "queue-invalid", message: problem } }),
    };
  }

  #lowered(queues: FrameworkFacts["queues"]): FrameworkView["lowered"] {
    return queues.flatMap(({ name: queue, weight }) => {
      const most = this.#state.tree.queues.get(queue)?.facts?.maxFrameworkWeight ?? weight;
      return weight > most ? [{ queue, weight, most }] : [];
    });
  }

  /** Why what is declared is not in force, and what is instead. */
  #problem({ standing }: Queue): string | undefined {
    if (standing?.problem === undefined) return undefined;
    const { problem, inForce, lastGood } = standing;
    const generation = lastGood?.generation === undefined ? "" : ` (generation ${lastGood.generation})`;
    return inForce
      ? `${problem}; what was declared before${generation} stays in force`
      : `${problem}; it is not in force`;
  }

  cluster(): ClusterView {
    const { nodes, resources, ledger } = this.#state;
    const foreign = new Float64Array(resources.width);
    const [allocated, offered] = [new Float64Array(resources.width), new Float64Array(resources.width)];
    const held = new Float64Array(resources.width);
    const sums = { foreign, task: allocated, offer: offered, hold: held };
    for (const { kind, vector } of ledger.claims()) add(sums[kind], vector, 1);
    const counts = { open: 0, closed: 0, overfull: 0 };
    for (const node of nodes.entries) {
      if (node === undefined) continue;
      counts[node.closed === undefined ? "open" : "closed"]++;
      if (node.facts !== undefined && nodes.overfull(node.index)) counts.overfull++;
    }
    return {
      nodes: counts,
      allocatable: resources.quantities(nodes.openTotal),
      foreign: resources.quantities(foreign),
      allocated: resources.quantities(allocated),
      offered: resources.quantities(offered),
      held: resources.quantities(held),
      free: resources.quantities(nodes.openFree),
      openOffers: this.#state.offers.size,
      ...this.#state.counters,
      inconsistencies: ledger.inconsistencies(),
    };
  }

  #countsOf({ tasks }: Framework): InstanceCounts {
    const sum: Counts = { ...NO_INSTANCES };
    for (const task of tasks) {
      let known = this.#counts.get(task);
      if (known?.version !== task.version) {
        known = { version: task.version, counts: task.counts() };
        this.#counts.set(task, known);
      }
      addCounts(sum, known.counts);
    }
    return sum;
  }

  /** How far the queue's share is from its even part (by weight) of what its siblings with demand or usage hold. */
  #fairnessError(queue: Queue): number {
    const siblings = [...(queue.parent?.children ?? [])].filter(
      (child) => child.instances > 0 || this.#hasDemand(child),
    );
    if (siblings.length < 2 || !siblings.includes(queue)) return 0;
    const weights = siblings.reduce((sum, child) => sum + child.weight, 0);
    const held = siblings.reduce((sum, child) => sum + this.#share(child.usage), 0);
    return Math.abs(this.#share(queue.usage) - (held * queue.weight) / weights);
  }

  #hasDemand(queue: Queue): boolean {
    for (const claimant of queue.claimants) {
      for (const line of this.#state.lines.of(claimant)) if (line.pending > 0) return true;
    }
    return [...queue.children].some((child) => this.#hasDemand(child));
  }

  /** Adds up demand, counts and names of the queue and all below it. */
  #below(queue: Queue, demand: Vector, counts: { pending: number; running: number }, names: Set<string>): void {
    names.add(queue.name);
    for (const claimant of queue.claimants) {
      for (const line of this.#state.lines.of(claimant)) {
        add(demand, line.request, line.pending);
        counts.pending += line.pending;
      }
    }
    counts.running += [...queue.claimants].reduce((sum, claimant) => sum + claimant.placed, 0);
    for (const child of queue.children) this.#below(child, demand, counts, names);
  }

  /** How many frameworks may use one of these queues, whether they have tasks or not. */
  #frameworksOf(queues: ReadonlySet<string>): number {
    let count = 0;
    for (const { facts } of this.#state.frameworks.values()) {
      if (facts?.queues.some(({ name }) => queues.has(name)) === true) count++;
    }
    return count;
  }

  /** The largest part of any resource, 0–1: of all there is, saturated or not, and whatever the weight. */
  #share(vector: Vector): number {
    const total = this.#state.nodes.openTotal;
    let share = 0;
    for (let r = 0; r < vector.length; r++) {
      if (r !== PODS && total[r]! > 0) share = Math.max(share, vector[r]! / total[r]!);
    }
    return share;
  }

  #difference(a: Vector, ...less: Vector[]): Quantities {
    const vector = a.slice();
    for (const part of less) add(vector, part, -1);
    return this.#state.resources.quantities(vector);
  }
}

function addCounts(sum: Counts, counts: InstanceCounts): void {
  sum.pending += counts.pending;
  sum.staging += counts.staging;
  sum.starting += counts.starting;
  sum.running += counts.running;
  sum.unreachable += counts.unreachable;
  sum.finished += counts.finished;
  sum.failed += counts.failed;
  sum.killed += counts.killed;
  sum.lost += counts.lost;
}

function offerCounts(framework: Framework): OfferCounts {
  const open = [...framework.offers].filter(({ state }) => state.name === "open" || state.name === "drafted").length;
  return { open, ...framework.ended };
}
