import { oneLine } from "../server/printable.ts";

/** Where the program speaks to, and what it knows of who listens. */
export interface Terminal {
  /** Results: what a script would read. Takes whole lines. */
  out(text: string): void;
  /** One line about what goes on, for people. */
  note(line: string): void;
  /** May `out` have colours? */
  readonly colours: boolean;
  /** Whoever reads `out` is so slow that no more should be said for now. */
  readonly congested: boolean;
  /** Resolves when `out` can go on. */
  drained(): Promise<void>;
}

/** More than that is not kept for a slow reader. */
const maxUnreadBytes = 4 * 1024 * 1024;

/** The process' own terminal. A reader that has gone, as `head` does, ends the program. */
export function processTerminal(): Terminal {
  const { stdout, stderr, env } = process;
  for (const stream of [stdout, stderr]) stream.on("error", () => process.exit(1));
  return {
    out: (text) => void stdout.write(text),
    note: (line) => void stderr.write(`${oneLine(line)}\n`),
    colours: stdout.isTTY === true && !env.NO_COLOR,
    get congested() {
      return stdout.writableLength > maxUnreadBytes;
    },
    drained: () => new Promise((resolve) => stdout.once("drain", () => resolve())),
  };
}

/** Resolves when all that was said has been handed over: a pipe may take a while. */
export async function flushed(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    await new Promise<void>((resolve) => void stream.write("", () => resolve()));
  }
}
