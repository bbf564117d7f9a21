import type { Random } from "./random.ts";
import type { Schedule } from "./schedule.ts";

/** How bad things are: probabilities and longest delays. All zero: nothing goes wrong, nothing takes time. */
export interface Faults {
  /** The request never arrives. */
  lostRequest: number;
  /** It is carried out, and nobody hears of it. */
  lostReply: number;
  /** The API server refuses a create. */
  refusal: number;
  requestMs: number;
  replyMs: number;
  watchMs: number;
}

export const CALM: Faults = { lostRequest: 0, lostReply: 0, refusal: 0, requestMs: 5, replyMs: 5, watchMs: 5 };

/** A leader's request times out after so long; what is under way may still arrive before that. */
const TIMEOUT_MS = 2_000;

/** Where a leader dies, seen from one of its writes. */
export type Crash = "before" | "unanswered" | "after";

export interface NetworkOptions {
  readonly schedule: Schedule;
  readonly random: Random;
  /** Read at each request: a run may change it. */
  readonly faults: Faults;
  readonly alive: () => boolean;
  /** Asked at every write, in order: whether the leader dies here. */
  readonly crash?: ((label: string) => Crash | undefined) | undefined;
  readonly die: () => void;
}

/** One leader's way to the API server. */
export class Network {
  inFlight = 0;
  readonly #options: NetworkOptions;

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  /** `done` gets what `write` returned, or undefined when that is unknown; nothing once the leader is dead. */
  send<T extends object>(label: string, write: () => T, done: (result: T | undefined) => void): void {
    const { schedule, random, faults, alive, crash, die } = this.#options;
    if (!alive()) return;
    const crashes = crash?.(label);
    if (crashes === "before") {
      die();
      return;
    }
    this.inFlight++;
    const reply = (result: T | undefined) => {
      this.inFlight--;
      if (!alive()) return;
      done(result);
      if (crashes === "after") die();
    };
    if (random.chance(faults.lostRequest)) {
      schedule.in(TIMEOUT_MS, () => reply(undefined));
      return;
    }
    const lost = random.chance(faults.lostReply);
    schedule.in(random.between(1, 1 + faults.requestMs), () => {
      const result = write();
      if (crashes === "unanswered") die();
      if (lost) schedule.in(TIMEOUT_MS, () => reply(undefined));
      else schedule.in(random.between(1, 1 + faults.replyMs), () => reply(result));
    });
  }
}
