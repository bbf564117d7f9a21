// etcd stores at most 1.5 MiB an object; JSON may be a few times its protobuf.
const maxLineBytes = 32 * 1024 * 1024;
const newline = 0x0a;

/**
 * Cuts a stream of bytes into lines and hands each to `onLine`, parsed. Lines are searched for in bytes and decoded
 * whole, so a character split over two chunks is safe and a long line costs no repeated scanning.
 */
export class JsonLines {
  readonly #onLine: (value: unknown) => void;
  #partial: Buffer[] = [];
  #partialBytes = 0;

  constructor(onLine: (value: unknown) => void) {
    this.#onLine = onLine;
  }

  /** @throws SyntaxError if a line is no JSON, RangeError if one does not end */
  push(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      const text =
        this.#partialBytes === 0 ? chunk.toString("utf8", start, end) : this.#join(chunk.subarray(start, end));
      start = end + 1;
      if (text !== "") this.#onLine(JSON.parse(text));
    }
    if (start === chunk.length) return;
    this.#partial.push(chunk.subarray(start));
    this.#partialBytes += chunk.length - start;
    if (this.#partialBytes > maxLineBytes) throw new RangeError(`a line of more than ${maxLineBytes} bytes`);
  }

  #join(end: Buffer): string {
    this.#partial.push(end);
    const text = Buffer.concat(this.#partial).toString("utf8");
    this.#partial = [];
    this.#partialBytes = 0;
    return text;
  }
}
