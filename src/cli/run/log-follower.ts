import { ApiError, isStatus, TransportError } from "../../controller/kube/api-error.ts";
import { backoffMs } from "../../controller/kube/backoff.ts";
import { type Clock, sleep } from "../../controller/kube/clock.ts";
import { sentenceOf } from "../errors.ts";
import { isLost, LogCutter, ShownLines } from "./log-lines.ts";

/** Opens a container's log and hands it on as it comes; resolves at its end. Rejects as `Transport.watch` does. */
export type OpenLog = (
  from: { readonly since: string | undefined; readonly follow: boolean },
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
  /** Has any log been read with these rights? Shared by all who have them. */
  readonly rights: { granted: boolean };
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
/** An API server that starts refuses this and that for a moment, also what it has granted before. */
const refusalsBelieved = { granted: 8, neverGranted: 4 };
/** A stream should end with what it shows; some servers forget. */
const lingerMs = 5_000;

/**
 * Shows every line of a log once, in order, until the attempt is over and all was read. A connection that breaks, an API
 * server that restarts and a reader that is slow make a pause, and neither gaps nor doubles.
 *
 * @returns false if the log could not be read to its end
 * @throws ApiError 401 or 403, again and again: reading it once more would not help
 */
export async function followLog(options: FollowOptions): Promise<boolean> {
  const { source, clock, random, signal } = options;
  const shown = new ShownLines();
  let failures = 0;
  let refusals = 0;
  while (!signal.aborted) {
    const isLast = source.over();
    const read = await readOn(options, shown, isLast);
    // An API server that loses its kubelet ends the stream as if all was said: it is, when there is nothing new.
    if (read.outcome === "ended" && isLast && !read.progress) return true;
    if (source.gone()) return false;
    if (read.progress) failures = 0;
    refusals = isRefusal(read.error) ? refusals + 1 : 0;
    if (refusals === 0 && read.outcome !== "failed") options.rights.granted = true;
    if (refusals >= (options.rights.granted ? refusalsBelieved.granted : refusalsBelieved.neverGranted))
      throw read.error;
    if (read.outcome === "congested") await options.drained();
    if (read.outcome === "congested" || read.outcome === "lingered" || (isLast && read.progress)) continue;
    failures++;
    if (read.outcome === "failed" && refusals === 0) {
      if (isLast && failures >= attemptsAtTheEnd) {
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

const isRefusal = (error: unknown): boolean => isStatus(error, 401) || isStatus(error, 403);

interface Read {
  /** `ended`: the server says that this is all. `lingered`: the attempt is over, and the stream was not. */
  readonly outcome: "ended" | "congested" | "lingered" | "failed";
  readonly progress: boolean;
  readonly error?: unknown;
}

/** Reads until the stream ends, however it does. The last read takes what is there, and follows nothing. */
async function readOn(options: FollowOptions, shown: ShownLines, isLast: boolean): Promise<Read> {
  const { open, onLine, congested, source, clock, signal } = options;
  const stop = new AbortController();
  let outcome: "congested" | "lingered" | undefined;
  let progress = false;
  const end = (why: "congested" | "lingered"): void => {
    outcome ??= why;
    stop.abort();
  };
  let lost: string | undefined;
  const cutter = new LogCutter((line) => {
    if (isLost(line)) lost = line.text;
    if (isLost(line) || !shown.isNew(line)) return;
    progress = true;
    onLine(line.text);
  });
  shown.rewind();
  let lastDataMs = clock.monotonicMs();
  const onData = (chunk: Buffer): void => {
    if (stop.signal.aborted) return;
    lastDataMs = clock.monotonicMs();
    cutter.push(chunk);
    if (congested()) end("congested");
  };
  if (!isLast) void lingering(source, clock, () => lastDataMs, stop.signal).then(() => end("lingered"));
  try {
    const from = { since: shown.since, follow: !isLast };
    await open(from, onData, AbortSignal.any([signal, stop.signal]));
    // Half a line at the end of anything else is the begin of one that comes again as a whole.
    if (isLast && !progress) cutter.end();
    return lost === undefined
      ? { outcome: "ended", progress }
      : { outcome: "failed", progress, error: new Error(lost) };
  } catch (error) {
    if (!(error instanceof ApiError) && !(error instanceof TransportError)) throw error;
    return { outcome: outcome ?? "failed", progress, error };
  } finally {
    stop.abort();
  }
}

/** Resolves when the attempt is over and nothing has come for a while since, or when `signal` aborts. */
async function lingering(
  source: LogSource,
  clock: Clock,
  lastDataMs: () => number,
  signal: AbortSignal,
): Promise<void> {
  while (!source.over() && !signal.aborted) await source.changed(signal);
  while (!signal.aborted) {
    const silentMs = clock.monotonicMs() - lastDataMs();
    if (silentMs >= lingerMs) return;
    await sleep(clock, lingerMs - silentMs, signal);
  }
}

/** Waits, but no longer than until something changes. */
async function pause(source: LogSource, clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  await Promise.race([sleep(clock, delayMs, either), source.changed(either)]);
  over.abort();
}
