import { type ApiError, apiErrorOf, isGone } from "./api-error.ts";
import { type ObjectList, type ResourceType, resourcePath } from "./client.ts";
import { type Message, ProtobufError } from "./protobuf.ts";
import type { Query, Transport } from "./transport.ts";
import { eventCutter } from "./wire-format.ts";

/** What is listed and watched; without a namespace, all of them. */
export interface Selection {
  readonly resource: ResourceType;
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Of built-in kinds: what of them is read, to have watches as protobuf. Other fields are then absent. */
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
 * One watch. Resolves when the server ends it.
 *
 * @param from what to start from: a resourceVersion, or "initial-events" for the whole state first, which ends with a
 *   bookmark (see `endsInitialEvents`)
 * @throws what `Transport.watch` throws; StreamError; ApiError for an ERROR event
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
  // What goes wrong in here must end the stream and still be told apart from a broken connection.
  const ended = new AbortController();
  let failure: unknown;
  const signal = AbortSignal.any([limits.signal, ended.signal]);
  const { as } = selection;
  const onValue = (value: unknown): void => {
    // The rest of a chunk still comes after the watch was given up.
    if (!signal.aborted) onEvent(parseEvent(value));
  };
  let cutter: ReturnType<typeof eventCutter> | undefined;
  const onData = (chunk: Buffer, contentType: string): void => {
    try {
      cutter ??= eventCutter(contentType, as, onValue);
      cutter.push(chunk);
    } catch (error) {
      const unreadable = error instanceof SyntaxError || error instanceof ProtobufError;
      failure = unreadable ? new StreamError("an event of the watch cannot be read") : error;
      ended.abort();
    }
  };
  const { silenceLimitMs } = limits;
  const resource = selection.resource.plural;
  try {
    await transport.watch(pathOf(selection), { query, signal, silenceLimitMs, onData, resource, as });
  } catch (error) {
    throw failure ?? error;
  }
  if (failure !== undefined) throw failure;
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
  if (typeof metadata.name !== "string" || typeof metadata.uid !== "string") {
    throw new StreamError("an event about an object without name or uid");
  }
  return { type, object: object as WatchedObject };
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
