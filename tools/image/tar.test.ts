import { createHash } from "node:crypto";
import { readFileSync, utimesSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readTar, scratchFolder } from "./image.test-support.ts";
import { type Entry, inOrder, writeTar } from "./tar.ts";

const at = scratchFolder();
const file = (path: string, content = path): Entry => ({ type: "file", path, content });

describe("a tar file", () => {
  test("holds what it was given, owned by numbers and without times", async () => {
    writeFileSync(at("source"), "from a file");
    await writeTar(
      [
        { type: "file", path: "usr/bin/run", mode: 0o755, uid: 65532, gid: 65533, source: at("source") },
        { type: "symlink", path: "bin", target: "usr/bin" },
        { type: "directory", path: "tmp", mode: 0o1777 },
        file("etc/empty", ""),
      ],
      at("all.tar"),
    );
    const members = await readTar(at("all.tar"));
    expect(members.map(({ name, type, mode, owner, linkname }) => [name, type, mode, owner, linkname])).toEqual([
      ["bin", "symlink", 0o777, "0:0", "usr/bin"],
      ["etc", "directory", 0o755, "0:0", null],
      ["etc/empty", "file", 0o644, "0:0", null],
      ["tmp", "directory", 0o1777, "0:0", null],
      ["usr", "directory", 0o755, "0:0", null],
      ["usr/bin", "directory", 0o755, "0:0", null],
      ["usr/bin/run", "file", 0o755, "65532:65533", null],
    ]);
    expect(members.at(-1)?.content.toString()).toBe("from a file");
    expect(new Set(members.map(({ mtimeMs }) => mtimeMs))).toEqual(new Set([0]));
  });

  test("is the same bytes whatever order and age its files had, and its digest is theirs", async () => {
    writeFileSync(at("aged"), "x");
    const entries: Entry[] = [
      file("b"),
      { type: "file", path: "a/c", source: at("aged") },
      file(`long/${"n".repeat(150)}`),
    ];
    const first = await writeTar(entries, at("first.tar"));
    utimesSync(at("aged"), 1e9, 1e9);
    const second = await writeTar(entries.toReversed(), at("second.tar"));
    expect(second).toEqual(first);
    const bytes = readFileSync(at("second.tar"));
    expect(bytes.equals(readFileSync(at("first.tar")))).toBe(true);
    expect(first).toEqual({
      digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}`,
      sizeBytes: bytes.length,
    });
  });

  test("of a file that is not there says so", async () => {
    const missing: Entry = { type: "file", path: "a", source: at("nowhere") };
    await expect(writeTar([missing], at("missing.tar"))).rejects.toThrow(/ENOENT.*nowhere/);
  });

  test("in a folder that is not there says so", async () => {
    await expect(writeTar([file("a")], at("no/such/folder.tar"))).rejects.toThrow(/ENOENT.*no\/such/);
  });
});

describe("order", () => {
  test("puts every folder before what is in it, by bytes (seeded by fast-check)", () => {
    const name = fc.constantFrom("a", "a-b", "b", "é", "A", "a.");
    const paths = fc.uniqueArray(
      fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => `${parts.join("/")}/f!`),
    );
    fc.assert(
      fc.property(paths, (given) => {
        const ordered = inOrder(given.map((path) => file(path))).map(({ path }) => path);
        expect(new Set(ordered).size).toBe(ordered.length);
        for (const [index, path] of ordered.entries()) {
          if (path.includes("/")) expect(ordered.slice(0, index)).toContain(path.slice(0, path.lastIndexOf("/")));
        }
        const again = inOrder(given.toReversed().map((path) => file(path))).map(({ path }) => path);
        expect(again).toEqual(ordered);
      }),
    );
  });

  test.each([
    ["a path from the root", [file("/etc/passwd")], '"/etc/passwd" is no path within an image'],
    ["a path that leaves the image", [file("a/../../b")], '"a/../../b" is no path within an image'],
    ["no path", [file("")], '"" is no path within an image'],
    ["a path twice", [file("a", "1"), file("a", "2")], "a is in the same layer twice"],
    ["a file below a file", [file("a"), file("a/b")], "a/b lies below a, which is a file"],
    [
      "a file below a link",
      [file("bin/x/y"), { type: "symlink", path: "bin", target: "usr/bin" } as const],
      "bin/x/y lies below bin, which is a symlink",
    ],
  ])("refuses %s", (_, entries, message) => {
    expect(() => inOrder(entries)).toThrow(message);
  });
});
