import type { Quantities } from "../../offers/resources.ts";

/** What a tenant has and wants in all. */
export interface Demand {
  readonly held: Quantities;
  readonly wanted: Quantities;
}

/** The greatest part of a resource of the whole. */
export function dominantShare(amounts: Quantities, total: Quantities): number {
  return Math.max(
    0,
    ...Object.entries(total).map(([name, amount]) => (amount > 0 ? (amounts[name] ?? 0) / amount : 0)),
  );
}

/**
 * How much of the cluster is not with whom it is due: the sum over tenants of what they lack of their fair dominant share.
 * Fair is what dominant resource fairness (NSDI'11) gives to tenants of equal weight that can be given any part of what
 * they want: all shares grow alike until a tenant has all it wants or a resource is spent.
 */
export function fairnessError(tenants: readonly Demand[], total: Quantities): number {
  const wanted = tenants.map((tenant) => dominantShare(tenant.wanted, total));
  const level = fairLevel(tenants, wanted, total);
  return tenants.reduce((error, { held }, i) => {
    const fair = Math.min(level, wanted[i]!);
    return error + Math.max(0, fair - dominantShare(held, total));
  }, 0);
}

/** The share at which a resource is spent, by bisection; 1 when none is. */
function fairLevel(tenants: readonly Demand[], wanted: readonly number[], total: Quantities): number {
  const fits = (level: number) =>
    Object.entries(total).every(([name, amount]) => {
      const given = tenants.reduce((sum, tenant, i) => {
        const part = wanted[i]! > 0 ? Math.min(1, level / wanted[i]!) : 0;
        return sum + part * (tenant.wanted[name] ?? 0);
      }, 0);
      return given <= amount;
    });
  let [low, high] = [0, 1];
  if (fits(Math.max(1, ...wanted))) return Math.max(1, ...wanted);
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return low;
}
