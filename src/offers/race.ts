import type { Acceptance, Loss, Raced } from "./acceptance.ts";
import { withoutHalves } from "./gangs/gang-answers.ts";
import type { Claim } from "./ledger.ts";
import type { RaceRules } from "./messages.ts";
import type { OfferSlice } from "./offer.ts";
import { formatQuantities } from "./quantity.ts";
import { add } from "./queues/queues.ts";
import { type Wish, withCulprit } from "./refusal.ts";
import type { State } from "./state.ts";
import type { Assignment } from "./tasks/assignment.ts";

/** Where nobody knows whether the node has changed since it was shown. */
export const UNKNOWN_VERSION = -1;

export const DEFAULT_RULES: RaceRules = { conflict: "ResourceFit", transaction: "Incremental" };

/**
 * The commit of an optimistic accept, in the four modes of Omega (Schwarzkopf et al., EuroSys'13, §3.4 and §5.2): what is a
 * conflict, times what a conflict does to the rest of the answer. Whatever the mode, what is committed fits its nodes and
 * passes the tree's room: `Version` only adds a reason to lose.
 */
export class Race {
  readonly #state: State;
  readonly #assignment: Assignment;
  readonly #acceptance: Acceptance;

  constructor(state: State, assignment: Assignment, acceptance: Acceptance) {
    this.#state = state;
    this.#assignment = assignment;
    this.#acceptance = acceptance;
  }

  /** Commits what wins. Of a whole that is lost, the culprit is the first among the lost. */
  run(wishes: readonly Wish[], { conflict, transaction }: RaceRules): Raced {
    // All slices are looked at before anything is committed: the answer does not race against itself.
    const moved = new Map<Wish, Loss>();
    if (conflict === "Version") {
      for (const wish of wishes) if (this.#hasMoved(wish.slice)) moved.set(wish, this.#movedLoss(wish.slice));
    }
    if (transaction === "AllOrNothing") return this.#whole(wishes, moved);
    return withoutHalves(this.#state, wishes, this.#each(wishes, moved));
  }

  /** Each instance for itself: what fits and passes the tree's room gets its claim, the rest has lost the race. */
  #each(wishes: readonly Wish[], moved: ReadonlyMap<Wish, Loss>): Raced {
    const lost = new Map<Wish, Loss>(moved);
    this.#state.room.refresh();
    const claims = this.#acceptance.claims(wishes).map((wanted, i) => {
      const wish = wishes[i]!;
      if (moved.has(wish)) return [];
      const got: Claim[] = [];
      for (const claim of wanted) {
        const loss = this.#try(wish, claim);
        if (loss !== undefined) {
          lost.set(wish, loss);
          break;
        }
        got.push(claim);
      }
      return got;
    });
    return { claims, lost };
  }

  #try(wish: Wish, claim: Claim): Loss | undefined {
    const claimant = this.#assignment.claimant(wish.task);
    const reason = this.#state.room.refuses(claimant, claim.vector);
    if (reason !== undefined) return { reason, message: `queue ${claimant.queueName} may not take more now` };
    if (!this.#state.ledger.claim(claim)) return this.#fullLoss(wish.slice);
    if (wish.task.line !== undefined) this.#state.room.granted(wish.task.line);
    return undefined;
  }

  /** One commit for all of it; one that loses takes the others with it. */
  #whole(wishes: readonly Wish[], moved: ReadonlyMap<Wish, Loss>): Raced {
    const [stale] = moved;
    if (stale !== undefined) return this.#allLost(wishes, ...stale);
    const short = this.#shortOfRoom(wishes);
    if (short !== undefined) return this.#allLost(wishes, ...short);
    const claims = this.#acceptance.claims(wishes);
    const [rejected] = this.#state.ledger.commit({ add: claims.flat(), atomic: true });
    if (rejected === undefined) return { claims, lost: new Map() };
    const culprit = wishes[claims.findIndex((own) => own.includes(rejected))]!;
    return this.#allLost(wishes, culprit, this.#fullLoss(culprit.slice));
  }

  /** The first launch with which the whole asks for more than the tree has room for. */
  #shortOfRoom(wishes: readonly Wish[]): [Wish, Loss] | undefined {
    this.#state.room.refresh();
    const sum = new Float64Array(this.#state.resources.width);
    for (const wish of wishes) {
      const claimant = this.#assignment.claimant(wish.task);
      add(sum, wish.task.shape!.request, wish.launch.count);
      const reason = this.#state.room.refuses(claimant, sum);
      if (reason !== undefined) {
        return [wish, { reason, message: `queue ${claimant.queueName} may not take so much now` }];
      }
    }
    return undefined;
  }

  #allLost(wishes: readonly Wish[], culprit: Wish, loss: Loss): Raced {
    const lost = new Map([[culprit, loss]]);
    for (const wish of wishes) if (wish !== culprit) lost.set(wish, withCulprit(loss, culprit.launch));
    return { claims: wishes.map(() => []), lost };
  }

  #hasMoved({ node, version }: OfferSlice): boolean {
    return this.#state.nodes.at(node).version !== version;
  }

  #movedLoss({ node, nodeName, version }: OfferSlice): Loss {
    const why =
      version === UNKNOWN_VERSION
        ? `a new leader cannot tell whether others have claims on node ${nodeName} since it was offered`
        : `others have claims on node ${nodeName} since it was offered`;
    return { reason: "lost-race", message: `${why}; it has free now: ${this.#freeOn(node)}` };
  }

  #fullLoss({ node, nodeName }: OfferSlice): Loss {
    return { reason: "lost-race", message: `node ${nodeName} has free now: ${this.#freeOn(node)}` };
  }

  #freeOn(node: number): string {
    const free = formatQuantities(this.#state.resources.quantities(this.#state.nodes.freeVector(node)));
    return (
      Object.entries(free)
        .map(([name, amount]) => `${name} ${amount}`)
        .join(", ") || "nothing"
    );
  }
}
