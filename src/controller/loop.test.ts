import { describe, expect, test } from "vitest";
import type { Effect, Input } from "../offers/messages.ts";
import type { BrokerContract } from "./broker-contract.ts";
import { FakeClock, settle } from "./kube/clock.test-support.ts";
import { Loop, type LoopOptions, steadyNow } from "./loop.ts";
import { noLogger, noTelemetry } from "./telemetry.ts";

function setUp(over: Partial<LoopOptions> = {}) {
  const clock = new FakeClock();
  const applied: { input: Input; nowMs: number }[] = [];
  const executed: Effect[] = [];
  const state = { dueMs: Number.POSITIVE_INFINITY, effects: [] as Effect[], bug: undefined as Error | undefined };
  const bugs: unknown[] = [];
  const broker = {
    apply: (input: Input, nowMs: number) => {
      if (state.bug !== undefined) throw state.bug;
      if (input.type === "tick") state.dueMs = Number.POSITIVE_INFINITY;
      applied.push({ input, nowMs });
      return state.effects.splice(0);
    },
    nextTickMs: () => state.dueMs,
  } as unknown as BrokerContract;
  const nowMs = steadyNow(clock);
  const loop = new Loop({
    broker,
    clock,
    nowMs,
    execute: (effect) => executed.push(effect),
    telemetry: noTelemetry,
    log: noLogger,
    onBug: (error) => bugs.push(error),
    ...over,
  });
  const types = () => applied.map(({ input }) => input.type);
  return { clock, loop, applied, executed, state, bugs, types, nowMs };
}

const gone = (name: string): Input => ({ type: "node-gone", name });
const effect: Effect = { type: "queue-changed", name: "q", urgent: false };

describe("the loop", () => {
  test("applies inputs in the order they came, and carries out their effects", async () => {
    const { loop, applied, executed, state } = setUp();
    state.effects = [effect];
    loop.feed(gone("a"));
    loop.feed(gone("b"));
    expect(applied).toEqual([]);
    await settle();
    expect(applied.map(({ input }) => input)).toEqual([gone("a"), gone("b")]);
    expect(executed).toEqual([effect]);
  });

  test("an effect that feeds at once is not applied within its own input", async () => {
    const fed: string[] = [];
    const { loop, state, types } = setUp({
      execute: () => {
        loop.feed({ type: "offer-gone", key: "k" });
        fed.push(types().join());
      },
    });
    state.effects = [effect];
    loop.feed(gone("a"));
    await settle();
    await settle();
    expect(fed).toEqual(["node-gone"]);
    expect(types()).toEqual(["node-gone", "offer-gone"]);
  });

  test("ticks when the broker asks for it, and only then", async () => {
    const { clock, loop, state, types, nowMs } = setUp();
    state.dueMs = nowMs() + 50;
    loop.feed(gone("a"));
    await clock.advance(49);
    expect(types()).toEqual(["node-gone"]);
    await clock.advance(1);
    expect(types()).toEqual(["node-gone", "tick"]);
    expect(clock.pendingTimers).toBe(0);
    await clock.advance(3_600_000);
    expect(types()).toHaveLength(2);
  });

  test("a tick that is due earlier than thought replaces the timer", async () => {
    const { clock, loop, state, types, nowMs } = setUp();
    state.dueMs = nowMs() + 10_000;
    loop.feed(gone("a"));
    await settle();
    state.dueMs = nowMs() + 10;
    loop.feed(gone("b"));
    await clock.advance(10);
    expect(types()).toEqual(["node-gone", "node-gone", "tick"]);
    expect(clock.pendingTimers).toBe(0);
  });

  test("time never goes back or leaps with the wall clock", async () => {
    const { clock, loop, applied } = setUp();
    for (const jump of [3_600_000, -7_200_000, 0]) {
      clock.jumpWall(jump);
      loop.feed(gone("a"));
      await clock.advance(10);
    }
    const times = applied.map(({ nowMs }) => nowMs - applied[0]!.nowMs);
    expect(times).toEqual([0, 10, 20]);
  });

  test("a broker that throws is asked nothing any more, and what it throws is reported with the input", async () => {
    const logged: object[] = [];
    const log = { ...noLogger, fatal: (fields: object) => logged.push(fields) };
    const { loop, state, bugs, types } = setUp({ log });
    const bug = new Error("invariant broken");
    state.bug = bug;
    loop.feed(gone("a"));
    loop.feed(gone("b"));
    await settle();
    state.bug = undefined;
    loop.feed(gone("c"));
    await settle();
    expect(bugs).toEqual([bug]);
    expect(types()).toEqual([]);
    expect(logged).toEqual([{ err: bug, input: gone("a") }]);
  });

  test("records every input with its time, as one line each", async () => {
    const lines: string[] = [];
    const { loop, state, clock, nowMs } = setUp({ record: (line) => lines.push(line) });
    state.dueMs = nowMs();
    loop.feed(gone("a\nb"));
    await clock.advance(0);
    expect(lines.map((line) => JSON.parse(line).input.type)).toEqual(["node-gone", "tick"]);
    expect(lines.every((line) => !line.includes("\n") && JSON.parse(line).atMs === nowMs())).toBe(true);
  });

  test("many inputs leave the event loop its turns", async () => {
    const clock = new FakeClock();
    const { loop, types } = setUp({ clock: { ...bound(clock), monotonicMs: () => performance.now() } });
    for (let i = 0; i < 500_000; i++) loop.feed(gone("a"));
    await settle();
    const first = types().length;
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThan(500_000);
    while (loop.backlog > 0) await settle();
    expect(types()).toHaveLength(500_000);
  });

  test("stopped, it does nothing", async () => {
    const { clock, loop, state, types, nowMs } = setUp();
    state.dueMs = nowMs() + 5;
    loop.feed(gone("a"));
    await settle();
    loop.stop();
    loop.feed(gone("b"));
    await clock.advance(1_000);
    expect(types()).toEqual(["node-gone"]);
  });
});

function bound(clock: FakeClock) {
  return {
    nowMs: () => clock.nowMs(),
    setTimeout: (run: () => void, delayMs: number) => clock.setTimeout(run, delayMs),
    clearTimeout: (handle: object) => clock.clearTimeout(handle),
  };
}
