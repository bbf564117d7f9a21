import type { State } from "../state.ts";
import { RoomChoice, type Want } from "./room-choice.ts";
import type { UsageAhead } from "./usage-ahead.ts";
import { isOffer, type Victim, type Victims } from "./victims.ts";

/** A node, and what has to end so that the instance fits there. */
export interface Found {
  readonly node: number;
  readonly victims: readonly Victim[];
  /** It counts on what the victims of the one before on this node leave over. */
  readonly shares: boolean;
}

/** No entry. */
const NONE = -1;

/**
 * Looks for room for instances of one shape, one after another: takes candidates in their order, each to its node, until
 * on some node enough has come together. Nothing is evicted by this; what is found has left the ahead.
 */
export class RoomSearch {
  readonly #state: State;
  readonly #victims: Victims;
  readonly #want: Want;
  readonly #choice: RoomChoice;
  readonly #gone: Set<object>;
  readonly #width: number;
  /** By node: what the candidates there hold together, and how many they are. */
  readonly #sums: Float64Array;
  readonly #sizes: Int32Array;
  /** By node: its last candidate; by candidate: the one before it on its node. */
  readonly #last: Int32Array;
  readonly #before: Int32Array;
  readonly #listed: Uint8Array;
  /** By node: fewer candidates than this have been tried in vain. */
  readonly #tryFrom: Int32Array;
  readonly #sequence: Iterator<number>;
  /** Nodes to try before another candidate is looked at. */
  #now: number[] = [];
  #isOver = false;
  /** To come below a limit was tried in vain. */
  #limited = false;

  /** `gone`: what earlier searches of the same decision took. */
  constructor(state: State, ahead: UsageAhead, victims: Victims, want: Want, gone: Set<object>) {
    this.#state = state;
    this.#victims = victims;
    this.#want = want;
    this.#gone = gone;
    this.#choice = new RoomChoice(state, ahead, victims, want, gone);
    this.#width = state.resources.count;
    const nodes = state.nodes.capacity;
    this.#sums = new Float64Array(nodes * this.#width);
    this.#sizes = new Int32Array(nodes);
    this.#last = new Int32Array(nodes).fill(NONE);
    this.#before = new Int32Array(victims.most).fill(NONE);
    this.#listed = new Uint8Array(victims.most);
    this.#tryFrom = new Int32Array(nodes).fill(1);
    this.#sequence = victims.inOrder();
  }

  /** Room for one instance more; undefined: there is none to be had. */
  next(): Found | undefined {
    const node = this.#roomyBelowLimit();
    const found = node === undefined ? undefined : this.#try(node);
    if (found !== undefined) return found;
    if (node !== undefined) this.#limited = true;
    for (;;) {
      const next = this.#now.pop() ?? this.#advance();
      if (next === undefined) return undefined;
      const here = this.#try(next);
      if (here === undefined) continue;
      // What was picked may leave room for another.
      this.#now.push(next);
      return here;
    }
  }

  /**
   * Nodes on which the candidates may make room for one, those first whose candidates go first, with what these hold there
   * together. Instead of `next`, and before `on`.
   */
  chances(): Map<number, Float64Array> {
    const nodes = new Set<number>();
    for (let node = this.#advance(); node !== undefined; node = this.#advance()) nodes.add(node);
    return new Map([...nodes].map((node) => [node, this.#sums.slice(node * this.#width, (node + 1) * this.#width)]));
  }

  /** Room for one instance more on this node. */
  on(node: number): Found | undefined {
    return this.#try(node);
  }

  /** Where only a limit is in the way: the first node that has room. */
  #roomyBelowLimit(): number | undefined {
    if (this.#limited || this.#want.keptBack || this.#choice.isWithinLimits()) return undefined;
    for (const node of this.#state.nodes.entries) {
      if (node !== undefined && this.#want.admits(node.index) && this.#mayFit(node.index)) return node.index;
    }
    return undefined;
  }

  #try(node: number): Found | undefined {
    const members = this.#members(node);
    const picked = this.#choice.pick(node, members);
    if (picked === undefined) {
      this.#tryFrom[node] = Math.max(1, 2 * members.length);
      return undefined;
    }
    const all = picked.flatMap((i) => this.#victims.unit(i));
    const victims = all.map((i) => this.#leave(i));
    const shares = this.#choice.settle(node, victims);
    return { node, victims, shares };
  }

  /** Takes further candidates, until some node may have enough of them. */
  #advance(): number | undefined {
    for (;;) {
      const { value: i, done } = this.#sequence.next();
      if (done === true) return this.#finish();
      const node = this.#victims.node(i);
      if (!this.#want.admits(node) || !this.#choice.isCandidate(i)) continue;
      this.#sum(i, 1);
      this.#listed[i] = 1;
      this.#before[i] = this.#last[node]!;
      this.#last[node] = i;
      if (this.#sizes[node]! >= this.#tryFrom[node]! && this.#mayFit(node)) return node;
    }
  }

  /** All candidates are at their nodes: those where some have come since the last try are tried once more. */
  #finish(): number | undefined {
    if (this.#isOver) return undefined;
    this.#isOver = true;
    for (const { index } of this.#state.nodes.entries.filter((entry) => entry !== undefined).reverse()) {
      const size = this.#sizes[index] ?? 0;
      if (size > this.#tryFrom[index]! >> 1 && size < this.#tryFrom[index]! && this.#mayFit(index))
        this.#now.push(index);
    }
    return this.#now.pop();
  }

  #mayFit(node: number): boolean {
    const base = node * this.#width;
    for (let r = 0; r < this.#width; r++) if (this.#choice.lacking(node, r) > this.#sums[base + r]!) return false;
    return true;
  }

  #members(node: number): number[] {
    const members: number[] = [];
    for (let i = this.#last[node]!; i !== NONE; i = this.#before[i]!) {
      if (this.#choice.isCandidate(i)) members.push(i);
    }
    return members;
  }

  #leave(i: number): Victim {
    const of = this.#victims.of(i);
    if (isOffer(of)) this.#gone.add(of);
    this.#gone.add(this.#victims.part(i));
    if (this.#listed[i] === 1) this.#sum(i, -1);
    return this.#victims.at(i);
  }

  #sum(i: number, sign: 1 | -1): void {
    const base = this.#victims.node(i) * this.#width;
    const vector = this.#victims.vector(i);
    for (let r = 0; r < this.#width; r++) this.#sums[base + r]! += sign * (vector[r] ?? 0);
    this.#sizes[this.#victims.node(i)]! += sign;
  }
}
