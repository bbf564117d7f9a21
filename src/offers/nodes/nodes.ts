import type { NodeFacts } from "../messages.ts";
import { type Quantities, type ResourceTable, type Vector, widened } from "../resources.ts";
import { assert } from "../structures/assert.ts";
import { Bitset } from "../structures/bitset.ts";

/** A node whose kubelet refused a pod is offered again after so long at the latest. */
const DISTRUST_MS = 30_000;

/** Why nothing new goes to a node. */
export type ClosedReason = "gone" | "not ready" | "cordoned" | "not selected" | "settling" | "refused a pod";

export interface NodeEntry {
  readonly index: number;
  readonly name: string;
  /** The Node object, or undefined while it does not exist (claims may outlive it). */
  facts: NodeFacts | undefined;
  closed: ClosedReason | undefined;
  /** The kubelet refused a pod here: closed until then, or until the node or a foreign pod on it is observed anew. */
  distrustedUntilMs: number;
  claims: number;
  /** Rises with every claim that is added; not with what is observed otherwise, nor with releases. */
  version: number;
}

/** Told of every change of a node's openness, labels or taints, and of its room. */
export interface NodeListener {
  /** Openness, labels or taints of the node may have changed; `resized` when the table grew. */
  nodeChanged(node: NodeEntry): void;
  /** Free of the node fell or rose. */
  roomChanged(node: number): void;
}

/**
 * Nodes under dense indices, with what they have and what is free, as flat arrays of `width` resources a node. An index
 * is used again once the node is gone and nothing is claimed on it.
 */
export class NodeTable {
  readonly entries: (NodeEntry | undefined)[] = [];
  /** Allocatable less headroom. */
  total: Vector = new Float64Array(0);
  /** total − claims; below zero where facts took more than there is. */
  free: Vector = new Float64Array(0);
  width: number;
  /** Sums over open nodes: what there is, and what is free on those that are not over-full. */
  openTotal: Vector;
  openFree: Vector;
  /** Nodes whose room grew, or that opened, since the last `drainGained`. */
  #gained = new Bitset();
  readonly #byName = new Map<string, NodeEntry>();
  readonly #unused: number[] = [];
  readonly #maybeUnused: NodeEntry[] = [];
  readonly #listeners: NodeListener[] = [];
  readonly #resources: ResourceTable;
  readonly #headroom: Quantities;
  /** Above the versions of all nodes that are forgotten: a name that comes back is not mistaken for what it was. */
  #firstVersion = 0;

  constructor(resources: ResourceTable, headroom: Quantities = {}) {
    this.#resources = resources;
    this.#headroom = headroom;
    this.width = resources.width;
    this.openTotal = new Float64Array(this.width);
    this.openFree = new Float64Array(this.width);
    resources.onWiden((width) => this.#widen(width));
  }

  listen(listener: NodeListener): void {
    this.#listeners.push(listener);
  }

  get(name: string): NodeEntry | undefined {
    return this.#byName.get(name);
  }

  at(index: number): NodeEntry {
    const entry = this.entries[index];
    assert(entry !== undefined, "the node exists");
    return entry;
  }

  /** Upper bound of indices in use. */
  get capacity(): number {
    return this.entries.length;
  }

  /** The node of this name, made without capacity when it was never observed: a pod may be seen before its node. */
  ensure(name: string): NodeEntry {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const index = this.#unused.pop() ?? this.entries.length;
    const entry: NodeEntry = {
      index,
      name,
      facts: undefined,
      closed: "gone",
      distrustedUntilMs: 0,
      claims: 0,
      version: this.#firstVersion,
    };
    this.entries[index] = entry;
    this.#byName.set(name, entry);
    this.#reserve(index + 1);
    return entry;
  }

  observe(facts: NodeFacts, nowMs: number): NodeEntry {
    const entry = this.ensure(facts.name);
    const before = entry.facts;
    this.#uncount(entry);
    entry.facts = facts;
    entry.distrustedUntilMs = 0;
    if (before?.allocatable !== facts.allocatable) this.#resize(entry, facts.allocatable);
    entry.closed = closedReason(entry, nowMs);
    this.#count(entry);
    this.#changed(entry);
    return entry;
  }

  /** The kubelet refused a pod: closed until observed anew, or (what we missed may never be told) for a while. */
  distrust(entry: NodeEntry, nowMs: number): void {
    entry.distrustedUntilMs = nowMs + DISTRUST_MS;
    this.reconsider(entry, nowMs);
  }

  /** Something on the node was observed: whatever closed it for want of an observation has ended. True if that opens it. */
  trust(entry: NodeEntry, nowMs: number): boolean {
    if (entry.distrustedUntilMs === 0) return false;
    entry.distrustedUntilMs = 0;
    this.reconsider(entry, nowMs);
    return entry.closed === undefined;
  }

  /** Openness may have changed with time. */
  reconsider(entry: NodeEntry, nowMs: number): void {
    this.#uncount(entry);
    entry.closed = closedReason(entry, nowMs);
    this.#count(entry);
    this.#changed(entry);
  }

  /** The Node object is gone: no capacity; the entry stays while something is claimed on it. */
  gone(entry: NodeEntry): void {
    this.#uncount(entry);
    this.#resize(entry, {});
    entry.facts = undefined;
    entry.closed = "gone";
    this.#changed(entry);
    this.#maybeUnused.push(entry);
  }

  /** Adds (sign −1: takes back) a claim's room; `claims` is 0 where a claim grew instead. */
  take(index: number, vector: Vector, sign: 1 | -1, claims: number = sign): void {
    const entry = this.at(index);
    const base = index * this.width;
    let wasOverfull = false;
    let isOverfull = false;
    for (let r = 0; r < this.#resources.count; r++) {
      const before = this.free[base + r]!;
      const after = r < vector.length ? before - sign * vector[r]! : before;
      this.free[base + r] = after;
      wasOverfull ||= before < 0;
      isOverfull ||= after < 0;
    }
    if (entry.closed === undefined) this.#shift(base, vector, sign, wasOverfull, isOverfull);
    entry.claims += claims;
    if (sign < 0) this.#gained.add(index);
    for (const listener of this.#listeners) listener.roomChanged(index);
    if (sign < 0 && entry.facts === undefined) this.#maybeUnused.push(entry);
  }

  /** Forgets nodes that are gone and on which nothing is claimed any more. Not in the middle of a commit. */
  prune(): void {
    if (this.#maybeUnused.length === 0) return;
    for (const entry of this.#maybeUnused.splice(0)) {
      if (entry.facts !== undefined || entry.claims > 0 || this.entries[entry.index] !== entry) continue;
      this.#byName.delete(entry.name);
      this.#firstVersion = Math.max(this.#firstVersion, entry.version + 1);
      this.entries[entry.index] = undefined;
      this.#gained.delete(entry.index);
      this.#unused.push(entry.index);
    }
  }

  /** Does `vector` fit on the node? An over-full node has no room at all, not even in its free dimensions. */
  fits(index: number, vector: Vector): boolean {
    const base = index * this.width;
    const free = this.free;
    for (let r = 0; r < this.#resources.count; r++) {
      if (free[base + r]! < (r < vector.length ? vector[r]! : 0)) return false;
    }
    return true;
  }

  overfull(index: number): boolean {
    const base = index * this.width;
    for (let r = 0; r < this.#resources.count; r++) if (this.free[base + r]! < 0) return true;
    return false;
  }

  freeVector(index: number): Vector {
    return this.free.slice(index * this.width, (index + 1) * this.width);
  }

  drainGained(): Bitset {
    const gained = this.#gained;
    this.#gained = new Bitset(this.capacity);
    return gained;
  }

  #changed(entry: NodeEntry): void {
    if (entry.closed === undefined) this.#gained.add(entry.index);
    for (const listener of this.#listeners) {
      listener.nodeChanged(entry);
      listener.roomChanged(entry.index);
    }
  }

  #count(entry: NodeEntry): void {
    this.#sum(entry, 1);
  }

  #uncount(entry: NodeEntry): void {
    this.#sum(entry, -1);
  }

  #sum(entry: NodeEntry, sign: 1 | -1): void {
    if (entry.closed !== undefined) return;
    const base = entry.index * this.width;
    const room = !this.overfull(entry.index);
    for (let r = 0; r < this.width; r++) {
      this.openTotal[r]! += sign * this.total[base + r]!;
      if (room) this.openFree[r]! += sign * this.free[base + r]!;
    }
  }

