import type { Claim } from "./ledger.ts";
import type { Line } from "./lines.ts";
import { equalVectors, type Vector } from "./resources.ts";
import type { Bidder } from "./round.ts";
import type { State } from "./state.ts";

/** Room on one node, kept for one instance of a line until that starts there. */
export interface Hold {
  readonly line: Line;
  /** Its room in the ledger, of kind "hold": it counts as usage of the line's claimant. At most the line's request. */
  claim: Claim;
}

/**
 * Room that is kept for somebody who waits: what victims gave back, and what gathers for a large shape or a gang. A
 * hold that has all its line asks for is whole, and counts in `line.held`: the ordinary passes of a round do not serve
 * that instance a second time. Holds are of one term only.
 */
export class Holds {
  readonly #state: State;
  /** In the order in which they were made. */
  readonly #all = new Set<Hold>();
  #sequence = 0;

  constructor(state: State) {
    this.#state = state;
  }

  get size(): number {
    return this.#all.size;
  }

  all(): Iterable<Hold> {
    return this.#all;
  }

  has(hold: Hold): boolean {
    return this.#all.has(hold);
  }

  of(line: Line): Hold[] {
    return line.holds === 0 ? [] : [...this.#all].filter((hold) => hold.line === line);
  }

  /** Keeps `vector` (at most the request) of a node for an instance of the line; undefined where it is not free. */
  place(line: Line, node: number, vector: Vector): Hold | undefined {
    const id = `hold/${(this.#sequence++).toString(36)}`;
    const claim: Claim = { id, kind: "hold", node, vector, instances: 0, holder: line.claimant };
    if (!this.#state.ledger.claim(claim)) return undefined;
    const hold = { line, claim };
    this.#all.add(hold);
    line.holds++;
    this.#shown(line);
    if (isWhole(hold)) this.#whole(hold);
    return hold;
  }

  /** The hold takes `vector` of its node instead of what it had; false, and as before, where that is not free. */
  resize(hold: Hold, vector: Vector): boolean {
    const { claim } = hold;
    if (equalVectors(claim.vector, vector)) return true;
    const next = { ...claim, vector };
    if (this.#state.ledger.commit({ remove: [claim.id], add: [next], atomic: true }).length > 0) return false;
    if (isWhole(hold)) hold.line.held--;
    hold.claim = next;
    this.#shown(hold.line);
    if (isWhole(hold)) this.#whole(hold);
    return true;
  }

  /** The room is free again. */
  release(hold: Hold): void {
    if (!this.#all.has(hold)) return;
    this.#state.ledger.forget(hold.claim.id);
    this.#forget(hold);
    this.#state.dirty = true;
  }

  /** In one step the holds go and the claims stand, or all is as it was: then false. */
  exchange(holds: readonly Hold[], add: readonly Claim[]): boolean {
    const remove = holds.map(({ claim }) => claim.id);
    if (this.#state.ledger.commit({ remove, add, atomic: true }).length > 0) return false;
    for (const hold of holds) this.#forget(hold);
    return true;
  }

  /** The node is closed, or facts took more of it than there is. */
  releaseOn(node: number): void {
    for (const hold of [...this.#all]) if (hold.claim.node === node) this.release(hold);
  }

  /**
   * A round begins: holds that nobody needs any more are released, and those that are whole become what they were kept
   * for, oldest first and before anybody else is served. Returns how many instances were granted.
   */
  redeem(bidders: readonly Bidder[]): number {
    if (this.#all.size === 0) return 0;
    this.#state.room.refresh();
    const byClaimant = new Map(bidders.map((bidder) => [bidder.claimant, bidder]));
    let granted = 0;
    for (const hold of [...this.#all]) {
      const bidder = byClaimant.get(hold.line.claimant);
      if (bidder === undefined || !this.#isNeeded(hold, bidder)) this.release(hold);
      // What starts together redeems its holds together, in its own turn.
      else if (hold.line.gang !== undefined) continue;
      else if (isWhole(hold) && !bidder.full && bidder.redeem(hold.line, hold.claim)) {
        hold.line.served();
        this.#forget(hold);
        granted++;
      }
    }
    return granted;
  }

  /** More instances wait than whole holds stand for them, and they may still run on its node. */
  #isNeeded({ line, claim }: Hold, bidder: Bidder): boolean {
    const { node } = claim;
    if (line.pending - line.outstanding < Math.max(1, line.held)) return false;
    if (!line.shape.where.admits.has(node) || bidder.refused?.has(node) === true) return false;
    // What starts together is spread together: where one may go hangs on where the others do.
    if (line.gang === undefined && line.shape.spread.some((group) => !group.allowed.has(node))) return false;
    return !this.#state.room.overLimit(line.claimant, claim.vector, claim.vector);
  }

  /** The next round redeems it. */
  #whole({ line }: Hold): void {
    line.held++;
    this.#state.dirty = true;
  }

  #forget(hold: Hold): void {
    this.#all.delete(hold);
    hold.line.holds--;
    if (isWhole(hold)) hold.line.held--;
    this.#shown(hold.line);
    this.#state.lines.dropIfEmpty(hold.line);
  }

  /** What is held stands in statuses. Its framework may have left the queue since. */
  #shown({ claimant }: Line): void {
    this.#state.frameworkChanged(claimant.framework);
    this.#state.queueChanged(claimant.queueName);
  }
}

/** Does it have all that an instance of its line asks for? */
export function isWhole({ line, claim }: Hold): boolean {
  return line.request.every((asked, r) => asked <= (claim.vector[r] ?? 0));
}
