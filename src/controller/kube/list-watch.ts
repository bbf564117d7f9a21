import { type ApiError, apiErrorOf, isGone } from "./api-error.ts";
import { type ObjectList, type ResourceType, resourcePath } from "./client.ts";
import type { ListReader } from "./list-reader.ts";
import { type Message, ProtobufError } from "./protobuf.ts";
import type { Query, Transport } from "./transport.ts";
import { eventCutter, listReader } from "./wire-format.ts";

/** What is listed and watched; without a namespace, all of them. */
export interface Selection {
  readonly resource: ResourceType;
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Of built-in kinds: what of them is read, to have them as protobuf. Other fields are then absent. */
  readonly as?: Message;
}

export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: WatchedObject;
}

/** An object as far as a reflector looks into it itself. */
export interface WatchedObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** The stream itself said something that is no event, or that the watch has failed (then `cause` is an ApiError). */
export class StreamError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "StreamError";
  }
}

const pageLimit = 500;
const pageTimeoutMs = 30_000;
const wholeListTimeoutMs = 120_000;

/**
 * Lists everything, consistently (no resourceVersion is asked for: the answer is as new as etcd), page by page. When the
 * continue token expires on the way, once more in one piece, which cannot expire.
 *
 * @returns the resourceVersion of the list
 * @throws what `Transport.request` throws
 */
export async function listAll(
  transport: Transport,
  selection: Selection,
  signal: AbortSignal,
  onPage: (items: readonly WatchedObject[], isFirst: boolean) => void,
): Promise<string> {
  const path = pathOf(selection);
  // The reflector has a backoff of its own.
  const options = { signal, retries: 0, verb: "list", resource: selection.resource.plural };
  let token: string | undefined;
  let limit: number | undefined = pageLimit;
  for (let isFirst = true; ; isFirst = token === undefined) {
    const query: Query = { ...selectors(selection), limit, continue: token };
    const timeoutMs = limit === undefined ? wholeListTimeoutMs : pageTimeoutMs;
    try {
      const page = (await transport.request("GET", path, { ...options, query, timeoutMs })) as ObjectList;
      onPage((page.items ?? []) as unknown as WatchedObject[], isFirst);
      if (!page.metadata.continue) return page.metadata.resourceVersion;
      token = page.metadata.continue;
    } catch (error) {
      if (!isGone(error) || token === undefined) throw error;
      token = undefined;
      limit = undefined;
    }
  }
}

/**
 * Lists everything, consistently, in one piece that is read while it comes. It costs the API server, and us, half of what
 * the same objects do as events of a watch.
 *
 * @returns the resourceVersion of the list
 * @throws what `Transport.stream` throws; StreamError
 */
export async function listWhole(
  transport: Transport,
  selection: Selection,
  signal: AbortSignal,
  onItem: (item: WatchedObject) => void,
): Promise<string> {
  let reader: ListReader | undefined;
  const options = { verb: "list", query: selectors(selection), silenceLimitMs: pageTimeoutMs, signal } as const;
  await stream(transport, selection, options, (contentType, given) => {
    reader = listReader(contentType, selection.as, (item) => {
      if (!given.aborted) onItem(parseObject(item));
    });
    return reader;
  });
  return readable("list", () => {
    if (reader === undefined) throw new SyntaxError("nothing came");
    return reader.end();
  });
}

/**
 * One watch. Resolves when the server ends it.
 *
 * @param from what to start from: a resourceVersion, or "initial-events" for the whole state first, which ends with a
 *   bookmark (see `endsInitialEvents`)
 * @throws what `Transport.stream` throws; StreamError; ApiError for an ERROR event
 */
