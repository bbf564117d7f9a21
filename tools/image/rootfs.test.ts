import { lstatSync, readFileSync, readlinkSync } from "node:fs";
import { expect, test } from "vitest";
import { scratchFolder } from "./image.test-support.ts";
import { unpackLayers } from "./rootfs.ts";
import type { Layer } from "./write-image.ts";

const at = scratchFolder();
const layers: Layer[] = [
  {
    comment: "below",
    entries: [
      { type: "file", path: "etc/who", content: "below" },
      { type: "file", path: "etc/kept", mode: 0o600, content: "kept" },
      { type: "symlink", path: "link", target: "etc/who" },
    ],
  },
  { comment: "above", entries: [{ type: "file", path: "etc/who", content: "above" }] },
];

test("later layers lie over earlier ones, with their modes and links", async () => {
  await unpackLayers(layers, at("root"));
  expect(readFileSync(at("root/etc/who"), "utf8")).toBe("above");
  expect(readFileSync(at("root/etc/kept"), "utf8")).toBe("kept");
  expect(lstatSync(at("root/etc/kept")).mode & 0o7777).toBe(0o600);
  expect(readlinkSync(at("root/link"))).toBe("etc/who");
});

test("a folder that is there is left alone, and one in none is not made", async () => {
  await unpackLayers(layers, at("taken"));
  await expect(unpackLayers(layers, at("taken"))).rejects.toThrow(`${at("taken")} is there already`);
  await expect(unpackLayers(layers, at("no/root"))).rejects.toThrow(
    `no folder ${at("no")} to make ${at("no/root")} in`,
  );
});
