import type { Placement } from "../options.ts";
import { Bitset } from "../structures/bitset.ts";
import type { NodeEntry, NodeListener, NodeTable } from "./nodes.ts";

/** Placement scores are quantised to this many levels. */
const LEVELS = 64;

/**
 * All nodes by one placement's score, as a bitset per level, best level first: choosing a node is an AND of words.
 * A change of room moves one bit.
 */
export class Levels implements NodeListener {
  readonly placement: Placement;
  readonly sets: readonly Bitset[] = Array.from({ length: LEVELS }, () => new Bitset());
  readonly sizes = new Int32Array(LEVELS);
  /** Where to start in a level when equal nodes are to be taken in turn. */
  readonly turn = new Int32Array(LEVELS);
  #levelOf = new Int8Array(0);
  /** Nodes to be looked at again: sorted only when asked for, so that a placement that nobody uses costs nothing. */
  readonly #stale = new Bitset();
  readonly #unsorted: number[] = [];
  readonly #nodes: NodeTable;

  constructor(nodes: NodeTable, placement: Placement) {
    this.#nodes = nodes;
    this.placement = placement;
    nodes.listen(this);
  }

  nodeChanged(_node: NodeEntry): void {}

  roomChanged(node: number): void {
    if (this.#stale.add(node)) this.#unsorted.push(node);
  }

  /** Puts the nodes whose room has changed where they belong. Before `sets`, `sizes` and `turn` are read. */
  refresh(): void {
    for (const node of this.#unsorted) {
      this.#stale.delete(node);
      this.#sort(node);
    }
    this.#unsorted.length = 0;
  }

  #sort(node: number): void {
    if (node >= this.#levelOf.length) this.#grow(node);
    const { free, total, width } = this.#nodes;
    const score = this.placement.score(free, total, node * width, width);
    const clamped = score > 0 ? Math.min(score, 1) : 0;
    const level = LEVELS - 1 - Math.floor(clamped * (LEVELS - 1));
    const before = this.#levelOf[node]!;
    if (before === level) return;
    if (before >= 0) {
      this.sets[before]!.delete(node);
      this.sizes[before]!--;
    }
    this.sets[level]!.add(node);
    this.sizes[level]!++;
    this.#levelOf[node] = level;
  }

  #grow(node: number): void {
    const grown = new Int8Array(Math.max(node + 1, this.#levelOf.length * 2)).fill(-1);
    grown.set(this.#levelOf);
    this.#levelOf = grown;
  }
}
