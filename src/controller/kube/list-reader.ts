import { magic } from "./core-v1.ts";
import { maxPieceBytes, Pieces } from "./pieces.ts";
import { decodeMessage, type Message, message, one, ProtobufError, wire } from "./protobuf.ts";

/** Reads a list while it comes. */
export interface ListReader {
  /** @throws ProtobufError, RangeError, what the listener throws */
  push(chunk: Buffer): void;
  /**
   * To be called after the last chunk.
   *
   * @returns the resourceVersion of the list
   * @throws SyntaxError, ProtobufError if it was no whole list, or only a page; what the listener throws
   */
  end(): string;
}

interface ListMeta {
  readonly resourceVersion?: string;
  readonly continue?: string;
}

/** Where the list is in its envelope, and what is where in every list. */
const rawField = 2;
const metadataField = 1;
const itemsField = 2;
const listMeta = message({ 2: one("resourceVersion"), 3: one("continue") });

/**
 * A list as protobuf. Go writes the length of the whole list before its first item, also where it sends the items one by
 * one (KEP-5116).
 *
 * @param onItem gets each item as plain JSON
 */
export function protobufListReader(as: Message, onItem: (item: unknown) => void): ListReader {
  let metadata: ListMeta | undefined;
  let begun = false;
  /** Bytes of the list that have not come; undefined before it begins, 0 at its end. */
  let left: number | undefined;
  const take = (bytes: Buffer, start: number): number => {
    if (!begun) {
      if (bytes.length - start < magic.length) return -magic.length;
      begun = true;
      if (magic.equals(bytes.subarray(start, start + magic.length))) return start + magic.length;
      throw new ProtobufError("no object of Kubernetes");
    }
    const field = fieldAt(bytes, start);
    if (field === undefined) return start - bytes.length - 1;
    const { number, from, to } = field;
    if (left === undefined && number === rawField) {
      left = to - from;
      return from;
    }
    if (to - from > maxPieceBytes) throw new RangeError(`an item of more than ${maxPieceBytes} bytes`);
    if (to > bytes.length) return start - to;
    if (left === undefined || left === 0) return to;
    left -= to - start;
    if (left < 0) throw new ProtobufError("a field ends outside of its message");
    if (number === metadataField) metadata = decodeMessage(listMeta, bytes, from, to);
    if (number === itemsField) onItem(decodeMessage(as, bytes, from, to));
    return to;
  };
  const pieces = new Pieces(take);
  return {
    push: (chunk) => pieces.push(chunk),
    end() {
      if (left !== 0 || metadata === undefined) throw new ProtobufError("the list ends before its end");
      return versionOf(metadata);
    },
  };
}

/** A list as JSON, which is read in one piece. */
export function jsonListReader(onItem: (item: unknown) => void): ListReader {
  const chunks: Buffer[] = [];
  return {
    push: (chunk) => chunks.push(chunk),
    end() {
      const list = JSON.parse(Buffer.concat(chunks).toString("utf8")) as {
        metadata?: ListMeta;
        items?: unknown[];
      } | null;
      for (const item of list?.items ?? []) onItem(item);
      return versionOf(list?.metadata ?? {});
    },
  };
}

function versionOf(metadata: ListMeta): string {
  // Whoever takes a page for everything deletes the rest.
  if (metadata.continue) throw new SyntaxError("a page instead of a list");
  if (!metadata.resourceVersion) throw new SyntaxError("a list without a resourceVersion");
  return metadata.resourceVersion;
}

/** A field that begins at `start`; undefined if its tag and length are not there yet. In envelopes and lists, all have a length. */
function fieldAt(bytes: Buffer, start: number): { number: number; from: number; to: number } | undefined {
  const tag = bytes[start];
  if (tag === undefined) return undefined;
  if (tag >= 0x80 || (tag & 7) !== wire.delimited) throw new ProtobufError(`a field ${tag} in a list`);
  let length = 0;
  for (let i = 1; i <= 5; i++) {
    const byte = bytes[start + i];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) * 2 ** (7 * (i - 1));
    if (byte < 0x80) return { number: tag >>> 3, from: start + i + 1, to: start + i + 1 + length };
  }
  throw new ProtobufError("a length without an end");
}
