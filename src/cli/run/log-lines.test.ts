import { expect, test } from "vitest";
import { LogCutter, type LogLine, ShownLines } from "./log-lines.ts";

function cut(...chunks: readonly string[]): LogLine[] {
  const lines: LogLine[] = [];
  const cutter = new LogCutter((line) => lines.push(line));
  for (const chunk of chunks) cutter.push(Buffer.from(chunk, "latin1"));
  cutter.end();
  return lines;
}

const at = (second: number, nanos = "000000001") => `2026-01-01T00:00:${String(second).padStart(2, "0")}.${nanos}Z`;

test("lines are whole, however they come in chunks", () => {
  expect(cut(`${at(1)} on`, "e\n", `${at(1)} two\n${at(2)}`, " three\n")).toEqual([
    { stamp: at(1), text: "one" },
    { stamp: at(1), text: "two" },
    { stamp: at(2), text: "three" },
  ]);
});

test("a character that is split over two chunks stays one", () => {
  const bytes = Buffer.from(`${at(1)} größe\n`, "utf8").toString("latin1");
  for (let i = 1; i < bytes.length; i++) expect(cut(bytes.slice(0, i), bytes.slice(i))[0]?.text).toBe("größe");
});

test("a last line without a line end, an empty line and a stamp with an offset are lines as well", () => {
  const offset = "2026-01-01T02:00:00+02:00";
  expect(cut(`${at(1)} \n${offset} a  b`)).toEqual([
    { stamp: at(1), text: "" },
    { stamp: offset, text: "a  b" },
  ]);
  expect(cut("no stamp\n")).toEqual([{ stamp: "", text: "no stamp" }]);
  expect(cut("")).toEqual([]);
});

test("a line that never ends comes in pieces", () => {
  const piece = "x".repeat(600_000);
  const lines = cut(`${at(1)} ${piece}`, piece, piece);
  expect(lines.length).toBeGreaterThan(1);
  expect(lines.map(({ text }) => text).join("")).toBe(piece.repeat(3));
});

/** What a server has: it sends what is not before `since`, as the kubelet does. */
function read(shown: ShownLines, log: readonly LogLine[], { ignoresSince = false } = {}): string[] {
  const since = Date.parse(shown.since ?? "1970-01-01T00:00:00Z");
  shown.rewind();
  const sent = log.filter(({ stamp }) => ignoresSince || Date.parse(stamp) >= since);
  return sent.filter((line) => shown.isNew(line)).map(({ text }) => text);
}

const log: LogLine[] = [
  { stamp: at(1), text: "a" },
  { stamp: at(3, "1"), text: "b" },
  { stamp: at(3, "1"), text: "c" },
  // Standard error, stamped before and written after.
  { stamp: at(2, "999999999"), text: "d" },
  { stamp: at(3, "2"), text: "e" },
  { stamp: at(3, "2"), text: "f" },
  { stamp: at(9), text: "g" },
];

test.each([false, true])(
  "a log that is read again shows each line once (a server that ignores since: %s)",
  (ignoresSince) => {
    for (let first = 0; first <= log.length; first++) {
      for (let second = first; second <= log.length; second++) {
        const shown = new ShownLines();
        const parts = [first, second, log.length].map((end) => read(shown, log.slice(0, end), { ignoresSince }));
        expect(parts.flat().join("")).toBe("abcdefg");
      }
    }
  },
);

test("when the kubelet has begun a new file, what is in there is new", () => {
  const shown = new ShownLines();
  read(shown, log.slice(0, 6));
  expect(read(shown, [{ stamp: at(3, "3"), text: "new" }])).toEqual(["new"]);
});

test("a log is read again from a second before the newest line, in whole seconds", () => {
  const shown = new ShownLines();
  expect(shown.since).toBeUndefined();
  shown.isNew({ stamp: at(5, "7"), text: "" });
  shown.isNew({ stamp: at(4, "7"), text: "" });
  expect(shown.since).toBe("2026-01-01T00:00:04Z");
  shown.isNew({ stamp: "2026-01-01T02:00:08+02:00", text: "" });
  expect(shown.since).toBe("2026-01-01T00:00:07Z");
});

test("lines without a stamp are shown whenever they come", () => {
  const shown = new ShownLines();
  for (let i = 0; i < 2; i++) expect(shown.isNew({ stamp: "", text: "x" })).toBe(true);
});
