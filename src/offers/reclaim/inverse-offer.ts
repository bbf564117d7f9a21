import type { FrameworkFacts, Inverse, OfferDraft, Slice } from "../messages.ts";
import type { State } from "../state.ts";
import { formatIndexes } from "../structures/indexes.ts";
import type { Instance } from "../tasks/instance.ts";
import type { Clearing } from "./clearings.ts";
import { isOffer, type Victim } from "./victims.ts";

/** More nodes than this go into another inverse offer. */
export const MAX_NODES = 64;
const MAX_CANDIDATES = 256;

/** What an inverse offer is made of. */
export interface Announced extends Pick<Inverse, "queue" | "each" | "instances"> {
  readonly key: string;
  /** Name of the claimant that is asked. */
  readonly claimant: string;
  readonly dueMs: number;
}

/** The Offer object that asks a claimant to make room: a slice for each node, and who is to go there as things stand. */
export function inverseOffer(
  { nodes, resources, options }: State,
  { key, claimant, queue, each, instances, dueMs }: Announced,
  framework: FrameworkFacts,
  clearings: readonly Clearing[],
): OfferDraft {
  const slices: Slice[] = [];
  const candidates: Inverse["candidates"][number][] = [];
  for (const { node, victims } of clearings) {
    const own = [...victims.values()].filter((victim) => victim.claimant.name === claimant && !isOffer(victim.of));
    const name = `s${slices.length}`;
    const sum = new Float64Array(resources.width);
    for (const { vector } of own) for (let r = 0; r < vector.length; r++) sum[r]! += vector[r]!;
    const { name: nodeName, facts } = nodes.at(node);
    slices.push({
      name,
      node: nodeName,
      nodeUid: facts?.uid ?? "",
      resources: resources.quantities(sum),
      labels: facts?.labels ?? {},
    });
    candidates.push(...candidatesOf(own, name));
  }
  return {
    key,
    framework: framework.key,
    frameworkUid: framework.uid,
    queue: claimant.slice(framework.key.length + 1),
    term: options.term,
    concurrency: "Exclusive",
    slices,
    expiresAtMs: dueMs,
    answerers: framework.answerers,
    inverse: {
      queue,
      each,
      instances,
      candidates: candidates.slice(0, MAX_CANDIDATES),
      message: `queue ${queue} has less than its guarantee, and this queue more than its own`,
    },
  };
}

function candidatesOf(victims: readonly Victim[], slice: string): Inverse["candidates"][number][] {
  const byTask = new Map<string, number[]>();
  for (const { of, part } of victims) {
    if (isOffer(of)) continue;
    const task = of.facts.key.slice(of.facts.key.indexOf("/") + 1);
    byTask.set(task, [...(byTask.get(task) ?? []), (part as Instance).index]);
  }
  return [...byTask].map(([task, indexes]) => ({ task, slice, indexes: formatIndexes(indexes.sort((a, b) => a - b)) }));
}
