import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { parseRequests } from "../../src/offers/quantity.ts";
import { fileOf, VARIANTS, type Variant } from "../../src/simulator/experiments/ancestors.ts";
import { readConfiguration } from "../../src/simulator/experiments/configuration.ts";
import { FIRST_PLACES } from "../../src/simulator/experiments/small-trace.ts";
import type { Json } from "../../tools/cluster/api-client.ts";
import { eventually } from "./support/eventually.ts";
import { Person } from "./support/person.ts";
import { needs, Site } from "./support/site.ts";
import { Tenant } from "./support/tenant.ts";

// The schedulers of before as configurations: the examples' own files, applied with kubectl, and the small trace of
// docs/experiments.md up to where every place is taken. Two tenants, one node, six outcomes.

const EXAMPLES = join(import.meta.dirname, "../../examples");
const TENANTS = ["ads", "bio"] as const;
const WANTED = {
  ads: { instances: 8, requests: { cpu: "1", memory: "1Gi" } },
  bio: { instances: 5, requests: { cpu: "1", memory: "4Gi" } },
};

let site: Site;
let tenant: Tenant;
let node: string;
let people: Readonly<Record<string, Person>>;

beforeAll(async () => {
  site = await Site.open();
  // The namespace of the examples.
  tenant = new Tenant(site.cluster, site.pods, "default");
  [node = ""] = await tenant.nodes("cpu=8,memory=16Gi");
  const [ads, bio] = await Promise.all(TENANTS.map((name) => Person.in(site.cluster, "default", name)));
  people = { ads: ads!, bio: bio! };
});
afterAll(() => site?.close());
needs(() => site.cluster, "fakeKubelets", "processes");

let applied: string | undefined;
afterEach(async () => {
  if (applied === undefined) return;
  await tenant.clear();
  const file = applied;
  // A queue may go once its status says that no Framework lists it any more.
  const gone = () =>
    site.kubectl(["delete", "--wait", "--ignore-not-found", "-f", file]).then(
      () => true,
      () => false,
    );
  await eventually("the queues that nobody uses any more can be deleted", gone, (isGone) => isGone);
  applied = undefined;
});

/** Everybody has asked before there is anything to be had. */
async function begin(variant: Variant): Promise<void> {
  const file = join(EXAMPLES, fileOf(variant, "small"));
  const { frameworks } = readConfiguration(file);
  await site.kubectl(["cordon", node]);
  applied = file;
  await site.kubectl(["apply", "-f", file]);
  for (const name of TENANTS) {
    const own = frameworks.some(({ key }) => key === `default/${name}`);
    const framework = own ? name : frameworks[0]!.key.split("/")[1]!;
    await tenant.task(`${name}-1`, { framework, ...WANTED[name] });
  }
  await Promise.all(TENANTS.map((name) => tenant.waits(`${name}-1`, "NoNode")));
  await site.kubectl(["uncordon", node]);
}

/** The tenant's program takes from its first offer whatever it has work for. */
async function answer(name: (typeof TENANTS)[number], offers: readonly Json[]): Promise<void> {
  const offer = offers.find(({ spec }) => spec.framework === name)!;
  const asked = parseRequests(WANTED[name].requests);
  const launches = offer.spec.slices.map((slice: Json) => {
    const room = parseRequests(slice.resources);
    const fits = Object.entries(asked).map(([resource, amount]) => Math.floor((room[resource] ?? 0) / amount));
    return { task: `${name}-1`, slice: slice.name, count: Math.min(WANTED[name].instances, ...fits) };
  });
  const answer = { by: people[name]!.user, decision: "Accept", launches };
  expect(await people[name]!.patch("offer", offer.metadata.name, { answer })).toMatchObject({ code: 0 });
  const read = () => tenant.api.get(tenant.path("offers", offer.metadata.name));
  await eventually(`the offer to ${name} ends`, read, ({ status }) => status.phase !== "Open");
}

const isWaiting = ({ conditions = [] }: Json) =>
  conditions.some(({ type, status }: Json) => type === "Waiting" && status === "True");

describe("two tenants that both want all of one node", () => {
  test.each(VARIANTS)("are served as $name serves them", async (variant) => {
    const { scheduler } = readConfiguration(join(EXAMPLES, fileOf(variant, "small"))).frameworks[0]!;
    await begin(variant);
    if (scheduler === "Offers") {
      const all = async (): Promise<Json[]> => (await tenant.api.get(tenant.path("offers"))).items;
      const open = async () => (await all()).filter(({ status }) => status?.phase === "Open");
      const both = (offers: Json[]) => TENANTS.every((name) => offers.some(({ spec }) => spec.framework === name));
      const offers = await eventually("an offer to each", open, both);
      // Bio's program is the quicker one.
      for (const name of ["bio", "ads"] as const) await answer(name, offers);
    }
    const places = FIRST_PLACES[variant.ancestor.folder]!;
    for (const name of TENANTS) {
      const holds = (status: Json) =>
        (status.counts?.running ?? 0) === places[name] &&
        status.counts.pending === WANTED[name].instances - places[name] &&
        (status.counts.pending === 0 || isWaiting(status));
      await tenant.until(`${name}-1`, `${places[name]} run, the others wait and say why`, holds);
      expect(await tenant.pods(`${name}-1`)).toHaveLength(places[name]);
    }
  });
});
