import { describe, expect, test } from "vitest";
import { ExpiringLru } from "./expiring-lru.ts";
import { labelValue } from "./label-cap.ts";
import { oneLine, printable } from "./printable.ts";
import { RateLimiter, TokenBucket } from "./rate-limit.ts";
import { formatOf } from "./respond.ts";

describe("a memory with a bound", () => {
  test("forgets what was used least recently", () => {
    const memory = new ExpiringLru<number>(2);
    memory.set("a", 1, 100);
    memory.set("b", 2, 100);
    memory.get("a", 0);
    memory.set("c", 3, 100);
    expect(["a", "b", "c"].map((key) => memory.get(key, 0))).toEqual([1, undefined, 3]);
    expect(memory.size).toBe(2);
  });

  test("forgets what has expired, to the millisecond", () => {
    const memory = new ExpiringLru<number>(2);
    memory.set("a", 1, 100);
    expect(memory.get("a", 99)).toBe(1);
    expect(memory.get("a", 100)).toBeUndefined();
    expect(memory.size).toBe(0);
  });
});

describe("a rate", () => {
  test("allows a burst, then so many a second", () => {
    const bucket = new TokenBucket({ perSecond: 2, burst: 3 }, 0);
    const taken = (nowMs: number) => [1, 2, 3, 4].filter(() => bucket.take(nowMs)).length;
    expect([taken(0), taken(499), taken(500), taken(1_500), taken(60_000)]).toEqual([3, 0, 1, 2, 3]);
  });

  test("is each caller's own, and being forgotten gains nothing", () => {
    const limiter = new RateLimiter({ perSecond: 1, burst: 2 }, 10);
    const take = (caller: string, nowMs: number) => limiter.take(caller, nowMs);
    expect([take("a", 0), take("a", 0), take("a", 0), take("b", 0)]).toEqual([true, true, false, true]);
    expect([take("a", 1_999), take("a", 1_999)]).toEqual([true, false]);
  });
});

test.each([
  { format: undefined, accept: undefined, chosen: "json" },
  { format: undefined, accept: "*/*", chosen: "json" },
  { format: undefined, accept: "text/plain", chosen: "text" },
  { format: undefined, accept: "text/plain;q=0.9, application/json", chosen: "text" },
  { format: undefined, accept: "application/json, text/plain", chosen: "json" },
  { format: undefined, accept: "text/html", chosen: "json" },
  { format: "text", accept: "application/json", chosen: "text" },
  { format: "json", accept: "text/plain", chosen: "json" },
  { format: ["text"], accept: undefined, chosen: "json" },
])("?format=$format and Accept: $accept give $chosen", ({ format, accept, chosen }) => {
  expect(formatOf(format, accept)).toBe(chosen);
});

test("control characters are shown, line feeds only where lines are meant", () => {
  expect(printable("a\nb\u001b\u2028")).toBe("a\nb\\u001b\\u2028");
  expect(oneLine("a\nb\tc")).toBe("a\\nb\\u0009c");
});

test("a label's value is printable and not long", () => {
  expect(labelValue("team-a/etl")).toBe("team-a/etl");
  expect(labelValue("a\nb\u001b[2Jü")).toBe("a_b_[2J_");
  expect(labelValue("x".repeat(1_000))).toHaveLength(200);
});
