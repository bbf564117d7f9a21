import { describe, expect, test } from "vitest";
import { answerable, type Ended, next, type OfferEvent, type OfferState } from "./offer.ts";

const closing = (phase: Ended): OfferState => ({ name: "closing", phase, launches: [] });
const ended = (phase: Ended): OfferEvent => ({ type: "ended", phase });
const answered = (phase: Ended): OfferEvent => ({ type: "answered", phase });

describe("an offer's life", () => {
  test.each<{ from: OfferState; event: OfferEvent; to: OfferState }>([
    { from: { name: "drafted" }, event: { type: "published" }, to: { name: "open" } },
    { from: { name: "drafted" }, event: ended("Rescinded"), to: closing("Rescinded") },
    { from: { name: "open" }, event: { type: "published" }, to: { name: "open" } },
    { from: { name: "open" }, event: ended("Expired"), to: closing("Expired") },
    { from: { name: "open" }, event: answered("Accepted"), to: closing("Accepted") },
    { from: { name: "open" }, event: { type: "closed" }, to: { name: "open" } },
    { from: closing("Expired"), event: { type: "published" }, to: closing("Expired") },
    { from: closing("Expired"), event: ended("Rescinded"), to: closing("Expired") },
    { from: closing("Expired"), event: answered("Accepted"), to: closing("Accepted") },
    { from: closing("Accepted"), event: { type: "closed" }, to: { name: "closed", phase: "Accepted" } },
    {
      from: { name: "closed", phase: "Expired" },
      event: answered("Accepted"),
      to: { name: "closed", phase: "Expired" },
    },
    { from: { name: "closed", phase: "Expired" }, event: ended("Rescinded"), to: { name: "closed", phase: "Expired" } },
    { from: { name: "closed", phase: "Expired" }, event: { type: "closed" }, to: { name: "closed", phase: "Expired" } },
  ])("$from.name, $event.type $event.phase: $to.name", ({ from, event, to }) => {
    expect(next(from, event)).toStrictEqual(to);
  });

  test("reasons and messages are kept", () => {
    const event = { type: "ended", phase: "Expired", reason: "expired", message: "late" } as const;
    expect(next({ name: "open" }, event)).toEqual({ ...closing("Expired"), reason: "expired", message: "late" });
  });

  test.each<{ state: OfferState; may: boolean }>([
    { state: { name: "drafted" }, may: true },
    { state: { name: "open" }, may: true },
    { state: closing("Expired"), may: true },
    { state: closing("Rescinded"), may: true },
    { state: closing("Accepted"), may: false },
    { state: closing("Declined"), may: false },
    { state: closing("Refused"), may: false },
    { state: { name: "closed", phase: "Expired" }, may: false },
  ])("$state.name $state.phase may be answered: $may", ({ state, may }) => {
    expect(answerable(state)).toBe(may);
  });
});
