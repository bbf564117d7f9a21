import type { Effect, Input } from "../offers/messages.ts";
import { NO_INSTANCES, type TaskView } from "../offers/views.ts";
import type { BrokerContract } from "./broker-contract.ts";

const nothing = { allocated: {}, offered: {}, held: {}, demand: {} };

/** A broker that does what a test says, and remembers what it was told. */
export class ScriptedBroker implements BrokerContract {
  readonly inputs: Input[] = [];
  /** What to do about an input. */
  react: (input: Input) => Effect[] = () => [];
  view: TaskView | undefined;
  readonly term: string;

  constructor(term = "7") {
    this.term = term;
  }

  apply(input: Input): Effect[] {
    this.inputs.push(input);
    return this.react(input);
  }

  nextTickMs(): number {
    return Number.POSITIVE_INFINITY;
  }

  taskView(): TaskView | undefined {
    return this.view;
  }

  pendingOf(): number {
    return this.view?.counts.pending ?? 0;
  }

  explainTask(): undefined {}

  outlookOfTask(): undefined {}

  shapeOf(): undefined {}

  frameworkView(key: string): ReturnType<BrokerContract["frameworkView"]> {
    const offers = { open: 0, accepted: 0, declined: 0, expired: 0, rescinded: 0, refused: 0 };
    const why = { reason: "no-demand" as const, message: "nothing waits" };
    return {
      key,
      queue: "default",
      dominantShare: 0,
      counts: NO_INSTANCES,
      offers,
      ...nothing,
      vainTurns: 0,
      lowered: [],
      why,
    };
  }

  queueView(name: string): ReturnType<BrokerContract["queueView"]> {
    return {
      name,
      weight: 1,
      guarantee: {},
      limit: {},
      ...nothing,
      dominantShare: 0,
      fairnessError: 0,
      frameworks: 0,
      queues: 0,
      counts: { pending: 0, running: 0 },
      inForce: true,
    };
  }

  frameworks(): string[] {
    return [];
  }

  queues(): string[] {
    return [];
  }

  clusterView(): never {
    throw new Error("not asked for here");
  }

  drainEndedOffers(): [] {
    return [];
  }

  types(): string[] {
    return this.inputs.map(({ type }) => type);
  }

  of<T extends Input["type"]>(type: T): Extract<Input, { type: T }>[] {
    return this.inputs.filter((input): input is Extract<Input, { type: T }> => input.type === type);
  }
}
