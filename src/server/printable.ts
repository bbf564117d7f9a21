/** Characters that make a terminal or a line-based reader do something, and are legal inside JSON strings. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
const invisible = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff]/g;

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

/**
 * Replaces control characters, line and paragraph separators and changes of writing direction by `\uXXXX`; line feeds
 * stay. JSON text means the same afterwards: outside of its strings it has none of them.
 */
export function printable(text: string): string {
  return text.replace(invisible, escaped);
}

/** The same for a value that must stay on its line. */
export function oneLine(text: string): string {
  return printable(text).replaceAll("\n", "\\n");
}
