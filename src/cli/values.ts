import { InvalidArgumentError } from "commander";
import { parseQuantity, unitOf } from "../offers/quantity.ts";

/** Parsers of what stands behind a flag; each throws what commander shows to people. */

export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^-?\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

export function quantityOf(resource: string, text: string): string {
  if (parseQuantity(text, "up", unitOf(resource)) !== undefined) return text;
  throw new InvalidArgumentError(`"${text}" is no quantity of ${resource}: 2, 500m and 1Gi are some.`);
}

/** Collects `NAME=VALUE` of a flag that may be given several times. */
export function pair(text: string, earlier: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError(`"${text}" must be NAME=VALUE.`);
  return { ...earlier, [text.slice(0, at)]: text.slice(at + 1) };
}

/** The same for amounts of resources. */
export function resourcePair(text: string, earlier?: Readonly<Record<string, string>>): Record<string, string> {
  const pairs = pair(text, earlier);
  const name = text.slice(0, text.indexOf("="));
  quantityOf(name, pairs[name] ?? "");
  return pairs;
}

const unitSeconds: Readonly<Record<string, number>> = { "": 1, s: 1, m: 60, h: 3_600, d: 86_400 };
const maxSeconds = 31_536_000;

/** `90`, `90s`, `10m`, `2h`, `1d` → seconds. */
export function seconds(text: string): number {
  const match = /^(\d{1,8})([smhd]?)$/.exec(text);
  const value = match === null ? 0 : Number(match[1]) * (unitSeconds[match[2] ?? ""] ?? 0);
  if (value >= 1 && value <= maxSeconds) return value;
  throw new InvalidArgumentError(`"${text}" is no time: 90s, 10m and 2h are some, a year is the longest.`);
}
