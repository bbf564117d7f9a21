import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { extract } from "tar-stream";
import { afterAll, beforeAll } from "vitest";

/** A folder that is there during a file's tests. */
export function scratchFolder(): (name: string) => string {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "proffer-image-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return (name) => join(folder, name);
}

export interface TarMember {
  readonly name: string;
  readonly type: string;
  readonly mode: number;
  readonly owner: string;
  readonly mtimeMs: number;
  readonly linkname: string | null;
  readonly content: Buffer;
}

/** What a tar file holds, in its order. */
export async function readTar(file: string | Buffer): Promise<TarMember[]> {
  const reader = extract();
  reader.end(typeof file === "string" ? await readFile(file) : file);
  const members: TarMember[] = [];
  for await (const member of reader) {
    const { name, type, mode, uid, gid, uname, gname, mtime, linkname } = member.header;
    const chunks: Buffer[] = [];
    for await (const chunk of member) chunks.push(chunk as Buffer);
    members.push({
      name,
      type: type ?? "file",
      mode: mode ?? -1,
      owner: `${uid}:${gid}${uname}${gname}`,
      mtimeMs: mtime?.getTime() ?? -1,
      linkname: linkname ?? null,
      content: Buffer.concat(chunks),
    });
  }
  return members;
}
