import { decodeObject, decodeWatchEvent, encodeObject } from "./core-v1.ts";
import { JsonLines } from "./json-lines.ts";
import { jsonListReader, type ListReader, protobufListReader } from "./list-reader.ts";
import { frames } from "./pieces.ts";
import { type Message, message } from "./protobuf.ts";

const protobuf = "application/vnd.kubernetes.protobuf";
const nothing = message({});

/** What to ask for: protobuf where we can read it, which costs the API server and us a fraction; always JSON besides. */
export function acceptOf(as: Message | undefined, isWatch = false): string {
  if (as === undefined) return "application/json";
  return `${protobuf}${isWatch ? ";stream=watch" : ""},application/json`;
}

/** A body as it is sent: as protobuf where its message type is given, else as JSON. */
export function bodyOf(object: object, send: Message | undefined): { body: string | Buffer; contentType: string } {
  if (send === undefined) return { body: JSON.stringify(object), contentType: "application/json" };
  return { body: encodeObject(send, object as Readonly<Record<string, unknown>>), contentType: protobuf };
}

/**
 * A body as plain JSON, whichever way it came.
 *
 * @throws SyntaxError, ProtobufError
 */
export function parseBody(contentType: string, body: Buffer, as: Message = nothing): unknown {
  return contentType.startsWith(protobuf) ? decodeObject(as, body) : JSON.parse(body.toString("utf8"));
}

/** Cuts the body of a watch into events and hands each to `onEvent`, as plain JSON. `push` throws what cannot be read. */
export function eventCutter(
  contentType: string,
  as: Message | undefined,
  onEvent: (event: unknown) => void,
): { push(chunk: Buffer): void } {
  if (as === undefined || !contentType.startsWith(protobuf)) return new JsonLines(onEvent);
  return frames((frame) => onEvent(decodeWatchEvent(as, frame)));
}

/** Reads the body of a list while it comes, and hands each item to `onItem`, as plain JSON. */
export function listReader(contentType: string, as: Message | undefined, onItem: (item: unknown) => void): ListReader {
  if (as === undefined || !contentType.startsWith(protobuf)) return jsonListReader(onItem);
  return protobufListReader(as, onItem);
}
