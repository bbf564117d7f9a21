/** Up to so many are found faster by looking at each. */
const FEW = 8;

/** Names of what has changed, each once, in the order of their first change. Mostly there are one or two. */
export class Changes {
  #names: string[] = [];
  #many: Set<string> | undefined;

  /** True if it was not named yet. */
  add(name: string): boolean {
    if (this.has(name)) return false;
    this.#names.push(name);
    if (this.#many !== undefined) this.#many.add(name);
    else if (this.#names.length > FEW) this.#many = new Set(this.#names);
    return true;
  }

  has(name: string): boolean {
    return this.#many === undefined ? this.#names.includes(name) : this.#many.has(name);
  }

  /** All of them, and begins anew. */
  drain(): readonly string[] {
    const names = this.#names;
    if (names.length === 0) return names;
    this.#names = [];
    this.#many = undefined;
    return names;
  }
}
