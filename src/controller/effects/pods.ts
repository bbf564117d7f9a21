import { RECLAIMED_ANNOTATION } from "../../api/labels.ts";
import type { AttemptRef, Effect, PodFacts } from "../../offers/messages.ts";
import { type ApiError, isAlreadyExists, isConflict, isNotFound, isOutcomeUnknown } from "../kube/api-error.ts";
import type { KubeObject } from "../kube/client.ts";
import { podMessage } from "../kube/core-v1.ts";
import { podToWrite } from "../kube/pod-to-write.ts";
import { type PodBlueprint, podBody } from "../manifests/pod.ts";
import { record, text } from "../observe/json.ts";
import { ownFacts } from "../observe/pod.ts";
import { podRequests } from "../pod-requests.ts";
import { type EffectContext, isRefusal, namespaced, POD } from "./context.ts";
import type { Job, JobEnd } from "./job-queue.ts";

export type CreatePod = Extract<Effect, { type: "create-pod" }>;
export type DeletePod = Extract<Effect, { type: "delete-pod" }>;
export type SizeTemplate = Extract<Effect, { type: "size-template" }>;

export interface PodEffectOptions extends EffectContext {
  /** Undefined when the Task is gone or its template is refused. */
  readonly blueprintOf: (taskUid: string) => PodBlueprint | undefined;
  /** The pod exists, as of this version: to be told to the broker. */
  readonly created: (pod: PodFacts, resourceVersion: string) => void;
}

/**
 * A create that nobody answered may still be carried out as long as the API server works on it: 60 s by default, and some
 * for proxies on the way.
 */
const settleMs = 75_000;
const settlePollMs = 5_000;
/** The name was taken, and when we looked it was not: begin again. */
const lockGoneRetryMs = 100;

/** Creates, deletes and sizes pods. */
export class PodEffects {
  readonly #options: PodEffectOptions;
  /** Creates whose outcome is not known yet, by attempt. */
  readonly #pending = new Map<string, PendingCreate>();

  constructor(options: PodEffectOptions) {
    this.#options = options;
  }

  create(effect: CreatePod): Job {
    const key = jobKey(effect.attempt);
    const pending = new PendingCreate(this.#options, effect);
    this.#pending.set(key, pending);
    const run = async (): Promise<JobEnd> => {
      const end = await pending.run();
      if (typeof end === "string") this.#pending.delete(key);
      return end;
    };
    return { key, lane: "launch", type: effect.type, run };
  }

  /**
   * To be told of every pod of ours that the reflector sees: a create that has come about must not be sent again. Its name
   * is free once the pod has ended, been recorded and gone, and the attempt would run twice.
   */
  seen(pod: PodFacts): void {
    this.#pending.get(jobKey(pod))?.seen();
  }

  /** One whose room is taken back says so first: whoever leads when it ends must not take it for a failure. */
  delete({ type, key, uid, gracePeriodSeconds, reclaimedFor }: DeletePod): Job {
    const { client, fence } = this.#options;
    const run = async (): Promise<JobEnd> => {
      const grace = gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds };
      try {
        if (reclaimedFor !== undefined) await this.#mark(key, uid, reclaimedFor);
        await client.delete(namespaced(POD, key), { uid, ...grace, priority: "high", fence });
      } catch (error) {
        // Gone, or another pod by now: either way that one is no more.
        if (!isNotFound(error) && !isConflict(error)) throw error;
      }
      return "done";
    };
    return { key: `delete/${uid}`, lane: "launch", type, run };
  }

  async #mark(key: string, uid: string, reclaimedFor: string): Promise<void> {
    const { client, fence } = this.#options;
    const patch = { metadata: { uid, annotations: { [RECLAIMED_ANNOTATION]: reclaimedFor } } };
    try {
      await client.mergePatch(namespaced(POD, key), patch, { priority: "high", fence });
    } catch (error) {
      // Another pod by now, which the deletion's own precondition tells, or one that many write to.
      if (!isConflict(error)) throw error;
    }
  }

  /** A dry run tells what LimitRanges, RuntimeClasses and webhooks make of a template. */
  size({ type, templateKey, taskUid }: SizeTemplate): Job {
    const { client, fence, feed, blueprintOf } = this.#options;
    const run = async (): Promise<JobEnd> => {
      const blueprint = blueprintOf(taskUid);
      if (blueprint === undefined) {
        const message = "the Task that carried the template is gone";
        feed({ type: "template-refused", templateKey, message, gone: true });
        return "refused";
      }
      const body = podBody(blueprint, { index: 0, attempt: 0, queue: "default" });
      // A name of its own: the real one may exist by now.
      const metadata = { ...(body.metadata as object), name: `${blueprint.namePrefix}-size` };
      const ref = { ...POD, namespace: blueprint.namespace };
      try {
        const sized = await client.createDryRun(
          ref,
          { ...body, metadata },
          { send: podToWrite, as: podMessage, priority: "high", fence },
        );
        feed({ type: "template-sized", templateKey, requests: podRequests(sized) });
        return "done";
      } catch (error) {
        if (!isRefusal(error)) throw error;
        feed({ type: "template-refused", templateKey, message: messageOf(error) });
        return "refused";
      }
    };
    return { key: `size/${templateKey}`, lane: "launch", type, run };
  }
}

