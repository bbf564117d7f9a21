import { styleText } from "node:util";

const colours = ["cyan", "green", "yellow", "magenta", "blue", "red"] as const;

/** What stands before each line of an attempt's log: `[3] `, and `[3.1] ` for what was tried again. */
export function linePrefix(index: number, attempt: number, coloured: boolean): string {
  const text = attempt === 0 ? `[${index}]` : `[${index}.${attempt}]`;
  // Whether colours are wanted was asked for already.
  return `${coloured ? styleText(colours[index % colours.length]!, text, { validateStream: false }) : text} `;
}
