import type { Offer, OfferAnswer } from "../../api/offer.ts";
import { type Answer, type AnswerResult, isOpen, sendAnswer } from "./answer.ts";
import type { Connection } from "./connection.ts";

/** Instances of one Task that are given back. */
export type Release = NonNullable<OfferAnswer["release"]>[number];

/** An offer that asks for capacity instead of offering it. */
export type InverseOffer = Offer & { readonly spec: { readonly inverse: NonNullable<Offer["spec"]["inverse"]> } };

/**
 * Chooses what to give back. Undefined: nothing is said, and when its time is over the operator chooses. Nothing: it is
 * declined, with the same end. What is given must make the room that is asked for, or the operator still chooses.
 */
export type GiveBack = (offer: InverseOffer) => readonly Release[] | undefined;

export function isInverse(offer: Offer): offer is InverseOffer {
  return offer.spec.inverse !== undefined;
}

/** What the operator would take in the end: of the node the least important and newest. To give it is always enough. */
export function candidatesOf({ spec: { inverse } }: InverseOffer): Release[] {
  const byTask = new Map<string, string[]>();
  for (const { task, indexes } of inverse.candidates ?? []) byTask.set(task, [...(byTask.get(task) ?? []), indexes]);
  return [...byTask].map(([task, indexes]) => ({ task, indexes: indexes.join(",") }));
}

/** Answers each inverse offer once. */
export class InverseAnswers {
  readonly #connection: Connection;
  readonly #giveBack: GiveBack;
  readonly #onError: (error: unknown) => void;
  readonly #asked = new Set<string>();

  constructor(connection: Connection, giveBack: GiveBack, onError: (error: unknown) => void) {
    this.#connection = connection;
    this.#giveBack = giveBack;
    this.#onError = onError;
  }

  seen(offer: InverseOffer): void {
    const { uid = "" } = offer.metadata;
    if (!isOpen(offer) || this.#asked.has(uid)) return;
    this.#asked.add(uid);
    const release = this.#giveBack(offer);
    if (release === undefined) return;
    const answer: Answer =
      release.length === 0 ? { decision: "Decline" } : { decision: "Accept", release: [...release] };
    sendAnswer(this.#connection, offer, answer).then(
      (result: AnswerResult) => {
        if (result.type === "refused") this.#onError(new Error(`${offer.metadata.name}: ${result.message}`));
      },
      // Seen again, it is tried again.
      (error: unknown) => {
        this.#asked.delete(uid);
        this.#onError(error);
      },
    );
  }

  gone(offer: InverseOffer): void {
    this.#asked.delete(offer.metadata.uid ?? "");
  }
}
