import { expect, test } from "vitest";
import { API_VERSION, problemsOf } from "../../api/common.ts";
import { offerDefinition } from "../../api/offer.ts";
import type { Inverse } from "../../offers/messages.ts";
import { offerDraft } from "../objects.test-support.ts";
import { offerBody, offerStatus } from "./offer.ts";

const inverse: Inverse = {
  queue: "owner",
  each: { cpu: 2000, memory: 1_048_576 },
  instances: 3,
  candidates: [{ task: "t", slice: "s0", indexes: "0-3,7" }],
  message: "queue owner has less than its guarantee",
};

test("an inverse offer says what is asked back, for whom and why", () => {
  const body = offerBody({ ...offerDraft, inverse }) as { spec: object };
  expect(body.spec).toMatchObject({
    inverse: { ...inverse, reason: "Guarantee", each: { cpu: "2", memory: "1Gi" } },
    expiresAt: "2026-01-01T00:00:00.000Z",
  });
  expect(problemsOf(offerDefinition, { apiVersion: API_VERSION, ...body })).toEqual([]);
  expect(offerBody(offerDraft)).not.toHaveProperty("spec.inverse");
});

test("however much is asked back, the API server takes the object", () => {
  const indexes = Array.from({ length: 5_000 }, (_, i) => String(2 * i)).join(",");
  const many = { ...inverse, instances: 1_000_000, candidates: [{ task: "t", slice: "s0", indexes }] };
  const body = offerBody({ ...offerDraft, inverse: { ...many, message: "x".repeat(5_000) } });
  expect(problemsOf(offerDefinition, { apiVersion: API_VERSION, ...body })).toEqual([]);
});

test("the status of an inverse offer says what it has ended", () => {
  const released = [{ task: "t", indexes: Array.from({ length: 5_000 }, (_, i) => String(2 * i)).join(",") }];
  const status = offerStatus({ phase: "Accepted", launches: [], released });
  expect(status).toMatchObject({ released: [{ task: "t", indexes: expect.stringMatching(/^0,2,4,/) }] });
  expect(offerDefinition.members.status?.safeParse(status).success).toBe(true);
  expect(offerStatus({ phase: "Declined", launches: [] })).not.toHaveProperty("released");
});
