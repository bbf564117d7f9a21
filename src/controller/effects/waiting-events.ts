import type { Effect } from "../../offers/messages.ts";
import type { Explanation } from "../../offers/views.ts";
import type { Clock } from "../kube/clock.ts";
import { TokenBucket } from "../kube/token-bucket.ts";

export interface WaitingEventsOptions {
  readonly clock: Clock;
  /** Becomes a Kubernetes event. */
  readonly tell: (event: Extract<Effect, { type: "event" }>) => void;
  /** Events of this kind over all Tasks. Default one a second, 10 at once. */
  readonly rate?: { readonly perSecond: number; readonly burst: number };
}

/**
 * Tells in events why Tasks wait, in the words of their status. Thousands may come to wait together, and all events share
 * one rate: those past a part of it are left out, so that what failed is still told.
 */
export class WaitingEvents {
  readonly #tell: WaitingEventsOptions["tell"];
  readonly #bucket: TokenBucket;

  constructor({ clock, tell, rate = { perSecond: 1, burst: 10 } }: WaitingEventsOptions) {
    this.#tell = tell;
    this.#bucket = new TokenBucket(clock, rate.perSecond, rate.burst);
  }

  /** The Task waits for this reason from now on. `task` undefined: it has gone meanwhile. */
  waits(task: { readonly key: string; readonly uid: string } | undefined, { reason, message }: Explanation): void {
    if (task === undefined || this.#bucket.take() > 0) return;
    const about = { kind: "Task", key: task.key, uid: task.uid } as const;
    this.#tell({ type: "event", about, severity: "Normal", reason, note: message });
  }
}
