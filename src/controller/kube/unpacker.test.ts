import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { Unpacker } from "./unpacker.ts";

// Noise: packed, it is as long as before.
const noise = randomBytes(500_000);
const packed = gzipSync(noise);

test("what was packed comes out whole, however it was cut", async () => {
  for (const step of [7_919, 65_536, packed.length]) {
    const chunks: Buffer[] = [];
    const unpacker = new Unpacker(
      (chunk) => chunks.push(chunk),
      () => {},
    );
    for (let start = 0; start < packed.length; start += step) unpacker.write(packed.subarray(start, start + step));
    unpacker.end();
    await unpacker.done;
    expect(Buffer.concat(chunks).equals(noise)).toBe(true);
  }
});

test("says when it has enough, and when it may have more", async () => {
  const ready = Promise.withResolvers<void>();
  const unpacker = new Unpacker(() => {}, ready.resolve);
  expect(unpacker.write(packed.subarray(0, 1_000))).toBe(true);
  expect(unpacker.write(packed.subarray(1_000, 200_000))).toBe(false);
  await ready.promise;
  expect(unpacker.write(packed.subarray(200_000, 201_000))).toBe(true);
  unpacker.destroy();
  await expect(unpacker.done).rejects.toThrow();
});

test.each([
  ["another format", Buffer.from("no such format")],
  ["a part of it", packed.subarray(0, -9)],
])("%s cannot be unpacked", async (_, bytes) => {
  const unpacker = new Unpacker(
    () => {},
    () => {},
  );
  unpacker.write(bytes);
  unpacker.end();
  await expect(unpacker.done).rejects.toThrow();
});
