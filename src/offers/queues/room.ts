import type { Gang } from "../gangs/gang.ts";
import { before, type Line, type Lines } from "../lines.ts";
import type { NodeTable } from "../nodes/nodes.ts";
import type { Shape } from "../nodes/shapes.ts";
import type { Vector } from "../resources.ts";
import { add, type Claimant, type Queue, type QueueTree } from "./queues.ts";

/** What a queue keeps back for its own pending demand: K of the rules, and which instances it consists of. */
interface Kept {
  readonly sum: Vector;
  readonly instances: Map<Line, number>;
  /** The same lines in their order, by their places among the candidates. */
  readonly places: number[];
}

/** What of a queue's subtree may be kept room for. */
interface Candidates {
  /** In order, unless a grant has changed which task is a line's first. */
  readonly lines: Line[];
  sorted: boolean;
  /** Of each resource the least that one of them asks for. */
  readonly least: Vector;
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
  /** Queue -> what of its subtree may be kept room for: gathered once, until the next `refresh`. */
  readonly #candidates = new Map<Queue, Candidates>();
  readonly #couldFit = new Map<Shape, boolean>();

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
    this.#candidates.clear();
    this.#couldFit.clear();
    if (!this.#tree.bounded) return;
    for (const queue of this.#tree.queues.values()) this.#keep(queue);
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
    const reordered = line.head !== line.orderedBy;
    line.orderedBy = line.head;
    for (const queue of this.#tree.path(line.claimant.parent)) {
      const candidates = this.#candidates.get(queue);
      if (candidates !== undefined && reordered) candidates.sorted = false;
      const kept = this.#kept.get(queue);
      if (kept === undefined) continue;
      const own = kept.instances.get(line) ?? 0;
      if (own > 0) {
        kept.instances.set(line, own - 1);
        this.#sum(queue, kept, line, -1);
      } else {
        // Room was borrowed past what is kept: less of the guarantee is left for the rest of the line.
        this.#shrink(queue, kept);
        loosened = true;
      }
    }
    return loosened;
  }

  /** Room was taken for the line, less than for an instance (its usage counts already): no queue keeps back past its guarantee. */
  taken({ claimant }: Line): void {
    for (const queue of this.#tree.path(claimant.parent)) {
      const kept = this.#kept.get(queue);
      if (kept !== undefined) this.#shrink(queue, kept);
    }
  }

  /** A queue that keeps nothing has no entry: until the next `refresh` usage only grows, so it stays without. */
  #keep(queue: Queue): void {
    if (!queue.guarantee.some((g, r) => g > queue.usage[r]!)) return;
    const kept: Kept = { sum: new Float64Array(this.#nodes.width), instances: new Map(), places: [] };
    this.#kept.set(queue, kept);
    this.#fill(queue, kept, 0);
  }

  /** Usage has grown: what came last is kept no more, but for what is less and still fits. */
  #shrink(queue: Queue, kept: Kept): void {
    const candidates = this.#candidates.get(queue);
    if (candidates?.sorted !== true) {
      this.#forget(queue, kept);
      this.#keep(queue);
      return;
    }
    const { guarantee, usage } = queue;
    let from = candidates.lines.length;
    while (kept.places.length > 0 && guarantee.some((g, r) => g > 0 && usage[r]! + kept.sum[r]! > g)) {
      from = kept.places.pop()!;
      const line = candidates.lines[from]!;
      for (const one of line.gang?.lines() ?? [line]) {
        this.#sum(queue, kept, one, -(kept.instances.get(one) ?? 0));
        kept.instances.delete(one);
      }
    }
    this.#fill(queue, kept, from);
  }

  /** Takes what fits of the candidates from the place `from` on. */
  #fill(queue: Queue, kept: Kept, from: number): void {
    const { guarantee, usage } = queue;
    const { lines, least } = this.#candidatesOf(queue);
    for (let at = from; at < lines.length; at++) {
      if (least.some((asked, r) => asked > 0 && guarantee[r]! > 0 && asked > guarantee[r]! - usage[r]! - kept.sum[r]!))
        break;
      const line = lines[at]!;
      const fit = line.gang === undefined ? this.#fitting(queue, kept, line) : 0;
      if (fit > 0) {
        kept.instances.set(line, fit);
        this.#sum(queue, kept, line, fit);
      }
      if (fit > 0 || (line.leads && this.#keepGang(queue, kept, line.gang))) kept.places.push(at);
    }
    if (kept.instances.size === 0) this.#kept.delete(queue);
  }

  /** How many of the line's instances fit into what is left of the guarantee. */
  #fitting({ guarantee, usage }: Queue, { sum }: Kept, line: Line): number {
    let fit = wantedBy(line);
    let named = false;
    for (let r = 0; r < line.request.length && fit > 0; r++) {
      const asked = line.request[r]!;
      if (asked <= 0 || !(guarantee[r]! > 0)) continue;
      named = true;
      fit = Math.min(fit, Math.floor((guarantee[r]! - usage[r]! - sum[r]!) / asked));
    }
    return named ? fit : 0;
  }

  /** What starts together is one instance: all of it is kept back, or nothing. True if it is. */
  #keepGang(queue: Queue, kept: Kept, gang: Gang | undefined): boolean {
    const lines = gang?.lines() ?? [];
    const sum = new Float64Array(this.#nodes.width);
    for (const line of lines) add(sum, line.request, wantedBy(line));
    let named = false;
    for (let r = 0; r < sum.length; r++) {
      const guarantee = queue.guarantee[r] ?? 0;
      if (sum[r]! <= 0 || guarantee <= 0) continue;
      named = true;
      if (sum[r]! > guarantee - queue.usage[r]! - kept.sum[r]!) return false;
    }
    if (!named) return false;
    for (const line of lines) {
      kept.instances.set(line, wantedBy(line));
      this.#sum(queue, kept, line, wantedBy(line));
    }
    return true;
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

  #candidatesOf(queue: Queue): Candidates {
    const known = this.#candidates.get(queue);
    if (known?.sorted === false) known.lines.sort(earlier);
    if (known !== undefined) {
      known.sorted = true;
      return known;
    }
    const lines: Line[] = [];
    for (const claimant of queue.claimants) {
      if (!this.#takesPart(claimant)) continue;
      for (const line of this.#lines.of(claimant)) if (this.#fitsSomewhere(line.shape)) lines.push(line);
    }
    for (const child of queue.children) for (const line of this.#candidatesOf(child).lines) lines.push(line);
    const least = new Float64Array(this.#nodes.width).fill(lines.length > 0 ? Number.POSITIVE_INFINITY : 0);
    for (const { request } of lines)
      for (let r = 0; r < least.length; r++) least[r] = Math.min(least[r]!, request[r] ?? 0);
    for (const line of lines) line.orderedBy = line.head;
    const candidates = { lines: lines.sort(earlier), sorted: true, least };
    this.#candidates.set(queue, candidates);
    return candidates;
  }

  /** Nothing is kept back for what no node could hold even if it were empty. */
  #fitsSomewhere(shape: Shape): boolean {
    let fits = this.#couldFit.get(shape);
    if (fits === undefined) {
      const { total, width } = this.#nodes;
      fits = false;
      for (const node of shape.where.admits) {
        fits = shape.request.every((asked, r) => asked <= total[node * width + r]!);
        if (fits) break;
      }
      this.#couldFit.set(shape, fits);
    }
    return fits;
  }
}

function wantedBy({ pending, outstanding, held, shown }: Line): number {
  return Math.max(0, pending - outstanding - held + shown);
}

/** Whose turn is first of two lines. Total. */
export function earlier(a: Line, b: Line): number {
  const [x, y] = [a.head, b.head];
  if (x !== undefined && y !== undefined && x !== y) return before(x, y) ? -1 : 1;
  if ((x === undefined) !== (y === undefined)) return x === undefined ? 1 : -1;
  return a.claimant.name === b.claimant.name ? a.shape.id - b.shape.id : a.claimant.name < b.claimant.name ? -1 : 1;
}
