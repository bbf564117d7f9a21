import type { FrameworkFacts, NodeFacts } from "../offers/messages.ts";
import type { QueueFacts } from "../offers/queues/queue-facts.ts";

// Objects with nothing special about them.

export function queue(name: string): QueueFacts {
  return { name, weight: 1, guarantee: {}, limit: {}, namespaces: ["*"] };
}

export function framework(key: string, uid: string, queues: readonly string[]): FrameworkFacts {
  return {
    key,
    uid,
    queues: queues.map((name) => ({ name, weight: 1 })),
    scheduler: "Builtin",
    placement: "BinPack",
    concurrency: "Exclusive",
    offerTimeoutMs: 30_000,
    maxOutstanding: 4,
    slack: 1,
    minimum: {},
    suppressed: false,
    revive: 0,
    demand: [],
    answerers: [`system:${key}`],
    unreachableAfterMs: 60_000,
  };
}

export function capacity(cpu: number, memory: number, pods: number, gpu: number): NodeFacts["allocatable"] {
  return { cpu, memory, pods, ...(gpu > 0 ? { "example.com/gpu": gpu } : {}) };
}
