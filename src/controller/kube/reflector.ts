import { ApiError, isGone, TransportError } from "./api-error.ts";
import { type BackoffLimits, backoffMs } from "./backoff.ts";
import { type Clock, sleep } from "./clock.ts";
import { Interner } from "./interner.ts";
import {
  endsInitialEvents,
  keyOf,
  listAll,
  listWhole,
  type Selection,
  StreamError,
  type WatchEvent,
  type WatchedObject,
  watchOnce,
} from "./list-watch.ts";
import { type CacheEntry, type Delete, ObjectCache, type Upsert } from "./object-cache.ts";
import { compareResourceVersions } from "./resource-version.ts";
import type { Transport } from "./transport.ts";
import { VersionWaiters } from "./version-waiters.ts";

export type ReflectorEvent<T> =
  | Upsert<T>
  | Delete<T>
  /** The cache equals a consistent list; comes after its changes, at the start and after each list since. */
  | { readonly type: "synced"; readonly resourceVersion: string }
  /** For logs and metrics: the reflector goes on by itself. `key` where one object's projection failed. */
  | { readonly type: "error"; readonly error: unknown; readonly key?: string };

export interface ReflectorOptions<T> extends Selection {
  readonly transport: Transport;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  /**
   * The few fields that are used, out of the object as it came; undefined for objects of no interest, which are as
   * absent. `intern` makes equal strings one: worth it for what many objects share.
   */
  readonly project: (object: WatchedObject, intern: (text: string) => string) => T | undefined;
  /**
   * Gets every change in order, synchronously. An exception here is a bug that would leave cache and consumer apart: the
   * reflector stops and the promise of `start` rejects.
   */
  readonly onEvent: (event: ReflectorEvent<T>) => void;
  /** False: keeps UIDs and versions only; then `previous` and the object of a delete are undefined. Default true. */
  readonly storeObjects?: boolean;
  /** Without one byte for so long, a watch counts as dead. Default 150 s: bookmarks come every minute or so, some later. */
  readonly silenceLimitMs?: number;
  /** Between failed attempts. Default 0.8 s to 30 s. */
  readonly backoff?: BackoffLimits;
}

/** A watch this old was no failure, even if nothing happened. */
const livedLongMs = 10_000;

/**
 * Keeps a projection of all objects of one type up to date: the whole state by a streamed list, or one packed list of what
 * comes as protobuf (paged where the server refuses that), then a watch that is resumed where it broke off. Only an expired version costs a new list, or one that
 * the consumer asks for.
 *
 * A list is applied whole or not at all. Follows client-go's Reflector and KEP-3157 (streaming lists).
 */
