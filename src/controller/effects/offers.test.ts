import { describe, expect, test } from "vitest";
import type { Input } from "../../offers/messages.ts";
import { FakeKube, status } from "../fake-kube.test-support.ts";
import { FakeClock } from "../kube/clock.test-support.ts";
import { offerDraft } from "../objects.test-support.ts";
import { type ObservedOffer, projectOffer } from "../observe/offer.ts";
import { noLogger, noTelemetry } from "../telemetry.ts";
import { JobQueue } from "./job-queue.ts";
import { type CloseOffer, OfferEffects } from "./offers.ts";

const draft = offerDraft;
const close = (phase: CloseOffer["phase"]): CloseOffer => ({
  type: "close-offer",
  key: draft.key,
  phase,
  launches: [],
});
const answer = { by: "alice", decision: "Accept", launches: [{ task: "t", slice: "s0", count: 1 }] };

function setUp() {
  const kube = new FakeKube();
  const clock = new FakeClock();
  const inputs: Input[] = [];
  const state = { leads: true, mayPublish: true };
  const cache = new Map<string, ObservedOffer>();
  const jobs = new JobQueue({ clock, random: () => 0, telemetry: noTelemetry, log: noLogger });
  const offers = new OfferEffects({
    client: kube.client,
    clock,
    log: noLogger,
    fence: () => state.leads,
    feed: (input) => inputs.push(input),
    jobs,
    cached: (key) => cache.get(key),
    mayPublish: () => state.mayPublish,
  });
  const standing = () => kube.get("offers", "ns", "fw-7-0");
  /** What a reflector would do by now. */
  const observe = () => {
    const offer = projectOffer(standing());
    cache.set(draft.key, offer);
    offers.observed(offer);
  };
  const answerIt = () => kube.put("offers", { ...standing(), answer });
  return { kube, clock, inputs, jobs, offers, standing, observe, answerIt, state, cache };
}

async function published() {
  const world = setUp();
  world.offers.publish(draft);
  await world.clock.advance(0);
  world.inputs.length = 0;
  return world;
}

describe("publishing an offer", () => {
  test("tells its UID", async () => {
    const { clock, inputs, offers, standing } = setUp();
    offers.publish(draft);
    await clock.advance(0);
    expect(inputs).toEqual([{ type: "offer-published", key: draft.key, uid: standing().metadata.uid }]);
  });

  test("whose answer is lost finds its own earlier try", async () => {
    const { kube, clock, inputs, offers } = setUp();
    kube.loseFirstAnswer("POST");
    offers.publish(draft);
    await clock.advance(10_000);
    expect(inputs).toMatchObject([{ type: "offer-published" }]);
    expect(kube.all("offers")).toHaveLength(1);
  });

  test("under a name that another term's offer has is not ours", async () => {
    const { kube, clock, inputs, offers } = setUp();
    kube.put("offers", { metadata: { name: "fw-7-0", namespace: "ns" }, spec: { term: "6" } });
    offers.publish(draft);
    await clock.advance(0);
    expect(inputs).toMatchObject([{ type: "offer-unpublished" }]);
  });

  test("that the API server refuses for good is told", async () => {
    const { kube, clock, inputs, offers } = setUp();
    kube.fault = () => ({ error: status(403, "Forbidden", "namespace is being terminated") });
    offers.publish(draft);
    await clock.advance(0);
    expect(inputs).toEqual([{ type: "offer-unpublished", key: draft.key, message: "namespace is being terminated" }]);
  });

  test("waits until the admission policies are in force (guards: mayPublish)", async () => {
    const { kube, clock, inputs, offers, state } = setUp();
    state.mayPublish = false;
    offers.publish(draft);
    await clock.advance(10_000);
    expect([kube.requests, inputs]).toEqual([[], []]);
    state.mayPublish = true;
    await clock.advance(1_000);
    expect(inputs).toMatchObject([{ type: "offer-published" }]);
  });

  test("that has ended meanwhile does not happen", async () => {
    const { kube, clock, inputs, offers, state } = setUp();
    state.mayPublish = false;
    offers.publish(draft);
    await clock.advance(0);
    offers.close(close("Expired"));
    await clock.advance(10_000);
    expect(kube.writes).toEqual([]);
    expect(inputs.map(({ type }) => type)).toEqual(["offer-unpublished", "offer-closed"]);
  });

  test("is not sent once the lease is lost", async () => {
    const { kube, clock, offers, state } = setUp();
    state.leads = false;
    offers.publish(draft);
    await clock.advance(10_000);
    expect(kube.requests).toEqual([]);
  });
});

