import { Bitset } from "./bitset.ts";
import { type Constraints, labelKeys, matchesLabels, type Spread, untoleratedTaint } from "./constraints.ts";
import type { NodeEntry, NodeListener, NodeTable } from "./nodes.ts";
import type { Vector } from "./resources.ts";
import { SpreadGroup } from "./spread.ts";

/** Equal constraints are one set, which keeps the nodes it admits: open, labels match, taints tolerated. */
export interface ConstraintSet {
  readonly constraints: Constraints;
  readonly admits: Bitset;
}

/** What an instance asks for: a request and constraints. Equal ones are one shape. */
export interface Shape {
  readonly id: number;
  readonly request: Vector;
  readonly where: ConstraintSet;
  /** One for each spread constraint: counts the live instances it is spread over. */
  readonly spread: readonly SpreadGroup[];
  /**
   * Nodes on which it may fit. A bit is cleared when a check fails, and set again when the node gains room: between
   * gains free only falls, so no node is checked twice in vain.
   */
  readonly mayFit: Bitset;
  /** Lines (see demand.ts) that ask for it now. At 0 gains are not followed; on the way back all bits are set. */
  askers: number;
  /** Tasks and lines that know it: at 0 it may be forgotten. */
  users: number;
}

/** Every distinct shape and constraint set in use, and the nodes they may go to. */
export class ShapeTable implements NodeListener {
  readonly #sets = new Map<string, ConstraintSet>();
  readonly #shapes = new Map<string, Shape>();
  readonly #active = new Set<Shape>();
  readonly #groups = new Map<string, SpreadGroup>();
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
      shape = { id: this.#nextId++, request, where, spread, mayFit: new Bitset(), askers: 0, users: 0 };
      this.#shapes.set(key, shape);
    }
    shape.users++;
    return shape;
  }

  release(shape: Shape): void {
    shape.users--;
  }

  /** One more (or, −1, one fewer) line asks for the shape. */
  asked(shape: Shape, change: 1 | -1): void {
    shape.askers += change;
    if (change === 1 && shape.askers === 1) {
      this.#active.add(shape);
      shape.mayFit.fill(this.#nodes.capacity);
    } else if (shape.askers === 0) {
      this.#active.delete(shape);
    }
  }

  get active(): ReadonlySet<Shape> {
    return this.#active;
  }

  /** A node gained room: shapes that are asked for and fit there may go there again. */
  gained(node: number): void {
    for (const shape of this.#active) {
      if (!shape.mayFit.has(node) && shape.where.admits.has(node) && this.#nodes.fits(node, shape.request)) {
        shape.mayFit.add(node);
      }
    }
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
    const used = new Set<ConstraintSet>();
    const spread = new Set<SpreadGroup>();
    for (const [key, shape] of this.#shapes) {
      if (shape.users === 0) this.#shapes.delete(key);
      else {
        used.add(shape.where);
        for (const group of shape.spread) spread.add(group);
      }
    }
    for (const [key, group] of this.#groups) if (!spread.has(group)) this.#groups.delete(key);
    for (const [key, set] of this.#sets) if (!used.has(set)) this.#sets.delete(key);
  }

  #group(scope: string, spread: Spread, whereKey: string, where: ConstraintSet): SpreadGroup {
    const key = `${scope}|${spread.topologyKey}|${spread.maxSkew}|${whereKey}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = new SpreadGroup(spread, where.admits, this.#nodes);
      this.#groups.set(key, group);
    }
    return group;
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
