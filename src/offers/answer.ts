import type { Reason } from "./explain/reasons.ts";
import type { Framework } from "./framework.ts";
import { gangRefusal } from "./gangs/gang-answers.ts";
import type { Answer, Launch } from "./messages.ts";
import type { Offer, OfferSlice } from "./offer.ts";
import { formatQuantity, unitOf } from "./quantity.ts";
import { add } from "./queues/queues.ts";
import { type Refusal, refuse, type Wish } from "./refusal.ts";
import type { Vector } from "./resources.ts";
import type { State } from "./state.ts";
import type { Task } from "./tasks/task.ts";

export type Checked = { readonly wishes: readonly Wish[] } | { readonly refusal: Refusal };

/**
 * Everything about an accept that does not depend on who else was faster: who gives it, what it names, how much it
 * asks for. One launch that is wrong refuses the whole answer: half of it would be a different answer.
 */
export function check(state: State, offer: Offer, answer: Answer, queueOf: (task: Task) => string): Checked {
  const stranger = strangerTo(state.frameworks.get(offer.framework), answer);
  if (stranger !== undefined) return { refusal: stranger };
  const wishes: Wish[] = [];
  const counts = new Map<Task, number>();
  const asked = new Map<OfferSlice, Vector>();
  for (const launch of answer.launches) {
    const wish = identify(state, offer, launch, queueOf);
    if ("reason" in wish) return { refusal: refuse(wish.reason, wish.message, answer, launch) };
    const { task, slice } = wish;
    const count = (counts.get(task) ?? 0) + launch.count;
    counts.set(task, count);
    if (count > task.ready) {
      const message = `task ${launch.task} has ${task.ready} instances that may start, the answer starts ${count}`;
      return { refusal: refuse("not-pending", message, answer, launch) };
    }
    const sum = asked.get(slice) ?? new Float64Array(state.resources.width);
    asked.set(slice, sum);
    add(sum, task.shape!.request, launch.count);
    const short = shortage(state, slice.vector, sum);
    if (short !== undefined) {
      return { refusal: refuse("too-large", `slice ${slice.name}: ${short}`, answer, launch) };
    }
    wishes.push(wish);
  }
  const half = gangRefusal(wishes, answer);
  return half === undefined ? { wishes } : { refusal: half };
}

/** Whoever answers, be it by a decline, is one of the framework's answerers; checked here whatever admission has checked. */
export function strangerTo(framework: Framework | undefined, answer: Answer): Refusal | undefined {
  if (framework?.facts?.answerers.includes(answer.by) === true) return undefined;
  return refuse("not-yours", `${answer.by} is not an answerer of ${framework?.key ?? "this framework"}`, answer);
}

/** The slice's node is still the one that was offered: its index may be another's by now, its name a new machine's. */
export function sameNode(
  state: State,
  { node, nodeName, nodeUid }: Pick<OfferSlice, "node" | "nodeName" | "nodeUid">,
): boolean {
  const entry = state.nodes.get(nodeName);
  return entry?.index === node && entry.facts?.uid === nodeUid;
}

function identify(
  state: State,
  offer: Offer,
  launch: Launch,
  queueOf: (task: Task) => string,
): Wish | { reason: Reason; message: string } {
  const slice = [...offer.slices.values()].find(({ name }) => name === launch.slice);
  if (slice === undefined) return { reason: "unknown-slice", message: `the offer has no slice ${launch.slice}` };
  const namespace = offer.framework.slice(0, offer.framework.indexOf("/"));
  const task = state.tasksByKey.get(`${namespace}/${launch.task}`);
  if (task === undefined || task.gone || task.facts.framework !== offer.framework) {
    return { reason: "unknown-task", message: `${offer.framework} has no task ${launch.task}` };
  }
  if (task.rejected !== undefined) return { reason: task.rejected.reason, message: task.rejected.message };
  if (queueOf(task) !== offer.claimant.queueName) {
    const message = `task ${launch.task} is of queue ${queueOf(task)}, the offer of ${offer.claimant.queueName}`;
    return { reason: "unknown-task", message };
  }
  if (!sameNode(state, slice)) {
    return { reason: "lost-race", message: `node ${slice.nodeName} is not the one that was offered` };
  }
  if (task.shape === undefined || !task.shape.where.admits.has(slice.node)) {
    return { reason: "constraint", message: `task ${launch.task} may not run on ${slice.nodeName}` };
  }
  return { launch, task, slice };
}

/** "cpu: 5 asked, 4500m in the slice", or undefined when it fits. */
function shortage(state: State, have: Vector, asked: Vector): string | undefined {
  for (let r = 0; r < asked.length; r++) {
    if (asked[r]! <= (have[r] ?? 0)) continue;
    const name = state.resources.names[r]!;
    const [wanted, held] = [asked[r]!, have[r] ?? 0].map((amount) => formatQuantity(amount, unitOf(name)));
    return `${name}: ${wanted} asked, ${held} in the slice`;
  }
  return undefined;
}
