import type { Gang } from "../gangs/gang.ts";
import { minimumOf } from "../gangs/gathered.ts";
import type { Offer, OfferSlice } from "../offer.ts";
import { add, type Claimant, type Queue } from "../queues/queues.ts";
import type { Vector } from "../resources.ts";
import type { State } from "../state.ts";
import { claimId, type Instance, isLeaving } from "../tasks/instance.ts";
import type { Task } from "../tasks/task.ts";
import { minimumRuntimeMs } from "./reclaim-rules.ts";

/** Something whose end makes room on its node. */
export interface Victim {
  /** Id of its claim. */
  readonly claim: string;
  readonly node: number;
  readonly vector: Vector;
  readonly claimant: Claimant;
  /** What it is of, and which part of that. */
  readonly of: Task | Offer;
  readonly part: Instance | OfferSlice;
  /** All of this ends with it: half a gang is of use to nobody. */
  readonly gang: Gang | undefined;
}

export function isOffer(of: Task | Offer): of is Offer {
  return "slices" in of;
}

/** What leaves anyhow goes first, then offers that nobody has answered, then tasks: those of the lowest priority first. */
const LEAVING = 0;
const OFFER = 1;
const LOWEST_PRIORITY = -1000;
const RANKS = 2 ** 11;
/** Ages are compared in whole seconds of the clock, up to 24 days; exactly where it matters, on one node. */
const AGES = 2 ** 21;
const ENTRIES = 2 ** 21;
/** As many are sorted at a time at least. */
const PORTION = 8_192;

/**
 * What runs or is offered, as a structure of arrays, in the order in which it would go: rank, then the newest first. Made
 * for one decision; entries are known by their number. Tasks are looked into rank by rank, and only as far as somebody
 * asks: mostly those of the lowest priority are enough.
 */
export class Victims {
  readonly #nowMs: number;
  readonly #width: number;
  readonly #claimantOf: (task: Task) => Claimant;
  readonly #of: (Task | Offer)[] = [];
  readonly #parts: (Instance | OfferSlice)[] = [];
  readonly #claimants: Claimant[] = [];
  readonly #ranks: number[] = [];
  readonly #nodes: number[] = [];
  readonly #placedAtMs: number[] = [];
  /** Rank -> entries that are in no portion yet. */
  readonly #byRank = new Map<number, number[]>();
  /** Rank -> what nobody has looked into yet. A gang is where the first of its tasks is. */
  readonly #unseen = new Map<number, (Task | Gang)[]>();
  /** Parts that are spoken for already. */
  #taken: ReadonlySet<object> = new Set();
  /** Entry -> all that ends with it, itself included, where that is more. */
  readonly #units = new Map<number, readonly number[]>();
  /** Queue -> when the first of its instances that are too young to go is old enough. */
  readonly #sparedUntilMs = new Map<Queue, number>();
  /** Entries in order, in portions, as far as somebody has looked. */
  readonly #order: Float64Array[] = [];
  #most = 0;

  constructor({ nowMs, resources }: State, claimantOf: (task: Task) => Claimant) {
    this.#nowMs = nowMs;
    this.#width = resources.width;
    this.#claimantOf = claimantOf;
  }

  /** Entries that somebody has looked at. */
  get size(): number {
    return this.#parts.length;
  }

  /** There are so many entries at most, of what has been added so far. */
  get most(): number {
    return this.#most;
  }

  /** An offer with what it holds, which is nothing where it is optimistic; `taken` is spoken for already. */
  addOffer(offer: Offer, taken: ReadonlySet<object>): void {
    const rank = offer.state.name === "closing" ? LEAVING : OFFER;
    this.#most += offer.slices.size;
    for (const slice of offer.slices.values()) {
      if (slice.claim === undefined || taken.has(slice)) continue;
      this.#add(offer, slice, offer.claimant, slice.node, rank, offer.publishedAtMs);
    }
  }

  /** The instances that have run for long enough, or leave already; but for those that are `taken`. */
  addTasks(tasks: Iterable<Task>, taken: ReadonlySet<object>): void {
    this.#taken = taken;
    const gangs = new Set<Gang>();
    for (const task of tasks) {
      if (task.live.size === 0) continue;
      this.#most += task.live.size;
      this.#addLeaving(task);
      if (task.gang !== undefined) gangs.add(task.gang);
      else this.#put(this.#unseen, rankOf(task), task);
    }
    for (const gang of gangs) this.#put(this.#unseen, Math.min(...gang.tasks.map(rankOf)), gang);
  }

