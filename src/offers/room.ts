import type { Gang } from "./gang.ts";
import { before, type Line, type Lines } from "./lines.ts";
import type { NodeTable } from "./nodes.ts";
import { add, type Claimant, type Queue, type QueueTree } from "./queues.ts";
import type { Vector } from "./resources.ts";

/** What a queue keeps back for its own pending demand: K of the rules, and which instances it consists of. */
interface Kept {
  readonly sum: Vector;
  readonly instances: Map<Line, number>;
}

/**
 * How much a claimant may still get, whatever the order:
 *
 *     K(q)    = pending instances of q's subtree in line order, while U + sum ≤ G in every resource that G names
 *     room(q) = min( L − U, max( room(parent) − Σ over siblings s of K(s), min( K(q), room(parent) ) ) )
 *
 * with room(root) = what is free. The inner minimum is a floor: without it two queues that each keep 2 of 2 free back
 * from the other both get nothing. Whole instances are kept, not bare vectors, so that nothing is stranded that no
 * instance can use. A resource that a guarantee does not name is not guaranteed, and does not void the rest.
 */
export class Room {
  readonly #tree: QueueTree;
  readonly #lines: Lines;
  readonly #nodes: NodeTable;
  readonly #kept = new Map<Queue, Kept>();
  /** Queue -> Σ K of its children. */
  readonly #keptBelow = new Map<Queue, Vector>();

  /** Does the claimant want anything now? What a suppressed framework waits for is kept back for nobody. */
  readonly #takesPart: (claimant: Claimant) => boolean;

  constructor(tree: QueueTree, lines: Lines, nodes: NodeTable, takesPart: (claimant: Claimant) => boolean) {
    this.#tree = tree;
    this.#lines = lines;
    this.#nodes = nodes;
    this.#takesPart = takesPart;
  }