export class Reflector<T> {
  readonly #options: ReflectorOptions<T>;
  readonly #cache: ObjectCache<T>;
  readonly #waiters: VersionWaiters;
  readonly #interner = new Interner();
  readonly #stop = new AbortController();
  readonly #firstSync = Promise.withResolvers<boolean>();
  #resyncs: PromiseWithResolvers<boolean>[] = [];
  /** Ends the attempt or the nap under way, so that the loop looks again at what there is to do. */
  #interrupt = new AbortController();
  /** Where a watch can go on; undefined: a list is due. */
  #resumeFrom: string | undefined;
  #lastSync: string | undefined;
  /** When the attempt under way began, and the one that brought the last list; by the monotonic clock. */
  #attemptMs = Number.NEGATIVE_INFINITY;
  #listMs = Number.NEGATIVE_INFINITY;
  /** Attempts without progress, in a row. */
  #failures = 0;
  /** Of these, versions that were too old. */
  #expirations = 0;
  /** Did the attempt under way bring anything after its list? */
  #progressed = false;
  #naps = false;
  /** So many attempts in a row had no answer; one may be a connection that broke. */
  #unanswered = 0;
  /** Lists in one piece, streamed or whole. */
  #unpagedLists: "try" | "refused" | "unfinished" = "try";

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#cache = new ObjectCache(options.storeObjects ?? true, (change) => this.#emit(change));
    this.#waiters = new VersionWaiters(options.clock);
  }

  /** Resolves true after the first list, false if stopped before. */
  get synced(): Promise<boolean> {
    return this.#firstSync.promise;
  }

  /** The cache holds everything up to this version; undefined before the first list. */
  get lastSyncResourceVersion(): string | undefined {
    return this.#lastSync;
  }

  get size(): number {
    return this.#cache.size;
  }

  /** @param key `namespace/name`, or the name of a cluster-wide object */
  get(key: string): CacheEntry<T> | undefined {
    return this.#cache.get(key);
  }

  entries(): IterableIterator<[string, CacheEntry<T>]> {
    return this.#cache.entries();
  }

  /** Runs until `stop`; rejects only if `onEvent` threw. */
  async start(): Promise<void> {
    const stopListening = this.#options.transport.onReachable(() => this.#wakeFromOutage());
    try {
      while (!this.#stop.signal.aborted) await this.#turn();
    } catch (error) {
      throw error instanceof HandlerBug ? error.cause : error;
    } finally {
      stopListening();
      this.stop();
    }
  }

  stop(): void {
    this.#stop.abort();
    this.#interrupt.abort();
    this.#waiters.giveUp();
    this.#firstSync.resolve(false);
    for (const resync of this.#resyncs.splice(0)) resync.resolve(false);
  }

  /** The last list was asked for at this time (of the monotonic clock) or later: the cache is no older. */
  listedSince(monotonicMs: number): boolean {
    return this.#listMs >= monotonicMs;
  }

  hasPassed(resourceVersion: string): boolean {
    return this.#lastSync !== undefined && compareResourceVersions(this.#lastSync, resourceVersion) >= 0;
  }

  /** Resolves true once the cache has passed `resourceVersion`, false after `timeoutMs`, `startOver` or `stop`. */
  waitUntil(resourceVersion: string, timeoutMs: number): Promise<boolean> {
    if (this.hasPassed(resourceVersion)) return Promise.resolve(true);
    if (this.#stop.signal.aborted) return Promise.resolve(false);
    return this.#waiters.wait(resourceVersion, timeoutMs);
  }

  /**
   * A consistent list that begins after this call, as a new leader's term needs. Resolves true when it is applied, false
   * if stopped before.
   */
  resync(): Promise<boolean> {
    if (this.#stop.signal.aborted) return Promise.resolve(false);
    const resync = Promise.withResolvers<boolean>();
    this.#resyncs.push(resync);
    this.#resumeFrom = undefined;
    // Somebody waits for it: what failed before says nothing about now.
    this.#failures = 0;
    this.#interrupt.abort();
    return resync.promise;
  }

  /**
   * Lists anew because the server's history is another one than before: its versions say nothing about ours. What the
   * cache holds stays until then.
   */
  startOver(): Promise<boolean> {
    this.#cache.forgetVersions();
    this.#lastSync = undefined;
    this.#waiters.giveUp();
    return this.resync();
  }

  /** One attempt to list or watch, and the wait after it if it failed. */
  async #turn(): Promise<void> {
    const { clock } = this.#options;
    const interrupt = new AbortController();
    this.#interrupt = interrupt;
    this.#progressed = false;
    const startMs = clock.monotonicMs();
    this.#attemptMs = startMs;
    const from = this.#resumeFrom;
    const kind = from !== undefined ? "watch" : this.#kindOfList();
    let error: unknown;
    try {
      if (from !== undefined) await this.#watch(from, interrupt.signal);
      else if (kind === "streamed-list") await this.#listStreamed(interrupt.signal);
      else if (kind === "whole-list") await this.#listWhole(interrupt.signal);
      else await this.#listPaged(interrupt.signal);
    } catch (thrown) {
      error = thrown;
    }
    if (error instanceof HandlerBug) throw error;
    if (interrupt.signal.aborted) return;
    const watched = kind === "watch" || kind === "streamed-list";
    if (this.#progressed || (watched && clock.monotonicMs() - startMs >= livedLongMs)) {
      this.#failures = 0;
      this.#unanswered = 0;
      this.#expirations = 0;
    }
    const delayMs = this.#afterAttempt(kind, error);
    if (delayMs === 0) return;
    this.#naps = true;
    await sleep(clock, delayMs, interrupt.signal);
    this.#naps = false;
  }

  #kindOfList(): AttemptKind {
    if (this.#unpagedLists !== "try") return "paged-list";
    return this.#options.as === undefined ? "streamed-list" : "whole-list";
  }

  /** What the end of an attempt means for the next one; returns how long to wait before it. */
  #afterAttempt(kind: AttemptKind, error: unknown): number {
    const { random } = this.#options;
    if ((kind === "streamed-list" || kind === "whole-list") && this.#resumeFrom === undefined) {
      if (refusesUnpaged(error)) {
        this.#unpagedLists = "refused";
        return 0;
      }
      // A server or proxy that starts but never finishes such a list gets a paged one for a change.
      if (isUnfinished(error)) this.#unpagedLists = "unfinished";
    }
    if (error === undefined && (kind === "paged-list" || kind === "whole-list" || this.#progressed)) return 0;
    if (error !== undefined) this.#emit({ type: "error", error });
    // What cannot be read at the very start would be there again: a list steps over it.
    if (isGone(error) || (error instanceof StreamError && !this.#progressed)) this.#resumeFrom = undefined;
    // The usual end of an outage: the server is back, and has forgotten. Only 410 after 410 must not become a storm.
    if (isGone(error) && this.#expirations++ === 0) return 0;
    // An answer after none: the outage is over, and a server that starts refuses this and that for a moment.
    if (error instanceof TransportError) {
      this.#unanswered++;
    } else {
      if (this.#unanswered > 1) this.#failures = 0;
      this.#unanswered = 0;
    }
    const failures = this.#failures++;
    const retryAfterMs = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
    return Math.max(retryAfterMs, backoffMs(failures, this.#options.backoff ?? defaultBackoff, random));
  }

  async #listStreamed(signal: AbortSignal): Promise<void> {
    let staged: Staged<T> | undefined = new Map();
    await watchOnce(this.#options.transport, this.#options, "initial-events", this.#limits(signal), (event) => {
      if (staged === undefined) {
        this.#onEvent(event);
      } else if (endsInitialEvents(event)) {
        const complete = staged;
        staged = undefined;
        this.#apply(complete, event.object.metadata.resourceVersion);
      } else if (event.type === "DELETED") {
        staged.delete(keyOf(event.object));
      } else if (event.type !== "BOOKMARK") {
        this.#stage(staged, event.object);
      }
    });
  }

  async #listWhole(signal: AbortSignal): Promise<void> {
    const staged: Staged<T> = new Map();
    const { transport } = this.#options;
    const resourceVersion = await listWhole(transport, this.#options, signal, (item) => this.#stage(staged, item));
    this.#applyUnless(signal, staged, resourceVersion);
  }

  async #listPaged(signal: AbortSignal): Promise<void> {
    const staged: Staged<T> = new Map();
    const resourceVersion = await listAll(this.#options.transport, this.#options, signal, (items, isFirst) => {
      if (isFirst) staged.clear();
      for (const item of items) this.#stage(staged, item);
    });
    this.#applyUnless(signal, staged, resourceVersion);
    if (this.#unpagedLists === "unfinished") this.#unpagedLists = "try";
  }

  #watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const { transport } = this.#options;
    return watchOnce(transport, this.#options, { resourceVersion }, this.#limits(signal), (event) =>
      this.#onEvent(event),
    );
  }

  #limits(signal: AbortSignal): { timeoutSeconds: number; silenceLimitMs: number; signal: AbortSignal } {
    const timeoutSeconds = 300 + Math.floor(this.#options.random() * 301);
    return { timeoutSeconds, silenceLimitMs: this.#options.silenceLimitMs ?? 150_000, signal };
  }

  #stage(staged: Staged<T>, object: WatchedObject): void {
    const key = keyOf(object);
    const { uid, resourceVersion } = object.metadata;
    const projected = this.#project(key, object);
    const known = this.#cache.get(key);
    if (projected === "failed" && known?.uid === uid) staged.set(key, known);
    else if (projected === "failed" || projected.object === undefined) staged.delete(key);
    else staged.set(key, { uid, resourceVersion, object: projected.object });
  }

  /** A resync asked for meanwhile wants a list that begins later. */
  #applyUnless(given: AbortSignal, staged: Staged<T>, resourceVersion: string): void {
    if (!given.aborted) this.#apply(staged, resourceVersion);
  }

  // Where to resume is set before the changes are told, so that a handler may ask for a resync.
  #apply(staged: Staged<T>, resourceVersion: string): void {
    const answered = this.#resyncs.splice(0);
    const wentBack = this.#lastSync !== undefined && compareResourceVersions(resourceVersion, this.#lastSync) < 0;
    if (wentBack) this.#cache.forgetVersions();
    this.#listMs = this.#attemptMs;
    this.#resumeFrom = resourceVersion;
    this.#cache.replaceAll(staged);
    this.#lastSync = resourceVersion;
    this.#waiters.passed(resourceVersion);
    this.#emit({ type: "synced", resourceVersion });
    this.#firstSync.resolve(true);
    for (const resync of answered) resync.resolve(true);
  }

  #onEvent({ type, object }: WatchEvent): void {
    const { resourceVersion } = object.metadata;
    const passedVersion = this.#resumeFrom ?? "0";
    const advances = compareResourceVersions(resourceVersion, passedVersion) > 0;
    if (advances) {
      this.#resumeFrom = resourceVersion;
      this.#progressed = true;
    }
    if (type !== "BOOKMARK") this.#change(type, object, passedVersion);
    if (!advances) return;
    this.#lastSync = resourceVersion;
    this.#waiters.passed(resourceVersion);
  }

  #change(type: "ADDED" | "MODIFIED" | "DELETED", object: WatchedObject, passedVersion: string): void {
    const key = keyOf(object);
    const { uid, resourceVersion } = object.metadata;
    const projected = type === "DELETED" ? absent : this.#project(key, object);
    if (projected === "failed" && this.#cache.get(key)?.uid === uid) return;
    if (projected === "failed" || projected.object === undefined) this.#cache.remove(key, resourceVersion);
    else this.#cache.upsert(key, uid, resourceVersion, projected.object, passedVersion);
  }

  /** An object that cannot be projected stays as it was known; one such object must not stop all others. */
  #project(key: string, object: WatchedObject): { object: T | undefined } | "failed" {
    try {
      return { object: this.#options.project(object, this.#interner.intern) };
    } catch (error) {
      this.#emit({ type: "error", error, key });
      return "failed";
    }
  }

  #wakeFromOutage(): void {
    if (this.#naps && this.#unanswered > 0) this.#interrupt.abort();
  }

  #emit(event: ReflectorEvent<T>): void {
    if (this.#stop.signal.aborted) return;
    try {
      this.#options.onEvent(event);
    } catch (error) {
      throw new HandlerBug("the handler of a reflector threw", { cause: error });
    }
  }
}

type Staged<T> = Map<string, CacheEntry<T>>;
type AttemptKind = "watch" | "streamed-list" | "whole-list" | "paged-list";

class HandlerBug extends Error {}

const absent = { object: undefined };
const defaultBackoff = { baseMs: 800, maxMs: 30_000 };
// What a paged list would be answered as well.
const refusesPagesToo = new Set([401, 403, 404, 408, 410, 429]);

function isUnfinished(error: unknown): boolean {
  if (error instanceof ApiError) return error.status === 504;
  return error instanceof TransportError ? error.sent : true;
}

function refusesUnpaged(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false;
  return error.status >= 400 && error.status < 500 && !refusesPagesToo.has(error.status);
}
