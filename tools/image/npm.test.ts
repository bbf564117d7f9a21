import { describe, expect, test } from "vitest";
import { lockedPackages, NODE_PACKAGE, readLock } from "./npm.ts";

const lock = (entry: object) => JSON.stringify({ packages: { "node_modules/a/node_modules/@s/b": entry } });
const whole = { version: "1.0.0", license: "MIT", integrity: `sha512-${Buffer.from("sum").toString("base64")}` };
const look =
  (entry: object, path = "node_modules/a/node_modules/@s/b") =>
  () =>
    lockedPackages(lock(entry), [path]);

describe("a package of the lock file", () => {
  test("is found by its path, with its checksum in hexadecimal", () => {
    expect(look(whole)()).toEqual([{ name: "@s/b", version: "1.0.0", license: "MIT", sha512: "73756d" }]);
  });

  test.each([
    ["no version", { ...whole, version: undefined }],
    ["no licence", { ...whole, license: undefined }],
    ["no checksum", { ...whole, integrity: undefined }],
    ["a weak checksum", { ...whole, integrity: "sha1-abc" }],
  ])("with %s is refused", (_, entry) => {
    expect(look(entry)).toThrow(
      "package-lock.json pins no version, licence and SHA-512 of node_modules/a/node_modules/@s/b",
    );
  });

  test("that is not there is refused", () => {
    expect(look(whole, "node_modules/c")).toThrow(
      "package-lock.json pins no version, licence and SHA-512 of node_modules/c",
    );
  });
});

test("the Node.js of images is the one that runs these tests", async () => {
  expect((await readLock([NODE_PACKAGE]))[0]?.version).toBe(process.versions.node);
});
