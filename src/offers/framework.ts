import type { Line } from "./lines.ts";
import type { FrameworkFacts } from "./messages.ts";
import type { Offer } from "./offer.ts";
import type { Presence } from "./presence.ts";
import type { Task } from "./tasks/task.ts";

const PENALTY_AFTER = 3;
const LONGEST_PENALTY_MS = 60_000;
/** After so many lost races in a row the next offer is exclusive. */
const RACES_BORNE = 3;

/** How a claimant (a framework in one of its queues) has fared with its offers of late. */
class Standing {
  /** Declines and expiries in a row. */
  turnedDown = 0;
  penaltyUntilMs = 0;
  /** Lost races in a row, since the last offer of its own. */
  lostRaces = 0;
}

/** A framework as the broker knows it: its object (if there), its tasks, its offers, and how it behaves. */
export class Framework {
  readonly key: string;
  facts: FrameworkFacts | undefined;
  readonly tasks = new Set<Task>();
  readonly offers = new Set<Offer>();
  /** Lines that `spec.demand` states. */
  stated: Line[] = [];
  /** May hold so many open offers: halved by each that expires, restored by an accept. */
  outstandingLimit = 1;
  /** Whether its program is there; undefined where it has no Lease by which to tell: then nobody doubts it. */
  presence: Presence | undefined;
  /** The API server refused its last offers: why, how often, and until when none is drafted. */
  unpublished: { readonly message: string; readonly failures: number; readonly untilMs: number } | undefined;
  readonly #standings = new Map<string, Standing>();
  readonly ended = { accepted: 0, declined: 0, expired: 0, rescinded: 0, refused: 0 };

  constructor(key: string) {
    this.key = key;
  }

  /** Its program is known to be away: nothing is offered. */
  get isAway(): boolean {
    return this.presence !== undefined && this.presence.state !== "connected";
  }

  /** By now a leader may have begun to kill its tasks. */
  isOverdue(nowMs: number): boolean {
    const { facts, presence } = this;
    return facts?.failover?.policy === "Kill" && presence !== undefined && presence.keptUntilMs <= nowMs;
  }

  get namespace(): string {
    return this.key.slice(0, this.key.indexOf("/"));
  }

  /** In this queue: optimistic, and not so unlucky that its next offer there is to be its own. */
  optimisticIn(queue: string): boolean {
    if (this.facts?.concurrency !== "Optimistic") return false;
    return (this.#standings.get(queue)?.lostRaces ?? 0) < RACES_BORNE;
  }

  /** An answer to an optimistic offer was settled. */
  raced(queue: string, lost: boolean): void {
    const standing = this.#standing(queue);
    standing.lostRaces = lost ? standing.lostRaces + 1 : 0;
  }

  /** An exclusive offer makes up for the races lost before it. */
  offeredExclusively(queue: string): void {
    const standing = this.#standings.get(queue);
    if (standing !== undefined) standing.lostRaces = 0;
  }

  /** So many claims of its own were added on the node: what it is shown there is no older for that. */
  claimed(node: number, claims: number): void {
    for (const { concurrency, slices } of this.offers) {
      const slice = concurrency === "Optimistic" ? slices.get(node) : undefined;
      if (slice !== undefined) slice.version += claims;
    }
  }

  accepted(queue: string): void {
    const standing = this.#standing(queue);
    standing.turnedDown = 0;
    standing.penaltyUntilMs = 0;
    this.outstandingLimit = this.facts?.maxOutstanding ?? 1;
  }

  /** Until when it stands behind all others in this queue. */
  penaltyUntilMs(queue: string): number {
    if (this.#standings.size === 0) return 0;
    return this.#standings.get(queue)?.penaltyUntilMs ?? 0;
  }

  /** An offer could not be created. Returns until when no other is drafted: longer each time. */
  unpublishedOffer(message: string, nowMs: number): number {
    const failures = (this.unpublished?.failures ?? 0) + 1;
    const untilMs = nowMs + Math.min(1000 * 2 ** (failures - 1), LONGEST_PENALTY_MS);
    this.unpublished = { message, failures, untilMs };
    return untilMs;
  }

  /** True if it was held back until now. */
  publishedOffer(): boolean {
    const heldBack = this.unpublished !== undefined;
    this.unpublished = undefined;
    return heldBack;
  }

  /** Declined, or let expire. Returns until when it stands behind all others in the queue, if it does from now on. */
  turnedDownOffer(queue: string, expired: boolean, nowMs: number): number | undefined {
    if (expired) this.outstandingLimit = Math.max(1, this.outstandingLimit >> 1);
    const standing = this.#standing(queue);
    standing.turnedDown++;
    if (standing.turnedDown < PENALTY_AFTER) return undefined;
    const penaltyMs = Math.min(1000 * 2 ** (standing.turnedDown - PENALTY_AFTER + 1), LONGEST_PENALTY_MS);
    standing.penaltyUntilMs = nowMs + penaltyMs;
    return standing.penaltyUntilMs;
  }

  #standing(queue: string): Standing {
    let standing = this.#standings.get(queue);
    if (standing === undefined) {
      standing = new Standing();
      this.#standings.set(queue, standing);
    }
    return standing;
  }
}
