import type { Framework } from "../../api/framework.ts";
import type { FrameworkClient } from "../sdk/framework-client.ts";

export interface FrameworkWishes {
  readonly username: string;
  readonly queue: string;
  readonly optimistic: boolean;
}

/**
 * Creates the Framework unless it is there, and makes sure that we may answer its offers.
 *
 * @throws Error that says what must be changed in a Framework that is there already
 */
export async function prepareFramework(
  client: Pick<FrameworkClient, "createFramework">,
  { username, queue, optimistic }: FrameworkWishes,
): Promise<Framework> {
  const framework = await client.createFramework({
    queues: [{ name: queue }],
    scheduler: { type: "Offers" },
    concurrency: optimistic ? "Optimistic" : "Exclusive",
    answerers: [username],
    // Until the bag's tasks exist, there is nothing to offer.
    suppressed: true,
  });
  const { name } = framework.metadata;
  const { scheduler, answerers, queues, concurrency } = framework.spec;
  if (scheduler.type !== "Offers") throw new Error(`the framework ${name} is placed by the operator: name another`);
  if (!answerers?.includes(username)) {
    throw new Error(`the framework ${name} does not let ${username} answer: add that name to its spec.answerers`);
  }
  if (!queues.some((use) => use.name === queue)) {
    throw new Error(`the framework ${name} does not use the queue ${queue}: add it to its spec.queues`);
  }
  if ((concurrency === "Optimistic") !== optimistic) {
    throw new Error(`the framework ${name} is ${concurrency}: ${optimistic ? "leave out" : "add"} --optimistic`);
  }
  return framework;
}
