import type { Limits, Quantities } from "./resources.ts";

/** Canonical units of an amount: thousandths, KiB, or whole things. */
export type Unit = "milli" | "kibi" | "count";

/** Which way to round what is no whole number of units: requests go up, capacity goes down. */
export type Rounding = "up" | "down";

const maxLength = 32;
const maxExponent = 18;
/** More than any machine has; stands in for requests that cannot be read, so that they never count as nothing. */
const unreadableRequest = 2 ** 50;

const pattern = /^\+?(\d*)(?:\.(\d*))?(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,4}))?$/;

const decimalExponents: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const binaryPowers: Readonly<Record<string, number>> = { Ki: 10, Mi: 20, Gi: 30, Ti: 40, Pi: 50, Ei: 60 };

/** The unit that amounts of this resource are counted in. */
export function unitOf(resource: string): Unit {
  if (resource === "cpu") return "milli";
  if (resource === "memory" || resource === "ephemeral-storage" || resource.startsWith("hugepages-")) return "kibi";
  return "count";
}

/**
 * Reads a Kubernetes quantity (`500m`, `1.5Gi`, `1e3`, or a JSON number) as whole canonical units.
 *
 * @returns undefined for anything that is no quantity of zero or more, is longer than 32 characters, has an exponent
 * beyond ±18, or comes to more units than a double counts exactly
 */
export function parseQuantity(text: string | number, rounding: Rounding, unit: Unit): number | undefined {
  const source = typeof text === "number" ? String(text) : text;
  if (typeof source !== "string" || source.length > maxLength) return undefined;
  const match = pattern.exec(source);
  if (match === null) return undefined;
  const [, whole = "", fraction = "", suffix, exponentText] = match;
  if (whole === "" && fraction === "") return undefined;
  const exponent = Number(exponentText ?? 0);
  if (Math.abs(exponent) > maxExponent) return undefined;
  const binary = suffix === undefined ? 0 : (binaryPowers[suffix] ?? 0);
  const decimal = suffix === undefined ? exponent : (decimalExponents[suffix] ?? 0);
  return quickly(whole, fraction, decimal, binary, unit) ?? exactly(whole, fraction, decimal, binary, rounding, unit);
}

/** The everyday case, whole numbers that stay whole, without BigInt. */
function quickly(whole: string, fraction: string, decimal: number, binary: number, unit: Unit): number | undefined {
  if (fraction !== "" || whole.length > 9) return undefined;
  const ten = unit === "milli" ? decimal + 3 : decimal;
  const two = unit === "kibi" ? binary - 10 : binary;
  if (ten < 0 || ten > 6 || two < 0 || two > 20) return undefined;
  const amount = Number(whole) * 10 ** ten * 2 ** two;
  return amount <= Number.MAX_SAFE_INTEGER ? amount : undefined;
}

function exactly(
  whole: string,
  fraction: string,
  decimal: number,
  binary: number,
  rounding: Rounding,
  unit: Unit,
): number | undefined {
  const ten = decimal - fraction.length + (unit === "milli" ? 3 : 0);
  const two = binary - (unit === "kibi" ? 10 : 0);
  const numerator = BigInt(whole + fraction) * power(10n, ten) * power(2n, two);
  const denominator = power(10n, -ten) * power(2n, -two);
  const amount = rounding === "up" ? (numerator + denominator - 1n) / denominator : numerator / denominator;
  return amount <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(amount) : undefined;
}

function power(base: bigint, exponent: number): bigint {
  return exponent > 0 ? base ** BigInt(exponent) : 1n;
}

/** A map of quantities as it comes from an object; entries that cannot be read go to `refused` and are left out. */
export function parseQuantities(
  entries: unknown,
  rounding: Rounding,
  refused?: (resource: string, value: unknown) => void,
): Quantities {
  const amounts: Record<string, number> = {};
  if (typeof entries !== "object" || entries === null) return amounts;
  for (const [resource, value] of Object.entries(entries)) {
    const known = typeof value === "string" || typeof value === "number";
    const amount = known ? parseQuantity(value, rounding, unitOf(resource)) : undefined;
    if (amount === undefined) refused?.(resource, value);
    else if (amount > 0) amounts[resource] = amount;
  }
  return amounts;
}

/** What somebody asks for: an entry that cannot be read counts as more than any node has, never as nothing. */
export function parseRequests(entries: unknown): Quantities {
  const unreadable: Record<string, number> = {};
  const amounts = parseQuantities(entries, "up", (resource) => {
    unreadable[resource] = unreadableRequest;
  });
  return { ...amounts, ...unreadable };
}

/** Upper bounds: a zero is a bound too. What is beyond counting bounds nothing. */
export function parseLimits(entries: unknown): Limits {
  const zeros: Record<string, number> = {};
  for (const resource of Object.keys(entries ?? {})) zeros[resource] = 0;
  const amounts = parseQuantities(entries, "down", (resource) => delete zeros[resource]);
  return { ...zeros, ...amounts } as Limits;
}

/** The canonical Kubernetes text: no fraction, the largest suffix that leaves none. `amount` is whole and not negative. */
export function formatQuantity(amount: number, unit: Unit): string {
  if (amount === 0) return "0";
  if (unit === "kibi") return suffixed(amount, 1024, ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]);
  return suffixed(amount, 1000, unit === "milli" ? ["m", "", "k", "M", "G", "T"] : ["", "k", "M", "G", "T", "P"]);
}

function suffixed(amount: number, step: number, suffixes: readonly string[]): string {
  let rest = amount;
  let i = 0;
  while (rest % step === 0 && i < suffixes.length - 1) {
    rest /= step;
    i++;
  }
  return `${rest}${suffixes[i]}`;
}

/** Resource name to canonical text, names in order. */
export function formatQuantities(amounts: Quantities): Record<string, string> {
  const out: Record<string, string> = {};
  for (const resource of Object.keys(amounts).sort()) {
    out[resource] = formatQuantity(amounts[resource]!, unitOf(resource));
  }
  return out;
}
