import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Json } from "../../tools/cluster/api-client.ts";
import { startBag } from "./support/bag.ts";
import { ranExactlyOnce } from "./support/burst.ts";
import { becomes } from "./support/leadership.ts";
import { Person } from "./support/person.ts";
import { needs, Site } from "./support/site.ts";
import type { Tenant } from "./support/tenant.ts";

// Two frameworks, programs of their own, race for the same nodes with 1,000 instances each, in each of the four modes. There is
// room for half of what they want at a time, and their queue's limit leaves them less, so they race again and again.

let site: Site;
beforeAll(async () => {
  // Rounds far apart: fewer offers, and larger ones, for which it is worth racing. One term, though the machine stand still for
  // a while: with another its counters would begin anew.
  const rounds = ["--round-min-interval-ms", "500"];
  const lease = ["--lease-seconds", "60", "--renew-deadline-seconds", "50"];
  site = await Site.open({ args: ["--metrics-auth", "false", ...rounds, ...lease] });
  await becomes(site.operator, "leader");
});
afterAll(() => site?.close());
needs(() => site.cluster, "fakeKubelets", "processes");

/** Of each racer. */
const INSTANCES = 1_000;
const NODES = 10;
const CPUS = INSTANCES / NODES;
/** 60 % of what the nodes have. */
const LIMIT = 0.6 * NODES * CPUS;
const RACERS = ["left", "right"] as const;

const MODES = [
  { conflict: "ResourceFit", transaction: "Incremental" },
  { conflict: "ResourceFit", transaction: "AllOrNothing" },
  { conflict: "Version", transaction: "Incremental" },
  { conflict: "Version", transaction: "AllOrNothing" },
] as const;

/** What the operator has counted since its term began. */
async function lostRaces(): Promise<number> {
  const text = await (await fetch(`${site.operator.url}/metrics`)).text();
  return Number(/^proffer_lost_races_total(?:\{[^}]*\})? (\d+)/m.exec(text)?.[1]);
}

interface Outcome {
  readonly offer: string;
  /** Instances that the answer launches, and those that were started. */
  readonly wanted: number;
  readonly started: number;
  /** Launches that were refused. */
  readonly lost: number;
}

/** What became of the tenant's accepts of optimistic offers, as far as the offers are still there. */
async function outcomes(tenant: Tenant): Promise<Outcome[]> {
  const { items } = await tenant.api.get(tenant.path("offers"));
  return items
    .filter(({ answer, spec }: Json) => answer?.decision === "Accept" && spec.concurrency === "Optimistic")
    .map(({ metadata, answer, status }: Json) => ({
      offer: metadata.name,
      wanted: answer.launches.reduce((sum: number, { count }: Json) => sum + count, 0),
      started: (status?.launches ?? []).reduce((sum: number, { indexes }: Json) => sum + countOf(indexes), 0),
      lost: (status?.launches ?? []).filter(({ refused }: Json) => refused !== undefined).length,
    }));
}

/** Of ranges such as `0-41,57`. */
function countOf(ranges: string): number {
  const parts = ranges === "" ? [] : ranges.split(",").map((range) => range.split("-").map(Number));
  return parts.reduce((sum, [first = 0, last = first]) => sum + last - first + 1, 0);
}

describe.each(MODES)("under $conflict, $transaction", (optimistic) => {
  test("two racers of 1,000 instances each never get more than there is, lose races, and finish", async () => {
    const namespace = `${optimistic.conflict}-${optimistic.transaction}`.toLowerCase();
    const before = await lostRaces();
    const tenant = await site.tenant(namespace, `cpu=${CPUS},memory=64Gi`, NODES);
    await site.queue(namespace, { limit: { cpu: `${LIMIT}` } });
    const app = await Person.in(site.cluster, namespace, "racer");
    for (const name of RACERS) {
      const queues = [{ name: namespace }];
      const offers = { scheduler: { type: "Offers" }, concurrency: "Optimistic", optimistic, answerers: [app.user] };
      await tenant.framework({ ...offers, queues, suppressed: true }, name);
    }
    const bags = RACERS.map((name) =>
      startBag(site.cluster, app, name, {
        namespace,
        lines: [{ name: "race", instances: INSTANCES, resources: { cpu: "1", memory: "64Mi" } }],
        duration: "300ms",
        optimistic: true,
        queue: namespace,
      }),
    );
    for (const { ended } of bags) expect(await ended).toMatchObject({ code: 0 });
    await ranExactlyOnce(site.pods, tenant, RACERS.length * INSTANCES);
    expect(await tenant.peak()).toBeLessThanOrEqual(LIMIT);
    const counted = (await lostRaces()) - before;
    const told = await outcomes(tenant);
    const lost = told.reduce((sum, outcome) => sum + outcome.lost, 0);
    console.log(`${namespace}: ${counted} launches lost, ${lost} of them in offers that are still there`);
    expect(counted).toBeGreaterThan(0);
    expect(counted).toBeGreaterThanOrEqual(lost);
    if (optimistic.transaction === "AllOrNothing") {
      expect(told.filter(({ wanted, started }) => started !== 0 && started !== wanted)).toEqual([]);
    }
  });
});
