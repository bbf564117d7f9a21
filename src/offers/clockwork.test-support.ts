import { Bench } from "./broker.test-support.ts";
import type { Effect, Input, OfferDraft } from "./messages.ts";

/** How a framework's program deals with its offers, and its pods with their time. */
export interface Conduct {
  /** From an offer to the answer. */
  readonly thinkMs: number;
  /** How long its instances run. */
  readonly runMs: number;
  /** Default: all that waits and fits. `decline`: nothing, ever. `ignore`: no answer at all. */
  readonly answers?: "decline" | "ignore";
  /** Of every answer. Default 0. */
  readonly refuseMs?: number;
}

interface Event {
  readonly atMs: number;
  readonly sequence: number;
  readonly act: () => void;
}

/**
 * A bench whose frameworks' programs and pods live in virtual time: offers are answered after some thought, pods run for a
 * while and end well. Each framework works on one Task: `t-‹framework›`.
 */
export class Clockwork extends Bench {
  readonly #conducts = new Map<string, Conduct>();
  readonly #events: Event[] = [];
  readonly #seen = new Set<string>();
  #sequence = 0;

  static override open(options: ConstructorParameters<typeof Bench>[0] = {}): Clockwork {
    const made = new Clockwork({ roundMinIntervalMs: 50, ...options });
    made.queue("default");
    made.apply({ type: "opened" });
    return made;
  }

  /** From now on. */
  behaves(framework: string, conduct: Conduct): this {
    this.#conducts.set(`ns/${framework}`, conduct);
    return this;
  }

  /** In so many milliseconds. */
  in(ms: number, act: () => void): void {
    const atMs = this.nowMs + ms;
    this.#events.push({ atMs, sequence: this.#sequence++, act });
    this.#events.sort((a, b) => a.atMs - b.atMs || a.sequence - b.sequence);
  }

  /** Lets time pass, event by event, until `over` or so long; `check` is called after each. Returns the time that it took. */
  run(maxMs: number, over: () => boolean, check: () => void = () => {}): number {
    const startMs = this.nowMs;
    while (!over()) {
      const tickMs = this.broker.nextTickMs(this.nowMs);
      const eventMs = this.#events[0]?.atMs ?? Number.POSITIVE_INFINITY;
      const nextMs = Math.min(tickMs, eventMs);
      if (nextMs > startMs + maxMs) {
        this.nowMs = startMs + maxMs;
        break;
      }
      this.nowMs = Math.max(this.nowMs, nextMs);
      if (eventMs < tickMs) this.#events.shift()!.act();
      else this.apply({ type: "tick" });
      check();
    }
    return this.nowMs - startMs;
  }

  override apply(input: Input): Effect[] {
    const effects = super.apply(input);
    for (const effect of effects) {
      if (effect.type === "publish-offer") this.#think(effect.offer);
      if (effect.type === "create-pod") this.#begin(effect.framework, effect.attempt);
    }
    return effects;
  }

  /** Instances of a framework's Task that have succeeded. */
  finished(framework: string): number {
    return this.broker.taskView(`t-${framework}-uid`)?.counts.finished ?? 0;
  }

  #begin(framework: string, { taskUid, index, attempt }: { taskUid: string; index: number; attempt: number }): void {
    const name = `${taskUid.replace(/-uid$/, "")}-${index}-${attempt}`;
    this.in(this.#conducts.get(framework)?.runMs ?? 1_000, () => void this.finish(name));
  }

  #think(offer: OfferDraft): void {
    const conduct = this.#conducts.get(offer.framework);
    if (conduct === undefined || conduct.answers === "ignore" || this.#seen.has(offer.key)) return;
    this.#seen.add(offer.key);
    this.in(conduct.thinkMs, () => {
      if (this.offers.has(offer.key)) this.#answer(offer, conduct);
    });
  }

  #answer(offer: OfferDraft, { answers, refuseMs = 0 }: Conduct): void {
    const task = `t-${offer.framework.slice("ns/".length)}`;
    const view = this.broker.taskView(`${task}-uid`);
    const size = this.requested(`${task}-uid`);
    let left = answers === "decline" ? 0 : (view?.counts.pending ?? 0);
    const launches = offer.slices.flatMap(({ name, resources }) => {
      const fit = Math.min(...Object.entries(size).map(([r, amount]) => Math.floor((resources[r] ?? 0) / amount)));
      const count = Math.min(left, fit);
      left -= count;
      return count > 0 ? [{ task, slice: name, count }] : [];
    });
    if (launches.length > 0) this.accept(offer, launches, { refuseMs });
    else this.decline(offer, refuseMs);
  }
}
