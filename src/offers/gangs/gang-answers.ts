import type { Raced } from "../acceptance.ts";
import type { Answer } from "../messages.ts";
import { type Refusal, refuse, type Wish, withCulprit } from "../refusal.ts";
import type { State } from "../state.ts";
import type { Gang } from "./gang.ts";
import { missingOf } from "./gathered.ts";

/** The gangs that have not started yet of which an answer starts something. */
export function gangsOf(wishes: Iterable<Wish>): Set<Gang> {
  const gangs = new Set<Gang>();
  for (const { task, launch } of wishes) {
    if (task.gang !== undefined && task.gang.state !== "started" && launch.count > 0) gangs.add(task.gang);
  }
  return gangs;
}

/** Of what starts together an answer starts all that is missing, or nothing. */
export function gangRefusal(wishes: readonly Wish[], answer: Answer): Refusal | undefined {
  for (const gang of gangsOf(wishes)) {
    const culprit = wishes.find(({ task }) => task.gang === gang)!.launch;
    if (gang.state === "undone" || (gang.state === "waiting" && !gang.startable)) {
      const message = `${gang.title}: not all of it may start now`;
      return refuse("gang-incomplete", message, answer, culprit);
    }
    for (const task of gang.tasks) {
      const missing = missingOf(task);
      const started = wishes.reduce((sum, wish) => sum + (wish.task === task ? wish.launch.count : 0), 0);
      if (started >= missing) continue;
      const name = task.facts.key.slice(task.facts.key.indexOf("/") + 1);
      const message = `${gang.title}: ${missing} of task ${name} start together, the answer starts ${started}: launch all of them, or decline`;
      return refuse("gang-incomplete", message, answer, culprit);
    }
  }
  return undefined;
}

/** What a race has left of gangs: where some of one lost, all of it has, and its claims go. */
export function withoutHalves(state: State, wishes: readonly Wish[], { claims, lost }: Raced): Raced {
  const losers = new Map(lost);
  const kept = [...claims];
  for (const gang of gangsOf(wishes)) {
    const own = wishes.filter(({ task }) => task.gang === gang);
    const culprit = own.find((wish) => lost.has(wish));
    if (culprit === undefined) continue;
    const loss = withCulprit(lost.get(culprit)!, culprit.launch);
    for (const wish of own) {
      const at = wishes.indexOf(wish);
      for (const { id } of kept[at]!) state.ledger.forget(id);
      kept[at] = [];
      if (!losers.has(wish)) losers.set(wish, loss);
    }
  }
  return { claims: kept, lost: losers };
}
