/** Reading a ZIP archive: just enough to take files out of one (APPNOTE 6.3, no encryption, no ZIP64). */
import { inflateRawSync } from "node:zlib";

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const LOCAL_HEADER = 0x04034b50;
const STORED = 0;
const DEFLATED = 8;

export interface ZipEntry {
  readonly name: string;
  /** Uncompressed size in bytes. */
  readonly size: number;
  read(): Buffer;
}

/** The entries of an archive, in its directory's order. Throws when it is no archive. */
export function readZip(archive: Buffer): ZipEntry[] {
  const end = findEnd(archive);
  const count = archive.readUInt16LE(end + 10);
  const entries: ZipEntry[] = [];
  let at = archive.readUInt32LE(end + 16);
  for (let i = 0; i < count; i++) {
    if (archive.readUInt32LE(at) !== DIRECTORY_ENTRY) throw new Error(`broken ZIP directory at byte ${at}`);
    const method = archive.readUInt16LE(at + 10);
    const compressed = archive.readUInt32LE(at + 20);
    const size = archive.readUInt32LE(at + 24);
    const nameLength = archive.readUInt16LE(at + 28);
    const skipped = archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
    const header = archive.readUInt32LE(at + 42);
    const name = archive.toString("utf8", at + 46, at + 46 + nameLength);
    entries.push({ name, size, read: () => content(archive, { name, method, compressed, size, header }) });
    at += 46 + nameLength + skipped;
  }
  return entries;
}

/** The end record stands last, before a comment of at most 64 KiB. */
function findEnd(archive: Buffer): number {
  for (let at = archive.length - 22; at >= Math.max(0, archive.length - 22 - 0xffff); at--) {
    if (archive.readUInt32LE(at) === END_OF_DIRECTORY) return at;
  }
  throw new Error("not a ZIP archive");
}

interface Location {
  readonly name: string;
  readonly method: number;
  readonly compressed: number;
  readonly size: number;
  readonly header: number;
}

function content(archive: Buffer, entry: Location): Buffer {
  if (archive.readUInt32LE(entry.header) !== LOCAL_HEADER) throw new Error(`${entry.name}: broken header`);
  // The local header's name and extra field may be longer than the directory's.
  const start = entry.header + 30 + archive.readUInt16LE(entry.header + 26) + archive.readUInt16LE(entry.header + 28);
  const raw = archive.subarray(start, start + entry.compressed);
  if (entry.method !== STORED && entry.method !== DEFLATED) throw new Error(`${entry.name}: method ${entry.method}`);
  const data = entry.method === STORED ? Buffer.from(raw) : inflateRawSync(raw);
  if (data.length !== entry.size) throw new Error(`${entry.name}: ${data.length} bytes instead of ${entry.size}`);
  return data;
}
