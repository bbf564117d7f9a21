import type { Lines } from "../lines.ts";
import type { NodeTable } from "../nodes/nodes.ts";
import { dominantShareOf } from "../policies/dominant-share.ts";
import type { Pool } from "../policies/policy.ts";
import type { Vector } from "../resources.ts";
import { HeadLine } from "./head-line.ts";
import type { Head } from "./heads.ts";
import { add, type Child, type Claimant, Queue } from "./queues.ts";

/** What the levels above a place need to know of it. */
interface Needs {
  /** Somebody competes with it, or with a queue above it. */
  readonly competes: boolean;
  /** Its share is compared. */
  readonly shown: boolean;
  /** Its head is compared. */
  readonly head: boolean;
}

/** Of a queue with an unblocked claimant below. */
interface Active {
  readonly above: Needs;
  /** What this queue and those above it need to know of its children. */
  readonly below: Needs;
  /** What its children add up to, where that is not just what they use. */
  readonly sums: Sums | undefined;
  readonly heads: HeadLine | undefined;
}

interface Sums {
  /** Σ shown of children that are taken as they are. */
  readonly plain: Vector;
  /** Σ shown ÷ share of unblocked children with a share, where they are rescaled. */
  readonly scaled: Vector;
  /** What the queue shows: plain + least share · scaled. */
  readonly shown: Vector;
}

/** What the sums of its queue hold of a child. */
interface Counted {
  readonly shown: Vector;
  share: number;
  plain: boolean;
}

const NOBODY: Needs = { competes: false, shown: false, head: false };

/**
 * The way down the tree of queues to whoever is served next, each level in its own order: the unblocked child with the
 * least key, again and again until a claimant is reached. Children pass usage, what they show, their head and whether
 * they are blocked upwards, so that orders mix in one tree. Kept along the path of each grant, and only what some level
 * above compares: a queue that competes with nobody, nor does any above it, has no use for a key.
 */
export class Descent {
  readonly #root: Queue;
  readonly #nodes: NodeTable;
  readonly #lines: Lines;
  readonly #active = new Map<Queue, Active>();
  readonly #counted = new Map<Child, Counted>();
  readonly #saturated: boolean[] = [];
  readonly #pool: Pool;

