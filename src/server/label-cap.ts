/** The value of a label under which everything past the bound is counted. Never taken as a name of its own. */
const OTHER = "other";

const maxLength = 200;

/** A label's value: printable ASCII of bounded length. */
export function labelValue(text: string): string {
  return text.slice(0, maxLength).replace(/[^\x20-\x7e]/g, "_");
}

/** Lets the first `limit` different values of a label through; all further ones become `other`. */
export class LabelCap {
  readonly #limit: number;
  readonly #admitted = new Set<string>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The value to use for `text`. */
  admit(text: string): string {
    const value = labelValue(text);
    if (this.#admitted.has(value)) return value;
    if (value === OTHER || value === "" || this.#admitted.size >= this.#limit) return OTHER;
    this.#admitted.add(value);
    return value;
  }

  /** Gives up the places of values that are not in `live`; returns them. */
  retain(live: Iterable<string>): string[] {
    const values = new Set<string>();
    for (const text of live) values.add(labelValue(text));
    const gone = [...this.#admitted].filter((value) => !values.has(value));
    for (const value of gone) this.#admitted.delete(value);
    return gone;
  }
}
