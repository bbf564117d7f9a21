import { FRAMEWORK_LABEL } from "../../api/labels.ts";
import { offerAnswer } from "../../api/offer.ts";
import type { Answer, OfferFacts, OfferPhase, Slice } from "../../offers/messages.ts";
import { parseQuantities } from "../../offers/quantity.ts";
import { type JsonRecord, number, record, records, sameJson, text, textMap, timeMs } from "./json.ts";
import { type Meta, metaOf } from "./meta.ts";

export interface ObservedOffer extends Meta {
  readonly facts: OfferFacts;
}

const defaultRefuseMs = 5_000;
const phases: readonly string[] = ["Open", "Accepted", "Refused", "Declined", "Rescinded", "Expired"];

/** An Offer as it comes → what the broker needs of it. */
export function projectOffer(object: unknown): ObservedOffer {
  const meta = metaOf(object);
  const spec = record(object, "spec");
  const phase = text(record(object, "status"), "phase") ?? "";
  const framework =
    text(spec, "framework") ?? text(record(record(object, "metadata"), "labels"), FRAMEWORK_LABEL) ?? "";
  const answer = answerOf(object);
  const facts: OfferFacts = {
    key: meta.key,
    uid: meta.uid,
    framework: `${meta.namespace}/${framework}`,
    queue: text(spec, "queue") ?? "",
    term: text(spec, "term") ?? "",
    concurrency: text(spec, "concurrency") === "Optimistic" ? "Optimistic" : "Exclusive",
    phase: phases.includes(phase) ? (phase as OfferPhase) : "Open",
    slices: records(spec, "slices").map(sliceOf),
    ...(answer && { answer }),
    ...inverseOf(spec),
  };
  return { ...meta, facts };
}

/** Our own status writes come back as events that tell the broker nothing. */
export function sameOffer(a: ObservedOffer, b: ObservedOffer): boolean {
  return sameJson(a.facts, b.facts);
}

/** What is asked back, and until when. A deadline that cannot be read has passed: nobody is to be able to hold it up. */
function inverseOf(spec: JsonRecord): Pick<OfferFacts, "inverse"> {
  if (spec.inverse === undefined) return {};
  const raw = record(spec, "inverse");
  const inverse = {
    queue: text(raw, "queue") ?? "",
    each: parseQuantities(record(raw, "each"), "up"),
    instances: number(raw, "instances") ?? 1,
    candidates: records(raw, "candidates").map((candidate) => ({
      task: text(candidate, "task") ?? "",
      slice: text(candidate, "slice") ?? "",
      indexes: text(candidate, "indexes") ?? "",
    })),
    message: text(raw, "message") ?? "",
    expiresAtMs: timeMs(spec, "expiresAt") ?? 0,
  };
  return { inverse };
}

function sliceOf(slice: JsonRecord): Slice {
  return {
    name: text(slice, "name") ?? "",
    node: text(slice, "node") ?? "",
    nodeUid: text(slice, "nodeUID") ?? "",
    resources: parseQuantities(record(slice, "resources"), "down"),
    labels: textMap(slice, "labels"),
  };
}

function answerOf(object: unknown): Answer | undefined {
  const raw = record(object).answer;
  if (raw === undefined || raw === null) return undefined;
  const parsed = offerAnswer.safeParse(raw);
  // An answer that nobody understands still ended the offer: as a no.
  if (!parsed.success) {
    const by = text(raw, "by") ?? "";
    return { by, decision: "Decline", launches: [], refuseMs: defaultRefuseMs, reason: "the answer cannot be read" };
  }
  const { by, decision, launches = [], release, filter, reason } = parsed.data;
  const refuseMs = filter === undefined ? defaultRefuseMs : filter.refuseSeconds * 1000;
  return { by, decision, launches, refuseMs, ...(release && { release }), ...(reason !== undefined && { reason }) };
}
