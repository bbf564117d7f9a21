/**
 * One copy of each string that comes again and again (node names, namespaces, label values): JSON.parse makes a new one
 * every time, which is most of what 50,000 small objects weigh.
 */
export class Interner {
  readonly #maxStrings: number;
  readonly #strings = new Map<string, string>();

  constructor(maxStrings = 65_536) {
    this.#maxStrings = maxStrings;
  }

  /** Returns a string equal to `text`; the same one for the same text, as long as not too many others came between. */
  readonly intern = (text: string): string => {
    const known = this.#strings.get(text);
    if (known !== undefined) return known;
    // Strings of objects that are gone would stay for ever; forgetting all of them now and then costs only copies.
    if (this.#strings.size >= this.#maxStrings) this.#strings.clear();
    this.#strings.set(text, text);
    return text;
  };
}
