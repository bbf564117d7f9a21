/** Tar files whose bytes depend on their contents alone: sorted, numeric owners, no times. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Header, type Pack, pack } from "tar-stream";

interface Place {
  /** From the root, without a slash at the beginning: `usr/bin/node`. */
  readonly path: string;
  /** 0 (root) when absent. */
  readonly uid?: number;
  readonly gid?: number;
}
/** Mode 0755 when absent. */
export type Directory = Place & { readonly type: "directory"; readonly mode?: number };
/** Mode 0644 when absent. What is in it is given, or copied from the file `source`. */
export type RegularFile = Place & { readonly type: "file"; readonly mode?: number } & (
    | { readonly content: string | Uint8Array }
    | { readonly source: string }
  );
export type Symlink = Place & { readonly type: "symlink"; readonly target: string };
export type Entry = Directory | RegularFile | Symlink;

/** What was written: `sha256:…` of the bytes, and how many. */
export interface Written {
  readonly digest: string;
  readonly sizeBytes: number;
}

/**
 * The entries in the order of a tar file, each after the folder that it is in; folders that are only implied are added.
 * Throws on a path that is given twice, that leaves the root, or that lies below something other than a folder.
 */
export function inOrder(entries: readonly Entry[]): Entry[] {
  const byPath = new Map<string, Entry>();
  for (const entry of entries) {
    const parts = entry.path.split("/");
    if (parts.some((part) => part === "" || part === "." || part === "..")) {
      throw new Error(`"${entry.path}" is no path within an image: write it like usr/bin/node`);
    }
    if (byPath.has(entry.path)) throw new Error(`${entry.path} is in the same layer twice`);
    byPath.set(entry.path, entry);
  }
  for (const path of [...byPath.keys()]) {
    for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
      const parent = path.slice(0, end);
      const type = byPath.get(parent)?.type;
      if (type === undefined) byPath.set(parent, { type: "directory", path: parent });
      else if (type !== "directory") throw new Error(`${path} lies below ${parent}, which is a ${type}`);
    }
  }
  // By bytes, not by anybody's language. A folder's path is a prefix of what is in it, so it comes first.
  return [...byPath.values()].sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
}

/** Writes a tar file. The same entries give the same bytes, on every machine and at any time. */
export async function writeTar(entries: readonly Entry[], path: string): Promise<Written> {
  const sorted = inOrder(entries);
  const archive = pack();
  const hash = createHash("sha256");
  let sizeBytes = 0;
  const measure = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      sizeBytes += chunk.length;
      done(null, chunk);
    },
  });
  const written = pipeline(archive, measure, createWriteStream(path));
  const added = addAll(archive, sorted).catch((error: Error) => {
    archive.destroy(error);
    throw error;
  });
  // Both are waited for, so that neither's failure goes unheard; the first tells what went wrong.
  const [adding, writing] = await Promise.allSettled([added, written]);
  for (const result of [adding, writing]) if (result.status === "rejected") throw result.reason;
  return { digest: `sha256:${hash.digest("hex")}`, sizeBytes };
}

async function addAll(archive: Pack, entries: readonly Entry[]): Promise<void> {
  for (const entry of entries) {
    const common = { name: entry.path, uid: entry.uid ?? 0, gid: entry.gid ?? 0, mtime: new Date(0) };
    if (entry.type === "directory") {
      await add(archive, { ...common, type: "directory", mode: entry.mode ?? 0o755 });
    } else if (entry.type === "symlink") {
      await add(archive, { ...common, type: "symlink", mode: 0o777, linkname: entry.target });
    } else if ("content" in entry) {
      await add(archive, { ...common, type: "file", mode: entry.mode ?? 0o644 }, Buffer.from(entry.content));
    } else {
      await addFile(archive, { ...common, type: "file", mode: entry.mode ?? 0o644 }, entry.source);
    }
  }
  archive.finalize();
}

type NamedHeader = Partial<Header> & Pick<Header, "name">;

function add(archive: Pack, header: NamedHeader, content?: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error | null) => (error ? reject(error) : resolve());
    if (content === undefined) archive.entry(header, done);
    else archive.entry(header, content, done);
  });
}

async function addFile(archive: Pack, header: NamedHeader, source: string): Promise<void> {
  const { size } = await stat(source);
  await pipeline(createReadStream(source, { highWaterMark: 1 << 20 }), archive.entry({ ...header, size }));
}
