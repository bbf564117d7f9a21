import { afterEach, beforeEach, expect, test } from "vitest";
import { until } from "../../controller/kube/clock.test-support.ts";
import {
  FakeApiServer,
  type FakeRequest,
  type FakeStream,
} from "../../controller/kube/fake-api-server.test-support.ts";
import { connectionTo } from "./connection.test-support.ts";
import type { Connection } from "./connection.ts";
import { type Change, FrameworkClient } from "./framework-client.ts";

let server: FakeApiServer;
let connection: Connection;
let client: FrameworkClient;
let running: Promise<void>;
const changes: Change[] = [];
const errors: unknown[] = [];
/** Open watches of offers, newest last. */
let streams: { request: FakeRequest; stream: FakeStream }[] = [];
/** What a list of offers holds, and its version. */
let offers: object[] = [];
let version = 1;

const offer = (name: string, resourceVersion: number, members: object = {}) => ({
  metadata: { name, namespace: "ns", uid: `uid-${name}`, resourceVersion: String(resourceVersion), managedFields: [] },
  spec: { framework: "f" },
  ...members,
});

beforeEach(async () => {
  changes.length = 0;
  errors.length = 0;
  streams = [];
  offers = [];
  version = 1;
  server = await FakeApiServer.start();
  server.otherwise = (request, reply) => {
    const isOffers = request.path.endsWith("/offers");
    if (!request.query.get("watch")) {
      reply.json(200, { metadata: { resourceVersion: String(version) }, items: isOffers ? offers : [] });
      return;
    }
    const stream = reply.stream();
    if (request.query.get("sendInitialEvents")) {
      for (const item of isOffers ? offers : []) stream.event("ADDED", item);
      stream.bookmark(String(version), true);
    }
    if (isOffers) streams.push({ request, stream });
  };
  connection = connectionTo(server);
  client = new FrameworkClient({
    connection,
    namespace: "ns",
    framework: "f",
    onChange: (change) => changes.push(change),
    onError: (error) => errors.push(error),
  });
});

afterEach(async () => {
  client.stop();
  await running;
  await connection.close();
  await server.stop();
});

const start = () => {
  running = client.start();
  return client.synced;
};
const names = () => client.offers().map(({ metadata }) => metadata.name);
const lastStream = () => streams.at(-1)!.stream;

test("a framework sees its own offers, and no others are sent to it", async () => {
  offers = [offer("b", 1), offer("a", 1)];
  expect(await start()).toBe(true);
  expect(names()).toEqual(["a", "b"]);
  expect(client.offers()[0]!.metadata).not.toHaveProperty("managedFields");
  const selectors = new Set(server.requests.map(({ path, query }) => `${path} ${query.get("fieldSelector")}`));
  expect([...selectors].sort()).toEqual([
    "/apis/proffer.dev/v1alpha1/namespaces/ns/frameworks metadata.name=f",
    "/apis/proffer.dev/v1alpha1/namespaces/ns/offers spec.framework=f",
    "/apis/proffer.dev/v1alpha1/namespaces/ns/tasks spec.framework=f",
  ]);
});

test("a change is told once, with the object as it is now", async () => {
  await start();
  lastStream().event("ADDED", offer("a", 2));
  lastStream().event("MODIFIED", offer("a", 3, { status: { phase: "Expired" } }));
  lastStream().event("DELETED", offer("a", 4));
  await until(() => changes.length === 3);
  expect(changes.map(({ type }) => type)).toEqual(["offer", "offer", "offer-gone"]);
  expect(changes[1]).toMatchObject({ offer: { status: { phase: "Expired" } } });
  expect(names()).toEqual([]);
});

test("what is asked back is no offer of capacity", async () => {
  const inverse = { queue: "owner", reason: "Guarantee", each: { cpu: 1 }, instances: 1 };
  await start();
  lastStream().event("ADDED", offer("a", 2, { spec: { framework: "f", inverse } }));
  await until(() => changes.length === 1);
  expect(changes[0]).toMatchObject({ type: "inverse-offer", offer: { metadata: { name: "a" } } });
  expect([names(), client.inverseOffers().map(({ metadata }) => metadata.name)]).toEqual([[], ["a"]]);
  lastStream().event("DELETED", offer("a", 3, { spec: { framework: "f", inverse } }));
  await until(() => changes.length === 2);
  expect(changes[1]?.type).toBe("inverse-offer-gone");
});

test("a watch that breaks off goes on where it was", async () => {
  await start();
  lastStream().event("ADDED", offer("a", 7));
  await until(() => changes.length === 1);
  lastStream().drop();
  await until(() => streams.length === 2);
  expect(streams[1]!.request.query.get("resourceVersion")).toBe("7");
  lastStream().event("ADDED", offer("b", 8));
  await until(() => changes.length === 2);
  expect(names()).toEqual(["a", "b"]);
});

test("a version that has expired costs a list, which tells what was missed and nothing twice", async () => {
  offers = [offer("stays", 1), offer("goes", 1)];
  await start();
  changes.length = 0;
  offers = [offer("stays", 1), offer("comes", 9)];
  version = 9;
  lastStream().event("ERROR", { kind: "Status", code: 410, reason: "Expired" });
  await until(() => changes.length === 2);
  expect(changes.map((change) => [change.type, "offer" in change && change.offer.metadata.name])).toEqual([
    ["offer-gone", "goes"],
    ["offer", "comes"],
  ]);
  expect(errors.length).toBe(1);
});

test("an outage of the server is survived, and what happened meanwhile is told", async () => {
  offers = [offer("a", 1)];
  await start();
  const end = await server.outage();
  offers = [offer("b", 5)];
  version = 5;
  await until(() => errors.length > 0);
  await end();
  // The version is still good for the server; the watch goes on from it.
  await until(() => streams.length === 2);
  lastStream().event("DELETED", offer("a", 4));
  lastStream().event("ADDED", offer("b", 5));
  await until(() => names().join() === "b");
}, 20_000);

test("a task that is there already is returned as it is", async () => {
  const there = { metadata: { name: "t", namespace: "ns" }, spec: { instances: 7 } };
  server.script.push(
    (_, reply) => reply.drop(),
    (_, reply) => reply.status(409, "AlreadyExists"),
    (_, reply) => reply.json(200, there),
  );
  running = Promise.resolve();
  const template = { spec: { containers: [{ name: "a", image: "b" }] } };
  const task = await client.createTask("t", { template, instances: 7 }, { bag: "x" });
  expect(task).toEqual(there);
  expect(server.requests[0]!.body).toMatchObject({
    kind: "Task",
    metadata: { name: "t", namespace: "ns", labels: { bag: "x" } },
    spec: { framework: "f", instances: 7 },
  });
  expect(server.requests[1]!.body).toEqual(server.requests[0]!.body);
});
