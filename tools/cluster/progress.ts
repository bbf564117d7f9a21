/** Progress for people: one line that changes on a terminal, a line now and then elsewhere. */

export interface Progress {
  /** Something moves; most of these are never shown. */
  update(line: string): void;
  /** Something ended; always shown. */
  done(line: string): void;
}

export const silent: Progress = { update: () => {}, done: () => {} };

interface Terminal {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

const TTY_EVERY_MS = 200;
const LOG_EVERY_MS = 15_000;

/** Progress on a stream, standard error by default: standard output is for results. */
export function progressOn(stream: Terminal = process.stderr, nowMs: () => number = () => performance.now()): Progress {
  const everyMs = stream.isTTY === true ? TTY_EVERY_MS : LOG_EVERY_MS;
  let shownAt = Number.NEGATIVE_INFINITY;
  const print = (line: string, end: string) => {
    const text = stream.isTTY === true ? `\r\x1b[K${line.slice(0, (stream.columns ?? 120) - 1)}` : line;
    stream.write(text + end);
  };
  return {
    update(line) {
      const now = nowMs();
      if (now - shownAt < everyMs) return;
      shownAt = now;
      print(line, stream.isTTY === true ? "" : "\n");
    },
    done(line) {
      shownAt = Number.NEGATIVE_INFINITY;
      print(line, "\n");
    },
  };
}

/** A duration for people: `41 s`, `3 min 05 s`. */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}
