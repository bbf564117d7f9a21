import type { Queue, QueueTree } from "../queues/queues.ts";
import type { Vector } from "../resources.ts";
import type { UsageAhead } from "./usage-ahead.ts";

/** Who competes for what where two leaves of the tree meet. */
export interface Contest {
  /** The victim's queue and those above it, up to the child of the lowest common ancestor. */
  readonly path: readonly Queue[];
  /** The claimant's child of the lowest common ancestor: the guarantee that is called on is this one's. */
  readonly own: Queue;
}

/** Does the guarantee of the queue, or of one above it, cover one instance more of the request, as things stand? */
export function isCovered(tree: QueueTree, ahead: UsageAhead, queue: Queue, request: Vector): boolean {
  for (const at of tree.path(queue)) if (covers(at, ahead.usage(at), request)) return true;
  return false;
}

function covers({ guarantee }: Queue, usage: Vector, request: Vector): boolean {
  let named = false;
  for (let r = 0; r < request.length; r++) {
    if (request[r]! <= 0 || !(guarantee[r]! > 0)) continue;
    if ((usage[r] ?? 0) + request[r]! > guarantee[r]!) return false;
    named = true;
  }
  return named;
}

/**
 * What one instance of a queue may have taken back for it (allocation rules, §4). A victim may go if, before it goes, each
 * queue on its own side is above its guarantee in something that the claimant lacks, is guaranteed, and the victim holds;
 * and when all have gone, the claimant's side of each contest must end within its guarantee, in what that names. So
 * Φ = Σ max(0, U − G) over the two sides falls with each victim, and nothing is taken to and fro for ever.
 */
export class Entitlement {
  readonly #tree: QueueTree;
  readonly #ahead: UsageAhead;
  readonly #request: Vector;
  /** The claimant's queue and those above it but the root, with what of the request is guaranteed there. */
  readonly #path: readonly { readonly queue: Queue; readonly guaranteed: readonly number[] }[];
  /** Queue above (or the root) -> the one below it on the claimant's path. */
  readonly #below = new Map<Queue, Queue>();
  readonly #contests = new Map<Queue, Contest | undefined>();
  /** Victims' queue -> may it have anything; as of this version of the ahead. */
  readonly #mayHave = new Map<Queue, boolean>();
  #version = -1;

  /** Of one instance that asks for `request` in the queue. It holds for as long as the tree stays as it is. */
  constructor(tree: QueueTree, ahead: UsageAhead, queue: Queue, request: Vector) {
    this.#tree = tree;
    this.#ahead = ahead;
    this.#request = request;
    const path = [...tree.path(queue)];
    for (const at of path) if (at.parent !== undefined) this.#below.set(at.parent, at);
    this.#path = [...this.#below.values()].map((at) => ({ queue: at, guaranteed: this.#guaranteed(at) }));
  }

  /** Does any guarantee cover one instance more, as things stand? */
  get isCovered(): boolean {
    return this.#path.some(({ queue }) => this.covers(queue));
  }

  /** Does the queue of the claimant's side end within its guarantee with one instance more? */
  covers(own: Queue): boolean {
    return this.#path.some(({ queue }) => queue === own) && covers(own, this.#ahead.usage(own), this.#request);
  }

  /** How far the queue would be above its guarantee of a resource with one instance more; canonical units, below 0: not. */
  excess(own: Queue, resource: number, usage = this.#ahead.usage(own)): number {
    if (!this.#guaranteedIn(own).includes(resource)) return 0;
    return (usage[resource] ?? 0) + this.#request[resource]! - own.guarantee[resource]!;
  }

  /** Is the resource within a guarantee that covers the instance? */
  coversIn(resource: number): boolean {
    return this.#path.some(({ queue, guaranteed }) => guaranteed.includes(resource) && this.covers(queue));
  }

  /** Where the claimant meets a victim of this queue; undefined where neither owes the other anything. */
  contest(victim: Queue): Contest | undefined {
    if (this.#contests.has(victim)) return this.#contests.get(victim);
    const contest = this.#find(victim);
    this.#contests.set(victim, contest);
    return contest;
  }

  /** Could anything of this queue be eligible at all, whatever it holds and whatever the claimant lacks? */
  mayHave(victim: Queue): boolean {
    if (this.#version !== this.#ahead.version) {
      this.#version = this.#ahead.version;
      this.#mayHave.clear();
    }
    let may = this.#mayHave.get(victim);
    if (may === undefined) {
      const contest = this.contest(victim);
      may = contest !== undefined && this.#couldCover(contest.own) && this.eligible(contest, undefined, undefined);
      this.#mayHave.set(victim, may);
    }
    return may;
  }

  /**
   * May a victim that holds `vector` go, for a claimant that lacks what is above zero in `lacking` and will be covered?
   * Undefined: whatever it holds, whatever is lacking.
   */
  eligible({ path, own }: Contest, vector: Vector | undefined, lacking: Vector | undefined): boolean {
    const matters = this.#guaranteedIn(own).filter((r) => (vector?.[r] ?? 1) > 0 && (lacking?.[r] ?? 1) > 0);
    if (matters.length === 0) return false;
    return path.every((queue) => {
      const usage = this.#ahead.usage(queue);
      return matters.some((r) => (usage[r] ?? 0) > (queue.guarantee[r] ?? 0));
    });
  }

  /**
   * Could the guarantee of a queue on the claimant's path cover the instance, if all below it that may be taken back for
   * it were? At each step from the claimant up, that is what siblings use beyond what they are guaranteed.
   */
  #couldCover(own: Queue): boolean {
    const spare = new Float64Array(this.#request.length);
    let before: Queue | undefined;
    let could = false;
    for (const { queue, guaranteed } of this.#path) {
      if (before !== undefined && could) this.#addBorrowed(spare, queue, before);
      could = guaranteed.length > 0 && guaranteed.every((r) => this.excess(queue, r) <= spare[r]!);
      if (queue === own) return could;
      before = queue;
    }
    return false;
  }

  /** What is used in `queue` outside `own` and nobody there is guaranteed. */
  #addBorrowed(into: Float64Array, queue: Queue, own: Queue): void {
    const [usage, mine] = [this.#ahead.usage(queue), this.#ahead.usage(own)];
    for (let r = 0; r < into.length; r++) {
      let due = mine[r] ?? 0;
      for (const sibling of queue.children) {
        if (sibling !== own) due += Math.min(this.#ahead.usage(sibling)[r] ?? 0, sibling.guarantee[r] ?? 0);
      }
      into[r]! += Math.max(0, (usage[r] ?? 0) - due);
    }
  }

  #guaranteedIn(own: Queue): readonly number[] {
    return this.#path.find(({ queue }) => queue === own)?.guaranteed ?? [];
  }

  #guaranteed({ guarantee }: Queue): number[] {
    const found: number[] = [];
    for (let r = 0; r < this.#request.length; r++) {
      if (this.#request[r]! > 0 && (guarantee[r] ?? 0) > 0) found.push(r);
    }
    return found;
  }

  #find(victim: Queue): Contest | undefined {
    // In a queue above the claimant's, beside its children: it is guaranteed nothing there.
    const above = this.#below.get(victim);
    if (above !== undefined) return { path: [], own: above };
    const path: Queue[] = [];
    for (const queue of this.#tree.path(victim)) {
      path.push(queue);
      const own = queue.parent === undefined ? undefined : this.#below.get(queue.parent);
      if (own === undefined) continue;
      // The same child: they meet further down, in a queue that both are of, and its guarantee is for both.
      return own === queue ? undefined : { path, own };
    }
    return undefined;
  }
}