  /** A claim on an open node changed `free`; the sum leaves out what is over-full. */
  #shift(base: number, vector: Vector, sign: 1 | -1, wasOverfull: boolean, isOverfull: boolean): void {
    if (wasOverfull && isOverfull) return;
    if (!wasOverfull && !isOverfull) {
      for (let r = 0; r < vector.length; r++) this.openFree[r]! -= sign * vector[r]!;
      return;
    }
    for (let r = 0; r < this.width; r++) {
      const after = this.free[base + r]!;
      this.openFree[r]! += isOverfull ? -(after + sign * (vector[r] ?? 0)) : after;
    }
  }

  #resize(entry: NodeEntry, allocatable: Quantities): void {
    const next = this.#resources.known(allocatable);
    const base = entry.index * this.width;
    for (let r = 0; r < this.width; r++) {
      const kept = entry.facts === undefined ? 0 : (this.#headroom[this.#resources.names[r] ?? ""] ?? 0);
      const total = Math.max(0, (next[r] ?? 0) - kept);
      this.free[base + r]! += total - this.total[base + r]!;
      this.total[base + r] = total;
    }
  }

  #reserve(nodes: number): void {
    if (nodes * this.width <= this.total.length) return;
    const size = Math.max(nodes, (this.total.length / this.width) * 2, 64) * this.width;
    this.total = widened(this.total, size);
    this.free = widened(this.free, size);
  }

  #widen(width: number): void {
    const nodes = this.total.length / this.width;
    const [total, free] = [new Float64Array(nodes * width), new Float64Array(nodes * width)];
    for (let i = 0; i < nodes; i++) {
      total.set(this.total.subarray(i * this.width, (i + 1) * this.width), i * width);
      free.set(this.free.subarray(i * this.width, (i + 1) * this.width), i * width);
    }
    this.total = total;
    this.free = free;
    this.openTotal = widened(this.openTotal, width);
    this.openFree = widened(this.openFree, width);
    this.width = width;
  }
}

function closedReason(entry: NodeEntry, nowMs: number): ClosedReason | undefined {
  const facts = entry.facts;
  if (facts === undefined) return "gone";
  if (!facts.ready) return "not ready";
  if (facts.closed === "cordoned") return "cordoned";
  if (facts.closed === "not-selected") return "not selected";
  if (facts.closed === "settling" && nowMs < (facts.settledAtMs ?? 0)) return "settling";
  return nowMs < entry.distrustedUntilMs ? "refused a pod" : undefined;
}
