import type { Effect, Input } from "../offers/messages.ts";
import type { Placement } from "../offers/options.ts";
import type { QueueOrder } from "../offers/queues.ts";
import type { Cluster } from "./cluster.ts";
import type { Leader } from "./leader.ts";
import type { Crash, Faults } from "./network.ts";
import type { Random } from "./random.ts";
import type { Schedule } from "./schedule.ts";

export interface LeaderOptions {
  readonly cluster: Cluster;
  readonly schedule: Schedule;
  readonly random: Random;
  readonly faults: Faults;
  readonly term: string;
  readonly placements: Readonly<Record<string, Placement>>;
  readonly top: QueueOrder;
  /** After every input. */
  readonly applied: (leader: Leader, input: Input, effects: readonly Effect[]) => void;
  readonly crash?: ((label: string) => Crash | undefined) | undefined;
  readonly died: () => void;
}
