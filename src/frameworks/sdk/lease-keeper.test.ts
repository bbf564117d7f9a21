import { afterEach, beforeEach, expect, test } from "vitest";
import type { Framework } from "../../api/framework.ts";
import { FakeKube, status } from "../../controller/fake-kube.test-support.ts";
import { FakeClock } from "../../controller/kube/clock.test-support.ts";
import { LeaseKeeper } from "./lease-keeper.ts";

let kube: FakeKube;
let clock: FakeClock;
let stop: AbortController;
let running: Promise<void>;
let framework: Framework | undefined;
const errors: unknown[] = [];

beforeEach(() => {
  kube = new FakeKube();
  clock = new FakeClock();
  stop = new AbortController();
  errors.length = 0;
  framework = { metadata: { name: "f", namespace: "ns", uid: "f-1" } } as Framework;
  running = Promise.resolve();
});
afterEach(() => end());

function start(): Promise<void> {
  const keeper = new LeaseKeeper({
    connection: { client: kube.client, clock },
    namespace: "ns",
    framework: "f",
    owner: () => framework,
    onError: (error) => errors.push(error),
  });
  running = keeper.run(stop.signal);
  return clock.advance(0);
}

async function end(): Promise<void> {
  stop.abort();
  await clock.advance(0);
  await running;
}

const lease = () => kube.get("leases", "ns", "proffer-f");
const seconds = (n: number) => clock.advance(n * 1_000);

test("a Lease is made that names the framework, belongs to it, and goes with it", async () => {
  await start();
  expect(lease()).toMatchObject({
    metadata: {
      labels: { "proffer.dev/framework": "f" },
      ownerReferences: [{ kind: "Framework", name: "f", uid: "f-1" }],
    },
    spec: { leaseDurationSeconds: 30, holderIdentity: expect.stringMatching(/./) },
  });
});

test("it is renewed every ten seconds", async () => {
  await start();
  const times = new Set([lease().spec.renewTime]);
  for (let i = 0; i < 3; i++) {
    await seconds(10);
    times.add(lease().spec.renewTime);
  }
  expect(times.size).toBe(4);
  expect(kube.writes).toHaveLength(5);
});

test("one that was given back, or has lost its label, is taken up again", async () => {
  const spec = { leaseDurationSeconds: 1, renewTime: "2020-01-01T00:00:00.000000Z" };
  kube.put("leases", { metadata: { name: "proffer-f", namespace: "ns" }, spec });
  await start();
  expect(lease()).toMatchObject({
    metadata: { labels: { "proffer.dev/framework": "f" } },
    spec: { leaseDurationSeconds: 30, holderIdentity: expect.stringMatching(/./) },
  });
});

test("one that was deleted is made again", async () => {
  await start();
  kube.remove("leases", lease());
  await seconds(10);
  expect(lease()).toBeDefined();
});

test("it is given back at the end", async () => {
  await start();
  await end();
  expect(lease().spec).toMatchObject({ holderIdentity: null, leaseDurationSeconds: 1 });
});

test("what another copy has renewed since is not given back", async () => {
  await start();
  kube.put("leases", { ...lease(), spec: { ...lease().spec, holderIdentity: "another" } });
  await end();
  expect(lease().spec.holderIdentity).toBe("another");
  expect(errors).toEqual([]);
});

test("nothing is renewed before there is a Framework", async () => {
  framework = undefined;
  await start();
  await seconds(5);
  expect(kube.requests).toEqual([]);
  framework = { metadata: { name: "f", namespace: "ns", uid: "f-1" } } as Framework;
  await seconds(1);
  expect(lease()).toBeDefined();
});

test("a failure is told, and tried again soon", async () => {
  kube.fault = () => ({ error: status(500, "InternalError") });
  await start();
  kube.fault = () => undefined;
  await seconds(2);
  expect(errors).toHaveLength(1);
  expect(lease()).toBeDefined();
});

test("without the right to Leases the program does without, and asks now and then", async () => {
  kube.fault = () => ({ error: status(403, "Forbidden") });
  await start();
  await seconds(59);
  expect(errors).toHaveLength(1);
  await seconds(1);
  expect(errors).toHaveLength(2);
});
