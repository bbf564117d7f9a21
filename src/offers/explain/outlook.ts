import type { Framework } from "../framework.ts";
import type { Gang } from "../gangs/gang.ts";
import { heldFor } from "../gangs/gang-starts.ts";
import type { LongWaits } from "../gangs/long-waits.ts";
import type { Line } from "../lines.ts";
import type { Claimant } from "../queues/queues.ts";
import type { State } from "../state.ts";
import type { Assignment } from "../tasks/assignment.ts";
import type { Task } from "../tasks/task.ts";
import type { Change, ChangePart, Explanation, Outlook, Place, When } from "../views.ts";
import { changesFor } from "./remedies.ts";
import { standingsOf } from "./standings.ts";
import { endOf, StartEstimate } from "./start-estimate.ts";
import { clockTime, exactText } from "./wording.ts";

/** An answer to "when?" for what waits: worked out when asked, from the state as it is. */
export class Outlooks {
  readonly #state: State;
  readonly #assignment: Assignment;
  readonly #longWaits: LongWaits;

  constructor(state: State, assignment: Assignment, longWaits: LongWaits) {
    this.#state = state;
    this.#assignment = assignment;
    this.#longWaits = longWaits;
  }

  /** @param explanation why the task waits, as of now (wall-clock ms) */
  task(task: Task, explanation: Explanation, nowMs: number): Outlook {
    const framework = this.#state.framework(task.facts.framework);
    const claimant = this.#assignment.claimant(task);
    const line = task.ready === 0 ? undefined : this.#line(task, claimant);
    const place = line === undefined ? undefined : this.#place(task, line);
    const when = this.#when(task, framework, line, explanation, nowMs);
    const parts = this.#changes(task, framework, line, explanation) ?? [];
    return {
      when: place === undefined ? when : { place, ...when },
      ...(parts.length > 0 && { change: changeOf(parts, place?.tasks ?? 0) }),
    };
  }

