/**
 * Takes the piece that begins at `start` and returns where the next one does; if the piece is not whole yet, takes nothing
 * and returns how many bytes it needs, less than zero.
 */
export type Take = (bytes: Buffer, start: number) => number;

/** As for lines of JSON. */
export const maxPieceBytes = 32 * 1024 * 1024;

/** Puts the chunks of a stream together again as far as somebody needs it. */
export class Pieces {
  readonly #take: Take;
  #partial: Buffer[] = [];
  #partialBytes = 0;
  /** Bytes until the piece that has begun may be whole. */
  #needed = 1;

  constructor(take: Take) {
    this.#take = take;
  }

  /** Throws what `take` throws. */
  push(chunk: Buffer): void {
    if (this.#partialBytes + chunk.length < this.#needed) {
      this.#keep(chunk);
      return;
    }
    const bytes = this.#partialBytes === 0 ? chunk : Buffer.concat([...this.#partial, chunk]);
    this.#partial = [];
    this.#partialBytes = 0;
    this.#needed = 1;
    for (let start = 0; start < bytes.length; ) {
      const next = this.#take(bytes, start);
      if (next < 0) {
        this.#needed = -next;
        this.#keep(bytes.subarray(start));
        return;
      }
      start = next;
    }
  }

  #keep(chunk: Buffer): void {
    this.#partial.push(chunk);
    this.#partialBytes += chunk.length;
  }
}

const headerBytes = 4;

/**
 * Frames, each after its length (four bytes, the most significant first).
 *
 * @returns `push` throws RangeError if a frame is too long
 */
export function frames(onFrame: (frame: Buffer) => void): Pieces {
  return new Pieces((bytes, start) => {
    const left = bytes.length - start;
    if (left < headerBytes) return -headerBytes;
    const length = bytes.readUInt32BE(start);
    if (length > maxPieceBytes) throw new RangeError(`a frame of more than ${maxPieceBytes} bytes`);
    if (left < headerBytes + length) return -(headerBytes + length);
    const from = start + headerBytes;
    onFrame(bytes.subarray(from, from + length));
    return from + length;
  });
}
