import type { EndedOffer } from "../offers/views.ts";
import type { Doubt } from "./kube/leader-election.ts";
import type { RequestRecord } from "./kube/transport.ts";

/** What the shell tells those who measure. */
export interface Telemetry {
  /** How long the broker took for one tick. */
  roundFinished(seconds: number): void;
  /** An effect was carried out or given up. */
  effect(type: string, outcome: EffectOutcome): void;
  /** From the decision to the end of the write, which was done or refused for good; all tries and waits in between count. */
  effectEnded(lane: string, seconds: number): void;
  apiRequest(request: RequestRecord): void;
  queueDepth(lane: string, depth: number): void;
  leader(leading: boolean): void;
  /** The caches are read again from the beginning. */
  doubted(doubt: Doubt): void;
  offerEnded(offer: EndedOffer): void;
}

/**
 * - `done`: the world is as the effect wanted it;
 * - `refused`: the API server refused it for good, and the broker was told;
 * - `retried`: it failed and will be tried again;
 * - `dropped`: the term ended first.
 */
export type EffectOutcome = "done" | "refused" | "retried" | "dropped";

export const noTelemetry: Telemetry = {
  roundFinished: () => {},
  effect: () => {},
  effectEnded: () => {},
  apiRequest: () => {},
  queueDepth: () => {},
  leader: () => {},
  doubted: () => {},
  offerEnded: () => {},
};

/** The part of pino that is used; `fields` go first, as pino wants it. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  fatal(fields: object, message: string): void;
}

export const noLogger: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, fatal: () => {} };
