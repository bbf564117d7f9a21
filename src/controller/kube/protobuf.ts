import { DecodedOnce } from "./decoded-once.ts";

/**
 * Reads Kubernetes' protobuf messages as the plain JSON that the API server would have sent, as far as somebody looks at
 * it: what a message type does not name is stepped over without being decoded. Most of a pod is.
 */

/** How the bytes of a value become JSON. */
export type Value = "string" | "int" | "bool" | "time" | "quantity" | "bytes" | Message;

export interface Field {
  readonly name: string;
  readonly value: Value;
  readonly shape: "one" | "list" | "map" | "inline";
  /** Many objects have the same: it is decoded once. */
  readonly common?: true;
}

/** Its fields by number. */
export type Message = readonly (Field | undefined)[];

export function message(fields: Readonly<Record<number, Field>>): Message {
  const all: (Field | undefined)[] = [];
  for (const [number, field] of Object.entries(fields)) all[Number(number)] = field;
  return all;
}

/** A field, named as in JSON. */
export const one = (name: string, value: Value = "string"): Field => ({ name, value, shape: "one" });
export const list = (name: string, value: Value = "string"): Field => ({ name, value, shape: "list" });
/** Keys are texts. */
export const map = (name: string, value: Value = "string"): Field => ({ name, value, shape: "map" });
/** A message whose fields stand in JSON beside those of the message it is in. Only for writing. */
export const inline = (value: Message): Field => ({ name: "", value, shape: "inline" });
/** A field of which many objects have the same: what is decoded is shared among them. In a map, each entry is. */
export const common = (field: Field): Field => ({ ...field, common: true });

/** The bytes are not what they should be. */
export class ProtobufError extends Error {}

type JsonObject = Record<string, unknown>;

/** No object of Kubernetes is nested deeper. */
const maxDepth = 64;

/** @throws ProtobufError for bytes that are no such message */
export function decodeMessage(type: Message, bytes: Buffer, start = 0, end = bytes.length): JsonObject {
  return new Reader(bytes).message(type, start, end, 0);
}

export const wire = { varint: 0, fixed64: 1, delimited: 2, fixed32: 5 } as const;

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  message(type: Message, start: number, end: number, depth: number): JsonObject {
    if (depth > maxDepth) throw new ProtobufError("nested too deeply");
    const out: JsonObject = {};
    this.#at = start;
    while (this.#at < end) {
      const tag = this.#varint();
      const kind = tag & 7;
      const field = type[tag >>> 3];
      if (kind === wire.delimited) {
        const length = this.#varint();
        const from = this.#at;
        const to = from + length;
        // A length of 64 bits may also read as less than nothing, and would lead backwards.
        if (length < 0 || to > end) throw new ProtobufError("a field ends outside of its message");
        if (field !== undefined) this.#delimited(out, field, from, to, depth);
        this.#at = to;
      } else if (kind === wire.varint) {
        const number = this.#varint();
        if (field !== undefined && !isDelimited(field.value))
          put(out, field, field.value === "bool" ? number !== 0 : number);
      } else if (kind === wire.fixed64 || kind === wire.fixed32) {
        this.#at += kind === wire.fixed64 ? 8 : 4;
      } else {
        throw new ProtobufError(`wire type ${kind}`);
      }
    }
    if (this.#at !== end) throw new ProtobufError("a message ends within a field");
    return out;
  }

  #delimited(out: JsonObject, field: Field, from: number, to: number, depth: number): void {
    if (field.shape === "map") {
      // Go writes both parts of each entry.
      const entry = this.#value(entryOf(field), field.common, from, to, depth) as JsonObject;
      out[field.name] ??= Object.create(null);
      (out[field.name] as JsonObject)[(entry.key as string | undefined) ?? ""] = entry.value ?? "";
      return;
    }
    const value = this.#value(field.value, field.common, from, to, depth);
    // Go also writes what is not set; in JSON an empty text or no time is left out.
    if (field.shape === "list" || (value !== "" && value !== undefined)) put(out, field, value);
  }

  #value(type: Value, isCommon: true | undefined, from: number, to: number, depth: number): unknown {
    if (isCommon === undefined) return this.#decode(type, from, to, depth);
    const known = decoded.find(type, this.#bytes, from, to);
    if (known !== undefined) return known.value;
    return decoded.keep(type, this.#bytes, from, to, this.#decode(type, from, to, depth));
  }

  #decode(type: Value, from: number, to: number, depth: number): unknown {
    if (type === "string") return this.#bytes.toString("utf8", from, to);
    if (type === "bytes") return this.#bytes.subarray(from, to);
    if (type === "time") return isoTime(this.message(timestamp, from, to, depth + 1));
    if (type === "quantity") return this.message(quantity, from, to, depth + 1).value ?? "";
    if (type === "int" || type === "bool") throw new ProtobufError("a number is no sequence of bytes");
    return this.message(type, from, to, depth + 1);
  }

  /** Of up to 64 bits, two's complement. */
  #varint(): number {
    const bytes = this.#bytes;
    const first = bytes[this.#at];
    if (first !== undefined && first < 0x80) {
      this.#at++;
      return first;
    }
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[this.#at++];
      if (byte === undefined) throw new ProtobufError("the bytes end within a number");
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) return high === 0 ? low >>> 0 : (high | 0) * 2 ** 32 + (low >>> 0);
    }
    throw new ProtobufError("a number without an end");
  }
}

const timestamp = message({ 1: one("seconds", "int"), 2: one("nanos", "int") });
const quantity = message({ 1: one("value") });
const decoded = new DecodedOnce();
const entries = new WeakMap<Field, Message>();

function entryOf(field: Field): Message {
  let entry = entries.get(field);
  if (entry === undefined) {
    entry = message({ 1: common(one("key")), 2: one("value", field.value) });
    entries.set(field, entry);
  }
  return entry;
}

function isDelimited(value: Value): boolean {
  return value !== "int" && value !== "bool";
}

function put(out: JsonObject, { name, shape }: Field, value: unknown): void {
  if (shape === "one") out[name] = value;
  else if (out[name] === undefined) out[name] = [value];
  else (out[name] as unknown[]).push(value);
}

/** Objects made in a burst share their second. */
let latest: { readonly seconds: unknown; readonly text: string | undefined } = { seconds: undefined, text: undefined };

/** The zero time is written as nothing at all. */
function isoTime({ seconds }: JsonObject): string | undefined {
  if (seconds !== latest.seconds) {
    const time = new Date((seconds as number) * 1_000);
    latest = { seconds, text: Number.isNaN(time.getTime()) ? undefined : time.toISOString() };
  }
  return latest.text;
}
