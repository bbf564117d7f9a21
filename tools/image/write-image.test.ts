import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { readTar, scratchFolder, type TarMember } from "./image.test-support.ts";
import { type ImageDescription, type WrittenImage, writeImage } from "./write-image.ts";

const at = scratchFolder();
const image: ImageDescription = {
  name: "tool:1.2.3",
  layers: [
    { comment: "base", entries: [{ type: "file", path: "lib/a", content: "a" }] },
    { comment: "program", entries: [{ type: "file", path: "bin/run", mode: 0o755, content: "run" }] },
  ],
  config: { User: "65532:65532", Entrypoint: ["/bin/run"], Labels: { "org.opencontainers.image.version": "1.2.3" } },
};
let written: WrittenImage;
let members: TarMember[];

beforeAll(async () => {
  mkdirSync(at("images"));
  written = await writeImage(image, at("images/tool.tar"));
  members = await readTar(written.path);
});

const bytesOf = (path: string) => {
  const found = members.find(({ name }) => name === path);
  if (found === undefined) throw new Error(`no ${path} in the image`);
  return found.content;
};
const json = (path: string) => JSON.parse(bytesOf(path).toString());
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
/** Follows a descriptor, and holds it to its word. */
function follow({ digest, size }: { digest: string; size: number }): Buffer {
  const bytes = bytesOf(`blobs/${digest.replace(":", "/")}`);
  expect([`sha256:${sha256(bytes)}`, bytes.length]).toEqual([digest, size]);
  return bytes;
}

describe("an image", () => {
  test("is an OCI layout in which every descriptor leads to what it says", async () => {
    expect(json("oci-layout")).toEqual({ imageLayoutVersion: "1.0.0" });
    const [entry, ...others] = json("index.json").manifests;
    expect(others).toEqual([]);
    expect(entry.digest).toBe(written.digest);
    const manifest = JSON.parse(follow(entry).toString());
    const config = JSON.parse(follow(manifest.config).toString());
    expect(config).toMatchObject({ architecture: "amd64", os: "linux", config: image.config });
    expect(manifest.layers).toHaveLength(2);
    expect(config.rootfs.diff_ids).toEqual(manifest.layers.map(({ digest }: { digest: string }) => digest));
    expect(config.history.map(({ created_by }: { created_by: string }) => created_by)).toEqual(["base", "program"]);
    const top = await readTar(follow(manifest.layers[1]));
    expect(top.map(({ name, mode }) => [name, mode])).toEqual([
      ["bin", 0o755],
      ["bin/run", 0o755],
    ]);
    expect(written.sizeBytes).toBe(manifest.layers[0].size + manifest.layers[1].size);
  });

  test("says to docker load the same as to others", () => {
    const manifest = JSON.parse(follow(json("index.json").manifests[0]).toString());
    const path = ({ digest }: { digest: string }) => `blobs/${digest.replace(":", "/")}`;
    expect(json("manifest.json")).toEqual([
      { Config: path(manifest.config), RepoTags: [written.name], Layers: manifest.layers.map(path) },
    ]);
  });

  test("holds nothing that no descriptor leads to", () => {
    const [entry] = json("index.json").manifests;
    const manifest = JSON.parse(follow(entry).toString());
    const led = [entry, manifest.config, ...manifest.layers].map(({ digest }) => digest.replace(":", "/"));
    const blobs = members.filter(({ name, type }) => name.startsWith("blobs/") && type === "file");
    expect(blobs.map(({ name }) => name).sort()).toEqual(led.map((path) => `blobs/${path}`).sort());
  });

  test("made again has the same digest; of other content another", async () => {
    const again = await writeImage(image, at("again.tar"));
    expect({ ...again, path: written.path }).toEqual(written);
    expect(sha256(Buffer.concat((await readTar(at("again.tar"))).map(({ content }) => content)))).toBe(
      sha256(Buffer.concat(members.map(({ content }) => content))),
    );
    const other = await writeImage({ ...image, config: { ...image.config, User: "0:0" } }, at("other.tar"));
    expect(other.digest).not.toBe(written.digest);
  });

  test("with the same layer twice holds it once", async () => {
    const [base] = image.layers;
    const twice = await writeImage({ ...image, layers: [base!, base!] }, at("twice.tar"));
    const names = (await readTar(twice.path)).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  test("that cannot be finished leaves the one before it, and nothing half", async () => {
    writeFileSync(at("images/kept.tar"), "before");
    const broken: ImageDescription = {
      ...image,
      layers: [{ comment: "broken", entries: [{ type: "file", path: "a", source: at("nowhere") }] }],
    };
    await expect(writeImage(broken, at("images/kept.tar"))).rejects.toThrow(/ENOENT.*nowhere/);
    expect(readdirSync(at("images")).sort()).toEqual(["kept.tar", "tool.tar"]);
  });
});

describe("its place", () => {
  test("is a file in a folder that is there", async () => {
    await expect(writeImage(image, at("no/such/tool.tar"))).rejects.toThrow(`no folder ${at("no/such")} to write`);
    await expect(writeImage(image, at("images/tool.tar/tool.tar"))).rejects.toThrow("no folder");
    await expect(writeImage(image, at("images"))).rejects.toThrow(`${at("images")} is a folder: name the file`);
  });
});

describe("its name", () => {
  test.each([
    ["tool:1", "docker.io/library/tool:1"],
    ["team/tool:1", "docker.io/team/tool:1"],
    ["localhost/tool:1", "localhost/tool:1"],
    ["registry.example:5000/team/tool:v1.0_a", "registry.example:5000/team/tool:v1.0_a"],
  ])("%s is %s to a container runtime", async (name, full) => {
    expect((await writeImage({ ...image, name }, at("named.tar"))).name).toBe(full);
  });

  test.each(["tool", "Tool:1", "tool:", "tool:1 2", ":1", "a//b:1", "-a:1"])("%s is refused", async (name) => {
    await expect(writeImage({ ...image, name }, at("named.tar"))).rejects.toThrow(`"${name}" is no name for an image`);
  });
});
