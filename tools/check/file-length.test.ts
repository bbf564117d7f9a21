import { expect, test } from "vitest";
import { MAX_LINES, tooLong } from "./file-length.ts";

const file = (lines: number, path = "src/a.ts") => ({ path, text: "x\n".repeat(lines) });

test("a file of as many lines as the limit is fine", () => {
  expect(tooLong([file(MAX_LINES)])).toEqual([]);
});

test("a longer file is named with its length", () => {
  expect(tooLong([file(1), file(MAX_LINES + 1, "src/long.ts")])).toEqual([
    expect.stringMatching(/^src\/long\.ts: 401 lines, the limit is 400/),
  ]);
});

test("a last line without a line break counts", () => {
  expect(tooLong([{ path: "src/a.ts", text: `${"x\n".repeat(MAX_LINES)}x` }])).toHaveLength(1);
});
