import type { Broker } from "../offers/broker.ts";
import type { QueueView } from "../offers/views.ts";
import { check } from "./check.ts";

/** Queues that are in force contradict each other nowhere. */
export function checkQueues(broker: Broker): void {
  const inForce = new Map<string, QueueView>();
  for (const name of broker.queues()) {
    const view = broker.queueView(name);
    if (view?.inForce === true) inForce.set(name, view);
  }
  for (const view of inForce.values()) {
    const { name, parent } = view;
    check(parent === undefined || inForce.has(parent), `queue ${name} is in force, its parent ${parent} is not`);
    guaranteed(view, inForce, []);
  }
}

/** Stated, or the sum of the children's, which is no more than that. */
function guaranteed(
  view: QueueView,
  inForce: ReadonlyMap<string, QueueView>,
  above: readonly string[],
): Map<string, number> {
  const { name, guarantee, limit } = view;
  check(!above.includes(name), `queue ${name} is below itself`);
  const sum = new Map<string, number>();
  for (const child of inForce.values()) {
    if (child.parent !== name) continue;
    for (const [resource, amount] of guaranteed(child, inForce, [...above, name])) {
      sum.set(resource, (sum.get(resource) ?? 0) + amount);
    }
  }
  const stated = Object.entries(guarantee);
  for (const [resource, amount] of sum) {
    const most = stated.length > 0 ? (guarantee[resource] ?? 0) : amount;
    check(amount <= most, `below queue ${name} ${amount} ${resource} are guaranteed, it has ${most}`);
  }
  const own = stated.length > 0 ? new Map(stated) : sum;
  for (const [resource, amount] of own) {
    const most = (limit[resource] as number | undefined) ?? Number.POSITIVE_INFINITY;
    check(amount <= most, `queue ${name} is guaranteed ${amount} ${resource}, its limit is ${most}`);
  }
  return own;
}
