import type { Vector } from "../resources.ts";
import { Bitset, lowestBit, SkippingBitset } from "../structures/bitset.ts";
import { type Constraints, labelKeys, matchesLabels, type Spread, untoleratedTaint } from "./constraints.ts";
import type { NodeEntry, NodeListener, NodeTable } from "./nodes.ts";
import { SpreadCounts, SpreadGroup } from "./spread.ts";

/** Equal constraints are one set, which keeps the nodes it admits: open, labels match, taints tolerated. */
export interface ConstraintSet {
  readonly constraints: Constraints;
  readonly admits: Bitset;
}

/**
 * Shapes whose requests are equal when rounded down to powers of two. They share what is known of nodes that are too
 * full for any of them: after a thousand different shapes have each taken a node, each of them passes over those nodes
 * at one look, instead of finding out for itself.
 */
export interface Size {
  /** What each shape of this size asks for at least. */
  readonly floor: Vector;
  /** Nodes on which the floor may fit. Cleared when it does not, set again when it does after the node gained room. */
  readonly roomy: SkippingBitset;
  askers: number;
}

/** What an instance asks for: a request and constraints. Equal ones are one shape. */
export interface Shape {
  readonly id: number;
  readonly request: Vector;
  readonly size: Size;
  readonly where: ConstraintSet;
  /** One for each spread constraint: counts the live instances it is spread over. */
  readonly spread: readonly SpreadGroup[];
  /**
   * Of the nodes that are roomy for its size, those on which it may fit. A bit is cleared when a check fails, and set
   * again when the node gains room: between gains free only falls, so no node is checked twice in vain.
   */
  readonly mayFit: Bitset;
  /** No node is left for it, until one gains room for it. */
  exhausted: boolean;
  /** The last pass of a round that asked for it. */
  pass: number;
  /** Lines that ask for it now. At 0 gains are not followed; on the way back all bits are set. */
  askers: number;
  /** Tasks and lines that know it: at 0 it may be forgotten. */
  users: number;
}

/** Every distinct shape and constraint set in use, and the nodes they may go to. */
export class ShapeTable implements NodeListener {
  readonly #sets = new Map<string, ConstraintSet>();
  readonly #shapes = new Map<string, Shape>();
  readonly #sizes = new Map<string, Size>();
  readonly #active = new Set<Shape>();
  readonly #groups = new Map<string, SpreadGroup>();
  readonly #counts = new Map<string, SpreadCounts>();
  readonly #nodes: NodeTable;
  #nextId = 0;

  constructor(nodes: NodeTable) {
    this.#nodes = nodes;
    nodes.listen(this);
  }

