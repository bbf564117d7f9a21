import { describe, expect, test } from "vitest";
import { projectLease, Sightings } from "./lease.ts";

const AT = Date.UTC(2026, 0, 1, 12);

function leaseObject(spec: object = {}, metadata: object = {}): object {
  return {
    metadata: { name: "l", namespace: "ns", uid: "l-1", labels: { "proffer.dev/framework": "fw" }, ...metadata },
    spec: { holderIdentity: "me", leaseDurationSeconds: 15, renewTime: "2026-01-01T12:00:00.000000Z", ...spec },
  };
}

const project = (spec: object = {}, metadata: object = {}) => projectLease(leaseObject(spec, metadata));

describe("a Lease", () => {
  test("shows the life of the framework that its label names, in its own namespace", () => {
    expect(project()).toMatchObject({
      key: "ns/l",
      framework: "ns/fw",
      renewTimeMs: AT,
      durationMs: 15_000,
      released: false,
    });
  });

  test.each([
    { name: "without the label", metadata: { labels: {} } },
    { name: "with an empty label", metadata: { labels: { "proffer.dev/framework": "" } } },
    { name: "that was never renewed", spec: { renewTime: undefined } },
    { name: "whose time cannot be read", spec: { renewTime: "yesterday" } },
  ])("$name shows nothing", ({ spec = {}, metadata = {} }) => {
    expect(project(spec, metadata)).toBeUndefined();
  });

  test.each([undefined, null, ""])("with %j as holder was given back", (holderIdentity) => {
    expect(project({ holderIdentity })).toMatchObject({ released: true });
  });

  test.each([
    { seconds: undefined, ms: 30_000 },
    { seconds: "9", ms: 30_000 },
    { seconds: -5, ms: 1_000 },
    { seconds: 2_147_483_647, ms: 86_400_000 },
  ])("of $seconds seconds is good for $ms ms", ({ seconds, ms }) => {
    expect(project({ leaseDurationSeconds: seconds })).toMatchObject({ durationMs: ms });
  });
});

describe("a renewal", () => {
  const renewed = (minute: number) =>
    project({ renewTime: `2026-01-01T12:${String(minute).padStart(2, "0")}:00.000000Z` })!;

  test("that was seen counts from then, whatever the program's clock says", () => {
    const sightings = new Sightings();
    sightings.factsOf(renewed(0), AT, false);
    expect(sightings.factsOf(renewed(59), AT + 5_000, true).renewedAtMs).toBe(AT + 5_000);
    expect(sightings.factsOf(renewed(1), AT + 9_000, true).renewedAtMs).toBe(AT + 9_000);
  });

  test("from before we looked counts by its own time", () => {
    expect(new Sightings().factsOf(renewed(0), AT + 100_000, false).renewedAtMs).toBe(AT);
  });

  test("that lies ahead of us counts from when we looked first", () => {
    expect(new Sightings().factsOf(renewed(9), AT, false).renewedAtMs).toBe(AT);
  });

  test("is none if the Lease was only touched", () => {
    const sightings = new Sightings();
    sightings.factsOf(renewed(0), AT + 1_000, true);
    expect(sightings.factsOf(renewed(0), AT + 9_000, true).renewedAtMs).toBe(AT + 1_000);
  });

  test("of another Lease of that name is news", () => {
    const sightings = new Sightings();
    sightings.factsOf(renewed(0), AT, true);
    const other = { ...renewed(0), uid: "l-2" };
    expect(sightings.factsOf(other, AT + 9_000, true).renewedAtMs).toBe(AT + 9_000);
    sightings.forget("ns/l");
    expect(sightings.factsOf(other, AT + 20_000, true).renewedAtMs).toBe(AT + 20_000);
  });
});
