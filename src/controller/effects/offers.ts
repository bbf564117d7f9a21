import { API_VERSION } from "../../api/common.ts";
import type { Effect, Key, OfferDraft, OfferPhase } from "../../offers/messages.ts";
import { type ApiError, isAlreadyExists, isConflict, isNotFound } from "../kube/api-error.ts";
import type { TimerHandle } from "../kube/clock.ts";
import { compareResourceVersions } from "../kube/resource-version.ts";
import { localName, namespaceOf } from "../manifests/keys.ts";
import { offerBody, offerStatus } from "../manifests/offer.ts";
import { type ObservedOffer, projectOffer } from "../observe/offer.ts";
import { type EffectContext, isRefusal, namespaced, OFFER } from "./context.ts";
import type { Job, JobEnd, JobQueue } from "./job-queue.ts";

export type CloseOffer = Extract<Effect, { type: "close-offer" }>;

export interface OfferEffectOptions extends EffectContext {
  readonly jobs: JobQueue;
  /** The offer as the reflector last saw it. */
  readonly cached: (key: Key) => ObservedOffer | undefined;
  /** False until the admission policies have been seen in force: an Offer without them is anybody's to answer. */
  readonly mayPublish: () => boolean;
  /** How long an ended Offer stays to be read. Default 60 s. */
  readonly endedTtlMs?: number;
}

/** What is written about an offer: its latest state, and the version that this was. */
interface Known {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly phase: OfferPhase;
  readonly answered: boolean;
}

const gatePollMs = 500;
/** Time for the broker to make up its mind about an answer. */
const answerTurnMs = 1_000;
/** A close that is refused, as by a webhook: so often at the usual pace, and then seldom. */
const refusedCloses = { atOnce: 5, againAfterMs: 300_000 };

/** Publishes offers, writes how they ended, and sweeps up ended ones. */
export class OfferEffects {
  readonly #options: OfferEffectOptions;
  readonly #created = new Map<Key, Known>();
  /** The end that the broker wants by now: a later word replaces an earlier one. */
  readonly #closing = new Map<Key, CloseOffer>();
  /** Ends whose answer came first, and the broker has been told. */
  readonly #told = new Map<Key, CloseOffer>();
  /** How often the close of an offer was refused. */
  readonly #refusals = new Map<Key, number>();
  /** Offers read after a conflict, until the reflector has caught up. */
  readonly #read = new Map<Key, ObservedOffer>();
  /** By UID, in the order in which they are due. */
  readonly #ended = new Map<string, { readonly key: Key; readonly dueMs: number }>();
  #sweepTimer: TimerHandle | undefined;

  constructor(options: OfferEffectOptions) {
    this.#options = options;
  }