describe("ending an offer", () => {
  test("writes its phase once", async () => {
    const { kube, clock, inputs, offers, standing } = await published();
    offers.close(close("Expired"));
    await clock.advance(0);
    expect(standing().status.phase).toBe("Expired");
    expect(inputs).toEqual([{ type: "offer-closed", key: draft.key }]);
    expect(kube.writes).toHaveLength(2);
  });

  test("that was answered first leaves it to the answer (guards: the resourceVersion of the close)", async () => {
    const { clock, inputs, offers, standing, answerIt } = await published();
    answerIt();
    offers.close(close("Expired"));
    await clock.advance(500);
    expect(standing().status?.phase ?? "Open").toBe("Open");
    expect(inputs).toMatchObject([{ type: "offer-observed", offer: { answer: { by: "alice", decision: "Accept" } } }]);
    offers.close({ ...close("Accepted"), launches: [{ task: "t", slice: "s0", indexes: "0" }] });
    await clock.advance(5_000);
    expect(standing().status).toMatchObject({ phase: "Accepted", launches: [{ indexes: "0" }] });
    expect(inputs.at(-1)).toEqual({ type: "offer-closed", key: draft.key });
  });

  test("whose answer the cache holds already is not even tried (guards: the look before the send)", async () => {
    const { kube, clock, inputs, offers, observe, answerIt } = await published();
    answerIt();
    observe();
    const before = kube.writes.length;
    offers.close(close("Rescinded"));
    await clock.advance(500);
    expect(kube.writes.length).toBe(before);
    expect(inputs).toMatchObject([{ type: "offer-observed", offer: { answer: { decision: "Accept" } } }]);
  });

  test("by its answer is written at once: nothing else can be first", async () => {
    const { kube, clock, inputs, offers, observe, standing, answerIt } = await published();
    answerIt();
    observe();
    offers.close(close("Declined"));
    await clock.advance(0);
    expect(standing().status.phase).toBe("Declined");
    expect(inputs).toEqual([{ type: "offer-closed", key: draft.key }]);
    expect(kube.writes).toHaveLength(2);
  });

  test("that somebody else touched without answering goes on", async () => {
    const { kube, clock, inputs, offers, standing } = await published();
    kube.put("offers", { ...standing(), metadata: { ...standing().metadata, labels: { a: "b" } } });
    offers.close(close("Expired"));
    await clock.advance(5_000);
    expect(standing().status.phase).toBe("Expired");
    expect(inputs).toEqual([{ type: "offer-closed", key: draft.key }]);
  });

  test("whose write may have got through is not written again once it stands", async () => {
    const { kube, clock, inputs, offers, observe, standing } = await published();
    kube.loseFirstAnswer("PUT");
    offers.close(close("Expired"));
    await clock.advance(10);
    observe();
    await clock.advance(5_000);
    expect(standing().status.phase).toBe("Expired");
    expect(kube.writes.filter(({ method }) => method === "PUT")).toHaveLength(1);
    expect(inputs).toEqual([{ type: "offer-closed", key: draft.key }]);
  });

  test("that is refused again and again is tried seldom, and goes on", async () => {
    const { kube, clock, inputs, offers, standing } = await published();
    const puts = () => kube.writes.filter(({ method }) => method === "PUT").length;
    kube.fault = ({ method }) => (method === "PUT" ? { error: status(403, "Forbidden", "a webhook") } : undefined);
    offers.close(close("Expired"));
    await clock.advance(200_000);
    expect([puts(), inputs]).toEqual([5, []]);
    await clock.advance(300_000);
    expect(puts()).toBe(6);
    kube.fault = () => undefined;
    await clock.advance(300_000);
    expect(standing().status.phase).toBe("Expired");
    expect(inputs).toEqual([{ type: "offer-closed", key: draft.key }]);
  });

  test("that is refused and gone has ended", async () => {
    const { kube, clock, inputs, offers, standing } = await published();
    kube.fault = ({ method }) => (method === "PUT" ? { error: status(403, "Forbidden", "a webhook") } : undefined);
    offers.close(close("Expired"));
    await clock.advance(0);
    kube.remove("offers", standing());
    await clock.advance(60_000);
    expect(inputs).toEqual([{ type: "offer-closed", key: draft.key }]);
  });

  test("that is gone has ended", async () => {
    const { kube, clock, inputs, offers, standing } = await published();
    kube.remove("offers", standing());
    offers.close(close("Rescinded"));
    await clock.advance(0);
    expect(inputs).toEqual([{ type: "offer-closed", key: draft.key }]);
  });

  test("is not sent once the lease is lost", async () => {
    const { kube, clock, offers, state } = await published();
    const before = kube.writes.length;
    state.leads = false;
    offers.close(close("Expired"));
    await clock.advance(10_000);
    expect(kube.writes.length).toBe(before);
  });
});

describe("ended offers", () => {
  test("are deleted after a minute, open ones stay, and another one of that name stays", async () => {
    const { kube, clock, offers, observe, standing } = await published();
    observe();
    await clock.advance(120_000);
    expect(standing()).toBeDefined();
    offers.close(close("Expired"));
    await clock.advance(0);
    observe();
    observe();
    await clock.advance(59_000);
    expect(standing()).toBeDefined();
    await clock.advance(2_000);
    expect(standing()).toBeUndefined();
    expect(kube.writes.filter(({ method }) => method === "DELETE")).toHaveLength(1);
  });

  test("whose name another offer has by then are left alone (guards: the UID precondition)", async () => {
    const { kube, clock, offers, observe, standing } = await published();
    offers.close(close("Expired"));
    await clock.advance(0);
    observe();
    kube.put("offers", { metadata: { name: "fw-7-0", namespace: "ns", uid: "another" }, spec: { term: "8" } });
    await clock.advance(61_000);
    expect(standing().metadata.uid).toBe("another");
  });
});
