/** A line of a container's log. */
export interface LogLine {
  /** When it was written, as the kubelet says: RFC 3339 with nanoseconds. Empty where it says nothing. */
  readonly stamp: string;
  readonly text: string;
}

// A program may write for ever without a line end.
const maxLineBytes = 1024 * 1024;
const newline = 0x0a;
const stamped = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)) ?/;

/**
 * Is it no line of the log, but what a kubelet says in its place, as if all were well, when the container is gone or is just
 * going?
 */
export function isLost({ stamp, text }: LogLine): boolean {
  return stamp === "" && text.startsWith("unable to retrieve container logs for ");
}

/**
 * Cuts a log with time stamps (`timestamps=true`) into lines. A line that is not whole yet is kept, so that a connection that
 * breaks within a line loses nothing: the rest of it comes with the line when the log is read again. Lines of more than 1 MiB
 * come in pieces.
 */
export class LogCutter {
  readonly #onLine: (line: LogLine) => void;
  #partial: Buffer[] = [];
  #partialBytes = 0;

  constructor(onLine: (line: LogLine) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      this.#keep(chunk.subarray(start, end));
      this.end();
      start = end + 1;
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
    if (this.#partialBytes > maxLineBytes) this.end();
  }

  /** The log is whole: what is there is the last line, even without a line end. */
  end(): void {
    if (this.#partial.length === 0) return;
    const source = Buffer.concat(this.#partial).toString("utf8");
    this.#partial = [];
    this.#partialBytes = 0;
    const stamp = stamped.exec(source);
    this.#onLine({ stamp: stamp?.[1] ?? "", text: source.slice(stamp?.[0].length ?? 0) });
  }

  #keep(part: Buffer): void {
    this.#partial.push(part);
    this.#partialBytes += part.length;
  }
}

/** Stamps may be out of order by this much: standard output and standard error are stamped apart. */
const disorderMs = 1_000;

/**
 * Remembers what was shown of a log, so that reading it again from a time on shows nothing twice and leaves nothing out.
 *
 * The API takes that time in whole seconds. So a log is read again from a second before the newest line that was shown, and
 * what was shown of that time is left out by its exact stamps.
 */
export class ShownLines {
  #newestMs: number | undefined;
  /** How many lines were shown, by second and stamp, as far back as a log would be read again. */
  readonly #shown = new Map<number, Map<string, number>>();
  /** While a log is read again: from when on, and how many lines of a stamp are still to come again. */
  #again: { readonly fromMs: number; readonly expected: Map<string, number> } | undefined;

  /** From when on the log is to be read again; undefined: from its beginning. */
  get since(): string | undefined {
    if (this.#newestMs === undefined) return undefined;
    return new Date(this.#newestMs - disorderMs).toISOString().replace(".000Z", "Z");
  }

  /** The log is read again, from `since` on. */
  rewind(): void {
    if (this.#newestMs === undefined) return;
    const expected = new Map([...this.#shown.values()].flatMap((stamps) => [...stamps]));
    this.#again = { fromMs: this.#newestMs - disorderMs, expected };
  }

  /** Is it a line that was not shown? It counts as shown from now on. */
  isNew({ stamp }: LogLine): boolean {
    const secondMs = secondOf(stamp);
    // Nobody can tell: better twice than not at all.
    if (secondMs === undefined) return true;
    if (this.#again !== undefined) {
      // Not every server keeps to the time that it is asked for.
      if (secondMs < this.#again.fromMs) return false;
      const expected = this.#again.expected.get(stamp) ?? 0;
      this.#again.expected.set(stamp, expected - 1);
      if (expected > 0) return false;
    }
    this.#remember(stamp, secondMs);
    return true;
  }

  #remember(stamp: string, secondMs: number): void {
    if (this.#newestMs === undefined || secondMs > this.#newestMs) {
      this.#newestMs = secondMs;
      for (const old of this.#shown.keys()) if (old < secondMs - disorderMs) this.#shown.delete(old);
    }
    if (secondMs < this.#newestMs - disorderMs) return;
    const stamps = this.#shown.get(secondMs) ?? new Map<string, number>();
    stamps.set(stamp, (stamps.get(stamp) ?? 0) + 1);
    this.#shown.set(secondMs, stamps);
  }
}

function secondOf(stamp: string): number | undefined {
  const ms = Date.parse(stamp.replace(/\.\d+/, ""));
  return Number.isNaN(ms) ? undefined : ms;
}
