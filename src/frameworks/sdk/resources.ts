import type { Quantities } from "../../api/common.ts";
import type { PodTemplate, TemplateContainer } from "../../api/pod-template.ts";

/** Resource name to amount in thousandths of its unit (millicores, thousandths of a byte, …). Absent means zero. */
export type Amounts = ReadonlyMap<string, number>;

const SUFFIXES: Readonly<Record<string, readonly [factor: bigint, exponent: number]>> = {
  n: [1n, -9],
  u: [1n, -6],
  m: [1n, -3],
  "": [1n, 0],
  k: [1n, 3],
  M: [1n, 6],
  G: [1n, 9],
  T: [1n, 12],
  P: [1n, 15],
  E: [1n, 18],
  Ki: [1n << 10n, 0],
  Mi: [1n << 20n, 0],
  Gi: [1n << 30n, 0],
  Ti: [1n << 40n, 0],
  Pi: [1n << 50n, 0],
  Ei: [1n << 60n, 0],
};

/**
 * A Kubernetes quantity in thousandths of its unit. What is less than that is rounded, so that a need is never taken for
 * smaller than it is, nor an offer for larger.
 *
 * @throws RangeError for a text that is no quantity, or one of more than 32 characters or with an exponent beyond ±18
 */
export function thousandths(quantity: string | number, round: "up" | "down"): number {
  const text = String(quantity);
  const match = text.length > 32 ? null : /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,2})|([a-zA-Z]*))$/.exec(text);
  const [, sign = "", whole = "", fraction = "", power = "0", suffix = ""] = match ?? [];
  const unit = Object.hasOwn(SUFFIXES, suffix) ? SUFFIXES[suffix] : undefined;
  if (!match || whole + fraction === "" || !unit || Math.abs(Number(power)) > 18) {
    throw new RangeError(`not a quantity: ${JSON.stringify(text.slice(0, 40))}`);
  }
  const digits = BigInt(whole + fraction) * unit[0];
  const exponent = unit[1] + Number(power) - fraction.length + 3;
  if (exponent >= 0) return Number(`${sign}${digits * 10n ** BigInt(exponent)}`);
  const divisor = 10n ** BigInt(-exponent);
  const rest = digits % divisor;
  const towardsZero = (round === "down") === (sign !== "-");
  return Number(`${sign}${digits / divisor + (rest > 0n && !towardsZero ? 1n : 0n)}`);
}

/** What is asked for: fractions round up. */
export const needOf = (quantities: Quantities): Amounts => amounts(quantities, "up");

/** What is offered: fractions round down. */
export const supplyOf = (quantities: Quantities): Amounts => amounts(quantities, "down");

function amounts(quantities: Quantities, round: "up" | "down"): Amounts {
  return new Map(Object.entries(quantities).map(([name, quantity]) => [name, thousandths(quantity, round)]));
}

/** How many times `need` fits into `supply`: `Infinity` if nothing is needed. */
export function timesFitting(need: Amounts, supply: Amounts): number {
  let times = Number.POSITIVE_INFINITY;
  for (const [name, amount] of need) {
    if (amount > 0) times = Math.min(times, Math.floor((supply.get(name) ?? 0) / amount));
  }
  return Math.max(0, times);
}

/** `supply` less `times` the need. */
export function minus(supply: Amounts, need: Amounts, times: number): Amounts {
  const rest = new Map(supply);
  for (const [name, amount] of need) rest.set(name, (rest.get(name) ?? 0) - amount * times);
  return rest;
}

/**
 * What a pod of this template needs, by Kubernetes' rule: containers and sidecars together, or an init container with the
 * sidecars before it, whichever is more; and one of `pods`. The namespace's LimitRange may add to it: the operator knows.
 */
export function podNeed({ spec }: PodTemplate): Amounts {
  let sidecars: Amounts = new Map();
  let peak: Amounts = new Map();
  for (const init of spec.initContainers ?? []) {
    const together = plus(sidecars, containerNeed(init));
    if (init.restartPolicy === "Always") sidecars = together;
    peak = larger(peak, together);
  }
  const running = spec.containers.reduce((sum, container) => plus(sum, containerNeed(container)), sidecars);
  return new Map([...larger(peak, running), ["pods", 1000]]);
}

/** Absent requests are the limits. */
function containerNeed({ resources }: TemplateContainer): Amounts {
  return needOf({ ...resources?.limits, ...resources?.requests });
}

const plus = (a: Amounts, b: Amounts) => combine(a, b, (x, y) => x + y);
const larger = (a: Amounts, b: Amounts) => combine(a, b, Math.max);

function combine(a: Amounts, b: Amounts, by: (x: number, y: number) => number): Amounts {
  const names = new Set([...a.keys(), ...b.keys()]);
  return new Map([...names].map((name) => [name, by(a.get(name) ?? 0, b.get(name) ?? 0)]));
}
