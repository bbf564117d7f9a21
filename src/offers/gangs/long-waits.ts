import { type Hold, isWhole } from "../holds.ts";
import { type Line, lineBefore } from "../lines.ts";
import type { Vector } from "../resources.ts";
import type { Bidder } from "../round.ts";
import type { State } from "../state.ts";
import type { Waiter } from "./gang.ts";
import type { GangBounds } from "./gang-bounds.ts";
import { type GangStarts, heldFor, lack, ownRoom } from "./gang-starts.ts";
import { Gathering } from "./gathering.ts";

const NOTHING: Vector = new Float64Array(0);
/** Long enough for a wait to be one for room that does not come by itself. */
const HOLD_AFTER_MS = 300_000;
/** Times that double do so at most this often. */
const DOUBLINGS = 16;

/** Whose turn it is to have room held for it. */
export interface Turn {
  readonly waiter: Waiter;
  /** Of a gang: any of its lines. */
  readonly line: Line;
  readonly sinceMs: number;
  /** When the turn passes on, if it has not started by then. */
  readonly untilMs: number;
  readonly holds: Set<Hold>;
}

/**
 * What waits long for more room than ever comes free at a time: gangs, and large shapes where small ones are served
 * again and again. One of them at a time has what becomes free held for it, so that nobody waits for what another holds;
 * a time-out that doubles with each try passes the turn on, for one that is shorter than the drain would never start
 * anything. No durations are needed.
 *
 * Whose turn it is: the first in the order of the queues whose claimant is served next and has waited long enough,
 * those for whom room was held in vain less often before the others. Nobody whose turn by share has not come gets past
 * one who is being served.
 */
export class LongWaits {
  readonly #state: State;
  readonly #starts: GangStarts;
  readonly #bounds: GangBounds;
  readonly #gathering: Gathering;
  #turn: Turn | undefined;
  /** As of the last round: some wait was long enough, and when the next one will be. */
  #anyDue = false;
  #dueMs = Number.POSITIVE_INFINITY;
  /** This round has looked for whoever has waited long enough. */
  #hasLooked = false;

  constructor(state: State, starts: GangStarts, bounds: GangBounds) {
    this.#state = state;
    this.#starts = starts;
    this.#bounds = bounds;
    this.#gathering = new Gathering(state);
  }

  /** For whom room is held now. */
  get turn(): Turn | undefined {
    return this.#turn;
  }

  /** When room may be held for it, if its turn comes then; undefined for one that does not wait, or has its turn. */
  turnMs(waiter: Waiter): number | undefined {
    const { waitingSinceMs } = waiter;
    return waitingSinceMs === undefined || this.#turn?.waiter === waiter
      ? undefined
      : waitingSinceMs + this.#holdAfterMs;
  }

