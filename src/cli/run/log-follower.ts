import { ApiError, isStatus, TransportError } from "../../controller/kube/api-error.ts";
import { backoffMs } from "../../controller/kube/backoff.ts";
import { type Clock, sleep } from "../../controller/kube/clock.ts";
import { sentenceOf } from "../errors.ts";
import { LogCutter, ShownLines } from "./log-lines.ts";

/** Opens a container's log and hands it on as it comes; resolves at its end. Rejects as `Transport.watch` does. */
export type OpenLog = (
  since: string | undefined,
  onData: (chunk: Buffer) => void,
  signal: AbortSignal,
) => Promise<void>;

/** One attempt whose log is followed, as it is at the moment. */
export interface LogSource {
  /** Nothing is written any more. */
  over(): boolean;
  /** The pod has been deleted, and its log with it. */
  gone(): boolean;
  /** Resolves at the next change of it, or when `signal` aborts. */
  changed(signal: AbortSignal): Promise<void>;
}

export interface FollowOptions {
  readonly open: OpenLog;
  readonly source: LogSource;
  readonly onLine: (text: string) => void;
  /** Whoever reads the lines is so slow that no more should come for now. */
  readonly congested: () => boolean;
  readonly drained: () => Promise<void>;
  /** Told when the log cannot be read for some time, and when it is given up. */
  readonly onTrouble: (what: string) => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly signal: AbortSignal;
}

const backoff = { baseMs: 250, maxMs: 10_000 };
/** A log that ends, begins again or is not there yet is nothing to tell of. */
const quietFailures = 3;
/** Attempts to read the rest of what is over. */
const attemptsAtTheEnd = 6;

/**
 * Shows every line of a log once, in order, until the attempt is over and all was read. A connection that breaks, an API
 * server that restarts and a reader that is slow make a pause, and neither gaps nor doubles.
 *
 * @returns false if the log could not be read to its end
 * @throws ApiError 401 or 403: reading it again would not help
 */
export async function followLog(options: FollowOptions): Promise<boolean> {
  const { source, clock, random, signal } = options;
  const shown = new ShownLines();
  let failures = 0;
  while (!signal.aborted) {
    const wasOver = source.over();
    const read = await readOn(options, shown);
    if (read.outcome === "ended" && wasOver) return true;
    if (source.gone()) return false;
    if (read.progress) failures = 0;
    if (read.outcome === "congested") {
      await options.drained();
      continue;
    }
    failures++;
    if (read.outcome === "failed") {
      if (wasOver && failures >= attemptsAtTheEnd) {
        options.onTrouble(`the rest of its log cannot be read: ${sentenceOf(read.error)}`);
        return false;
      }
      if (failures === quietFailures)
        options.onTrouble(`its log cannot be read, trying again: ${sentenceOf(read.error)}`);
    }
    await pause(source, clock, backoffMs(failures - 1, backoff, random), signal);
  }
  return false;
}

interface Read {
  /** `ended`: the server says that this is all. */
  readonly outcome: "ended" | "congested" | "failed";
  readonly progress: boolean;
  readonly error?: unknown;
}

/** Reads until the stream ends, however it does. */
async function readOn({ open, onLine, congested, signal }: FollowOptions, shown: ShownLines): Promise<Read> {
  const stop = new AbortController();
  let progress = false;
  const cutter = new LogCutter((line) => {
    if (!shown.isNew(line)) return;
    progress = true;
    onLine(line.text);
  });
  shown.rewind();
  const onData = (chunk: Buffer): void => {
    if (stop.signal.aborted) return;
    cutter.push(chunk);
    if (congested()) stop.abort();
  };
  try {
    await open(shown.since, onData, AbortSignal.any([signal, stop.signal]));
    cutter.end();
    return { outcome: "ended", progress };
  } catch (error) {
    if (isStatus(error, 401) || isStatus(error, 403)) throw error;
    if (!(error instanceof ApiError) && !(error instanceof TransportError)) throw error;
    if (stop.signal.aborted) return { outcome: "congested", progress };
    return { outcome: "failed", progress, error };
  }
}

/** Waits, but no longer than until something changes. */
async function pause(source: LogSource, clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  await Promise.race([sleep(clock, delayMs, either), source.changed(either)]);
  over.abort();
}
