/** Packages of Debian at pinned versions, held to pinned checksums: what images are built upon. */
import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { extract } from "tar-stream";
import { z } from "zod";
import { withLock } from "../cluster/file-lock.ts";
import type { Progress } from "../cluster/progress.ts";
import { cached, IMAGE_CACHE } from "./cache.ts";
import { ProgramFailed, runProgram } from "./run-program.ts";
import type { Entry } from "./tar.ts";

const pin = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9+.-]+$/),
  version: z.string().regex(/^[A-Za-z0-9.+~:-]+$/),
  architecture: z.enum(["amd64", "all"]),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type DebianPin = z.infer<typeof pin>;
const lock = z.strictObject({ release: z.string().regex(/^[a-z]+$/), packages: z.array(pin) });
type DebianLock = z.infer<typeof lock>;

export const DEBIAN_LOCK = join(import.meta.dirname, "debian-lock.json");
const ON_DEBIAN =
  "Images are built from packages of Debian: build on Debian or Ubuntu, or in a container with `docker build .`";

/** The pinned packages. Throws when the file is not as it should be. */
export async function readDebianLock(): Promise<DebianLock> {
  return lock.parse(JSON.parse(await readFile(DEBIAN_LOCK, "utf8")));
}

/** The path of the pinned package: from the cache, else by apt from wherever this machine has its packages. */
export async function fetchDebianPackage(name: string, progress: Progress): Promise<string> {
  const wanted = (await readDebianLock()).packages.find((one) => one.name === name);
  if (wanted === undefined) throw new Error(`${DEBIAN_LOCK} pins no ${name}`);
  return fetchPinned(wanted, join(IMAGE_CACHE, "debian"), progress);
}

/** The same for any pin and any folder to keep packages in. */
export function fetchPinned(wanted: DebianPin, folder: string, progress: Progress): Promise<string> {
  const path = join(folder, fileName(wanted));
  return cached(
    path,
    (file) => verify(file, wanted),
    async (into) => {
      progress.update(`${wanted.name} ${wanted.version}: fetching`);
      await download(wanted, into, path, progress);
    },
  );
}

/** As apt calls it. */
const fileName = ({ name, version, architecture }: DebianPin) =>
  `${name}_${version.replaceAll(":", "%3a")}_${architecture}.deb`;

async function verify(path: string, { name, version, sha256 }: DebianPin): Promise<void> {
  const found = createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
  if (found === sha256) return;
  throw new Error(
    `${path} is not the pinned ${name} ${version}: its SHA-256 is ${found}, ${sha256} is pinned. Remove it, and build again.`,
  );
}

async function download(wanted: DebianPin, into: string, path: string, progress: Progress): Promise<void> {
  const { name, version } = wanted;
  const fetch = (options: readonly string[]) =>
    runProgram("apt-get", [...options, "download", `${name}=${version}`], { cwd: into, ifMissing: ON_DEBIAN });
  try {
    return void (await fetch([]));
  } catch (error) {
    if (!(error instanceof ProgramFailed) || error.missing) throw error;
  }
  // This machine's lists of packages may be old or none at all.
  await mkdir(IMAGE_CACHE, { recursive: true });
  await withLock(join(IMAGE_CACHE, "apt.lock"), async () => {
    const options = await freshLists(progress);
    await fetch(options).catch((error: unknown) => {
      if (!(error instanceof ProgramFailed)) throw error;
      throw new Error(
        `the pinned ${name} ${version} cannot be had from this machine's package sources (${lastLine(error.message)}). ` +
          "Debian keeps the newest version only: `npm run image -- update` pins what there is now. " +
          `To build with the pinned one, put it at ${path}.`,
      );
    });
  });
}

const lastLine = (text: string) => text.split("\n").at(-1) ?? text;

/** Options with which apt works on lists of packages of our own, just fetched. Needs no root. */
async function freshLists(progress: Progress): Promise<string[]> {
  const state = join(IMAGE_CACHE, "apt");
  await mkdir(join(state, "lists", "partial"), { recursive: true });
  await mkdir(join(state, "cache", "archives", "partial"), { recursive: true });
  const options = ["-o", `Dir::State::Lists=${join(state, "lists")}`, "-o", `Dir::Cache=${join(state, "cache")}`];
  // Otherwise root's apt becomes a user who may not write here.
  options.push("-o", "APT::Sandbox::User=root");
  progress.update("fetching Debian's lists of packages");
  await runProgram("apt-get", [...options, "-o", "APT::Update::Error-Mode=any", "update"], { ifMissing: ON_DEBIAN });
  return options;
}

/** The same packages at the newest versions that this machine's sources have. It has to be a machine of the same release. */
export async function newestLock({ release, packages }: DebianLock, progress: Progress): Promise<DebianLock> {
  const here = /^VERSION_CODENAME=(.*)$/m.exec(await readFile("/etc/os-release", "utf8").catch(() => ""))?.[1];
  if (here !== release) {
    throw new Error(
      `the pins are of Debian ${release}, and this machine is of ${here ?? "none"}: update them on ${release}`,
    );
  }
  const options = await freshLists(progress);
  const names = packages.map(({ name }) => name);
  const said = await runProgram("apt-cache", [...options, "show", "--no-all-versions", ...names], {
    ifMissing: ON_DEBIAN,
  });
  const stanzas = said.toString().split(/\n\n+/).map(parseControl);
  const newest = names.map((name) => {
    const found = stanzas.find((stanza) => stanza.get("Package") === name);
    if (found === undefined) throw new Error(`this machine's package sources have no ${name}`);
    const [version, architecture, sha256] = ["Version", "Architecture", "SHA256"].map((field) => found.get(field));
    return pin.parse({ name, version, architecture, sha256 });
  });
  return { release, packages: newest };
}

/** The fields of a Debian control stanza; of a field of many lines the first. */
function parseControl(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of stanza.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0 && !/^\s/.test(line)) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return fields;
}

/** The files that a package would install. */
export async function readDebianPackage(path: string): Promise<Entry[]> {
  const reader = extract();
  reader.end(await runProgram("dpkg-deb", ["--fsys-tarfile", path], { ifMissing: ON_DEBIAN }));
  const entries: Entry[] = [];
  for await (const member of reader) {
    const { name, type, mode = 0o644, linkname } = member.header;
    const place = name.replace(/^\.\//, "").replace(/\/$/, "");
    const chunks: Buffer[] = [];
    for await (const chunk of member) chunks.push(chunk as Buffer);
    if (place === "") continue;
    if (type === "directory") entries.push({ type, path: place, mode });
    else if (type === "symlink" && linkname) entries.push({ type, path: place, target: linkname });
    else if (type === "file") entries.push({ type, path: place, mode, content: Buffer.concat(chunks) });
    else throw new Error(`${path} holds ${place} of the kind ${type}, which images here never had`);
  }
  return entries;
}

/** What a package says of itself, as it stands in dpkg's own database. */
export async function readDebianControl(path: string): Promise<string> {
  return (await runProgram("dpkg-deb", ["--field", path], { ifMissing: ON_DEBIAN })).toString();
}