  /** When time alone makes a round worth its while; Infinity for never. */
  get nextMs(): number {
    return Math.min(this.#dueMs, this.#turn?.untilMs ?? Number.POSITIVE_INFINITY);
  }

  /**
   * A round begins: what has become free goes to the one whose turn it is, before anybody else is served. Returns how many
   * instances were granted.
   */
  begin(bidders: readonly Bidder[]): number {
    const due = this.#anyDue || this.#state.nowMs >= this.#dueMs;
    this.#hasLooked = due;
    if (this.#turn === undefined && !due) return 0;
    const byClaimant = new Map(bidders.map((bidder) => [bidder.claimant, bidder]));
    const before = this.#turn;
    const stands = before !== undefined && this.#stands(before, byClaimant.get(before.line.claimant));
    if (!stands) this.#release(before);
    if (stands && this.#state.nowMs < before.untilMs)
      return this.#gather(before, byClaimant.get(before.line.claimant)!);
    if (stands) {
      before.waiter.vainHolds++;
      this.#state.counters.passedHolds++;
      this.#gathering.avoid(before);
    }
    const next = due || stands ? this.#choose(bidders, stands ? before : undefined) : undefined;
    if (stands && next?.waiter !== before.waiter) this.#release(before);
    this.#turn = next;
    // Others are served differently from now on.
    if (before !== next) this.#state.dirty = true;
    if (before !== undefined) this.#state.frameworkChanged(before.line.claimant.framework);
    if (next === undefined) return 0;
    this.#state.frameworkChanged(next.line.claimant.framework);
    return this.#gather(next, byClaimant.get(next.line.claimant)!);
  }

  /** A round is over: whoever could have had something but for want of room waits. */
  end(bidders: readonly Bidder[]): void {
    const { nowMs, lines } = this.#state;
    const holdAfterMs = this.#holdAfterMs;
    const served = this.#turn?.waiter;
    this.#anyDue = false;
    this.#dueMs = Number.POSITIVE_INFINITY;
    for (const bidder of bidders) {
      for (const line of lines.of(bidder.claimant)) {
        if (line.gang === undefined) {
          const waits =
            !bidder.full && bidder.wanted(line, 1) > 0 && (line.blocked === "no-node" || line.shape.exhausted);
          if (!waits) line.waitingSinceMs = undefined;
          else line.waitingSinceMs ??= nowMs;
        }
        const waiter = line.gang ?? line;
        if (waiter.waitingSinceMs === undefined || waiter === served) continue;
        const dueMs = waiter.waitingSinceMs + holdAfterMs;
        if (dueMs <= nowMs) this.#anyDue = true;
        else this.#dueMs = Math.min(this.#dueMs, dueMs);
      }
    }
    const turn = this.#turn;
    // A wait that began before this term may be long enough the first time it is seen.
    if (turn === undefined) this.#state.dirty ||= this.#anyDue && !this.#hasLooked;
    if (turn === undefined) return;
    // What is held for somebody who waits no longer is for others, and now.
    const own = bidders.find(({ claimant }) => claimant === turn.line.claimant);
    if (!this.#stands(turn, own)) this.#state.dirty = true;
  }

  get #holdAfterMs(): number {
    return this.#state.options.holdAfterMs ?? HOLD_AFTER_MS;
  }

  #stands({ waiter, line }: Turn, bidder: Bidder | undefined): bidder is Bidder {
    if (bidder === undefined || waiter.waitingSinceMs === undefined) return false;
    // Its framework may have moved to another queue: there it has its turn anew.
    const lines = (line.gang?.lines() ?? [line]).filter(({ claimant }) => claimant === line.claimant);
    return lines.some((own) => this.#waiting(bidder, own) > 0);
  }

  /** Instances of the line that want to start and for which nobody else makes room, as reclaim does. */
  #waiting(bidder: Bidder, line: Line): number {
    const wanted = bidder.wanted(line, 1);
    if (line.holds === 0) return wanted;
    const { holds } = this.#state;
    const own = [...(this.#turn?.holds ?? [])].filter((hold) => hold.line === line && holds.has(hold));
    if (line.gang !== undefined) return wanted - (line.holds - own.length);
    // Those that are whole are not wanted any more.
    return wanted - (line.holds - line.held - own.filter((hold) => !isWhole(hold)).length);
  }

  /** `last`: whose turn has just passed; it may be its turn again. */
  #choose(bidders: readonly Bidder[], last: Turn | undefined): Turn | undefined {
    let chosen: Line | undefined;
    for (const line of this.#candidates(bidders)) {
      if (chosen === undefined || waiterOf(line).vainHolds < waiterOf(chosen).vainHolds) chosen = line;
    }
    if (chosen === undefined) return undefined;
    const { nowMs } = this.#state;
    const waiter = waiterOf(chosen);
    const untilMs = nowMs + this.#holdAfterMs * 2 ** Math.min(waiter.vainHolds, DOUBLINGS);
    const again = last?.waiter === waiter;
    return {
      waiter,
      line: chosen,
      sinceMs: again ? last.sinceMs : nowMs,
      untilMs,
      holds: again ? last.holds : new Set(),
    };
  }

  /** Claimants in the order in which they are served, each with what is first of it, as far as all of that waits long. */
  *#candidates(bidders: readonly Bidder[]): Generator<Line> {
    const { policy } = this.#state;
    const wanting = new Map(
      bidders.flatMap((bidder) => {
        const wanted = bidder.full ? [] : this.#wanted(bidder);
        return wanted.length === 0 ? [] : [[bidder.claimant, { bidder, wanted }] as const];
      }),
    );
    const inOrder: Line[] = [];
    policy.begin(wanting.keys());
    order: for (let claimant = policy.next(); claimant !== undefined; claimant = policy.next()) {
      const { bidder, wanted } = wanting.get(claimant)!;
      policy.block(claimant);
      for (const line of wanted) {
        const outlook = this.#outlook(bidder, line);
        if (outlook === "served") break order;
        if (outlook === "hopeless") continue;
        inOrder.push(line);
        break;
      }
    }
    policy.end();
    yield* inOrder;
  }

  #wanted(bidder: Bidder): Line[] {
    const all = [...this.#state.lines.of(bidder.claimant)];
    const lines = all.filter((line) => line.leads && this.#waiting(bidder, line) > 0);
    for (const line of lines) line.blocked = undefined;
    return lines.sort((a, b) => (lineBefore(a, b) ? -1 : 1));
  }

  /** "waits": it has waited long enough. "hopeless": room does not help it now, or never. "served": its turn comes. */
  #outlook(bidder: Bidder, line: Line): "waits" | "hopeless" | "served" {
    const { gang, shape } = line;
    const asked =
      gang === undefined ? shape.request : lack(this.#state, gang.parts(), heldFor(this.#state, gang), bidder.claimant);
    if (this.#state.room.overLimit(bidder.claimant, asked, NOTHING)) return "hopeless";
    const can = gang === undefined ? this.#bounds.fitsSomewhere(bidder, shape) : !this.#bounds.never(bidder, gang);
    if (!can) return "hopeless";
    const { waitingSinceMs } = waiterOf(line);
    return waitingSinceMs !== undefined && waitingSinceMs + this.#holdAfterMs <= this.#state.nowMs ? "waits" : "served";
  }

  #gather(turn: Turn, bidder: Bidder): number {
    for (const hold of turn.holds) if (!this.#state.holds.has(hold)) turn.holds.delete(hold);
    this.#state.room.refresh();
    const { gang } = turn.line;
    if (gang === undefined) {
      this.#gathering.forLine(turn, bidder);
      return 0;
    }
    const own = ownRoom(heldFor(this.#state, gang));
    const found = this.#starts.search.find(bidder, gang.parts(), own, true);
    if (found.placed === found.wanted) {
      const outcome = this.#starts.serve(bidder, gang);
      if (typeof outcome === "number") return outcome;
    }
    this.#gathering.forGang(turn, bidder, found);
    return 0;
  }

  #release(turn: Turn | undefined): void {
    for (const hold of turn?.holds ?? []) this.#state.holds.release(hold);
    turn?.holds.clear();
  }
}

const waiterOf = (line: Line): Waiter => line.gang ?? line;
