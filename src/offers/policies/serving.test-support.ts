import { Bench } from "../broker.test-support.ts";
import type { QueueFacts } from "../queues/queue-facts.ts";
import type { Quantities } from "../resources.ts";

export interface Wish {
  /** Of one instance. */
  readonly asks: Quantities;
  readonly instances?: number;
  readonly priority?: number;
  readonly createdAtMs?: number;
}

/** A cluster of one node, with queues in a tree and a framework in each leaf, called as its queue. */
export class Scene {
  readonly made: Bench;

  constructor(node: Quantities, top: Pick<QueueFacts, "order" | "fairResource"> = {}) {
    this.made = Bench.open({ top }).node("n", { pods: 10_000, ...node });
  }

  queue(name: string, facts: Partial<QueueFacts> = {}): this {
    this.made.queue(name, facts);
    return this;
  }

  /** A queue with a framework of its name in it. */
  leaf(name: string, facts: Partial<QueueFacts> = {}): this {
    return this.queue(name, facts).framework(name, name);
  }

  framework(name: string, queue: string, weight = 1): this {
    this.made.framework(name, { queues: [{ name: queue, weight }] });
    return this;
  }

  /** The framework wants so much, by default without end. */
  wants(framework: string, { asks, instances = 500, ...rest }: Wish, task = framework): this {
    this.made.asking(`t-${task}`, asks, { of: framework, instances, ...rest });
    return this;
  }

  /** It holds so many instances already. */
  holds(framework: string, asks: Quantities, instances: number): this {
    return this.wants(framework, { asks, instances }, `held-${framework}-${JSON.stringify(asks)}`).settled();
  }

  settled(): this {
    this.made.settle();
    return this;
  }

  /** Who gets instances from now on, one entry an instance, in the order of service: the framework, or its Task. */
  served(by: "framework" | "task" = "framework"): string[] {
    const before = this.made.effects.length;
    this.made.settle();
    return this.made
      .all("create-pod", before)
      .map(({ framework, attempt }) => (by === "task" ? attempt.taskUid.slice(2, -4) : framework.slice("ns/".length)));
  }
}

/** "a a b" → {a: 2, b: 1} */
export function counted(served: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of served) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
