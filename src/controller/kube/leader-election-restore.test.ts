import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  LeaseServer,
  type Network,
  neverTwoAtOnce,
  pass,
  Replica,
  start,
  stopAll,
} from "./leader-election.test-support.ts";

// etcd goes back to a backup while operators run. What they knew of the Lease is then newer than what there is.

let server: LeaseServer;
let a: Replica;
let b: Replica;

beforeEach(async () => {
  server = new LeaseServer();
  a = new Replica(server, "a");
  b = new Replica(server, "b");
});

afterEach(() => stopAll(a, b));

const leaders = (): boolean[] => [a.elector.isLeader(), b.elector.isLeader()];

test("a leader whose own Lease goes back steps down, and leads again only after a whole lease", async () => {
  await start(a);
  await pass([a], 2_000);
  const restore = server.backup();
  await pass([a], 5_000);
  restore();
  await pass([a], 1_100);
  expect([a.log, a.doubts]).toEqual([["acquired 101", "restored"], ["restored"]]);
  await pass([a], 4_800);
  expect(a.elector.isLeader()).toBe(false);
  await pass([a], 1_500);
  expect(a.elector.isLeader()).toBe(true);
  expect(a.doubts).toEqual(["restored"]);
});

test("a standby notices too, and does not take a Lease that was free in the backup while the leader may still lead", async () => {
  await start(a);
  await pass([a], 1_000);
  await a.elector.stop();
  // Free, as it is in the backup.
  const restore = server.backup();
  const c = new Replica(server, "c");
  void c.elector.start();
  await start(b);
  await pass([b, c], 5_000);
  expect([b.elector.isLeader(), c.elector.isLeader()]).toEqual([false, true]);
  c.network = "refused";
  restore();
  let together = false;
  await pass([b, c], 5_900, () => {
    together ||= b.elector.isLeader();
  });
  expect(together).toBe(false);
  await pass([b, c], 1_500);
  expect([b.elector.isLeader(), b.doubts]).toEqual([true, ["restored"]]);
  c.network = "up";
  await pass([b, c], 1_500);
  expect([c.log.slice(1), c.doubts.length]).toEqual([["expired"], 1]);
  const stopped = c.elector.stop();
  await pass([c], 100);
  await stopped;
});

test("the holder that a backup brings back, who is no more, is waited for", async () => {
  const gone = { holderIdentity: "of long ago", leaseDurationSeconds: 15 };
  server.apply("POST", { metadata: {}, spec: gone });
  const restore = server.backup();
  server.apply("PUT", { metadata: server.lease?.metadata, spec: { ...gone, holderIdentity: "" } });
  await start(a, b);
  await pass([a, b], 5_000);
  expect(leaders()).toEqual([true, false]);
  restore();
  await pass([a, b], 14_500);
  expect(leaders()).toEqual([false, false]);
  await pass([a, b], 3_000);
  expect(leaders().filter(Boolean).length).toBe(1);
  expect([a.doubts, b.doubts]).toEqual([["restored"], ["restored"]]);
});

test("a backup from before the Lease existed is found out when it is made anew", async () => {
  const restore = server.backup();
  await start(a, b);
  await pass([a, b], 5_000);
  restore();
  await pass([a, b], 20_000);
  expect(leaders().filter(Boolean).length).toBe(1);
  expect([a.log[1], a.doubts, b.doubts]).toEqual(["deleted", ["restored"], ["restored"]]);
});

test("so is one whose versions have been overtaken by then: it is another Lease", async () => {
  const restore = server.backup();
  await start(a, b);
  await pass([a, b], 5_000);
  restore(1_000);
  await pass([a, b], 20_000);
  expect(leaders().filter(Boolean).length).toBe(1);
  expect([a.log[1], a.doubts, b.doubts]).toEqual(["deleted", ["recreated"], ["recreated"]]);
});

test("who was away when the Lease went back, and finds its versions overtaken, trusts nothing either", async () => {
  await start(a, b);
  const restore = server.backup();
  await pass([a, b], 2_000);
  a.network = "refused";
  restore();
  await pass([a, b], 10_000);
  expect([leaders(), b.doubts]).toEqual([[false, true], ["restored"]]);
  await pass([a, b], 10_000);
  a.network = "up";
  await pass([a, b], 10_000);
  expect([a.log, a.doubts]).toEqual([["acquired 101", "expired"], ["unseen"]]);
});

