import { isDeepStrictEqual } from "node:util";
import { GROUP, VERSION } from "../../api/common.ts";
import { type Offer, type OfferAnswerInput, offerAnswer } from "../../api/offer.ts";
import { isConflict, isNotFound, isStatus } from "../../controller/kube/api-error.ts";
import type { Connection } from "./connection.ts";

/** An answer without its `by`, which is always ourselves. */
export type Answer = Omit<OfferAnswerInput, "by">;

/** What became of sending an answer. What becomes of its launches stands in the offer's status later. */
export type AnswerResult =
  /** The answer stands in the offer. */
  | { readonly type: "answered"; readonly offer: Offer }
  /** Too late: the offer has ended, or someone else has answered it. */
  | { readonly type: "gone" }
  /** The API server refused it: we are no answerer, or the answer contradicts itself. */
  | { readonly type: "refused"; readonly message: string };

const MAX_TRIES = 5;

/**
 * Answers an offer, once, however often the request must be sent: the patch only applies to the object that was read, and
 * after a conflict the offer itself says whether our own earlier try went through.
 *
 * @throws ApiError or TransportError when it could not be settled; then the offer may or may not be answered
 */
export async function sendAnswer(
  { client, username }: Connection,
  offer: Offer,
  answer: Answer,
): Promise<AnswerResult> {
  const { name, namespace, uid } = offer.metadata;
  const ref = { group: GROUP, version: VERSION, plural: "offers", namespace, name };
  const body = { ...answer, by: username };
  let resourceVersion = offer.metadata.resourceVersion;
  for (let tries = 1; ; tries++) {
    try {
      const patched = await client.mergePatch(ref, { metadata: { uid, resourceVersion }, answer: body });
      return { type: "answered", offer: patched as unknown as Offer };
    } catch (error) {
      if (isNotFound(error)) return { type: "gone" };
      if (isStatus(error, 403) || isStatus(error, 422)) return { type: "refused", message: error.text };
      if (!isConflict(error) || tries === MAX_TRIES) throw error;
    }
    const now = (await client.find(ref)) as unknown as Offer | undefined;
    if (now === undefined || now.metadata.uid !== uid) return { type: "gone" };
    if (now.answer !== undefined) return isSame(now.answer, body) ? { type: "answered", offer: now } : { type: "gone" };
    if (!isOpen(now)) return { type: "gone" };
    resourceVersion = now.metadata.resourceVersion;
  }
}

/** Whether an offer waits for an answer. */
export function isOpen(offer: Offer): boolean {
  return offer.answer === undefined && phaseOf(offer) === "Open" && offer.metadata.deletionTimestamp === undefined;
}

/** The phase of an offer whose status may not have been written yet. */
export const phaseOf = (offer: Offer) => offer.status?.phase ?? "Open";

/** The server fills in defaults: compare what both mean. */
function isSame(stored: unknown, sent: unknown): boolean {
  const [a, b] = [offerAnswer.safeParse(stored), offerAnswer.safeParse(sent)];
  return a.success && b.success && isDeepStrictEqual(a.data, b.data);
}
