import type { Framework } from "../framework.ts";
import type { Line } from "../lines.ts";
import type { Reclaim } from "../reclaim/reclaim.ts";
import type { State } from "../state.ts";
import type { QuotaHold } from "../tasks/quota-holds.ts";
import type { Task } from "../tasks/task.ts";
import type { Explanation } from "../views.ts";
import type { ExplainWaits } from "./explain-waits.ts";
import { needOf, surveyNodes } from "./node-survey.ts";
import { boundsOf, roomText, shownOf } from "./room-survey.ts";
import { standingsOf, standingsText } from "./standings.ts";
import { clipped, clockTime } from "./wording.ts";

/**
 * Why something waits, in the order in which the broker checks. Worked out when asked, from the state as it is: the
 * numbers are true, and only absolute times are told, so that the same state gives the same text.
 */
export class Explain {
  readonly #state: State;
  readonly #waits: ExplainWaits;
  readonly #reclaim: Reclaim;

  constructor(state: State, waits: ExplainWaits, reclaim: Reclaim) {
    this.#state = state;
    this.#waits = waits;
    this.#reclaim = reclaim;
  }

  task(task: Task): Explanation {
    if (task.rejected !== undefined) return task.rejected;
    if (task.stuck !== undefined) return task.stuck;
    if (task.pending === 0) return { reason: "placed", message: "nothing waits" };
    const framework = this.#state.framework(task.facts.framework);
    if (framework.facts?.suppressed === true) return suppressed(framework);
    if (framework.isAway) return disconnected(framework);
    if (task.ready === 0) return this.#notReady(task);
    const together = this.#waits.notReady(task);
    if (together !== undefined) return together;
    const { line } = task;
    if (line === undefined) return { reason: "placed", message: "nothing waits" };
    const found = this.#line(framework, line);
    const before = line.placeOf(task);
    if (before === 0) return found;
    return { ...found, message: `${found.message}; ${before} tasks of its shape stand before it` };
  }

  framework(framework: Framework): Explanation {
    if (framework.facts === undefined) {
      return { reason: "unknown-framework", message: `framework ${framework.key} does not exist: create it` };
    }
    if (framework.facts.suppressed) return suppressed(framework);
    if (framework.isAway) return disconnected(framework);
    let rejected: Explanation | undefined;
    for (const { name } of framework.facts.queues) {
      const claimant = this.#state.tree.claimants.get(`${framework.key} ${name}`);
      for (const line of claimant === undefined ? [] : this.#state.lines.of(claimant)) {
        if (line.pending > line.outstanding) return this.#line(framework, line);
      }
    }
    for (const task of framework.tasks) {
      if (task.rejected !== undefined && !task.finished) rejected ??= task.rejected;
      else if (task.pending > 0 && task.ready === 0) rejected ??= this.#notReady(task);
    }
    return rejected ?? { reason: "no-demand", message: "nothing waits that is not placed or offered" };
  }

  #notReady(task: Task): Explanation {
    if (task.facts.group !== undefined && task.gang === undefined) return this.#waits.notReady(task)!;
    const { parallelism } = task.facts;
    if (parallelism !== undefined && task.live.size >= parallelism) {
      return { reason: "parallelism", message: `${task.live.size} instances run, parallelism is ${parallelism}` };
    }
    if (task.hold !== undefined) return this.#held(task.hold);
    if (task.awaitedGone.size > 0 && task.backOff.size === 0) {
      return {
        reason: "node-lost",
        message: `${task.awaitedGone.size} instances wait until the pods of a lost node are gone`,
      };
    }
    const next = Math.min(...task.backOff.values());
    return { reason: "back-off", message: `the next attempt starts at ${clockTime(next)}` };
  }

  #held({ message, untilMs }: QuotaHold): Explanation {
    const again = untilMs > this.#state.nowMs ? `; tried again at ${clockTime(untilMs)}` : "";
    return { reason: "quota-exceeded", message: `${message}${again}` };
  }

  #line(framework: Framework, line: Line): Explanation {
    const { claimant } = line;
    const unpublished = this.#unpublished(framework);
    if (unpublished !== undefined) return unpublished;
    if (framework.facts?.scheduler === "Offers" && framework.offers.size >= framework.outstandingLimit) {
      const message = `${framework.offers.size} offers are open, it may hold ${framework.outstandingLimit}`;
      return { reason: "waiting-for-answer", message };
    }
    if (line.outstanding >= line.pending && line.outstanding > 0) {
      return {
        reason: "waiting-for-answer",
        message: `room for ${line.outstanding} instances is offered and not answered`,
      };
    }
    const waits = this.#waits.line(framework, line);
    if (waits !== undefined && waits.reason !== "no-node") return waits;
    // What does not fit as it is may be about to.
    const reclaimed = this.#reclaimed(line);
    if (reclaimed !== undefined) return reclaimed;
    if (waits !== undefined) return waits;
    const nodes = surveyNodes(this.#state, framework, line);
    if (nodes.fit === 0) return { reason: "no-node", message: clipped(nodes.message) };
    const need = needOf(this.#state, framework, this.#waits.asked(line));
    const bounds = boundsOf(this.#state, framework, claimant, need);
    const refused = this.#state.room.refuses(claimant, need, shownOf(this.#state, framework, claimant));
    if (refused !== undefined) return { reason: refused, message: roomText(this.#state, bounds, refused) };
    const standings = standingsText(standingsOf(this.#state, claimant));
    return { reason: "in-line", message: `${nodes.fit} nodes fit; ${standings}` };
  }

  /** What is taken back for the line; of what starts together, for any part of it. */
  #reclaimed(line: Line): Explanation | undefined {
    const { gang } = line;
    if (gang === undefined) return this.#reclaim.about(line);
    for (const { task } of gang.parts()) {
      const about = task.line === undefined ? undefined : this.#reclaim.about(task.line);
      if (about !== undefined) return { ...about, message: `${gang.title}: ${about.message}` };
    }
    return undefined;
  }

  #unpublished({ facts, unpublished }: Framework): Explanation | undefined {
    if (facts?.scheduler !== "Offers") return undefined;
    if (!this.#state.publishing) {
      return { reason: "not-published", message: "the admission policies that protect offers are not in force" };
    }
    if (unpublished === undefined || unpublished.untilMs <= this.#state.nowMs) return undefined;
    return { reason: "not-published", message: `the API server refused the last offer: ${unpublished.message}` };
  }
}

function disconnected({ presence }: Framework): Explanation {
  return { reason: "disconnected", message: presence?.message ?? "" };
}

function suppressed({ key }: Framework): Explanation {
  return { reason: "suppressed", message: `framework ${key} is suppressed` };
}
