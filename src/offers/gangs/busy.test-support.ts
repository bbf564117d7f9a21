import { Bench } from "../broker.test-support.ts";
import type { BrokerOptions } from "../options.ts";

export const HOLD_AFTER_MS = 60_000;
export const TASK_MS = 20_000;

/**
 * A cluster in which small Tasks run for TASK_MS each, one second apart, and a new one comes for each that ends: somebody
 * always waits.
 */
export class Busy {
  readonly made: Bench;
  readonly #ends: { readonly name: string; readonly atMs: number }[] = [];
  #small = 0;
  readonly startedAtMs = new Map<string, number>();

  constructor(nodes: number, cpu: number, options: Partial<BrokerOptions> = {}, spread = 1_000) {
    this.made = Bench.open({ holdAfterMs: HOLD_AFTER_MS, ...options })
      .framework("small")
      .framework("f");
    for (let n = 0; n < nodes; n++) this.made.node(`n${n}`, { cpu });
    for (let n = 0; n < nodes * cpu + 20; n++) this.#add();
    this.made.settle();
    this.#follow(spread);
  }

  #add(): void {
    this.made.asking(`s${this.#small++}`, { cpu: 1 }, { of: "small", createdAtMs: this.made.nowMs });
  }

  /** What has started since ends in time; the first ones one after the other. */
  #follow(apart = 0): void {
    let n = 0;
    for (const [name, pod] of this.made.pods) {
      const [task] = name.split("-") as [string];
      if (!this.startedAtMs.has(task)) this.startedAtMs.set(task, this.made.nowMs);
      if (!task.startsWith("s") || pod.phase !== "Pending") continue;
      this.made.pod(name, { phase: "Running", started: true });
      this.#ends.push({ name, atMs: this.made.nowMs + (apart > 0 ? (++n * apart) % TASK_MS || TASK_MS : TASK_MS) });
    }
    this.#ends.sort((a, b) => a.atMs - b.atMs);
  }

  run(ms: number): this {
    const untilMs = this.made.nowMs + ms;
    for (;;) {
      const next = this.#ends[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#ends.shift();
      this.made.wait(Math.max(0, next.atMs - this.made.nowMs));
      this.made.pod(next.name, { phase: "Succeeded" });
      this.#add();
      this.made.settle();
      this.#follow();
    }
    this.made.wait(untilMs - this.made.nowMs);
    this.#follow();
    return this;
  }

  placed(name: string): number {
    return this.made.all("create-pod").filter(({ attempt }) => attempt.taskUid === `${name}-uid`).length;
  }

  why(name: string) {
    return this.made.broker.explainTask(`${name}-uid`)!;
  }
}
