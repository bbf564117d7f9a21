import { mayPublish } from "../bidders.ts";
import type { Child, Claimant } from "../queues/queues.ts";
import type { State } from "../state.ts";
import type { Level } from "../views.ts";

/**
 * How many stand before the claimant at each level of the tree, from its own queue up to the root, as the next round would
 * begin: the policy puts all who want something into the lines of their queues, in its own order, and those are read. So
 * whoever changes an order changes what is told of it. Not while a round runs.
 */
export function standingsOf(state: State, claimant: Claimant): Level[] {
  const contenders = [...state.lines.claimants()].filter((other) => contends(state, other));
  if (!contenders.includes(claimant)) return [];
  // Heads are those of lines that are not blocked, and a round begins with none.
  const lines = contenders.flatMap((other) => [...state.lines.of(other)]);
  const blocked = lines.map((line) => line.blocked);
  for (const line of lines) line.blocked = undefined;
  state.policy.begin(contenders);
  const levels: Level[] = [];
  for (let child: Child = claimant; child.parent !== undefined; child = child.parent) {
    const { name, line } = child.parent;
    levels.push({ queue: name, before: line.countBefore(child), of: line.items.length });
  }
  state.policy.end();
  for (const [i, line] of lines.entries()) line.blocked = blocked[i];
  return levels;
}

/** Does it take part, and want more than it is offered? */
function contends(state: State, claimant: Claimant): boolean {
  const framework = state.frameworks.get(claimant.framework);
  if (framework?.facts === undefined || framework.facts.suppressed || claimant.parent === undefined) return false;
  if (framework.isAway) return false;
  if (framework.facts.scheduler === "Offers" && !mayPublish(state, framework)) return false;
  claimant.penalised = framework.penaltyUntilMs(claimant.queueName) > state.nowMs;
  for (const { pending, outstanding, held } of state.lines.of(claimant)) if (pending > outstanding + held) return true;
  return false;
}

/** "2 stand before it in queue etl, 1 before queue etl": levels where nobody else stands are left out, but for the first. */
export function standingsText(levels: readonly Level[]): string {
  return levels
    .flatMap(({ queue, before, of }, i) => {
      if (i === 0) return [`${before} stand before it${queue === "" ? "" : ` in queue ${queue}`}`];
      return of > 1 ? [`${before} before queue ${levels[i - 1]!.queue}`] : [];
    })
    .join(", ");
}