  /**
   * The shape of a request (dense, as wide as it needs) under constraints, for one user more; `release` it after.
   * `owner`: whose instances a spread constraint counts.
   */
  use(request: Vector, constraints: Constraints, owner: { readonly task: string; readonly framework: string }): Shape {
    const where = this.#set(constraints);
    const scope = (s: Spread) => (s.over === "Task" ? owner.task : owner.framework);
    const key = [trimmed(request), keyOf(constraints), ...(constraints.spread ?? []).map(scope)].join("|");
    let shape = this.#shapes.get(key);
    if (shape === undefined) {
      const spread = (constraints.spread ?? []).map((s) => this.#group(scope(s), s, keyOf(constraints), where));
      shape = {
        id: this.#nextId++,
        request,
        size: this.#size(request),
        where,
        spread,
        mayFit: new Bitset(),
        exhausted: false,
        pass: 0,
        askers: 0,
        users: 0,
      };
      this.#shapes.set(key, shape);
    }
    shape.users++;
    return shape;
  }

  /** May any node still take an instance? Once none may, none will until one gains room. */
  hasCandidate(shape: Shape): boolean {
    if (shape.exhausted) return false;
    const { roomy } = shape.size;
    for (let s = 0; s < roomy.summary.words.length; s++) {
      for (let rest = roomy.summary.words[s]!; rest !== 0; rest &= rest - 1) {
        const w = (s << 5) + lowestBit(rest);
        if ((roomy.words[w]! & (shape.mayFit.words[w] ?? 0) & (shape.where.admits.words[w] ?? 0)) !== 0) return true;
      }
    }
    shape.exhausted = true;
    return false;
  }

  /** Does an instance fit on any node that it may use? Nodes on which it does not are remembered. */
  fitsNow(shape: Shape): boolean {
    const { mayFit, where, size } = shape;
    const { roomy } = size;
    for (let w = roomy.summary.next(0); w !== -1; w = roomy.summary.next(w + 1)) {
      let word = roomy.words[w]! & (mayFit.words[w] ?? 0) & (where.admits.words[w] ?? 0);
      for (; word !== 0; word &= word - 1) {
        const node = (w << 5) + lowestBit(word);
        if (this.#nodes.fits(node, shape.request)) return true;
        this.failed(shape, node);
      }
    }
    return false;
  }

  /** Does any shape that is asked for ask for this resource? */
  isAsked(resource: number): boolean {
    for (const { askers, floor } of this.#sizes.values()) if (askers > 0 && (floor[resource] ?? 0) > 0) return true;
    return false;
  }

  /** Is any node left, as far as known, for any shape that is asked for? */
  anyLeft(): boolean {
    for (const shape of this.#active) if (!shape.exhausted) return true;
    return false;
  }

  /** An instance did not fit on the node. */
  failed(shape: Shape, node: number): void {
    if (this.#nodes.fits(node, shape.size.floor)) shape.mayFit.delete(node);
    else shape.size.roomy.delete(node);
  }

  /** No node is roomy: no shape of this size has a candidate. */
  isFull({ roomy }: Size): boolean {
    return roomy.summary.next(0) === -1;
  }

  release(shape: Shape): void {
    shape.users--;
  }

  /** One more (or, −1, one fewer) line asks for the shape. */
  asked(shape: Shape, change: 1 | -1): void {
    const { size } = shape;
    const { capacity } = this.#nodes;
    shape.askers += change;
    size.askers += change;
    if (change === 1 && size.askers === 1) size.roomy.fill(capacity);
    if (change === 1 && shape.askers === 1) {
      this.#active.add(shape);
      shape.mayFit.fill(capacity);
      shape.exhausted = false;
    } else if (shape.askers === 0) {
      this.#active.delete(shape);
    }
  }

  get active(): ReadonlySet<Shape> {
    return this.#active;
  }

  /** These nodes gained room: shapes that are asked for may go there again. */
  gained(nodes: Bitset): void {
    const words: number[] = [];
    for (let w = 0; w < nodes.words.length; w++) if (nodes.words[w] !== 0) words.push(w);
    for (const { floor, roomy, askers } of this.#sizes.values()) {
      if (askers === 0) continue;
      for (const node of nodes) if (this.#nodes.fits(node, floor)) roomy.add(node);
    }
    for (const shape of this.#active) {
      if (shape.exhausted && !this.#fitsOneOf(shape, nodes, words)) continue;
      shape.exhausted = false;
      const { mayFit } = shape;
      mayFit.reserve(nodes.words.length << 5);
      for (const w of words) mayFit.words[w]! |= nodes.words[w]!;
    }
  }

  #fitsOneOf({ request, where }: Shape, nodes: Bitset, words: readonly number[]): boolean {
    for (const w of words) {
      for (let word = nodes.words[w]! & (where.admits.words[w] ?? 0); word !== 0; word &= word - 1) {
        if (this.#nodes.fits((w << 5) + lowestBit(word), request)) return true;
      }
    }
    return false;
  }

  nodeChanged(node: NodeEntry): void {
    for (const group of this.#groups.values()) group.stale();
    for (const set of this.#sets.values()) {
      if (admits(set.constraints, node)) set.admits.add(node.index);
      else set.admits.delete(node.index);
    }
  }

  roomChanged(_node: number): void {}

  /** Forgets shapes and sets without users, once there are `limit` more than are asked for. */
  prune(limit: number): void {
    if (this.#shapes.size <= limit + this.#active.size) return;
    const sizes = new Set<Size>();
    const used = new Set<ConstraintSet>();
    const spread = new Set<SpreadGroup>();
    for (const [key, shape] of this.#shapes) {
      if (shape.users === 0) this.#shapes.delete(key);
      else {
        sizes.add(shape.size);
        used.add(shape.where);
        for (const group of shape.spread) spread.add(group);
      }
    }
    for (const [key, group] of this.#groups) {
      if (spread.has(group)) continue;
      this.#groups.delete(key);
      group.counts.detach(group);
    }
    for (const [key, { idle }] of this.#counts) if (idle) this.#counts.delete(key);
    for (const [key, size] of this.#sizes) if (!sizes.has(size)) this.#sizes.delete(key);
    for (const [key, set] of this.#sets) if (!used.has(set)) this.#sets.delete(key);
  }

  #group(scope: string, spread: Spread, whereKey: string, where: ConstraintSet): SpreadGroup {
    const key = `${scope}|${spread.topologyKey}|${spread.maxSkew}|${whereKey}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = new SpreadGroup(spread, this.#countsOf(scope, spread), where.admits);
      this.#groups.set(key, group);
    }
    return group;
  }

  #countsOf(scope: string, { topologyKey }: Spread): SpreadCounts {
    const key = `${scope}|${topologyKey}`;
    let counts = this.#counts.get(key);
    if (counts === undefined) {
      counts = new SpreadCounts(topologyKey, this.#nodes);
      this.#counts.set(key, counts);
    }
    return counts;
  }

  #size(request: Vector): Size {
    const floor = request.map(roundedDown);
    const key = trimmed(floor);
    let size = this.#sizes.get(key);
    if (size === undefined) {
      size = { floor, roomy: new SkippingBitset(), askers: 0 };
      this.#sizes.set(key, size);
    }
    return size;
  }

  #set(constraints: Constraints): ConstraintSet {
    const key = keyOf(constraints);
    let set = this.#sets.get(key);
    if (set === undefined) {
      set = { constraints, admits: new Bitset(this.#nodes.capacity) };
      for (const node of this.#nodes.entries) {
        if (node !== undefined && admits(constraints, node)) set.admits.add(node.index);
      }
      this.#sets.set(key, set);
    }
    return set;
  }
}

function admits(constraints: Constraints, node: NodeEntry): boolean {
  if (node.closed !== undefined || node.facts === undefined) return false;
  return (
    untoleratedTaint(constraints.tolerations ?? [], node.facts.taints) === undefined &&
    matchesLabels(constraints, node.facts.labels) &&
    (constraints.spread ?? []).every((s) => Object.hasOwn(node.facts!.labels, s.topologyKey))
  );
}

/** To a power of two; nothing stays nothing. */
function roundedDown(amount: number): number {
  let power = amount > 0 ? 1 : 0;
  while (power > 0 && power * 2 <= amount) power *= 2;
  return power;
}

function trimmed(vector: Vector): string {
  let end = vector.length;
  while (end > 0 && vector[end - 1] === 0) end--;
  return vector.subarray(0, end).join(",");
}

/** Equal text for constraints that say the same in the same order. */
function keyOf(constraints: Constraints): string {
  if (labelKeys(constraints).length === 0 && (constraints.tolerations ?? []).length === 0) {
    return (constraints.nodeAffinity ?? []).length === 0 ? "" : JSON.stringify(constraints.nodeAffinity);
  }
  const selector = Object.entries(constraints.nodeSelector ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([selector, constraints.nodeAffinity, constraints.tolerations, constraints.spread]);
}