  publish(offer: OfferDraft): void {
    const job = new Publication(this.#options, offer, {
      isClosing: () => this.#closing.has(offer.key),
      created: (known) => this.#created.set(offer.key, known),
    });
    const run = (): Promise<JobEnd> => job.run();
    this.#options.jobs.add({ key: `offer/${offer.key}`, lane: "launch", type: "publish-offer", run });
  }

  close(effect: CloseOffer): void {
    const waits = this.#closing.has(effect.key);
    this.#closing.set(effect.key, effect);
    if (waits) return;
    this.#options.jobs.add({
      key: `offer/${effect.key}`,
      lane: "close",
      type: effect.type,
      run: () => this.#close(effect.key),
    });
  }

  /** To be told of every offer that the reflector sees: those that have ended are deleted after a while. */
  observed(offer: ObservedOffer): void {
    const { key, uid, facts } = offer;
    if (facts.phase === "Open" || offer.deleting || this.#ended.has(uid)) return;
    const { clock, endedTtlMs = 60_000 } = this.#options;
    this.#ended.set(uid, { key, dueMs: clock.monotonicMs() + endedTtlMs });
    this.#scheduleSweep(endedTtlMs);
  }

  gone(key: Key, uid: string): void {
    this.#created.delete(key);
    this.#ended.delete(uid);
  }

  stop(): void {
    if (this.#sweepTimer !== undefined) this.#options.clock.clearTimeout(this.#sweepTimer);
  }

  async #close(key: Key): Promise<JobEnd> {
    const effect = this.#closing.get(key);
    if (effect === undefined) return "done";
    const offer = this.#known(key);
    const known = offer === undefined ? (this.#created.get(key) ?? (await this.#fetch(key))) : knownOf(offer);
    if (known === undefined) return this.#closed(effect);
    // An earlier try of ours, or of an earlier leader, got through.
    if (known.phase !== "Open") return this.#closed(effect);
    if (known.answered && this.#answerWasFirst(effect)) return { againAfterMs: answerTurnMs };
    const { client, fence } = this.#options;
    const body = {
      apiVersion: API_VERSION,
      kind: "Offer",
      metadata: {
        name: localName(key),
        namespace: namespaceOf(key),
        uid: known.uid,
        resourceVersion: known.resourceVersion,
      },
      status: offerStatus(effect),
    };
    try {
      await client.replace(namespaced(OFFER, key, "status"), body, { fence });
      return this.#closed(effect);
    } catch (error) {
      if (isNotFound(error)) return this.#closed(effect);
      if (isConflict(error)) return this.#afterConflict(effect);
      if (isRefusal(error)) return this.#afterRefusal(effect, error);
      throw error;
    }
  }

  /** Whoever refuses may change his mind; until then the broker must not take the offer for closed, unless it is gone. */
  async #afterRefusal(effect: CloseOffer, error: ApiError): Promise<JobEnd> {
    const { key } = effect;
    const refusals = (this.#refusals.get(key) ?? 0) + 1;
    this.#refusals.set(key, refusals);
    if (refusals < refusedCloses.atOnce) throw error;
    if ((await this.#fetch(key)) === undefined) return this.#closed(effect);
    const { againAfterMs } = refusedCloses;
    this.#options.log.warn({ offer: key, refusals, againAfterMs, err: error }, "the end of an offer is refused");
    return { againAfterMs };
  }

  /** Something was written first: an answer, which the next try finds and which then counts, or nothing that matters. */
  async #afterConflict(effect: CloseOffer): Promise<JobEnd> {
    return (await this.#fetch(effect.key)) === undefined ? this.#closed(effect) : { againAfterMs: 0 };
  }

  /**
   * An offer that ends by itself must not end over an answer. The broker is told of the answer, once; it may then want
   * another end.
   */
  #answerWasFirst(effect: CloseOffer): boolean {
    if (effect.phase !== "Expired" && effect.phase !== "Rescinded") return false;
    if (this.#told.get(effect.key) === effect) return false;
    this.#told.set(effect.key, effect);
    const offer = this.#known(effect.key);
    if (offer !== undefined) this.#options.feed({ type: "offer-observed", offer: offer.facts });
    return true;
  }

  #closed({ key }: CloseOffer): JobEnd {
    this.#closing.delete(key);
    this.#told.delete(key);
    this.#refusals.delete(key);
    this.#read.delete(key);
    this.#options.feed({ type: "offer-closed", key });
    return "done";
  }

  #known(key: Key): ObservedOffer | undefined {
    const read = this.#read.get(key);
    const cached = this.#options.cached(key);
    if (read === undefined || cached === undefined) return read ?? cached;
    return compareResourceVersions(read.resourceVersion, cached.resourceVersion) > 0 ? read : cached;
  }

  async #fetch(key: Key): Promise<Known | undefined> {
    const object = await this.#options.client.find(namespaced(OFFER, key));
    if (object === undefined) return undefined;
    const offer = projectOffer(object);
    this.#read.set(key, offer);
    return knownOf(offer);
  }

  #scheduleSweep(delayMs: number): void {
    if (this.#sweepTimer !== undefined) return;
    this.#sweepTimer = this.#options.clock.setTimeout(() => {
      this.#sweepTimer = undefined;
      this.#sweep();
    }, delayMs);
  }

  #sweep(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [uid, { key, dueMs }] of this.#ended) {
      if (dueMs > nowMs) {
        this.#scheduleSweep(dueMs - nowMs);
        return;
      }
      this.#ended.delete(uid);
      this.#options.jobs.add(this.#deletion(key, uid));
    }
  }

  #deletion(key: Key, uid: string): Job {
    const { client, fence } = this.#options;
    const run = async (): Promise<JobEnd> => {
      try {
        await client.delete(namespaced(OFFER, key), { uid, priority: "low", fence });
      } catch (error) {
        if (!isNotFound(error) && !isConflict(error)) throw error;
      }
      return "done";
    };
    return { key: `sweep/${uid}`, lane: "status", type: "sweep-offer", run };
  }
}

interface PublicationHooks {
  readonly isClosing: () => boolean;
  readonly created: (known: Known) => void;
}

/** One publication from the first try until its outcome is known. */
class Publication {
  readonly #options: OfferEffectOptions;
  readonly #offer: OfferDraft;
  readonly #hooks: PublicationHooks;
  #body: object | undefined;

  constructor(options: OfferEffectOptions, offer: OfferDraft, hooks: PublicationHooks) {
    this.#options = options;
    this.#offer = offer;
    this.#hooks = hooks;
  }

  async run(): Promise<JobEnd> {
    const { client, fence, mayPublish } = this.#options;
    const { key } = this.#offer;
    if (this.#body === undefined) {
      if (this.#hooks.isClosing()) return this.#unpublished("it ended before it could be published");
      if (!mayPublish()) return { againAfterMs: gatePollMs };
    }
    this.#body ??= offerBody(this.#offer);
    try {
      const ref = { ...OFFER, namespace: namespaceOf(key) };
      const created = await client.create(ref, this.#body, { idempotent: true, priority: "high", fence });
      return this.#published(projectOffer(created));
    } catch (error) {
      if (isAlreadyExists(error)) return this.#adopt();
      if (!isRefusal(error)) throw error;
      return this.#unpublished(error.text || `${error.status} ${error.reason}`);
    }
  }

  /** The name holds the term: whoever has it is an earlier try of ours. */
  async #adopt(): Promise<JobEnd> {
    const object = await this.#options.client.find(namespaced(OFFER, this.#offer.key), { priority: "high" });
    if (object === undefined) return this.#unpublished("somebody deleted it");
    const offer = projectOffer(object);
    if (offer.facts.term !== this.#offer.term)
      return this.#unpublished("an Offer of that name exists that is not ours");
    return this.#published(offer);
  }

  #published(offer: ObservedOffer): JobEnd {
    this.#hooks.created(knownOf(offer));
    this.#options.feed({ type: "offer-published", key: this.#offer.key, uid: offer.uid });
    return "done";
  }

  #unpublished(message: string): JobEnd {
    this.#options.feed({ type: "offer-unpublished", key: this.#offer.key, message });
    return "refused";
  }
}

function knownOf({ uid, resourceVersion, facts }: ObservedOffer): Known {
  return { uid, resourceVersion, phase: facts.phase, answered: facts.answer !== undefined };
}
