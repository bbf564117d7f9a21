import type { NodeTable } from "../nodes.ts";
import { add, type Child, type Claimant, Queue } from "../queues.ts";
import { PODS, type Vector } from "../resources.ts";

/** Of an inner queue: what its children add up to. */
interface Sums {
  /** Σ shown of blocked children. */
  readonly blocked: Vector;
  /** Σ shown ÷ share of unblocked children with a share. */
  readonly scaled: Vector;
  /** What the queue shows: blocked + least share · scaled. */
  readonly shown: Vector;
}

/** What the sums of its queue hold of a child. */
interface Counted {
  readonly shown: Vector;
  share: number;
  blocked: boolean;
}

/**
 * Hierarchical DRF (Bhattacharya et al., "Hierarchical Scheduling for Diverse Datacenter Workloads", SoCC'13). An
 * inner queue shows its parent the sum of its children, the unblocked ones rescaled to the least share among them, the
 * blocked ones as they are; a naive sum would starve a queue whose one child has all of a resource that the other
 * child has no use for. Shares are the largest over resources that are not saturated. Kept incrementally along the
 * path of each grant, and only where somebody compares: a queue that competes with nobody, nor does any above it, has
 * no use for a share.
 */
export class DominantShare {
  readonly #root: Queue;
  readonly #nodes: NodeTable;
  /** Of queues that compete. */
  readonly #sums = new Map<Queue, Sums>();
  readonly #counted = new Map<Child, Counted>();
  /** Queues with an unblocked claimant below, when the round began. */
  readonly #active = new Set<Queue>();
  /** Resources of which nobody can get more in this round. */
  #saturated: boolean[] = [];

  constructor(root: Queue, nodes: NodeTable) {
    this.#root = root;
    this.#nodes = nodes;
  }

  /** The round begins with these claimants unblocked, each once; all others count as blocked. */
  begin(unblocked: Iterable<Claimant>): void {
    this.end();
    this.#saturated = [];
    for (const claimant of unblocked) {
      for (let at: Queue | undefined = claimant.parent; at !== undefined && !this.#active.has(at); at = at.parent) {
        this.#active.add(at);
      }
      claimant.parent?.line.append(claimant);
    }
    this.#build(this.#root, false);
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

  /** Blocks all but those that stay. */
  retain(stays: (claimant: Claimant) => boolean): void {
    this.#retain(this.#root, stays);
    this.#rekey(this.#root);
  }

  /** A resource became saturated: every key may change. */
  saturate(resource: number): void {
    this.#saturated[resource] = true;
    this.#rekey(this.#root);
  }

  isSaturated(resource: number): boolean {
    return this.#saturated[resource] === true;
  }

  /** The round is over, whether or not all are blocked. */
  end(): void {
    for (const queue of this.#active) queue.line.clear();
    this.#active.clear();
    this.#sums.clear();
    this.#counted.clear();
  }

  /** Dominant share of a vector at a weight, 0 for nothing. */
  shareOf(vector: Vector, weight: number): number {
    const total = this.#nodes.openTotal;
    let share = 0;
    for (let r = 0; r < vector.length; r++) {
      const held = vector[r]!;
      if (held === 0 || r === PODS || this.#saturated[r] === true || !(total[r]! > 0)) continue;
      share = Math.max(share, held / (total[r]! * weight));
    }
    return share;
  }

  /** A child has changed: its queue's sums and place in line, and so on up to the root. */
  #climb(from: Child, fromBlocked: boolean): void {
    let child = from;
    let blocked = fromBlocked;
    for (let queue = from.parent; queue !== undefined; queue = queue.parent) {
      const sums = this.#sums.get(queue);
      if (sums !== undefined) this.#uncount(child, sums);
      child.share = this.#share(child);
      if (blocked) queue.line.remove(child);
      else queue.line.update(child);
      blocked = queue.line.top === undefined;
      if (sums !== undefined) {
        this.#count(child, sums);
        this.#show(queue, sums);
      } else if (!blocked) {
        return;
      }
      child = queue;
    }
  }

  /** Adds a child to the sums. What it holds changes in place, hence the copy. */
  #count(child: Child, sums: Sums): void {
    let counted = this.#counted.get(child);
    if (counted === undefined) {
      counted = { shown: new Float64Array(this.#nodes.width), share: 0, blocked: false };
      this.#counted.set(child, counted);
    }
    counted.shown.set(child.shown);
    counted.share = child.share;
    counted.blocked = child.place < 0;
    this.#sum(counted, sums, 1);
  }

  #uncount(child: Child, sums: Sums): void {
    this.#sum(this.#counted.get(child)!, sums, -1);
  }

  #sum({ shown, share, blocked }: Counted, sums: Sums, sign: 1 | -1): void {
    if (blocked) add(sums.blocked, shown, sign);
    else if (share > 0) add(sums.scaled, shown, sign / share);
  }

  #share(child: Child): number {
    return this.shareOf(child.shown, child.weight);
  }

  /** Shares and places of all unblocked children, the queues' own first; sums where the queue competes. */
  #build(queue: Queue, competes: boolean): void {
    const entrants = queue.line.items.length + this.#activeChildren(queue);
    for (const child of queue.children) {
      if (this.#active.has(child)) {
        this.#build(child, competes || entrants > 1);
        queue.line.append(child);
      } else if (competes) {
        this.#showIdle(child);
      }
    }
    if (competes) this.#sums.set(queue, this.#noSums());
    this.#rank(queue);
  }

  #retain(queue: Queue, stays: (claimant: Claimant) => boolean): void {
    queue.line.retain((child) => {
      if (!(child instanceof Queue)) return stays(child as Claimant);
      this.#retain(child, stays);
      return child.line.top !== undefined;
    });
  }

  /** Every key below anew. */
  #rekey(queue: Queue): void {
    for (const child of queue.children) if (this.#active.has(child)) this.#rekey(child);
    this.#rank(queue);
  }

  #rank(queue: Queue): void {
    for (const child of queue.line.items) child.share = this.#share(child);
    queue.line.rebuild();
    const sums = this.#sums.get(queue);
    if (sums === undefined) return;
    sums.blocked.fill(0);
    sums.scaled.fill(0);
    for (const child of queue.children) this.#count(child, sums);
    for (const claimant of queue.claimants) this.#count(claimant, sums);
    this.#show(queue, sums);
  }

  /** A queue without demand is blocked as a whole: what it shows is what it uses. */
  #showIdle(queue: Queue): void {
    queue.shown = queue.usage;
    queue.penalised = false;
  }

  #show(queue: Queue, { blocked, scaled, shown }: Sums): void {
    const { top } = queue.line;
    const least = top?.share ?? 0;
    for (let r = 0; r < shown.length; r++) shown[r] = blocked[r]! + least * scaled[r]!;
    queue.shown = shown;
    queue.penalised = top?.penalised ?? false;
  }

  #activeChildren(queue: Queue): number {
    let active = 0;
    for (const child of queue.children) if (this.#active.has(child)) active++;
    return active;
  }

  #noSums(): Sums {
    const { width } = this.#nodes;
    return { blocked: new Float64Array(width), scaled: new Float64Array(width), shown: new Float64Array(width) };
  }
}
