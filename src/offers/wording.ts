import { unitOf } from "./quantity.ts";

/** Canonical units as people write them: cores, Mi to one decimal, counts. Rounded so that too little never reads as enough. */
export function amountText(resource: string, amount: number, rounding: "floor" | "ceil"): string {
  const unit = unitOf(resource);
  if (unit === "milli") return `${amount / 1000}`;
  return unit === "kibi" ? `${Math[rounding]((amount / 1024) * 10) / 10}Mi` : `${amount}`;
}

/** "12:00:42Z": absolute, whole seconds. The core has no calendar, so days are left out. */
export function clockTime(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  const part = (n: number) => `${n}`.padStart(2, "0");
  return `${part(Math.floor(seconds / 3600) % 24)}:${part(Math.floor(seconds / 60) % 60)}:${part(seconds % 60)}Z`;
}
