import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { settle } from "./clock.test-support.ts";
import {
  LeaseServer,
  type Network,
  neverTwoAtOnce,
  pass,
  Replica,
  start,
  stopAll,
} from "./leader-election.test-support.ts";
import { LeaderElector, processIdentity } from "./leader-election.ts";

let server: LeaseServer;
let a: Replica;
let b: Replica;

beforeEach(() => {
  server = new LeaseServer();
  a = new Replica(server, "a");
  b = new Replica(server, "b");
});

afterEach(() => stopAll(a, b));

async function passUntil(condition: () => boolean, limitMs = 60_000): Promise<number> {
  let passedMs = 0;
  while (!condition() && passedMs < limitMs) {
    await pass([a, b], 50);
    passedMs += 50;
  }
  return passedMs;
}

const leaders = (): boolean[] => [a.elector.isLeader(), b.elector.isLeader()];

describe("taking the lease", () => {
  test("the first to come leads, in a term named by the Lease's version, and the others stand by", async () => {
    await start(a, b);
    await pass([a, b], 20_000);
    expect(leaders()).toEqual([true, false]);
    expect(a.log).toEqual(["acquired 101"]);
    expect([a.elector.term, b.elector.term, b.elector.holder]).toEqual(["101", undefined, "a"]);
    expect(server.lease?.spec).toMatchObject({ holderIdentity: "a", leaseDurationSeconds: 6, leaseTransitions: 0 });
    for (const time of ["acquireTime", "renewTime"]) {
      expect(server.lease?.spec[time]).toMatch(/^2026-01-01T00:00:\d\d\.\d{6}Z$/);
    }
  });

  test("a leader that dies is followed after its lease, no earlier, and within 7 s", async () => {
    await start(a, b);
    await pass([a, b], 5_000);
    const renewed = server.lease?.metadata.resourceVersion;
    await passUntil(() => server.lease?.metadata.resourceVersion !== renewed);
    a.paused = true;
    const tookMs = await passUntil(() => b.elector.isLeader());
    expect(tookMs).toBeGreaterThanOrEqual(6_000);
    expect(tookMs).toBeLessThanOrEqual(7_000);
    expect(server.lease?.spec).toMatchObject({ holderIdentity: "b", leaseTransitions: 1 });
  });

  test("a leader that stops gives the lease back, and its successor takes over at once", async () => {
    await start(a, b);
    await pass([a, b], 5_000);
    await a.elector.stop();
    expect(a.log.at(-1)).toBe("stopped");
    expect(server.lease?.spec).toMatchObject({ holderIdentity: "", leaseDurationSeconds: 1 });
    expect(await passUntil(() => b.elector.isLeader())).toBeLessThanOrEqual(650);
  });

  test("a lease is respected for as long as its holder promised, even if we would promise less", async () => {
    const lease = { holderIdentity: "other", leaseDurationSeconds: 30 };
    server.apply("POST", { metadata: {}, spec: lease });
    await start(b);
    await pass([b], 29_900);
    expect(b.elector.isLeader()).toBe(false);
    await pass([b], 200);
    expect(b.elector.isLeader()).toBe(true);
  });

  test("what others wrote into the Lease stays in it, and ends no term", async () => {
    await start(a);
    server.apply("PUT", { metadata: { ...server.lease?.metadata, labels: { x: "y" } }, spec: server.lease?.spec });
    await pass([a], 3_000);
    expect(server.lease?.metadata.labels).toEqual({ x: "y" });
    expect(server.lease?.spec.renewTime).toMatch(/^2026-01-01T00:00:0[23]/);
    expect(a.elector.term).toBe("101");
  });

  test("a stop in the middle of taking the lease gives it back too", async () => {
    a.network = "late";
    void a.elector.start();
    await pass([a], 50);
    a.network = "up";
    a.arrive();
    a.network = "late";
    await pass([a], 50);
    const stopped = a.elector.stop();
    a.network = "up";
    a.arrive();
    await pass([a], 50);
    await stopped;
    expect(a.log).toEqual([]);
    expect(server.lease?.spec.holderIdentity).toBe("");
  });
});

