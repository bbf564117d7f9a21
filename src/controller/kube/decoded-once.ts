/** What the same bytes were decoded to before; `type` says what they were read as. */
interface Decoded {
  readonly type: unknown;
  readonly bytes: Uint8Array;
  readonly value: unknown;
}

const slots = 2 ** 14;
/** Longer values are seldom the same. */
const maxBytes = 256;

/**
 * Values by the bytes they are decoded from: thousands of pods share their labels, owners and requests, and finding out
 * that bytes are the same takes a fraction of decoding them. Every value has one slot, which the next one that belongs
 * there takes: it never grows beyond its slots.
 */
export class DecodedOnce {
  readonly #slots: (Decoded | undefined)[] = new Array(slots);

  /** What was kept of the same bytes from `from` to `to`, read as the same type; undefined if nothing was. */
  find(type: unknown, bytes: Buffer, from: number, to: number): Decoded | undefined {
    if (to - from > maxBytes) return undefined;
    const known = this.#slots[slotOf(bytes, from, to)];
    return known !== undefined && known.type === type && isSame(known.bytes, bytes, from, to) ? known : undefined;
  }

  /** Keeps `value` for whoever finds it, and returns it: frozen (not what is in it), since many will have it. */
  keep<T>(type: unknown, bytes: Buffer, from: number, to: number, value: T): T {
    if (to - from > maxBytes) return value;
    const copy = Uint8Array.prototype.slice.call(bytes, from, to);
    this.#slots[slotOf(bytes, from, to)] = { type, bytes: copy, value: Object.freeze(value) };
    return value;
  }
}

/** FNV-1a of the end, which tells apart what begins alike: names with a number, labels with one key. */
function slotOf(bytes: Buffer, from: number, to: number): number {
  let hash = 0x811c9dc5 ^ (to - from);
  for (let i = Math.max(from, to - 16); i < to; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return (hash ^ (hash >>> 16)) & (slots - 1);
}

function isSame(known: Uint8Array, bytes: Buffer, from: number, to: number): boolean {
  if (known.length !== to - from) return false;
  for (let i = from; i < to; i++) if (known[i - from] !== bytes[i]) return false;
  return true;
}