export async function watchOnce(
  transport: Transport,
  selection: Selection,
  from: { resourceVersion: string } | "initial-events",
  limits: { timeoutSeconds: number; silenceLimitMs: number; signal: AbortSignal },
  onEvent: (event: WatchEvent) => void,
): Promise<void> {
  const start: Query =
    from === "initial-events"
      ? { sendInitialEvents: true, resourceVersionMatch: "NotOlderThan" }
      : { resourceVersion: from.resourceVersion };
  const query: Query = {
    ...selectors(selection),
    watch: true,
    allowWatchBookmarks: true,
    timeoutSeconds: limits.timeoutSeconds,
    ...start,
  };
  const { silenceLimitMs, signal } = limits;
  await stream(transport, selection, { verb: "watch", query, silenceLimitMs, signal }, (contentType, given) =>
    eventCutter(contentType, selection.as, (value) => {
      if (!given.aborted) onEvent(parseEvent(value));
    }),
  );
}

interface ChunkReader {
  push(chunk: Buffer): void;
}

/**
 * What goes wrong while it is read ends the stream, and is told apart from a broken connection.
 *
 * @param open how to read it; the rest of a chunk still comes after the signal
 */
async function stream(
  transport: Transport,
  selection: Selection,
  options: { verb: "list" | "watch"; query: Query; silenceLimitMs: number; signal: AbortSignal },
  open: (contentType: string, given: AbortSignal) => ChunkReader,
): Promise<void> {
  const ended = new AbortController();
  const signal = AbortSignal.any([options.signal, ended.signal]);
  let failure: unknown;
  let reader: ChunkReader | undefined;
  const onData = (chunk: Buffer, contentType: string): void => {
    try {
      reader ??= open(contentType, signal);
      const opened = reader;
      readable(options.verb, () => opened.push(chunk));
    } catch (error) {
      failure = error;
      ended.abort();
    }
  };
  const { as, resource } = selection;
  try {
    await transport.stream(pathOf(selection), { ...options, signal, onData, resource: resource.plural, as });
  } catch (error) {
    throw failure ?? error;
  }
  if (failure !== undefined) throw failure;
}

/** @throws StreamError for bytes that cannot be read */
function readable<T>(what: "list" | "watch", read: () => T): T {
  try {
    return read();
  } catch (error) {
    const isUnreadable = error instanceof SyntaxError || error instanceof ProtobufError;
    throw isUnreadable ? new StreamError(`a part of the ${what} cannot be read`) : error;
  }
}

export function endsInitialEvents(event: WatchEvent): boolean {
  return event.type === "BOOKMARK" && event.object.metadata.annotations?.["k8s.io/initial-events-end"] === "true";
}

export function keyOf({ metadata }: WatchedObject): string {
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
}

/** @throws ApiError for an ERROR event, StreamError for anything that is no event */
function parseEvent(value: unknown): WatchEvent {
  const { type, object } = (value ?? {}) as { type?: unknown; object?: WatchedObject };
  if (type === "ERROR") throw streamFailure(apiErrorOf(object, {}));
  const metadata = object?.metadata;
  if (typeof metadata?.resourceVersion !== "string") throw new StreamError("an event without a resourceVersion");
  if (type === "BOOKMARK") return { type, object: object as WatchedObject };
  if (type !== "ADDED" && type !== "MODIFIED" && type !== "DELETED") throw new StreamError("an event of no known type");
  return { type, object: parseObject(object) };
}

/** @throws StreamError for anything that is no object */
function parseObject(value: unknown): WatchedObject {
  const metadata = (value as Partial<WatchedObject> | null)?.metadata;
  if (typeof metadata?.name !== "string" || typeof metadata.uid !== "string") {
    throw new StreamError("an object without name or uid");
  }
  return value as WatchedObject;
}

function streamFailure(error: ApiError): Error {
  return isGone(error) ? error : new StreamError("the server ended the watch with an error", error);
}

function pathOf({ resource, namespace }: Selection): string {
  return resourcePath({ ...resource, namespace });
}

function selectors({ labelSelector, fieldSelector }: Selection): Query {
  return { labelSelector, fieldSelector };
}