  constructor(root: Queue, nodes: NodeTable, lines: Lines) {
    this.#root = root;
    this.#nodes = nodes;
    this.#lines = lines;
    this.#pool = {
      get total() {
        return nodes.openTotal;
      },
      saturated: this.#saturated,
    };
  }

  /** The round begins with these claimants unblocked, each once; all others count as blocked. */
  begin(unblocked: Iterable<Claimant>): void {
    this.end();
    this.#saturated.length = 0;
    const active = new Set<Queue>();
    for (const claimant of unblocked) {
      for (let at: Queue | undefined = claimant.parent; at !== undefined && !active.has(at); at = at.parent) {
        active.add(at);
      }
      claimant.parent?.line.append(claimant);
    }
    this.#build(this.#root, active, NOBODY);
  }

  /** The claimant to serve next, or undefined when all are blocked. */
  next(): Claimant | undefined {
    let at: Child | undefined = this.#root;
    while (at instanceof Queue) at = at.line.top;
    return at as Claimant | undefined;
  }

  /** Does the head of the claimant's line decide whose turn it is, at some level above it? */
  readsHead({ parent }: Claimant): boolean {
    return parent !== undefined && this.#active.get(parent)?.below.head === true;
  }

  /** What the claimant holds has changed, or which of its lines is first now. */
  update(claimant: Claimant, first: { readonly next: Head | undefined }): void {
    if (this.readsHead(claimant)) claimant.head = first.next;
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
    for (const queue of this.#active.keys()) queue.line.clear();
    this.#active.clear();
    this.#counted.clear();
  }

  /** Dominant share of a vector at a weight, 0 for nothing. */
  shareOf(vector: Vector, weight: number): number {
    return dominantShareOf(vector, weight, this.#pool);
  }

  /** A child has changed: its queue's sums and place in line, and so on up to the root. */
  #climb(from: Child, fromBlocked: boolean): void {
    let child = from;
    let blocked = fromBlocked;
    for (let queue = from.parent; queue !== undefined; queue = queue.parent) {
      const active = this.#active.get(queue)!;
      const { sums, heads } = active;
      if (sums !== undefined) this.#uncount(child, sums);
      queue.policy.rank(child, this.#pool);
      if (blocked) queue.line.remove(child);
      else queue.line.update(child);
      if (sums !== undefined) this.#count(child, queue, sums);
      if (blocked) heads?.remove(child);
      else heads?.update(child);
      blocked = queue.line.top === undefined;
      if (active.above.competes) this.#pass(queue, active);
      else if (!blocked) return;
      child = queue;
    }
  }

  /** Adds a child to the sums. What it holds changes in place, hence the copy. */
  #count(child: Child, { policy }: Queue, sums: Sums): void {
    let counted = this.#counted.get(child);
    if (counted === undefined) {
      counted = { shown: new Float64Array(this.#nodes.width), share: 0, plain: false };
      this.#counted.set(child, counted);
    }
    counted.shown.set(child.shown);
    counted.share = child.key;
    counted.plain = !policy.rescales || child.place < 0;
    this.#sum(counted, sums, 1);
  }

  #uncount(child: Child, sums: Sums): void {
    this.#sum(this.#counted.get(child)!, sums, -1);
  }

  #sum({ shown, share, plain }: Counted, sums: Sums, sign: 1 | -1): void {
    if (plain) add(sums.plain, shown, sign);
    else if (share > 0) add(sums.scaled, shown, sign / share);
  }

  /** Keys and places of all unblocked children, the queues' own first. True if the queue shows other than it uses. */
  #build(queue: Queue, active: ReadonlySet<Queue>, above: Needs): boolean {
    const { policy } = queue;
    const below = this.#contested(queue, active)
      ? { competes: true, shown: above.shown || policy.reads === "shown", head: above.head || policy.reads === "head" }
      : above;
    let differs = above.shown && policy.rescales;
    if (below.head) for (const child of queue.line.items) this.#findHead(child as Claimant);
    for (const child of queue.children) {
      if (active.has(child)) {
        if (this.#build(child, active, below) && above.shown) differs = true;
        queue.line.append(child);
      } else if (above.shown) {
        // A queue without demand is blocked as a whole.
        child.shown = child.usage;
      }
    }
    const sums = differs ? this.#noSums() : undefined;
    if (above.shown && sums === undefined) queue.shown = queue.usage;
    this.#active.set(queue, { above, below, sums, heads: above.head ? new HeadLine() : undefined });
    // Its order may have been another one in the round before.
    for (const child of queue.line.items) child.tier = 0;
    this.#rank(queue);
    return differs;
  }

  #findHead(claimant: Claimant): void {
    claimant.head = this.#lines.first(claimant)?.next;
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
    const active = this.#active.get(queue);
    if (active === undefined) return;
    for (const child of queue.line.items) queue.policy.rank(child, this.#pool);
    queue.line.rebuild();
    const { sums, heads } = active;
    if (sums !== undefined) {
      sums.plain.fill(0);
      sums.scaled.fill(0);
      for (const child of queue.children) this.#count(child, queue, sums);
      for (const claimant of queue.claimants) this.#count(claimant, queue, sums);
    }
    heads?.fill(queue.line.items);
    if (active.above.competes) this.#pass(queue, active);
  }

  /** What the level above sees of a queue. */
  #pass(queue: Queue, { sums, heads }: Active): void {
    const { top } = queue.line;
    queue.penalised = top?.penalised ?? false;
    if (heads !== undefined) queue.head = heads.first?.head;
    if (sums === undefined) return;
    const { plain, scaled, shown } = sums;
    const least = queue.policy.rescales ? (top?.key ?? 0) : 0;
    for (let r = 0; r < shown.length; r++) shown[r] = plain[r]! + least * scaled[r]!;
    queue.shown = shown;
  }

  /** Are there two or more to choose from? */
  #contested(queue: Queue, active: ReadonlySet<Queue>): boolean {
    let entrants = queue.line.items.length;
    for (const child of queue.children) if (active.has(child)) entrants++;
    return entrants > 1;
  }

  #noSums(): Sums {
    const { width } = this.#nodes;
    return { plain: new Float64Array(width), scaled: new Float64Array(width), shown: new Float64Array(width) };
  }
}
