import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { offer } from "../../api/object-builders.test-support.ts";
import type { Offer } from "../../api/offer.ts";
import { FakeApiServer, type FakeReply } from "../../controller/kube/fake-api-server.test-support.ts";
import { type Answer, sendAnswer } from "./answer.ts";
import { connectionTo } from "./connection.test-support.ts";
import type { Connection } from "./connection.ts";

let server: FakeApiServer;
let connection: Connection;

beforeEach(async () => {
  server = await FakeApiServer.start();
  connection = connectionTo(server);
});
afterEach(async () => {
  await connection.close();
  await server.stop();
});

const answer: Answer = { decision: "Accept", launches: [{ task: "t", slice: "s0", count: 1 }], filter: {} };
/** As the server keeps it: with the default filled in. */
const stored = { ...answer, by: "me", filter: { refuseSeconds: 5 } };

function offerAt(resourceVersion: string, members: object = {}, uid = "u"): Offer {
  const made = offer({}, undefined, "o") as unknown as Offer;
  return { ...made, metadata: { name: "o", namespace: "ns", uid, resourceVersion }, ...members };
}

const conflict = (reply: FakeReply) => reply.status(409, "Conflict", "the object has been modified");
const send = () => sendAnswer(connection, offerAt("1"), answer);

describe("an answer", () => {
  test("is a patch of `answer` alone, of the object that was read", async () => {
    server.script.push((_, reply) => reply.json(200, offerAt("2", { answer: stored })));
    expect(await send()).toMatchObject({ type: "answered", offer: { metadata: { resourceVersion: "2" } } });
    const [request] = server.requests;
    expect(request).toMatchObject({ method: "PATCH", path: "/apis/proffer.dev/v1alpha1/namespaces/ns/offers/o" });
    expect(request!.headers["content-type"]).toBe("application/merge-patch+json");
    expect(request!.body).toEqual({ metadata: { uid: "u", resourceVersion: "1" }, answer: { ...answer, by: "me" } });
  });

  test("goes to the newer version when only the version has changed", async () => {
    server.script.push(
      (_, reply) => conflict(reply),
      (_, reply) => reply.json(200, offerAt("2")),
      (_, reply) => reply.json(200, offerAt("3", { answer: stored })),
    );
    expect(await send()).toMatchObject({ type: "answered" });
    expect(server.requests[2]!.body).toMatchObject({ metadata: { resourceVersion: "2" } });
  });

  test("that broke off on the way back is found to stand", async () => {
    server.script.push(
      (_, reply) => reply.drop(),
      (_, reply) => conflict(reply),
      (_, reply) => reply.json(200, offerAt("2", { answer: stored })),
    );
    expect(await send()).toMatchObject({ type: "answered", offer: { metadata: { resourceVersion: "2" } } });
    expect(server.requests.map(({ method }) => method)).toEqual(["PATCH", "PATCH", "GET"]);
    expect(server.requests[1]!.body).toEqual(server.requests[0]!.body);
  });

  test.each<{ name: string; reply: (reply: FakeReply) => void }>([
    { name: "has ended", reply: (reply) => reply.json(200, offerAt("2", { status: { phase: "Rescinded" } })) },
    {
      name: "was answered by someone else",
      reply: (reply) => reply.json(200, offerAt("2", { answer: { by: "other", decision: "Decline" } })),
    },
    { name: "is another one by now", reply: (reply) => reply.json(200, offerAt("2", {}, "other")) },
    { name: "is no more", reply: (reply) => reply.status(404, "NotFound") },
  ])("comes too late when the offer $name", async ({ reply: say }) => {
    server.script.push(
      (_, reply) => conflict(reply),
      (_, reply) => say(reply),
    );
    expect(await send()).toEqual({ type: "gone" });
  });

  test("to an offer that is gone at once comes too late", async () => {
    expect(await send()).toEqual({ type: "gone" });
  });

  test.each([403, 422])("that the server refuses with %d is not sent again", async (code) => {
    server.script.push((_, reply) => reply.status(code, "Forbidden", "answer.by must be your own user name"));
    expect(await send()).toEqual({ type: "refused", message: "answer.by must be your own user name" });
    expect(server.requests.length).toBe(1);
  });

  test("that cannot be settled is an error, and not sent for ever", async () => {
    server.otherwise = ({ method }, reply) => (method === "GET" ? reply.json(200, offerAt("2")) : conflict(reply));
    await expect(send()).rejects.toThrow("409");
    expect(server.requests.length).toBeLessThan(12);
  });
});
