import type { Explanation } from "../../offers/views.ts";
import type { BrokerContract } from "../broker-contract.ts";
import type { Clock, TimerHandle } from "../kube/clock.ts";

export interface ExplanationOptions {
  readonly broker: Pick<BrokerContract, "pendingOf" | "explainTask" | "shapeOf">;
  readonly clock: Clock;
  /** The reason is another one: the Task's status is to be written, and people may be told. */
  readonly changed: (uid: string, explanation: Explanation) => void;
  /** Before the first explanation of a Task. Default 5 s. */
  readonly firstAfterMs?: number;
  /** Between two explanations of one Task. Default 30 s. */
  readonly againAfterMs?: number;
  /** Of all Tasks. Default 20. */
  readonly perSecond?: number;
}

/**
 * Says in the status of a Task why it waits: not at once, not often, and only when the reason is another one, or is one for
 * other instances than before (their shape has changed). Numbers alone, which change all the time, write nothing. A burst
 * of tasks that start within seconds costs nothing, and one that has to wait is explained little by little.
 */
export class Explanations {
  readonly #options: ExplanationOptions;
  readonly #said = new Map<string, { readonly explanation: Explanation; readonly shape: number | undefined }>();
  /** By UID, each in the order in which it is due. */
  readonly #first = new Map<string, number>();
  readonly #again = new Map<string, number>();
  #timer: { readonly handle: TimerHandle; readonly atMs: number } | undefined;

  constructor(options: ExplanationOptions) {
    this.#options = options;
  }

  /** To be told of each Task that has changed or come. */
  look(uid: string): void {
    if (this.#first.has(uid) || this.#again.has(uid)) return;
    if (this.#options.broker.pendingOf(uid) === 0) return;
    const { clock, firstAfterMs = 5_000 } = this.#options;
    this.#first.set(uid, clock.monotonicMs() + firstAfterMs);
    this.#schedule();
  }

  of(uid: string): Explanation | undefined {
    return this.#said.get(uid)?.explanation;
  }

  gone(uid: string): void {
    this.#first.delete(uid);
    this.#again.delete(uid);
    this.#said.delete(uid);
  }

  stop(): void {
    if (this.#timer !== undefined) this.#options.clock.clearTimeout(this.#timer.handle);
    this.#first.clear();
    this.#again.clear();
  }

  /** One timer, for what is due first: it may be earlier than what the timer that runs was made for. */
  #schedule(): void {
    const next = this.#next();
    if (next === undefined) return;
    const { clock, perSecond = 20 } = this.#options;
    const delayMs = Math.max(next.dueMs - clock.monotonicMs(), 1_000 / perSecond);
    const atMs = clock.monotonicMs() + delayMs;
    if (this.#timer !== undefined) {
      if (this.#timer.atMs <= atMs) return;
      clock.clearTimeout(this.#timer.handle);
    }
    const handle = clock.setTimeout(() => {
      this.#timer = undefined;
      this.#explainNext();
      this.#schedule();
    }, delayMs);
    this.#timer = { handle, atMs };
  }

  #next(): { uid: string; dueMs: number } | undefined {
    const [first] = this.#first;
    const [again] = this.#again;
    const next = first === undefined || (again !== undefined && again[1] < first[1]) ? again : first;
    return next && { uid: next[0], dueMs: next[1] };
  }

  #explainNext(): void {
    const { broker, clock, changed, againAfterMs = 30_000 } = this.#options;
    const next = this.#next();
    const nowMs = clock.monotonicMs();
    if (next === undefined || next.dueMs > nowMs) return;
    const { uid } = next;
    this.#first.delete(uid);
    this.#again.delete(uid);
    if (broker.pendingOf(uid) === 0) {
      this.#said.delete(uid);
      return;
    }
    this.#again.set(uid, nowMs + againAfterMs);
    const explanation = broker.explainTask(uid);
    if (explanation === undefined) return;
    const [said, shape] = [this.#said.get(uid), broker.shapeOf(uid)];
    if (explanation.reason === said?.explanation.reason && shape === said.shape) return;
    // In the status this stands whether anything else waits or not.
    if (explanation.reason === "not-starting") return;
    this.#said.set(uid, { explanation, shape });
    changed(uid, explanation);
  }
}