describe("losing it (R5: deleting the fence must fail these)", () => {
  test("a leader that cannot renew leads no more after 4 s, and stands by until it can", async () => {
    await start(a, b);
    await pass([a, b], 5_000);
    a.network = "refused";
    b.network = "refused";
    const lostMs = await passUntil(() => a.log.includes("expired"));
    expect(lostMs).toBeLessThanOrEqual(4_000);
    await pass([a, b], 10_000);
    expect(leaders()).toEqual([false, false]);
    a.network = "up";
    await pass([a, b], 1_000);
    expect(leaders()).toEqual([true, false]);
    expect(a.log).toEqual(["acquired 101", "expired", expect.stringMatching(/^acquired 1\d\d$/)]);
    expect(new Set(a.log).size).toBe(3);
  });

  test("and is told so at its deadline, though a request to renew is still under way", async () => {
    await start(a);
    await pass([a], 5_000);
    const renewedMs = a.clock.monotonicMs();
    a.network = "unanswered";
    const lostMs = await passUntil(() => a.log.includes("expired"));
    expect(lostMs).toBeLessThanOrEqual(4_000);
    expect(a.clock.monotonicMs() - renewedMs).toBeGreaterThan(2_500);
    expect(a.elector.isLeader()).toBe(false);
  });

  test("is nothing that overload elsewhere does: no request of the elector waits for others, nor longer than it may", async () => {
    await start(a, b);
    await pass([a, b], 3_000);
    for (const { urgent, retries, timeoutMs } of [...a.asked, ...b.asked]) {
      expect({ urgent, retries, timeoutMs }).toEqual({ urgent: true, retries: 0, timeoutMs: 2_000 });
    }
    expect(a.asked.length).toBeGreaterThan(2);
  });

  test("a process paused past its deadline is no leader when it wakes, before any of its timers has run", async () => {
    await start(a);
    const fence = a.elector.fence();
    a.clock.freeze(2_900);
    expect([a.elector.isLeader(), fence()]).toEqual([true, true]);
    a.clock.freeze(1_100);
    expect([a.elector.isLeader(), a.elector.term, fence()]).toEqual([false, undefined, false]);
  });

  test("a process paused past its lease, awake again in the middle of a renewal, sends nothing and steps down", async () => {
    await start(a, b);
    await pass([a, b], 5_000);
    a.network = "late";
    await pass([a, b], 1_000);
    const fence = a.elector.fence();
    a.paused = true;
    await passUntil(() => b.elector.isLeader());
    const { sent } = a;
    a.paused = false;
    a.network = "up";
    expect([a.elector.isLeader(), fence()]).toEqual([false, false]);
    a.arrive();
    await pass([a, b], 3_000);
    expect(leaders()).toEqual([false, true]);
    expect(a.log).toEqual(["acquired 101", "taken"]);
    expect(a.sent).toBeGreaterThan(sent);
    expect(server.lease?.spec.holderIdentity).toBe("b");
  });

  test("a renewal that comes through after the deadline does not bring a lapsed term back", async () => {
    await start(a);
    const fence = a.elector.fence();
    a.network = "late";
    await pass([a], 1_000);
    a.network = "up";
    // Past the deadline of the last renewal, not yet past what this one would give.
    a.clock.freeze(3_400);
    // Before the timers of the woken process run, the answer is there.
    a.arrive();
    await pass([a], 50);
    expect(a.log[1]).toBe("expired");
    await pass([a], 2_000);
    expect(a.elector.isLeader()).toBe(true);
    expect(a.log.length).toBe(3);
    expect(a.elector.term).not.toBe("101");
    expect(fence()).toBe(false);
  });

  test("a renewal counts from when it was sent, however long its answer took", async () => {
    await start(a);
    a.network = "late";
    await pass([a], 1_000);
    const sentMs = a.clock.monotonicMs() - 50;
    await pass([a], 1_500);
    a.arrive();
    await settle();
    expect(a.elector.isLeader(sentMs + 3_999)).toBe(true);
    expect(a.elector.isLeader(sentMs + 4_050)).toBe(false);
  });

  test("so does taking the lease; an answer after the deadline is no term at all", async () => {
    a.network = "late";
    void a.elector.start();
    await settle();
    a.arrive();
    await pass([a], 1_500);
    a.arrive();
    await settle();
    expect([a.elector.isLeader(3_999), a.elector.isLeader(4_000)]).toEqual([true, false]);
    b.network = "late";
    server.lease = undefined;
    void b.elector.start();
    await settle();
    b.arrive();
    await settle();
    b.clock.freeze(4_000);
    b.network = "up";
    b.arrive();
    await settle();
    expect(server.lease).toMatchObject({ spec: { holderIdentity: "b" } });
    expect(b.log).toEqual([]);
    await pass([b], 1_000);
    expect(b.elector.isLeader()).toBe(true);
  });

  test("two processes that share an identity by mistake do not both lead for long", async () => {
    await start(a);
    const { lease } = server;
    server.apply("PUT", { metadata: lease?.metadata, spec: { ...lease?.spec, acquireTime: "of the other" } });
    await pass([a], 1_100);
    expect(a.log).toEqual(["acquired 101", "taken"]);
  });

  test("a term that has ended stays ended for its requests, even when we lead again", async () => {
    await start(a);
    const fence = a.elector.fence();
    a.clock.freeze(5_000);
    await pass([a], 2_000);
    expect([a.elector.isLeader(), fence(), a.elector.fence()()]).toEqual([true, false, true]);
  });

  test("a renewal whose answer was lost is found out, and the term goes on", async () => {
    await start(a, b);
    a.network = "reply-lost";
    await pass([a, b], 1_500);
    a.network = "up";
    await pass([a, b], 10_000);
    expect(a.log).toEqual(["acquired 101"]);
    expect(a.elector.term).toBe("101");
  });

  test("a leader that finds another in the lease steps down at once", async () => {
    await start(a);
    const { lease } = server;
    server.apply("PUT", { metadata: lease?.metadata, spec: { holderIdentity: "thief", leaseDurationSeconds: 6 } });
    await pass([a], 1_100);
    expect(a.log).toEqual(["acquired 101", "taken"]);
  });

  test("a leader whose Lease is deleted sees it at its next renewal, and begins a new term", async () => {
    await start(a);
    server.lease = undefined;
    await pass([a], 2_500);
    expect(a.log).toEqual(["acquired 101", "deleted", expect.stringMatching(/^acquired \d+$/)]);
    expect(a.elector.isLeader()).toBe(true);
  });

  test("a Lease that is deleted ends the term, but a standby that saw it waits until it would have run out", async () => {
    await start(a, b);
    await pass([a, b], 2_000);
    a.paused = true;
    server.lease = undefined;
    expect(await passUntil(() => b.elector.isLeader())).toBeGreaterThanOrEqual(4_500);
    a.paused = false;
    await pass([a, b], 2_000);
    expect(a.log).toEqual(["acquired 101", "expired"]);
    server.lease = undefined;
    await passUntil(() => b.log.includes("deleted"), 2_000);
    expect(b.log.at(-1)).toBe("deleted");
  });
});

