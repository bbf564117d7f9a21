import { styleText } from "node:util";

interface Terminal {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  write(text: string): unknown;
}

const PLAIN_EVERY_MS = 5_000;

/** Draws a picture in place on a terminal, and a line now and then elsewhere. */
export class Screen {
  readonly #stream: Terminal;
  readonly #nowMs: () => number;
  #drawn = 0;
  #saidAtMs = Number.NEGATIVE_INFINITY;

  constructor(stream: Terminal = process.stdout, nowMs: () => number = () => performance.now()) {
    this.#stream = stream;
    this.#nowMs = nowMs;
  }

  /** @param lines the whole picture @param plain the same in one line */
  show(lines: readonly string[], plain: string): void {
    if (this.#stream.isTTY !== true) {
      if (this.#nowMs() - this.#saidAtMs < PLAIN_EVERY_MS) return;
      this.#saidAtMs = this.#nowMs();
      this.#stream.write(`${plain}\n`);
      return;
    }
    const { columns = 120, rows = 40 } = this.#stream;
    // What scrolls out at the top could not be drawn over.
    const visible = lines.slice(0, rows - 1).map((line) => styled(line.slice(0, columns - 1)));
    this.#stream.write(`${this.#back()}${visible.map((line) => `\x1b[K${line}\n`).join("")}\x1b[J`);
    this.#drawn = visible.length;
  }

  /** Leaves the picture as it is; what is written next stands below. */
  leave(): void {
    this.#drawn = 0;
  }

  #back(): string {
    return this.#drawn > 0 ? `\x1b[${this.#drawn}A\r` : "";
  }
}

/** Headings bold, reasons grey; nothing where NO_COLOR says so. */
function styled(line: string): string {
  if (/^[A-Z]{2,}/.test(line)) return styleText("bold", line);
  return line.startsWith("  ") ? styleText("dim", line) : line;
}
