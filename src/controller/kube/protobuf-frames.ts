// As for lines of JSON.
const maxFrameBytes = 32 * 1024 * 1024;
const headerBytes = 4;

/** Cuts a stream of bytes into frames, each after its length (four bytes, the most significant first). */
export class ProtobufFrames {
  readonly #onFrame: (frame: Buffer) => void;
  #partial: Buffer[] = [];
  #partialBytes = 0;
  /** Bytes until the frame that has begun is whole; at least its header. */
  #needed = headerBytes;

  constructor(onFrame: (frame: Buffer) => void) {
    this.#onFrame = onFrame;
  }

  /** @throws RangeError if a frame is too long */
  push(chunk: Buffer): void {
    if (this.#partialBytes + chunk.length < this.#needed) {
      this.#keep(chunk);
      return;
    }
    const bytes = this.#partialBytes === 0 ? chunk : Buffer.concat([...this.#partial, chunk]);
    this.#partial = [];
    this.#partialBytes = 0;
    let start = 0;
    for (;;) {
      const left = bytes.length - start;
      this.#needed = left < headerBytes ? headerBytes : headerBytes + bytes.readUInt32BE(start);
      if (this.#needed > maxFrameBytes) throw new RangeError(`a frame of more than ${maxFrameBytes} bytes`);
      if (left < this.#needed) break;
      this.#onFrame(bytes.subarray(start + headerBytes, start + this.#needed));
      start += this.#needed;
    }
    if (start < bytes.length) this.#keep(bytes.subarray(start));
  }

  #keep(chunk: Buffer): void {
    this.#partial.push(chunk);
    this.#partialBytes += chunk.length;
  }
}
