/** containerd, runc, the network plugins and nft: pinned packages of Debian, unpacked side by side and used from there. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type DebianPin, fetchDebianPackage, readDebianLock } from "../../image/debian.ts";
import { runProgram } from "../../image/run-program.ts";
import { CACHE } from "../binaries.ts";
import { withLock } from "../file-lock.ts";
import type { Progress } from "../progress.ts";

/** With the libraries they need beyond what every Linux has. */
const PACKAGES = [
  ...["containerd", "runc", "libseccomp2", "containernetworking-plugins"],
  ...["nftables", "libnftables1", "libnftnl11", "libmnl0", "libxtables12", "libjansson4", "libgmp10"],
  ...["libedit2", "libbsd0", "libmd0"],
];

/** The folder that the packages are unpacked in: `usr/bin/containerd` and so on. */
export async function ensureNodePrograms(progress: Progress): Promise<string> {
  const pins = (await readDebianLock()).packages.filter(({ name }) => PACKAGES.includes(name));
  const folder = join(CACHE, `node-${fingerprint(pins)}`);
  if (existsSync(folder)) return folder;
  mkdirSync(CACHE, { recursive: true });
  await withLock(join(CACHE, "node.lock"), async () => {
    if (!existsSync(folder)) await unpack(folder, progress);
  });
  return folder;
}

const fingerprint = (pins: readonly DebianPin[]) =>
  createHash("sha256")
    .update(JSON.stringify(pins.map(({ sha256 }) => sha256)))
    .digest("hex")
    .slice(0, 12);

async function unpack(folder: string, progress: Progress): Promise<void> {
  const partial = `${folder}.partial`;
  rmSync(partial, { recursive: true, force: true });
  for (const name of PACKAGES) {
    const file = await fetchDebianPackage(name, progress);
    progress.update(`${name}: unpacking`);
    await runProgram("dpkg-deb", ["--extract", file, partial], { ifMissing: "It unpacks the node's programs." });
  }
  renameSync(partial, folder);
  progress.done("unpacked containerd, runc, the network plugins and nft");
}

/** Words to put before a command so that it finds the programs and their libraries. */
export function withNodePrograms(folder: string): string[] {
  const libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].map((path) => join(folder, path));
  const programs = ["usr/sbin", "usr/bin"].map((path) => join(folder, path));
  return ["env", `LD_LIBRARY_PATH=${libraries.join(":")}`, `PATH=${[...programs, process.env.PATH].join(":")}`];
}
