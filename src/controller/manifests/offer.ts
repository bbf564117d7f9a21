import { API_VERSION } from "../../api/common.ts";
import { FRAMEWORK_LABEL, QUEUE_LABEL } from "../../api/labels.ts";
import type { Inverse, LaunchOutcome, OfferDraft, OfferPhase, Release } from "../../offers/messages.ts";
import { formatQuantities, formatQuantity, unitOf } from "../../offers/quantity.ts";
import { clip } from "../observe/json.ts";
import { localName, namespaceOf } from "./keys.ts";

const maxSummaryLength = 128;
const maxLaunches = 256;
const maxIndexesLength = 32_768;
const maxNodeLabels = 64;
const maxInstances = 10_000;
const maxReleasedLength = 4096;

/** A draft of the broker → the Offer to be created. Its owner is the Framework, so that it never outlives that. */
export function offerBody(draft: OfferDraft): object {
  const framework = localName(draft.framework);
  return {
    apiVersion: API_VERSION,
    kind: "Offer",
    metadata: {
      name: localName(draft.key),
      namespace: namespaceOf(draft.key),
      labels: { [FRAMEWORK_LABEL]: framework, [QUEUE_LABEL]: draft.queue },
      ownerReferences: [
        {
          apiVersion: API_VERSION,
          kind: "Framework",
          name: framework,
          uid: draft.frameworkUid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      framework,
      queue: draft.queue,
      concurrency: draft.concurrency,
      slices: draft.slices.map(({ name, node, nodeUid, resources, labels }) => ({
        name,
        node,
        nodeUID: nodeUid,
        resources: formatQuantities(resources),
        labels: Object.fromEntries(Object.entries(labels).slice(0, maxNodeLabels)),
      })),
      ...(draft.inverse && { inverse: inverseOf(draft.inverse) }),
      summary: summaryOf(draft),
      expiresAt: new Date(draft.expiresAtMs).toISOString(),
      answerers: draft.answerers,
      term: draft.term,
    },
  };
}

/** What is asked back: only a queue's guarantee is a reason, so far. */
function inverseOf({ queue, each, instances, candidates, message }: Inverse): object {
  return {
    queue,
    reason: "Guarantee",
    each: formatQuantities(each),
    instances: Math.min(instances, maxInstances),
    candidates: candidates.map(({ task, slice, indexes }) => ({
      task,
      slice,
      indexes: clipRanges(indexes, maxReleasedLength),
    })),
    message: clip(message, 1024),
  };
}

/** `2 nodes: cpu 8, memory 32Gi`. */
function summaryOf({ slices }: OfferDraft): string {
  const total: Record<string, number> = {};
  for (const { resources } of slices) {
    for (const [name, amount] of Object.entries(resources)) total[name] = (total[name] ?? 0) + amount;
  }
  const rank = (name: string): string => `${["cpu", "memory"].indexOf(name) + 1 || 3}${name}`;
  const parts = Object.keys(total)
    .filter((name) => name !== "pods")
    .sort((a, b) => (rank(a) < rank(b) ? -1 : 1))
    .map((name) => `${name} ${formatQuantity(total[name]!, unitOf(name))}`);
  const nodes = slices.length === 1 ? slices[0]!.node : `${slices.length} nodes`;
  return clip(`${nodes}: ${parts.join(", ")}`, maxSummaryLength);
}

/** What becomes of an offer, as its status. */
export function offerStatus(end: {
  readonly phase: OfferPhase;
  readonly launches: readonly LaunchOutcome[];
  readonly released?: readonly Release[];
  readonly reason?: string;
  readonly message?: string;
}): object {
  return {
    phase: end.phase,
    launches: end.launches.slice(0, maxLaunches).map(({ task, slice, indexes, refused }) => ({
      task,
      slice,
      indexes: clipRanges(indexes, maxIndexesLength),
      ...(refused && { refused: { reason: refused.reason, message: clip(refused.message, 1024) } }),
    })),
    ...(end.released && {
      released: end.released.slice(0, maxLaunches).map(({ task, indexes }) => ({
        task,
        indexes: clipRanges(indexes, maxReleasedLength),
      })),
    }),
    ...(end.reason !== undefined && { reason: clip(end.reason, 64) }),
    ...(end.message !== undefined && { message: clip(end.message, 1024) }),
  };
}

/** Ranges cut at a comma, so that what is left is true, if not all. */
export function clipRanges(ranges: string, max: number): string {
  return ranges.length <= max ? ranges : ranges.slice(0, ranges.lastIndexOf(",", max));
}
