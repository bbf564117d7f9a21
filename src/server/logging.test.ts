import { describe, expect, test } from "vitest";
import { createLogger, type LogLevel } from "./logging.ts";

function setUp(level: LogLevel = "info") {
  const lines: string[] = [];
  const log = createLogger({
    level,
    nowMs: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6),
    destination: { write: (line: string) => lines.push(line) },
  });
  return { log, lines };
}

test("an event is one line of JSON with level, time, fields and message", () => {
  const { log, lines } = setUp();
  log.child({ controller: "tasks" }).info({ key: "team-a/train" }, "status written");
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0]!)).toEqual({
    level: "info",
    time: "2026-01-02T03:04:05.006Z",
    controller: "tasks",
    key: "team-a/train",
    msg: "status written",
  });
});

test("what is below the level is not written", () => {
  const { log, lines } = setUp("warn");
  log.info("quiet");
  log.warn("loud");
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual(["loud"]);
});

describe("nothing in an event ends the line or moves the cursor (guards T18)", () => {
  test.each([
    { name: "line feeds", text: 'a\n{"level":"fatal"}' },
    { name: "carriage returns", text: "a\r\nb" },
    { name: "ANSI escapes", text: "\u001b[2J\u001b[31mred" },
    { name: "one-byte escapes", text: "\u009b31m" },
    { name: "line and paragraph separators", text: "a\u2028b\u2029c" },
    { name: "changes of writing direction", text: "a\u202egnp.exe\u2066" },
    { name: "NUL and DEL", text: "a\u0000b\u007f" },
  ])("$name are escaped, and read back as they were", ({ text }) => {
    const { log, lines } = setUp();
    log.info({ name: text, [text]: 1 }, text);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^[\x20-\x7e]*\n$/);
    const event = JSON.parse(lines[0]!);
    expect([event.name, event.msg, event[text]]).toEqual([text, text, 1]);
  });
});

describe("no token gets into the log (guards T20)", () => {
  const canary = "canary-4f1d2c";
  const jwt = `eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.${canary}_0123456789`;

  test.each([
    { name: "a field named token", object: { token: canary } },
    { name: "a header", object: { req: { headers: { authorization: `Bearer ${canary}` } } } },
    { name: "a header with a capital", object: { headers: { Authorization: `Bearer ${canary}` } } },
    { name: "a TokenReview", object: { body: { spec: { token: canary } } } },
    { name: "a bearer token in a text", object: { detail: `sent Authorization: Bearer ${canary} to it` } },
    { name: "a JSON web token in a text", object: { detail: `failed for ${jwt}.` } },
    { name: "a JSON web token in an URL", object: { url: `/explain?x=${jwt}` } },
    { name: "an error's text", object: { err: new Error(`401 for Bearer ${canary}`) } },
    {
      name: "what a library hangs on its errors",
      object: { err: Object.assign(new Error("no"), { config: { auth: canary }, response: canary }) },
    },
    { name: "an error's cause", object: { err: new Error("no", { cause: new Error(`with ${jwt}`) }) } },
  ])("in $name", ({ object }) => {
    const { log, lines } = setUp();
    log.error(object, "something");
    expect(lines.join("")).not.toContain(canary);
    expect(() => JSON.parse(lines[0]!)).not.toThrow();
  });

  test("a very long text of token beginnings is looked through in a moment", () => {
    const { log, lines } = setUp();
    const startMs = performance.now();
    log.info({ text: "-eyJ".repeat(100_000) }, "long");
    expect(performance.now() - startMs).toBeLessThan(5_000);
    expect(lines).toHaveLength(1);
  });
});

test("an error keeps its kind, text, code and stack", () => {
  const { log, lines } = setUp();
  const error = Object.assign(new TypeError("not written"), { code: "ECONNRESET", status: 503 });
  log.error({ err: error }, "failed");
  const { err } = JSON.parse(lines[0]!);
  expect(err).toMatchObject({ type: "TypeError", message: "not written", code: "ECONNRESET", status: 503 });
  expect(err.stack).toContain("logging.test.ts");
});

test("what is thrown without being an error is logged too", () => {
  const { log, lines } = setUp();
  log.error({ err: "just a text" }, "failed");
  expect(JSON.parse(lines[0]!).err).toEqual({ message: "just a text" });
});
