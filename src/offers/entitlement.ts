import type { Queue, QueueTree } from "./queues.ts";
import type { Vector } from "./resources.ts";
import type { UsageAhead } from "./usage-ahead.ts";

/** Who competes for what where two leaves of the tree meet. */
export interface Contest {
  /** The victim's queue and those above it, up to the child of the lowest common ancestor. */
  readonly path: readonly Queue[];
  /** The claimant's child of the lowest common ancestor: the guarantee that is called on is this one's. */
  readonly own: Queue;
}

/**
 * What one instance of a queue may have taken back for it (allocation rules, §4). The claimant's side of each contest must
 * end within its guarantee, in what that names; and a victim may go if, before it goes, each queue on its own side is above
 * its guarantee in something that the claimant lacks, is guaranteed, and the victim holds. So Φ = Σ max(0, U − G) over the
 * two sides falls with each victim, and nothing is taken to and fro for ever.
 */
export class Entitlement {
  readonly #tree: QueueTree;
  readonly #ahead: UsageAhead;
  readonly #request: Vector;
  /** The claimant's queue and those above it -> the resources that its guarantee still covers; none: not its turn. */
  readonly #guaranteed = new Map<Queue, readonly number[]>();
  /** Queue above (or the root) -> the one below it on the claimant's path. */
  readonly #below = new Map<Queue, Queue>();
  readonly #contests = new Map<Queue, Contest | undefined>();

  /** Of one instance that asks for `request` in the queue. It holds for as long as the tree stays as it is. */
  constructor(tree: QueueTree, ahead: UsageAhead, queue: Queue, request: Vector) {
    this.#tree = tree;
    this.#ahead = ahead;
    this.#request = request;
    for (const at of tree.path(queue)) if (at.parent !== undefined) this.#below.set(at.parent, at);
    this.refresh();
  }

  /** Of what use a guarantee still is, after the ahead has changed. True if any is. */
  refresh(): boolean {
    this.#guaranteed.clear();
    let any = false;
    for (const queue of this.#below.values()) {
      const covered = this.#covered(queue);
      if (covered.length > 0) any = true;
      this.#guaranteed.set(queue, covered);
    }
    return any;
  }

  /** Does a guarantee still cover the resource? */
  covers(resource: number): boolean {
    for (const covered of this.#guaranteed.values()) if (covered.includes(resource)) return true;
    return false;
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
    const contest = this.contest(victim);
    return contest !== undefined && this.eligible(contest, undefined, undefined);
  }

  /**
   * May a victim that holds `vector` go, for a claimant that lacks what is above zero in `lacking`? Undefined: whatever it
   * holds, whatever is lacking.
   */
  eligible({ path, own }: Contest, vector: Vector | undefined, lacking: Vector | undefined): boolean {
    const covered = this.#guaranteed.get(own) ?? [];
    const matters = covered.filter((r) => (vector?.[r] ?? 1) > 0 && (lacking?.[r] ?? 1) > 0);
    if (matters.length === 0) return false;
    return path.every((queue) => {
      const usage = this.#ahead.usage(queue);
      return matters.some((r) => (usage[r] ?? 0) > (queue.guarantee[r] ?? 0));
    });
  }

  /** Resources in which the queue, with one instance more, ends within its guarantee; none if it exceeds it in any. */
  #covered(queue: Queue): number[] {
    const usage = this.#ahead.usage(queue);
    const covered: number[] = [];
    for (let r = 0; r < this.#request.length; r++) {
      const [asked, guarantee] = [this.#request[r]!, queue.guarantee[r] ?? 0];
      if (asked <= 0 || guarantee <= 0) continue;
      if ((usage[r] ?? 0) + asked > guarantee) return [];
      covered.push(r);
    }
    return covered;
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
