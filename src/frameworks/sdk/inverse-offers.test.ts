import { afterEach, beforeEach, expect, test } from "vitest";
import { offer } from "../../api/object-builders.test-support.ts";
import type { Offer } from "../../api/offer.ts";
import { until } from "../../controller/kube/clock.test-support.ts";
import { FakeApiServer } from "../../controller/kube/fake-api-server.test-support.ts";
import { giveNewest } from "../bag-of-tasks/give-back.ts";
import { connectionTo } from "./connection.test-support.ts";
import type { Connection } from "./connection.ts";
import { candidatesOf, type GiveBack, InverseAnswers, type InverseOffer, isInverse } from "./inverse-offers.ts";

let server: FakeApiServer;
let connection: Connection;
let errors: unknown[];

beforeEach(async () => {
  // One of its own for each test: what is under way when a test ends fails into the one it began with.
  errors = [];
  server = await FakeApiServer.start();
  server.otherwise = (_, reply) => reply.json(200, asked());
  connection = connectionTo(server);
});
afterEach(async () => {
  await connection.close();
  await server.stop();
});

const candidates = [
  { task: "t", slice: "s0", indexes: "3" },
  { task: "u", slice: "s0", indexes: "0-1" },
  { task: "t", slice: "s1", indexes: "7,9" },
];

function asked(members: object = {}): InverseOffer {
  const inverse = { queue: "owner", reason: "Guarantee", each: { cpu: "1" }, instances: 2, candidates };
  const made = offer({ inverse }, undefined, "o") as unknown as InverseOffer;
  return { ...made, metadata: { name: "o", namespace: "ns", uid: "u", resourceVersion: "1" }, ...members };
}

const answering = (giveBack: GiveBack) => {
  const own = errors;
  return new InverseAnswers(connection, giveBack, (error) => own.push(error));
};
const sent = () => server.requests.map(({ body }) => (body as { answer: object }).answer);

test("what a framework chooses to give is its answer, once, however often the offer is seen", async () => {
  const answers = answering(candidatesOf);
  answers.seen(asked());
  answers.seen(asked({ metadata: { ...asked().metadata, resourceVersion: "2" } }));
  await until(() => server.requests.length > 0);
  const release = [
    { task: "t", indexes: "3,7,9" },
    { task: "u", indexes: "0-1" },
  ];
  expect(sent()).toEqual([{ by: "me", decision: "Accept", release }]);
});

test("whoever gives nothing declines, and whoever says nothing leaves it to the operator", async () => {
  answering(() => undefined).seen(asked());
  answering(() => []).seen(asked());
  await until(() => server.requests.length > 0);
  expect(sent()).toEqual([{ by: "me", decision: "Decline" }]);
});

test("one that has ended or was answered is asked no more", () => {
  const answers = answering(() => {
    throw new Error("asked");
  });
  answers.seen(asked({ status: { phase: "Rescinded" } }));
  answers.seen(asked({ answer: { by: "me", decision: "Decline" } }));
});

test("an answer that did not get through is given again when the offer is seen again; a refusal is told", async () => {
  server.otherwise = (_, reply) => reply.status(500, "InternalError", "no");
  const answers = answering(candidatesOf);
  answers.seen(asked());
  await until(() => errors.length === 1);
  server.otherwise = (_, reply) => reply.status(422, "Invalid", "asks nothing back");
  answers.seen(asked());
  await until(() => errors.length === 2);
  expect(String(errors[1])).toContain("o: ");
});

test("an offer of capacity is none", () => {
  expect(isInverse(offer() as unknown as Offer)).toBe(false);
  expect(isInverse(asked())).toBe(true);
});

test("a bag of tasks gives its newest, and says so; of what it does not know it leaves the choice", () => {
  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  expect(giveNewest(asked(), log)).toEqual(candidatesOf(asked()));
  expect(lines).toEqual(["o: queue owner wants its own back, gives t 3,7,9, u 0-1"]);
  const { inverse } = asked().spec;
  expect(giveNewest(asked({ spec: { inverse: { ...inverse, candidates: undefined } } }), log)).toBeUndefined();
});
