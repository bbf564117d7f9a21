import type { NodeTable } from "../nodes.ts";
import { add, type Child, type Claimant, Queue } from "../queues.ts";
import { PODS, type Vector } from "../resources.ts";

/** Of an inner queue: what its children add up to. */
interface Sums {
  /** Σ shown of blocked children. */
  blocked: Vector;
  /** Σ shown ÷ share of unblocked children with a share. */
  scaled: Vector;
}

/**
 * Hierarchical DRF (Bhattacharya et al., "Hierarchical Scheduling for Diverse Datacenter Workloads", SoCC'13). An
 * inner queue shows its parent the sum of its children, the unblocked ones rescaled to the least share among them, the
 * blocked ones as they are; a naive sum would starve a queue whose one child has all of a resource that the other
 * child has no use for. Shares are the largest over resources that are not saturated. Kept incrementally along the
 * path of each grant.
 */
export class DominantShare {
  readonly #root: Queue;
  readonly #nodes: NodeTable;
  readonly #sums = new Map<Queue, Sums>();
  /** What the sums of its queue hold of a child. */
  readonly #last = new Map<Child, { shown: Vector; share: number; blocked: boolean }>();
  /** Resources of which nobody can get more in this round. */
  #saturated: boolean[] = [];

  constructor(root: Queue, nodes: NodeTable) {
    this.#root = root;
    this.#nodes = nodes;
  }

  /** The round begins with these claimants unblocked; all others count as blocked. */
  begin(unblocked: Iterable<Claimant>): void {
    this.#saturated = [];
    this.#sums.clear();
    this.#last.clear();
    const active = new Set<Child>();
    for (const claimant of unblocked) {
      active.add(claimant);
      for (let queue = claimant.parent; queue !== undefined; queue = queue.parent) active.add(queue);
    }
    this.#build(this.#root, active);
  }

  /** The claimant to serve next, or undefined when all are blocked. */
  next(): Claimant | undefined {
    let at: Child | undefined = this.#root;
    while (at instanceof Queue) at = at.line.top;
    return at as Claimant | undefined;
  }

  /** What the claimant holds has changed, by a grant. */
  update(claimant: Claimant): void {
    this.#climb(claimant, false);
  }

  /** The claimant can get nothing more in this round. */
  block(claimant: Claimant): void {
    this.#climb(claimant, true);
  }

  /** A resource became saturated: every key may change. */
  saturate(resource: number): void {
    this.#saturated[resource] = true;
    this.#rebuild(this.#root);
  }

  isSaturated(resource: number): boolean {
    return this.#saturated[resource] === true;
  }

  /** Dominant share of a vector at a weight, 0 for nothing. */
  shareOf(vector: Vector, weight: number): number {
    const total = this.#nodes.openTotal;
    let share = 0;
    for (let r = 0; r < vector.length; r++) {
      if (r === PODS || this.#saturated[r] === true || !(total[r]! > 0)) continue;
      share = Math.max(share, vector[r]! / (total[r]! * weight));
    }
    return share;
  }

  /** A child has changed: its queue's sums and place in line, and so on up to the root. */
  #climb(from: Child, fromBlocked: boolean): void {
    let child = from;
    let blocked = fromBlocked;
    for (let queue = from.parent; queue !== undefined; queue = queue.parent) {
      const sums = this.#sums.get(queue)!;
      this.#count(child, sums, -1);
      child.share = this.#share(child);
      if (blocked) queue.line.remove(child);
      else queue.line.update(child);
      this.#remember(child);
      this.#count(child, sums, 1);
      this.#show(queue);
      blocked = queue.line.top === undefined;
      child = queue;
    }
  }

  /** Adds (1) or takes back (−1) what was last remembered of a child. */
  #count(child: Child, sums: Sums, sign: 1 | -1): void {
    const { shown, share, blocked } = this.#last.get(child)!;
    if (blocked) add(sums.blocked, shown, sign);
    else if (share > 0) add(sums.scaled, shown, sign / share);
  }

  /** A claimant's usage changes in place, hence the copy. */
  #remember(child: Child): void {
    this.#last.set(child, { shown: child.shown.slice(), share: child.share, blocked: child.place < 0 });
  }

  #share(child: Child): number {
    return this.shareOf(child.shown, child.weight);
  }

  #build(queue: Queue, active: ReadonlySet<Child>): void {
    queue.line.clear();
    for (const child of queue.children) {
      if (active.has(child)) this.#build(child, active);
      else this.#showIdle(child);
    }
    for (const claimant of queue.claimants) claimant.share = this.#share(claimant);
    for (const child of childrenOf(queue)) if (active.has(child)) queue.line.push(child);
    this.#collect(queue);
  }

  #rebuild(queue: Queue): void {
    for (const child of queue.children) {
      if (child.place >= 0) this.#rebuild(child);
      else child.share = this.#share(child);
    }
    for (const claimant of queue.claimants) claimant.share = this.#share(claimant);
    queue.line.rebuild();
    this.#collect(queue);
  }

  /** A queue without demand is blocked as a whole: what it shows is what it uses. */
  #showIdle(queue: Queue): void {
    queue.line.clear();
    queue.shown = queue.usage;
    queue.share = this.#share(queue);
    queue.penalised = false;
  }

  #collect(queue: Queue): void {
    const sums: Sums = { blocked: new Float64Array(this.#nodes.width), scaled: new Float64Array(this.#nodes.width) };
    for (const child of childrenOf(queue)) {
      this.#remember(child);
      this.#count(child, sums, 1);
    }
    this.#sums.set(queue, sums);
    this.#show(queue);
  }

  #show(queue: Queue): void {
    const { blocked, scaled } = this.#sums.get(queue)!;
    const least = queue.line.top?.share ?? 0;
    const shown = new Float64Array(this.#nodes.width);
    for (let r = 0; r < shown.length; r++) shown[r] = blocked[r]! + least * scaled[r]!;
    queue.shown = shown;
    queue.share = this.#share(queue);
    queue.penalised = queue.line.top?.penalised ?? false;
  }
}

function* childrenOf(queue: Queue): Generator<Child> {
  yield* queue.children;
  yield* queue.claimants;
}
