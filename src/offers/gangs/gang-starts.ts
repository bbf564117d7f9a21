import type { Hold } from "../holds.ts";
import type { Line } from "../lines.ts";
import { add, type Claimant } from "../queues/queues.ts";
import type { Vector } from "../resources.ts";
import type { Bidder } from "../round.ts";
import type { State } from "../state.ts";
import type { Assignment } from "../tasks/assignment.ts";
import type { Gang, Part } from "./gang.ts";
import { type Found, GangSearch, type OwnRoom } from "./gang-search.ts";
import { recall } from "./recalls.ts";

/** What came of a gang's turn: so many instances granted, nothing more for its claimant in this round, or why not. */
export type Outcome = number | "full" | NonNullable<Line["blocked"]>;

/** Starts of gangs in the round: all that is missing or nothing. */
export class GangStarts {
  readonly #state: State;
  readonly #assignment: Assignment;
  readonly #bidderOf: (claimant: Claimant) => Bidder | undefined;
  readonly search: GangSearch;

  constructor(state: State, assignment: Assignment, bidderOf: (claimant: Claimant) => Bidder | undefined) {
    this.#state = state;
    this.#assignment = assignment;
    this.#bidderOf = bidderOf;
    this.search = new GangSearch(state);
  }

  /**
   * A round begins. A start that is not complete although nothing of it is on its way broke off: a leader died in the
   * middle of it, or the API server refused some pods. The rest follows now, before anybody else is served, or what there
   * is ends. Returns how many instances were granted.
   */
  begin(): number {
    this.search.begin();
    const { unsettled } = this.#assignment.gangs;
    if (unsettled.size === 0) return 0;
    let granted = 0;
    this.#state.room.refresh();
    for (const gang of [...unsettled]) {
      if (gang.state === "starting") granted += this.#complete(gang);
      if (gang.state === "undone") recall(this.#state, gang);
    }
    return granted;
  }

  /** Where room is kept for all of a gang it starts before anybody else is served, were there no other room at all. */
  redeem(bidders: readonly Bidder[]): number {
    const held = new Map<Gang, Claimant>();
    for (const { line } of this.#state.holds.all()) if (line.gang !== undefined) held.set(line.gang, line.claimant);
    let granted = 0;
    for (const [gang, claimant] of held) {
      const lines = gang.lines();
      const isWhole = lines.length > 0 && lines.every(({ held, ready }) => held >= ready);
      const bidder = isWhole ? bidders.find((one) => one.claimant === claimant) : undefined;
      if (bidder === undefined || bidder.full) continue;
      this.#state.room.refresh();
      const outcome = this.serve(bidder, gang);
      if (typeof outcome === "number") granted += outcome;
    }
    return granted;
  }

  /** Its turn in the round. */
  serve(bidder: Bidder, gang: Gang): Outcome {
    const parts = gang.parts();
    const held = heldFor(this.#state, gang);
    const own = ownRoom(held);
    const refuses = (vector: Vector) => this.#state.room.refuses(bidder.claimant, vector, bidder.shown);
    const refused = refuses(lack(this.#state, parts, held, bidder.claimant));
    if (refused === "over-limit") return refused;
    // More than is free at all: nobody keeps that back.
    if (!this.search.mayFit(parts, own)) return "no-node";
    if (refused !== undefined) return refused;
    const found = this.search.find(bidder, parts, own);
    if (found.placed < found.wanted) return "no-node";
    const dear = refuses(less(found.taken, held, bidder.claimant));
    if (dear !== undefined) return dear;
    return this.#grant(bidder, gang, found, held) ? found.placed : "full";
  }

  #complete(gang: Gang): number {
    const parts = gang.parts();
    if (parts.length === 0) return 0;
    // What its pods ask for is not known yet.
    if (gang.tasks.some(({ rejected }) => rejected?.reason === "sizing")) return 0;
    const bidder = this.#bidderOf(this.#assignment.claimant(parts[0]!.task));
    // A framework that answers offers has chosen the places itself: what is left of its choice was settled before.
    if (bidder?.startsGangs === true && parts.every(({ task, missing }) => task.ready >= missing)) {
      const outcome = this.#asking(parts, () => this.serve(bidder, gang));
      if (typeof outcome === "number") return outcome;
    }
    this.#assignment.gangs.recalled(gang);
    this.#tell(gang);
    return 0;
  }

  /** It has no lines: only of shapes that are asked for it is known where they may go. */
  #asking<T>(parts: readonly Part[], run: () => T): T {
    for (const { task } of parts) this.#state.shapes.asked(task.shape!, 1);
    const result = run();
    for (const { task } of parts) this.#state.shapes.asked(task.shape!, -1);
    return result;
  }

  #grant(bidder: Bidder, gang: Gang, { places }: Found, held: readonly Hold[]): boolean {
    const lines = gang.lines();
    const counts = lines.map(({ ready }) => ready);
    if (!bidder.grantGang(gang, places, held)) return false;
    gang.vainHolds = 0;
    // Offered: should the answer be no, its wait begins anew.
    if (gang.state === "waiting") gang.waitingSinceMs = this.#state.nowMs;
    if (bidder.shown !== undefined) return true;
    lines.forEach((line, i) => {
      for (let n = 0; n < counts[i]!; n++) this.#state.room.granted(line);
    });
    return true;
  }

  #tell(gang: Gang): void {
    for (const { facts, live } of gang.tasks) {
      if (live.size === 0) continue;
      this.#state.emit({
        type: "event",
        about: { kind: "Task", key: facts.key, uid: facts.uid },
        severity: "Warning",
        reason: "gang-undone",
        note: `${gang.title}: not all that start together could be started; the ${live.size} that were end and start anew`,
      });
    }
  }
}

/** What is held for a gang, whoever has seen to that. */
export function heldFor({ holds }: State, gang: Gang): Hold[] {
  return gang.lines().flatMap((line) => holds.of(line));
}

/** The same as room, by node. */
export function ownRoom(held: readonly Hold[]): OwnRoom {
  const room = new Map<number, Vector>();
  for (const { claim } of held) {
    const sum = room.get(claim.node);
    if (sum === undefined) room.set(claim.node, claim.vector.slice());
    else add(sum, claim.vector, 1);
  }
  return room;
}

/** What the parts ask for beyond what is held for them. */
export function lack(state: State, parts: readonly Part[], held: readonly Hold[], claimant: Claimant): Vector {
  const sum = new Float64Array(state.resources.width);
  for (const { task, missing } of parts) add(sum, task.shape!.request, missing);
  return less(sum, held, claimant);
}

function less(vector: Vector, held: readonly Hold[], claimant: Claimant): Vector {
  const rest = vector.slice();
  for (const { line, claim } of held) if (line.claimant === claimant) add(rest, claim.vector, -1);
  return rest.map((amount) => Math.max(0, amount));
}