/** One create from the first try until its outcome is known. */
class PendingCreate {
  readonly #options: PodEffectOptions;
  readonly #effect: CreatePod;
  #blueprint: PodBlueprint | undefined;
  /** Made once: what is repeated is the identical body. */
  #body: Record<string, unknown> | undefined;
  /** When a try last ended in a way that leaves open whether the pod exists or will. */
  #unknownSinceMs: number | undefined;
  #isSeen = false;

  constructor(options: PodEffectOptions, effect: CreatePod) {
    this.#options = options;
    this.#effect = effect;
  }

  /** The pod exists, or has existed. */
  seen(): void {
    this.#isSeen = true;
  }

  async run(): Promise<JobEnd> {
    const { blueprintOf, client } = this.#options;
    const { attempt, node, queue, offer } = this.#effect;
    this.#blueprint ??= blueprintOf(attempt.taskUid);
    if (this.#blueprint === undefined) return this.#refuse("the Task is gone");
    const { index, attempt: number } = attempt;
    this.#body ??= podBody(this.#blueprint, { index, attempt: number, node, queue, ...(offer && { offer }) });
    const ref = { ...POD, namespace: this.#blueprint.namespace };
    try {
      // The name is deterministic, so it may be sent twice.
      const fence = (): boolean => !this.#isSeen && this.#options.fence();
      const options = { send: podToWrite, as: podMessage, idempotent: true, priority: "high", fence } as const;
      const created = await client.create(ref, this.#body, options);
      return await this.#created(created);
    } catch (error) {
      return await this.#failed(error);
    }
  }

  async #created(pod: KubeObject): Promise<JobEnd> {
    const facts = ownFacts(pod);
    if (facts === undefined) return this.#unmarked(pod);
    this.#options.created(facts, pod.metadata.resourceVersion ?? "");
    return "done";
  }

  async #failed(error: unknown): Promise<JobEnd> {
    if (this.#isSeen) return "done";
    if (isOutcomeUnknown(error)) this.#unknownSinceMs = this.#options.clock.monotonicMs();
    if (isAlreadyExists(error)) return (await this.#adopt()) ?? { againAfterMs: lockGoneRetryMs };
    if (!isRefusal(error)) throw error;
    if (this.#unknownSinceMs === undefined) return this.#refuse(messageOf(error), isQuotaSpent(error));
    // An earlier try may have succeeded, or may yet: the name must be settled before anyone gives up on it.
    const adopted = await this.#adopt();
    if (adopted !== undefined) return adopted;
    const waitedMs = this.#options.clock.monotonicMs() - this.#unknownSinceMs;
    if (waitedMs < settleMs) return { againAfterMs: settlePollMs };
    return this.#refuse(messageOf(error), isQuotaSpent(error));
  }

  /** Looks who has the name; undefined: nobody (any more). */
  async #adopt(): Promise<JobEnd | undefined> {
    const name = text(record(this.#body, "metadata"), "name") ?? "";
    const ref = { ...POD, namespace: this.#blueprint!.namespace, name };
    const pod = await this.#options.client.find(ref, { priority: "high" });
    if (pod === undefined) return undefined;
    const facts = ownFacts(pod);
    if (facts === undefined || !isSameAttempt(facts, this.#effect.attempt)) {
      return this.#refuse(`a pod named ${name} exists that is not this task's`);
    }
    return this.#created(pod);
  }

  /** A webhook took our marks off: it must not run uncounted. */
  async #unmarked(pod: KubeObject): Promise<JobEnd> {
    const { client, fence, log } = this.#options;
    const { name, uid } = pod.metadata;
    log.error({ pod: name }, "the pod came back from the API server without Proffer's labels or owner; deleting it");
    const ref = { ...POD, namespace: this.#blueprint!.namespace, name };
    await client.delete(ref, { ...(uid && { uid }), fence }).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
    return this.#refuse("an admission webhook removes Proffer's labels or owner from pods");
  }

  #refuse(message: string, byQuota = false): JobEnd {
    const { attempt } = this.#effect;
    this.#options.feed({ type: "pod-refused", attempt, message, ...(byQuota && { byQuota }) });
    return "refused";
  }
}

function jobKey({ taskUid, index, attempt }: AttemptRef): string {
  return `pod/${taskUid}/${index}/${attempt}`;
}

function isSameAttempt(facts: AttemptRef, attempt: AttemptRef): boolean {
  return facts.taskUid === attempt.taskUid && facts.index === attempt.index && facts.attempt === attempt.attempt;
}

/** A quota that lacks something in the pod, such as a limit, says "failed quota", and will say so again. */
function isQuotaSpent(error: ApiError): boolean {
  return error.status === 403 && /\b(exceeded quota|status unknown for quota): /.test(error.text);
}

function messageOf(error: ApiError): string {
  return error.text || `${error.status} ${error.reason}`;
}
