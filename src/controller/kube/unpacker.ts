import type { TransformOptions } from "node:stream";
import { createGunzip, type ZlibOptions } from "node:zlib";

/** A server sends a little at a time, and every piece that is unpacked costs a turn of the other thread. */
const packedBytes = 16 * 1024;
const unpackedBytes = 256 * 1024;

/** Unpacks a stream of gzip on another thread: the next piece while one is read. */
export class Unpacker {
  /** Resolves when everything has been read; rejects if it cannot be unpacked or ends too early. */
  readonly done: Promise<void>;
  readonly #gunzip;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;

  /** @param onReady after `write` returned false: more may come */
  constructor(onChunk: (chunk: Buffer) => void, onReady: () => void) {
    const options: ZlibOptions & TransformOptions = {
      chunkSize: unpackedBytes,
      readableHighWaterMark: unpackedBytes,
      writableHighWaterMark: 4 * packedBytes,
    };
    this.#gunzip = createGunzip(options).on("drain", onReady);
    this.done = this.#read(onChunk);
  }

  /** False: wait with more until `onReady`. */
  write(chunk: Buffer): boolean {
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    return this.#waitingBytes < packedBytes || this.#flush();
  }

  /** After the last chunk. */
  end(): void {
    this.#flush();
    this.#gunzip.end();
  }

  /** Nothing more is read. */
  destroy(): void {
    this.#gunzip.destroy();
  }

  async #read(onChunk: (chunk: Buffer) => void): Promise<void> {
    for await (const chunk of this.#gunzip) onChunk(chunk);
  }

  #flush(): boolean {
    const chunk = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    return this.#gunzip.write(chunk);
  }
}
