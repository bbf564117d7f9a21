import { candidatesOf, type InverseOffer, type Release } from "../sdk/inverse-offers.ts";

/**
 * A bag has no task that is dearer than another of its priority, and one that began last has done least: it gives what the
 * operator would take, the newest of the least important, and at once. What it keeps then runs on without a doubt.
 */
export function giveNewest(offer: InverseOffer, log: (message: string) => void): readonly Release[] | undefined {
  const release = candidatesOf(offer);
  const { queue } = offer.spec.inverse;
  if (release.length === 0) return undefined;
  const given = release.map(({ task, indexes }) => `${task} ${indexes}`).join(", ");
  log(`${offer.metadata.name}: queue ${queue} wants its own back, gives ${given}`);
  return release;
}