describe("clocks", () => {
  test.each([3_600_000, -3_600_000, -1])(
    "a wall clock that jumps by %i ms every second changes nothing",
    async (jump) => {
      await start(a, b);
      for (let i = 0; i < 20; i++) {
        a.clock.jumpWall(jump);
        b.clock.jumpWall(-jump);
        await pass([a, b], 1_000);
      }
      expect(a.log).toEqual(["acquired 101"]);
      expect(b.log).toEqual([]);
    },
  );

  test("a wall clock that stands still does not make renewals look like silence", async () => {
    await start(a, b);
    for (let i = 0; i < 400; i++) {
      await pass([a, b], 50);
      a.clock.jumpWall(-50);
    }
    expect(leaders()).toEqual([true, false]);
    expect(b.log).toEqual([]);
  });

  test("durations under which a late request could meet a new leader are refused", () => {
    expect(() => new Replica(server, "c", { leaseMs: 5_999 })).toThrow("must not exceed");
    expect(() => new Replica(server, "c", { requestTimeoutMs: 2_001 })).toThrow("must not exceed");
    expect(new Replica(server, "c", { leaseMs: 6_000 }).elector).toBeInstanceOf(LeaderElector);
  });

  test("identities tell apart two lives of one host", () => {
    expect(processIdentity("host", "1")).not.toBe(processIdentity("host", "2"));
  });
});

describe("whatever happens", () => {
  const network = fc.constantFrom<Network>("up", "up", "refused", "unanswered", "reply-lost", "late");
  const steps = fc.array(
    fc.record({
      who: fc.nat(2),
      network,
      paused: fc.boolean(),
      arrive: fc.boolean(),
      jumpMs: fc.constantFrom(0, 3_600_000, -3_600_000),
      ms: fc.integer({ min: 1, max: 160 }).map((n) => n * 50),
    }),
    { maxLength: 15 },
  );

  test("nobody leads while a request of another leader may be under way, and once all is well, one leads in 8 s", async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (script) => {
        const world = new LeaseServer();
        const replicas = ["a", "b", "c"].map((name) => new Replica(world, name));
        const look = neverTwoAtOnce(replicas);
        for (const replica of replicas) void replica.elector.start();
        for (const { who, network: next, paused, arrive, jumpMs, ms } of script) {
          const replica = replicas[who]!;
          replica.network = next;
          replica.paused = paused;
          replica.clock.jumpWall(jumpMs);
          if (arrive) replica.arrive();
          look();
          await pass(replicas, ms, look);
        }
        for (const replica of replicas) {
          replica.paused = false;
          replica.network = "up";
        }
        await pass(replicas, 8_000, look);
        expect(replicas.filter(({ elector }) => elector.isLeader()).length).toBe(1);
        const terms = replicas.flatMap(({ log }) => log.filter((word) => word.startsWith("acquired")));
        expect(new Set(terms).size).toBe(terms.length);
        const stops = replicas.map(({ elector }) => elector.stop());
        await pass(replicas, 100);
        await Promise.all(stops);
      }),
      { numRuns: 25 },
    );
  });
});