  /** Exactly these, however young: their framework gives them away. Of a gang all, or what it can do without. */
  addGiven(given: ReadonlyMap<Task, readonly Instance[]>): void {
    const gangs = new Set<Gang>();
    const staying = ({ live }: Task) => [...live.values()].filter((one) => !isLeaving(one)).length;
    for (const [task, instances] of given) {
      this.#most += instances.length;
      if (task.gang !== undefined) gangs.add(task.gang);
      else for (const instance of instances) this.#addInstance(task, instance);
    }
    for (const gang of gangs) {
      const parts = gang.tasks.map((task) => ({ task, instances: given.get(task) ?? [] }));
      const stands = parts.every(
        ({ task, instances }) => instances.length === 0 || staying(task) - instances.length >= minimumOf(task.facts),
      );
      if (stands) for (const { task, instances } of parts) for (const one of instances) this.#addInstance(task, one);
      else if (parts.every(({ task, instances }) => instances.length === staying(task))) this.#addUnit(parts, []);
    }
  }

  #addLeaving(task: Task): void {
    for (const instance of task.live.values()) {
      if (isLeaving(instance) && !this.#taken.has(instance)) this.#addInstance(task, instance);
    }
  }

  /** Those that have run for long enough and stay if nobody ends them. */
  #addEach(task: Task, instances: Iterable<Instance>): void {
    const claimant = this.#claimantOf(task);
    const { parent } = claimant;
    if (parent === undefined) return;
    const minimumMs = minimumRuntimeMs(parent);
    for (const instance of instances) {
      if (isLeaving(instance) || this.#taken.has(instance)) continue;
      const oldFromMs = this.#since(instance) + minimumMs;
      if (oldFromMs <= this.#nowMs) this.#addInstance(task, instance, claimant);
      else this.#spare(parent, oldFromMs);
    }
  }

  /**
   * Those beyond what starts together go one by one, the newest first; the others all at once, and these with them. What
   * leaves already is no part of either.
   */
  #addGang({ tasks }: Gang): void {
    const parts = tasks.map((task) => {
      const left = [...task.live.values()].filter((one) => !this.#taken.has(one));
      const instances = left.filter((one) => !isLeaving(one)).sort(newer);
      return { task, instances, leaving: left.filter(isLeaving) };
    });
    const isShort = parts.some(
      ({ task, instances }) => instances.length < Math.min(task.live.size, minimumOf(task.facts)),
    );
    if (isShort) {
      // It is on its way out, or somebody takes it apart. Or all of it is spoken for: what has joined since goes with it.
      const breaksUp = parts.some(({ leaving }) => leaving.length > 0);
      for (const { task, instances } of parts) if (breaksUp) this.#addEach(task, instances);
      return;
    }
    const first = this.size;
    for (const { task, instances } of parts) {
      this.#addEach(task, instances.splice(0, Math.max(0, instances.length - minimumOf(task.facts))));
    }
    const others = Array.from({ length: this.size - first }, (_, n) => first + n);
    let oldFromMs = 0;
    for (const { task, instances } of parts) {
      const { parent } = this.#claimantOf(task);
      if (parent === undefined) return;
      const since = instances.map((one) => this.#since(one));
      oldFromMs = Math.max(oldFromMs, ...since.map((ms) => ms + minimumRuntimeMs(parent)));
    }
    if (oldFromMs <= this.#nowMs) this.#addUnit(parts, others);
    else this.#spare(this.#claimantOf(tasks[0]!).parent!, oldFromMs);
  }

  /** Those that leave by themselves. */
  *leaving(): Generator<{ readonly vector: Vector; readonly claimant: Claimant }> {
    for (let i = 0; i < this.size; i++) {
      if (this.#ranks[i] === LEAVING) yield { vector: this.#parts[i]!.vector, claimant: this.#claimants[i]! };
    }
  }

  /** When the first of those is old enough that are too young now, of the queues that may be asked; Infinity: none. */
  sparedUntilMs(mayHave: (queue: Queue) => boolean): number {
    for (const rank of this.#unseen.keys()) this.#see(rank);
    let first = Number.POSITIVE_INFINITY;
    for (const [queue, untilMs] of this.#sparedUntilMs) if (mayHave(queue)) first = Math.min(first, untilMs);
    return first;
  }

  node(i: number): number {
    return this.#nodes[i]!;
  }

  vector(i: number): Vector {
    return this.#parts[i]!.vector;
  }

  claimant(i: number): Claimant {
    return this.#claimants[i]!;
  }

  part(i: number): Instance | OfferSlice {
    return this.#parts[i]!;
  }

  of(i: number): Task | Offer {
    return this.#of[i]!;
  }

  /** It ends by itself. */
  leaves(i: number): boolean {
    return this.#ranks[i] === LEAVING;
  }

  isTask(i: number): boolean {
    return !isOffer(this.#of[i]!);
  }

  /** All entries that end with it, itself included. */
  unit(i: number): readonly number[] {
    return this.#units.get(i) ?? [i];
  }

  /** Does the end of one of them mean that of the other, or of a part of it? */
  overlap(i: number, j: number): boolean {
    return this.#units.size === 0 ? i === j : this.unit(i).includes(j) || this.unit(j).includes(i);
  }

  /** What is given back when it ends, on all nodes. */
  total(i: number): Vector {
    const of = this.#of[i]!;
    const parts = isOffer(of) ? [...of.slices.values()] : this.unit(i).map((j) => this.#parts[j]!);
    if (parts.length === 1) return parts[0]!.vector;
    const sum = new Float64Array(this.#width);
    for (const { vector } of parts) add(sum, vector, 1);
    return sum;
  }

  at(i: number): Victim {
    const [of, part] = [this.#of[i]!, this.#parts[i]!];
    const claim = isOffer(of) ? (part as OfferSlice).claim!.id : claimId(of.uid, (part as Instance).index);
    const gang = isOffer(of) || !this.#units.has(i) ? undefined : of.gang;
    return { claim, node: this.#nodes[i]!, vector: part.vector, claimant: this.#claimants[i]!, of, part, gang };
  }

  /** Which of two goes first, exactly. Total: later entries first where nothing else tells them apart. */
  compare(i: number, j: number): number {
    return this.#ranks[i]! - this.#ranks[j]! || this.#placedAtMs[j]! - this.#placedAtMs[i]! || j - i;
  }

  /** All entries in the order in which they would go. */
  *inOrder(): Generator<number> {
    for (let n = 0; ; n++) {
      const portion = this.#order[n] ?? this.#portion();
      if (portion.length === 0) return;
      this.#order[n] = portion;
      for (const key of portion) yield ENTRIES - 1 - (key - Math.floor(key / ENTRIES) * ENTRIES);
    }
  }

  /** The entries of the next ranks in order: what nobody looks at need not be sorted. Of none: all are in portions. */
  #portion(): Float64Array {
    const ranks = [...new Set([...this.#byRank.keys(), ...this.#unseen.keys()])].sort((a, b) => a - b);
    const portion: number[] = [];
    for (const rank of ranks) {
      if (portion.length >= PORTION) break;
      this.#see(rank);
      for (const i of this.#byRank.get(rank) ?? []) if (i < ENTRIES) portion.push(this.#sortKey(i));
      this.#byRank.delete(rank);
    }
    return Float64Array.from(portion).sort();
  }

  /**
   * One number an entry, so that the sort needs no comparisons of ours: rank, age, and the entry, later ones first. The
   * order of two entries does not change as time goes by: what could not be taken back a moment ago cannot be now.
   */
  #sortKey(i: number): number {
    const age = Math.min(AGES - 1, Math.max(0, inSeconds(this.#nowMs) - inSeconds(this.#placedAtMs[i]!)));
    return (Math.min(this.#ranks[i]!, RANKS - 1) * AGES + age) * ENTRIES + (ENTRIES - 1 - i);
  }

  /** Looks into all tasks of the rank. */
  #see(rank: number): void {
    const unseen = this.#unseen.get(rank) ?? [];
    this.#unseen.delete(rank);
    for (const of of unseen) {
      if ("tasks" in of) this.#addGang(of);
      else this.#addEach(of, of.live.values());
    }
  }

  /** Since when it runs, or, as long as it does not, has its place. A node's clock may be ahead of ours. */
  #since({ runsSinceMs, placedAtMs }: Instance): number {
    return Math.min(this.#nowMs, runsSinceMs ?? placedAtMs);
  }

  /** Each of them stands for all, and for the entries `others`, which may also go without them. */
  #addUnit(
    parts: readonly { readonly task: Task; readonly instances: readonly Instance[] }[],
    others: readonly number[],
  ): void {
    const unit = [...others];
    for (const { task, instances } of parts) {
      for (const instance of instances) {
        this.#units.set(this.size, unit);
        unit.push(this.size);
        this.#addInstance(task, instance);
      }
    }
  }

  #addInstance(task: Task, instance: Instance, claimant = this.#claimantOf(task)): void {
    const rank = isLeaving(instance) ? LEAVING : rankOf(task);
    this.#add(task, instance, claimant, instance.node, rank, instance.placedAtMs);
  }

  #add(
    of: Task | Offer,
    part: Instance | OfferSlice,
    claimant: Claimant,
    node: number,
    rank: number,
    ms: number,
  ): void {
    this.#put(this.#byRank, rank, this.size);
    this.#of.push(of);
    this.#parts.push(part);
    this.#claimants.push(claimant);
    this.#nodes.push(node);
    this.#ranks.push(rank);
    this.#placedAtMs.push(ms);
  }

  #put<T>(lists: Map<number, T[]>, rank: number, item: T): void {
    const list = lists.get(rank);
    if (list === undefined) lists.set(rank, [item]);
    else list.push(item);
  }

  #spare(queue: Queue, untilMs: number): void {
    this.#sparedUntilMs.set(queue, Math.min(this.#sparedUntilMs.get(queue) ?? untilMs, untilMs));
  }
}

/** The newest is what has its place since last, whether it runs yet or not: that does not change. */
function newer(a: Instance, b: Instance): number {
  return b.placedAtMs - a.placedAtMs || b.index - a.index;
}

function inSeconds(ms: number): number {
  return Math.floor(ms / 1000);
}

function rankOf({ facts }: Task): number {
  return OFFER + 1 + facts.priority - LOWEST_PRIORITY;
}