test("a version that we know as our own write is another's in the restored history", async () => {
  await start(a);
  const restore = server.backup();
  const { lease } = server;
  await pass([a], 1_000);
  const ours = server.lease?.metadata.resourceVersion;
  a.network = "refused";
  await pass([a], 6_000);
  restore();
  server.apply("PUT", { metadata: lease?.metadata, spec: { ...lease?.spec, holderIdentity: "other", renewTime: "x" } });
  expect(server.lease?.metadata.resourceVersion).toBe(ours);
  a.network = "up";
  await pass([a], 5_000);
  expect([a.log, a.doubts, server.lease?.spec.holderIdentity]).toEqual([
    ["acquired 101", "expired"],
    ["restored"],
    "other",
  ]);
});

test("an outage that is shorter than a lease raises no doubt", async () => {
  await start(a, b);
  await pass([a, b], 2_000);
  a.network = "refused";
  b.network = "refused";
  await pass([a, b], 4_500);
  a.network = "up";
  b.network = "up";
  await pass([a, b], 5_000);
  expect([a.log[1], a.doubts, b.doubts]).toEqual(["expired", [], []]);
});

test("nor does a long one in which nobody wrote the Lease", async () => {
  await start(a);
  await pass([a], 2_000);
  a.network = "refused";
  await pass([a], 60_000);
  a.network = "up";
  await pass([a], 5_000);
  expect([a.elector.isLeader(), a.log[1], a.doubts]).toEqual([true, "expired", []]);
});

test("in years of renewals, with versions of any length, nothing is in doubt", async () => {
  const write = (n: number) => server.backup()(n);
  await start(a, b);
  for (const writes of [850, 9_000, 90_000]) {
    write(writes);
    await pass([a, b], 3_000);
  }
  expect([a.log, a.doubts, b.doubts]).toEqual([["acquired 101"], [], []]);
});

test("whatever backup is restored whenever, nobody leads beside another, and everybody notices", async () => {
  const steps = fc.array(
    fc.record({
      who: fc.nat(2),
      network: fc.constantFrom<Network>("up", "up", "refused", "reply-lost"),
      ms: fc.integer({ min: 1, max: 160 }).map((n) => n * 50),
    }),
    { maxLength: 8 },
  );
  await fc.assert(
    fc.asyncProperty(steps, fc.nat(8), fc.nat(8), async (script, x, y) => {
      const world = new LeaseServer();
      const replicas = ["a", "b", "c"].map((name) => new Replica(world, name));
      const look = neverTwoAtOnce(replicas);
      for (const replica of replicas) void replica.elector.start();
      await pass(replicas, 1_000, look);
      let bringBack = world.backup();
      // The API servers are stopped meanwhile, for longer than a leader leads without renewing and a request takes.
      const restore = async (): Promise<void> => {
        for (const replica of replicas) replica.network = "refused";
        await pass(replicas, 6_000, look);
        bringBack();
        for (const replica of replicas) replica.network = "up";
      };
      for (const [i, { who, network, ms }] of script.entries()) {
        if (i === Math.min(x, y)) bringBack = world.backup();
        if (i === Math.max(x, y)) await restore();
        replicas[who]!.network = network;
        await pass(replicas, ms, look);
      }
      for (const replica of replicas) replica.network = "up";
      await pass(replicas, 16_000, look);
      const doubtsBefore = replicas.map(({ doubts }) => doubts.length);
      await restore();
      await pass(replicas, 2_000, look);
      expect(replicas.filter(({ elector }) => elector.isLeader())).toEqual([]);
      expect(replicas.map(({ doubts }, i) => doubts.length - doubtsBefore[i]!)).toEqual([1, 1, 1]);
      await pass(replicas, 16_000, look);
      expect(replicas.filter(({ elector }) => elector.isLeader()).length).toBe(1);
      const stops = replicas.map(({ elector }) => elector.stop());
      await pass(replicas, 100);
      await Promise.all(stops);
    }),
    { numRuns: 25 },
  );
});