  /** All K anew, from what is pending and used now. */
  refresh(): void {
    this.#kept.clear();
    this.#keptBelow.clear();
    if (!this.#tree.bounded) return;
    for (const queue of this.#tree.queues.values()) {
      if (queue.rejected === undefined && queue.guarantee.some((g) => g > 0)) this.#keep(queue);
    }
  }

  /** What the queue keeps back now for its own pending demand; undefined for nothing. As of the last `refresh`. */
  keptBy(queue: Queue): Vector | undefined {
    return this.#kept.get(queue)?.sum;
  }

  /**
   * May the claimant take `vector` more? The reason if not. `shown` is what it was shown of late and may take besides:
   * what one claimant is shown is no more than it could have; what others are shown is their own race.
   */
  refuses(claimant: Claimant, vector: Vector, shown?: Vector): "over-limit" | "kept-back" | undefined {
    if (!this.#tree.bounded) return undefined;
    const path = [...this.#tree.path(claimant.parent)].reverse();
    for (let r = 0; r < vector.length; r++) {
      if (vector[r]! <= 0) continue;
      const asked = vector[r]! + (shown?.[r] ?? 0);
      let room = this.#nodes.openFree[r] ?? 0;
      for (const queue of path) {
        if (asked > queue.limit[r]! - queue.usage[r]!) return "over-limit";
        const own = this.#kept.get(queue)?.sum[r] ?? 0;
        const others = (this.#keptBelow.get(queue.parent!)?.[r] ?? 0) - own;
        room = Math.max(room - others, Math.min(own, room));
        room = Math.min(room, queue.limit[r]! - queue.usage[r]!);
      }
      if (asked > room) return "kept-back";
    }
    return undefined;
  }

  /** Would `vector` more take a queue of the path over its limit, once `except` is given back? */
  overLimit(claimant: Claimant, vector: Vector, except: Vector): boolean {
    for (const queue of this.#tree.path(claimant.parent)) {
      for (let r = 0; r < vector.length; r++) {
        if (vector[r]! > 0 && vector[r]! > queue.limit[r]! - queue.usage[r]! + (except[r] ?? 0)) return true;
      }
    }
    return false;
  }

  /** One instance of the line was granted (its usage counts already). True if a queue keeps less back than that. */
  granted(line: Line): boolean {
    if (this.#kept.size === 0) return false;
    let loosened = false;
    for (const queue of this.#tree.path(line.claimant.parent)) {
      const kept = this.#kept.get(queue);
      if (kept === undefined) continue;
      const own = kept.instances.get(line) ?? 0;
      if (own > 0) {
        kept.instances.set(line, own - 1);
        this.#sum(queue, kept, line, -1);
      } else {
        // Room was borrowed past what is kept: less of the guarantee is left for the rest of the line.
        this.#forget(queue, kept);
        this.#keep(queue);
        loosened = true;
      }
    }
    return loosened;
  }

  #keep(queue: Queue): void {
    const kept: Kept = { sum: new Float64Array(this.#nodes.width), instances: new Map() };
    this.#kept.set(queue, kept);
    const lines: Line[] = [];
    this.#collect(queue, lines);
    for (const line of lines.sort(earlier)) {
      if (line.gang !== undefined) {
        if (line.leads) this.#keepGang(queue, kept, line.gang);
        continue;
      }
      let fit = Math.max(0, line.pending - line.outstanding - line.held + line.shown);
      let named = false;
      for (let r = 0; r < line.request.length; r++) {
        const [asked, guarantee] = [line.request[r]!, queue.guarantee[r] ?? 0];
        if (asked <= 0 || guarantee <= 0) continue;
        named = true;
        fit = Math.min(fit, Math.floor((guarantee - queue.usage[r]! - kept.sum[r]!) / asked));
      }
      if (!named || fit <= 0) continue;
      kept.instances.set(line, fit);
      this.#sum(queue, kept, line, fit);
    }
  }

  /** What starts together is one instance: all of it is kept back, or nothing. */
  #keepGang(queue: Queue, kept: Kept, gang: Gang): void {
    const lines = gang.lines();
    const wanted = (line: Line) => Math.max(0, line.pending - line.outstanding - line.held + line.shown);
    const sum = new Float64Array(this.#nodes.width);
    for (const line of lines) add(sum, line.request, wanted(line));
    let named = false;
    for (let r = 0; r < sum.length; r++) {
      const guarantee = queue.guarantee[r] ?? 0;
      if (sum[r]! <= 0 || guarantee <= 0) continue;
      named = true;
      if (sum[r]! > guarantee - queue.usage[r]! - kept.sum[r]!) return;
    }
    if (!named) return;
    for (const line of lines) {
      kept.instances.set(line, wanted(line));
      this.#sum(queue, kept, line, wanted(line));
    }
  }

  #sum(queue: Queue, kept: Kept, line: Line, instances: number): void {
    let below = this.#keptBelow.get(queue.parent!);
    if (below === undefined) {
      below = new Float64Array(this.#nodes.width);
      this.#keptBelow.set(queue.parent!, below);
    }
    for (let r = 0; r < line.request.length; r++) {
      if ((queue.guarantee[r] ?? 0) <= 0) continue;
      kept.sum[r]! += instances * line.request[r]!;
      below[r]! += instances * line.request[r]!;
    }
  }

  #forget(queue: Queue, kept: Kept): void {
    const below = this.#keptBelow.get(queue.parent!);
    if (below !== undefined) for (let r = 0; r < kept.sum.length; r++) below[r]! -= kept.sum[r]!;
    this.#kept.delete(queue);
  }

  #collect(queue: Queue, into: Line[]): void {
    for (const claimant of queue.claimants) {
      if (!this.#takesPart(claimant)) continue;
      for (const line of this.#lines.of(claimant)) if (this.#couldFit(line)) into.push(line);
    }
    for (const child of queue.children) this.#collect(child, into);
  }

  /** Nothing is kept back for what no node could hold even if it were empty. */
  #couldFit({ shape }: Line): boolean {
    const { entries, total, width } = this.#nodes;
    for (const node of shape.where.admits) {
      if (entries[node] !== undefined && shape.request.every((asked, r) => asked <= (total[node * width + r] ?? 0)))
        return true;
    }
    return false;
  }
}

/** Whose turn is first of two lines. Total. */
export function earlier(a: Line, b: Line): number {
  const [x, y] = [a.head, b.head];
  if (x !== undefined && y !== undefined && x !== y) return before(x, y) ? -1 : 1;
  if ((x === undefined) !== (y === undefined)) return x === undefined ? 1 : -1;
  return a.claimant.name === b.claimant.name ? a.shape.id - b.shape.id : a.claimant.name < b.claimant.name ? -1 : 1;
}
