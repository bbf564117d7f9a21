import { deflateRawSync } from "node:zlib";
import { expect, test } from "vitest";
import { readZip } from "./zip.ts";

interface Part {
  readonly name: string;
  readonly text: string;
  readonly method: number;
}

/** An archive as other programs write them: the local header has an extra field that the directory lacks. */
function archive(parts: readonly Part[], comment = ""): Buffer {
  const files: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, text, method } of parts) {
    const content = Buffer.from(text);
    const data = method === 8 ? deflateRawSync(content) : content;
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    local.writeUInt16LE(4, 28);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(method, 10);
    entry.writeUInt32LE(data.length, 20);
    entry.writeUInt32LE(content.length, 24);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt32LE(at, 42);
    const file = Buffer.concat([local, Buffer.from(name), Buffer.alloc(4), data]);
    files.push(file);
    directory.push(entry, Buffer.from(name));
    at += file.length;
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(parts.length, 10);
  end.writeUInt32LE(at, 16);
  end.writeUInt16LE(comment.length, 20);
  return Buffer.concat([...files, ...directory, end, Buffer.from(comment)]);
}

test("stored and deflated files come out as they went in", () => {
  const parts = [
    { name: "a/", text: "", method: 0 },
    { name: "a/stored", text: "as it is", method: 0 },
    { name: "a/deflated", text: "again ".repeat(1000), method: 8 },
  ];
  const entries = readZip(archive(parts, "a comment"));
  expect(entries.map(({ name, size }) => [name, size])).toEqual(parts.map(({ name, text }) => [name, text.length]));
  expect(entries.map((entry) => entry.read().toString())).toEqual(parts.map(({ text }) => text));
});

test("what is no archive is refused", () => {
  expect(() => readZip(Buffer.from("hello, this is certainly not an archive"))).toThrow("not a ZIP archive");
});

test("an unknown compression is refused by name", () => {
  const [entry] = readZip(archive([{ name: "odd", text: "x", method: 12 }]));
  expect(() => entry?.read()).toThrow("odd: method 12");
});
