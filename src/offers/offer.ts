import type { Reason } from "./explain/reasons.ts";
import type { Claim } from "./ledger.ts";
import type { Line } from "./lines.ts";
import type { LaunchOutcome, OfferPhase } from "./messages.ts";
import type { Claimant } from "./queues/queues.ts";
import type { Vector } from "./resources.ts";
import { unreachable } from "./structures/assert.ts";

/** One node's part of an offer. */
export interface OfferSlice {
  readonly name: string;
  readonly node: number;
  readonly nodeName: string;
  readonly nodeUid: string;
  /** What is offered: of an exclusive slice, its claim's own vector. */
  vector: Vector;
  /** Its room in the ledger; none where it is only shown, or given back. */
  claim: Claim | undefined;
  /** Of its node when this was shown, plus the framework's own claims since: those are no surprise to it. */
  version: number;
  /** What it was drafted for. */
  readonly parts: { readonly line: Line; instances: number }[];
}

export type Ended = Exclude<OfferPhase, "Open">;

/**
 * An offer's life. `drafted` until the round is over; `open` until something ends it; `closing` while the end is being
 * written: an answer that was written first still counts then, and an unanswered offer keeps its claims until the end
 * stands; `closed` is final.
 */
export type OfferState =
  | { readonly name: "drafted" }
  | { readonly name: "open" }
  | {
      readonly name: "closing";
      readonly phase: Ended;
      readonly reason?: Reason;
      readonly message?: string;
      readonly launches: readonly LaunchOutcome[];
    }
  | { readonly name: "closed"; readonly phase: Ended };

export type OfferEvent =
  | { readonly type: "published" }
  | {
      readonly type: "answered" | "ended";
      readonly phase: Ended;
      readonly reason?: Reason;
      readonly message?: string;
      readonly launches?: readonly LaunchOutcome[];
    }
  | { readonly type: "closed" };

export interface Offer {
  readonly key: string;
  uid: string | undefined;
  readonly framework: string;
  readonly claimant: Claimant;
  readonly concurrency: "Exclusive" | "Optimistic";
  /** Drafted past what is pending: the first to go when another has real demand. */
  readonly slack: boolean;
  /** By node: at most one on each. */
  readonly slices: Map<number, OfferSlice>;
  readonly expiresAtMs: number;
  readonly publishedAtMs: number;
  state: OfferState;
}

/** The one place where an offer's state changes; end states are final. */
export function next(state: OfferState, event: OfferEvent): OfferState {
  switch (event.type) {
    case "published":
      return state.name === "drafted" ? { name: "open" } : state;
    case "ended":
      // The first end counts, unless an answer turns out to have been written before it.
      return state.name === "drafted" || state.name === "open" ? closing(event) : state;
    case "answered":
      return state.name === "closed" ? state : closing(event);
    case "closed":
      return state.name === "closing" ? { name: "closed", phase: state.phase } : state;
    default:
      return unreachable(event);
  }
}

function closing(event: Extract<OfferEvent, { phase: Ended }>): OfferState {
  return {
    name: "closing",
    phase: event.phase,
    launches: event.launches ?? [],
    ...(event.reason === undefined ? {} : { reason: event.reason }),
    ...(event.message === undefined ? {} : { message: event.message }),
  };
}

/** May an answer still be given? Not once an answer was taken, or the end is known to stand. */
export function answerable(state: OfferState): boolean {
  if (state.name === "open" || state.name === "drafted") return true;
  return state.name === "closing" && (state.phase === "Expired" || state.phase === "Rescinded");
}
