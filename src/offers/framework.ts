import type { Line } from "./lines.ts";
import type { FrameworkFacts } from "./messages.ts";
import type { Offer } from "./offer.ts";
import type { Presence } from "./presence.ts";
import type { Task } from "./task.ts";

const PENALTY_AFTER = 3;
const LONGEST_PENALTY_MS = 60_000;
/** After so many lost races in a row the next offer is exclusive. */
const RACES_BORNE = 3;

/** A framework as the broker knows it: its object (if there), its tasks, its offers, and how it behaves. */
export class Framework {
  readonly key: string;
  facts: FrameworkFacts | undefined;
  readonly tasks = new Set<Task>();
  readonly offers = new Set<Offer>();
  /** Lines that `spec.demand` states. */
  stated: Line[] = [];
  /** May hold so many open offers: halved by silence, restored by an accept. */
  outstandingLimit = 1;
  /** Expiries in a row. */
  silent = 0;
  /** Declines and expiries in a row. */
  turnedDown = 0;
  penaltyUntilMs = 0;
  lostRaces = 0;
  /** Whether its program is there; undefined where it has no Lease by which to tell: then nobody doubts it. */
  presence: Presence | undefined;
  /** The API server refused its last offers: why, how often, and until when none is drafted. */
  unpublished: { readonly message: string; readonly failures: number; readonly untilMs: number } | undefined;
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

  /** Optimistic, and not so unlucky that its next offer is to be its own. */
  get optimistic(): boolean {
    return this.facts?.concurrency === "Optimistic" && this.lostRaces < RACES_BORNE;
  }

  accepted(): void {
    this.silent = 0;
    this.turnedDown = 0;
    this.penaltyUntilMs = 0;
    this.outstandingLimit = this.facts?.maxOutstanding ?? 1;
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

  /** Declined, or let expire. Returns until when it stands behind all others, if it does from now on. */
  turnedDownOffer(expired: boolean, nowMs: number): number | undefined {
    this.turnedDown++;
    this.silent = expired ? this.silent + 1 : 0;
    if (this.silent >= 2) {
      this.outstandingLimit = Math.max(1, this.outstandingLimit >> 1);
      this.silent = 0;
    }
    if (this.turnedDown < PENALTY_AFTER) return undefined;
    this.penaltyUntilMs = nowMs + Math.min(1000 * 2 ** (this.turnedDown - PENALTY_AFTER + 1), LONGEST_PENALTY_MS);
    return this.penaltyUntilMs;
  }
}
