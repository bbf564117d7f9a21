import type { Bidders } from "../bidders.ts";
import type { Framework } from "../framework.ts";
import { type Gang, obstacle } from "../gangs/gang.ts";
import type { GangBounds } from "../gangs/gang-bounds.ts";
import { type Found, GangSearch } from "../gangs/gang-search.ts";
import { heldFor, lack, ownRoom } from "../gangs/gang-starts.ts";
import type { LongWaits } from "../gangs/long-waits.ts";
import type { Line } from "../lines.ts";
import type { Vector } from "../resources.ts";
import type { Bidder } from "../round.ts";
import type { State } from "../state.ts";
import type { Assignment } from "../tasks/assignment.ts";
import type { Task } from "../tasks/task.ts";
import type { Explanation } from "../views.ts";
import { surveyNodes } from "./node-survey.ts";
import { clockTime } from "./wording.ts";

/** Why what starts together has not, and for whom room is held. */
export class ExplainWaits {
  readonly #state: State;
  readonly #assignment: Assignment;
  readonly #bidders: Bidders;
  readonly #bounds: GangBounds;
  readonly #longWaits: LongWaits;
  readonly #search: GangSearch;

  constructor(state: State, assignment: Assignment, bidders: Bidders, bounds: GangBounds, longWaits: LongWaits) {
    this.#state = state;
    this.#assignment = assignment;
    this.#bidders = bidders;
    this.#bounds = bounds;
    this.#longWaits = longWaits;
    this.#search = new GangSearch(state);
  }

  /** Why the Task may not ask for room yet, for the sake of those it starts together with. */
  notReady(task: Task): Explanation | undefined {
    const { gang, facts } = task;
    if (gang === undefined) return facts.group === undefined ? undefined : outsider(facts.group);
    if (gang.state === "started") return undefined;
    if (gang.state === "waiting") return obstacle(gang, (member) => this.#assignment.claimant(member));
    const message =
      gang.state === "starting"
        ? `${gang.title}: ${gang.live} have their places, the rest follows`
        : `${gang.title}: it could not be started as a whole; the ${gang.live} that were end, and all start anew`;
    return { reason: "gang-starting", message };
  }

  /** Of a line with demand: that room is held for it, or why all that it is a part of cannot start now. */
  line(framework: Framework, line: Line): Explanation | undefined {
    const { gang } = line;
    if (gang === undefined) {
      const turn = this.#turn(line);
      return turn === undefined ? undefined : { reason: "gathering", message: turn };
    }
    const bidder = this.#bidders.of(line.claimant);
    if (bidder === undefined) return undefined;
    const never = this.#bounds.never(bidder, gang);
    if (never !== undefined) return never;
    this.#search.begin();
    const found = this.#search.find(bidder, gang.parts(), ownRoom(heldFor(this.#state, gang)), true);
    const how = `${gang.title}: ${found.placed} of ${found.wanted} fit now`;
    const turn = this.#turn(gang);
    if (turn !== undefined) return { reason: "gathering", message: `${how}; ${turn}` };
    return found.placed < found.wanted ? this.#lacking(framework, gang, line, bidder, found, how) : undefined;
  }

  /** What the next grant on the line asks for: of what starts together, all that is not held for it. */
  asked({ shape, gang, claimant }: Line): Vector {
    if (gang === undefined) return shape.request;
    return lack(this.#state, gang.parts(), heldFor(this.#state, gang), claimant);
  }

  #lacking(framework: Framework, gang: Gang, line: Line, { maxNodes }: Bidder, found: Found, how: string): Explanation {
    if (found.tooWide) {
      const message = `${how} on the ${maxNodes} nodes that an offer may name; on more there is room for more`;
      return { reason: "gang-too-wide", message };
    }
    const lacking = gang.parts().find(({ task, missing }) => placedOf(task, found) < missing);
    const { message } = surveyNodes(this.#state, framework, lacking?.task.line ?? line, found.left);
    return { reason: "no-node", message: `${how}; ${found.placed > 0 ? "with these on them " : ""}${message}` };
  }

  /** "holds room on 3 nodes since 12:00:42Z, passes on at 12:05:42Z". */
  #turn(waiter: Line | Gang): string | undefined {
    const { turn } = this.#longWaits;
    if (turn?.waiter !== waiter) return undefined;
    const nodes = new Set([...turn.holds].map(({ claim }) => claim.node)).size;
    const where = `${nodes} ${nodes === 1 ? "node" : "nodes"}`;
    return `holds room on ${where} since ${clockTime(turn.sinceMs)}, passes on at ${clockTime(turn.untilMs)}`;
  }
}

function placedOf(task: Task, { places }: Found): number {
  return places.reduce((sum, place) => sum + (place.task === task ? place.count : 0), 0);
}

function outsider({ name, size }: NonNullable<Task["facts"]["group"]>): Explanation {
  const message = `group ${name} has its tasks without this one, or they say another size than ${size}`;
  return { reason: "group-invalid", message };
}
