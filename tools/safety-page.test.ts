import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { ROOT } from "./check/command.ts";

const PAGE = join(ROOT, "docs", "reference", "safety.md");

/** `[title](path)` of every test that the page names. */
const named = [...readFileSync(PAGE, "utf8").matchAll(/\[([^\]]+)\]\(([^)]+\.test\.ts)\)/g)].map(([, title, path]) => ({
  title: title!,
  path: path!,
}));

describe("the page of safety claims", () => {
  test.each(named)("names a test that exists: $title", ({ title, path }) => {
    expect(readFileSync(join(dirname(PAGE), path), "utf8")).toContain(title);
  });

  test("names code that exists", () => {
    const files = [...readFileSync(PAGE, "utf8").matchAll(/`((?:offers|controller|api)\/[a-z/-]*(?:\.ts)?)`/g)];
    expect(files.length).toBeGreaterThan(30);
    for (const [, path] of files) expect(() => readFileSync(join(ROOT, "src", path!))).not.toThrow(/ENOENT/);
  });
});
