/** Writes plain JSON as Kubernetes' protobuf messages: the counterpart of the reader in `protobuf.ts`. */
import { type Field, type Message, message, one, ProtobufError, type Value, wire } from "./protobuf.ts";

type JsonObject = Readonly<Record<string, unknown>>;

/** A field by its name in JSON; `within`: the number of the embedded message that it belongs to (see `inline`). */
interface NamedField {
  readonly number: number;
  readonly field: Field;
  readonly within: number | undefined;
}

interface KeptEncoding {
  type: Message | undefined;
  bytes: Buffer;
}

const nothing = Buffer.alloc(0);
const quantity = message({ 1: one("value") });
const kept = new WeakMap<object, KeptEncoding>();

/** Has the encoding of `value`, and of every object below it, made only once. None of them may change any more. */
export function keepEncodings<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  if (!Array.isArray(value)) kept.set(value, { type: undefined, bytes: nothing });
  for (const part of Object.values(value)) keepEncodings(part);
  return value;
}

/**
 * The bytes of an object. Members that are undefined are left out. Equal objects whose members come in the same order
 * have equal bytes.
 *
 * @throws ProtobufError for a member that the message type does not name, or whose value is of another type
 */
export function encodeMessage(type: Message, object: JsonObject): Buffer {
  const writer = new Writer();
  writer.members(type, object);
  return writer.taken();
}

/** Writes from the last byte to the first: the length of what was written is known where it goes in front. */
class Writer {
  #bytes = Buffer.allocUnsafe(4_096);
  #written = 0;

  taken(): Buffer {
    return this.#bytes.subarray(this.#bytes.length - this.#written);
  }

  members(type: Message, object: JsonObject): void {
    const fields = fieldsOf(type);
    for (const name in object) {
      const value = object[name];
      if (value === undefined) continue;
      const named = fields.get(name);
      if (named === undefined) throw new ProtobufError(`no field is called ${name}`);
      const before = this.#written;
      this.#field(named.number, named.field, value);
      if (named.within !== undefined) this.#head(named.within, before);
    }
  }

  #field(number: number, { name, value: type, shape }: Field, value: unknown): void {
    if (shape === "list") {
      if (!Array.isArray(value)) throw new ProtobufError(`${name} is no list`);
      for (let i = value.length - 1; i >= 0; i--) this.#value(number, type, value[i], name);
    } else if (shape === "map") {
      for (const key in objectOf(value, name)) {
        const before = this.#written;
        this.#value(2, type, (value as JsonObject)[key], name);
        this.#value(1, "string", key, name);
        this.#head(number, before);
      }
    } else {
      this.#value(number, type, value, name);
    }
  }

  #value(number: number, type: Value, value: unknown, name: string): void {
    const before = this.#written;
    switch (type) {
      case "string":
        if (typeof value !== "string") throw new ProtobufError(`${name} is no text`);
        this.#text(value);
        break;
      case "quantity":
        // JSON may have it as a number.
        this.members(quantity, { value: String(value) });
        break;
      case "bool":
        if (typeof value !== "boolean") throw new ProtobufError(`${name} is neither true nor false`);
        this.#number(number, value ? 1 : 0);
        return;
      case "int":
        if (!Number.isSafeInteger(value)) throw new ProtobufError(`${name} is no integer`);
        this.#number(number, value as number);
        return;
      case "bytes":
        this.#copy(value as Buffer);
        break;
      case "time":
        throw new ProtobufError(`${name} is the API server's to write`);
      default:
        this.#object(type, objectOf(value, name));
    }
    this.#head(number, before);
  }

  #object(type: Message, object: JsonObject): void {
    const keeping = kept.get(object);
    if (keeping?.type === type) {
      this.#copy(keeping.bytes);
      return;
    }
    const before = this.#written;
    this.members(type, object);
    if (keeping === undefined) return;
    const start = this.#bytes.length - this.#written;
    keeping.type = type;
    keeping.bytes = Buffer.from(this.#bytes.subarray(start, start + this.#written - before));
  }

  #number(number: number, value: number): void {
    this.#varint(value);
    this.#varint(number * 8 + wire.varint);
  }

  /** What precedes the bytes written since `before`. */
  #head(number: number, before: number): void {
    this.#varint(this.#written - before);
    this.#varint(number * 8 + wire.delimited);
  }

  #text(text: string): void {
    // Most are short and plain; then a call out of JavaScript takes longer than this.
    if (!isShortAndPlain(text)) {
      this.#copy(Buffer.from(text, "utf8"));
      return;
    }
    const start = this.#reserve(text.length);
    for (let i = 0; i < text.length; i++) this.#bytes[start + i] = text.charCodeAt(i);
  }

  #copy(bytes: Uint8Array | number[]): void {
    const start = this.#reserve(bytes.length);
    this.#bytes.set(bytes, start);
  }

  /** As 64 bits, two's complement. */
  #varint(value: number): void {
    if (value >= 0 && value < 0x80) {
      const at = this.#reserve(1);
      this.#bytes[at] = value;
      return;
    }
    const groups: number[] = [];
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest >= 0x80n; rest >>= 7n) groups.push(Number(rest & 0x7fn) | 0x80);
    groups.push(Number(rest));
    this.#copy(groups);
  }

  /** Room for so many bytes in front of what is written; returns where it begins. */
  #reserve(count: number): number {
    const needed = this.#written + count;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
      larger.set(this.taken(), larger.length - this.#written);
      this.#bytes = larger;
    }
    this.#written = needed;
    return this.#bytes.length - needed;
  }
}

function isShortAndPlain(text: string): boolean {
  if (text.length > 64) return false;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false;
  return true;
}

function objectOf(value: unknown, name: string): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ProtobufError(`${name} is no object`);
  }
  return value as JsonObject;
}

const fieldsByName = new WeakMap<Message, ReadonlyMap<string, NamedField>>();

function fieldsOf(type: Message): ReadonlyMap<string, NamedField> {
  let fields = fieldsByName.get(type);
  if (fields === undefined) {
    fields = new Map(namedFields(type));
    fieldsByName.set(type, fields);
  }
  return fields;
}

function* namedFields(type: Message): Generator<[string, NamedField]> {
  for (const [number, field] of type.entries()) {
    if (field === undefined) continue;
    if (field.shape !== "inline") yield [field.name, { number, field, within: undefined }];
    else for (const [name, inner] of namedFields(field.value as Message)) yield [name, { ...inner, within: number }];
  }
}
