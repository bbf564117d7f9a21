import { formatQuantity, unitOf } from "../quantity.ts";
import type { Quantities } from "../resources.ts";

/** Canonical units as people write them: cores, Mi to one decimal, counts. Rounded so that too little never reads as enough. */
export function amountText(resource: string, amount: number, rounding: "floor" | "ceil"): string {
  const unit = unitOf(resource);
  if (unit === "milli") return `${amount / 1000}`;
  return unit === "kibi" ? `${Math[rounding]((amount / 1024) * 10) / 10}Mi` : `${amount}`;
}

/** "1.5 cpu and 1536Mi memory": to the unit, nothing rounded. */
export function exactText(amounts: Quantities): string {
  return Object.entries(amounts)
    .map(([name, amount]) => {
      const unit = unitOf(name);
      return `${unit === "kibi" ? formatQuantity(amount, unit) : amountText(name, amount, "ceil")} ${name}`;
    })
    .join(" and ");
}

/** Short enough, with what may follow, for a condition and an event: what is told is the same everywhere. */
export function clipped(text: string, most = 900): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

/** "12:00:42Z": absolute, whole seconds. The core has no calendar, so days are left out. */
export function clockTime(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  const part = (n: number) => `${n}`.padStart(2, "0");
  return `${part(Math.floor(seconds / 3600) % 24)}:${part(Math.floor(seconds / 60) % 60)}:${part(seconds % 60)}Z`;
}