  #line({ gang, line, shape }: Task, claimant: Claimant): Line | undefined {
    if (gang !== undefined && gang.state !== "started") return gang.startable ? line : undefined;
    return shape && this.#state.lines.get(claimant, shape);
  }

  #place(task: Task, line: Line): Place {
    const before = this.#before(task, line);
    const instances = before.reduce((sum, { ready }) => sum + ready, 0);
    return { tasks: before.length, instances, levels: standingsOf(this.#state, line.claimant) };
  }

  #before(task: Task, line: Line): Task[] {
    const before: Task[] = [];
    for (const other of line.tasks()) {
      if (other === task) break;
      before.push(other);
    }
    return before;
  }

  #when(task: Task, framework: Framework, line: Line | undefined, { reason }: Explanation, nowMs: number): When {
    switch (reason) {
      case "placed":
        return {};
      case "no-node":
      case "over-limit":
      case "kept-back":
      case "gathering":
        return line === undefined ? {} : this.#estimate(task, framework, line, nowMs);
      case "gang-starting":
        return { unknown: "in a moment, as a rule" };
      case "gang-not-ready":
        return { unknown: "what it starts together with has to be ready first" };
      case "asked-back":
        return { unknown: "what is asked back for it has to be given, and what gives it has to end" };
      case "minimum-runtime":
        return { unknown: "what could be taken back for it has to run for a while first" };
      case "in-line":
        return { unknown: "its turn comes in one of the next rounds" };
      case "back-off":
        return { estimateMs: Math.min(...task.backOff.values()) };
      case "parallelism":
        return this.#ownEnd(task, nowMs);
      case "waiting-for-answer":
        return { unknown: "that is for its framework to say" };
      case "not-starting":
        return { unknown: "its node tries again and again" };
      case "sizing":
        return { unknown: "in a moment, as a rule" };
      case "quota-exceeded":
        return { unknown: "something in the namespace has to end first" };
      case "node-lost":
        return { unknown: "the pods of the lost node have to go first" };
      default:
        return { unknown: "something has to be changed first" };
    }
  }

  #estimate(task: Task, framework: Framework, line: Line, nowMs: number): When {
    if (line.gang !== undefined) return this.#together(framework, line, line.gang, nowMs);
    const ahead = this.#before(task, line).flatMap(({ ready, facts }) =>
      Array.from({ length: ready }, () => facts.durationMs ?? Number.POSITIVE_INFINITY),
    );
    const start = { count: 1, held: this.#state.holds.of(line) };
    return new StartEstimate(this.#state, this.#assignment, framework, line, nowMs, start).after(ahead);
  }

  /** Foreseen where it is a question of sums: one shape, anywhere. At the latest, room is held for it when its turn comes. */
  #together(framework: Framework, line: Line, gang: Gang, nowMs: number): When {
    const when = this.#sumsUp(framework, line, gang)
      ? new StartEstimate(this.#state, this.#assignment, framework, line, nowMs, {
          count: gang.missing,
          held: heldFor(this.#state, gang),
        }).after([])
      : { unknown: "where several shapes, spreads or an offer's slices have to fit, it is not foreseen" };
    if (when.unknown === undefined) return when;
    const turnMs = this.#longWaits.turnMs(gang);
    if (turnMs === undefined) return when;
    return { unknown: `${when.unknown}; room may be held for it from ${clockTime(turnMs)} on` };
  }

  #sumsUp({ facts }: Framework, line: Line, gang: Gang): boolean {
    return facts?.scheduler === "Builtin" && gang.lines().length === 1 && line.shape.spread.length === 0;
  }

  /** It waits for one of its own. */
  #ownEnd(task: Task, nowMs: number): When {
    const ends = [...task.live.values()].map((instance) => endOf(task, instance, nowMs));
    const known = ends.filter((end) => typeof end === "number");
    if (known.length > 0) return { estimateMs: Math.min(...known) };
    const overdue = ends.filter((end) => end === "overdue").length;
    return {
      unknown:
        overdue > 0
          ? `${overdue} of its ${ends.length} instances run longer than they stated`
          : `its ${ends.length} instances state no duration or do not run yet`,
    };
  }

  #changes(
    task: Task,
    framework: Framework,
    line: Line | undefined,
    { reason }: Explanation,
  ): ChangePart[] | undefined {
    switch (reason) {
      case "no-node":
      case "over-limit":
      case "kept-back":
        return line && line.gang === undefined ? changesFor(this.#state, framework, line) : undefined;
      case "waiting-for-answer":
        return [...framework.offers]
          .filter(({ state }) => state.name === "open")
          .slice(0, 1)
          .map(({ key, expiresAtMs }) => ({ type: "answer", offer: key, untilMs: expiresAtMs }));
      case "parallelism":
        return [{ type: "parallelism", atLeast: task.live.size + 1 }];
      case "suppressed":
        return [{ type: "unsuppress", framework: framework.key }];
      case "disconnected":
        return [{ type: "program", framework: framework.key }];
      default:
        return undefined;
    }
  }
}

function changeOf(parts: readonly ChangePart[], before: number): Change {
  const text = parts.map(textOf).join(", and ");
  return { parts, text: before > 0 ? `for the first of its line: ${text}` : text };
}

function textOf(part: ChangePart): string {
  switch (part.type) {
    case "node":
      return `${exactText(part.more)} more on node ${part.node}${part.orLess ? ", or so much less asked for" : ""}`;
    case "limit":
      return `${exactText(part.more)} more in the limit of queue ${part.queue}`;
    case "free":
      return `${exactText(part.more)} more free, as on node ${part.node}`;
    case "uncordon":
      return `node ${part.node} uncordoned`;
    case "tolerate":
      return `a toleration of taint ${part.taint} (node ${part.node})`;
    case "revive":
      return `the refusals of its framework taken back (spec.revive); they end at ${clockTime(part.untilMs)}`;
    case "answer":
      return `an answer to offer ${part.offer}, which is open until ${clockTime(part.untilMs)}`;
    case "parallelism":
      return `spec.parallelism ${part.atLeast}, or the end of one of its instances`;
    case "unsuppress":
      return `framework ${part.framework} with spec.suppressed false`;
    case "program":
      return `the program of framework ${part.framework}, there again`;
  }
}
