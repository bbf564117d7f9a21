import { afterEach, describe, expect, test } from "vitest";
import type { Effect } from "../offers/messages.ts";
import { type FakeKube, type FakeRequest, type Fault, lost, status } from "./fake-kube.test-support.ts";
import { frameworkObject, nodeObject } from "./objects.test-support.ts";
import { create, fill, setUp, stopWorlds } from "./operator.test-support.ts";
import type { ScriptedBroker } from "./scripted-broker.test-support.ts";

afterEach(stopWorlds);

describe("the end of the process", () => {
  test("lets what is under way end, and begins nothing", async () => {
    const { kube, clock, operator, broker, lead } = setUp({
      react: (scripted) => {
        scripted.react = (input) => (input.type === "opened" ? [create] : []);
      },
    });
    fill(kube);
    kube.remove("pods", kube.all("pods")[0]);
    const answer = Promise.withResolvers<void>();
    const request = kube.request.bind(kube);
    kube.request = async (method, path, options) => {
      if (method === "POST" && path.endsWith("/pods") && !options?.query?.dryRun) await answer.promise;
      return request(method, path, options);
    };
    await lead();
    let closed = false;
    void operator.close().then(() => {
      closed = true;
    });
    await clock.advance(1_000);
    expect(closed).toBe(false);
    answer.resolve();
    await clock.advance(10);
    expect(closed).toBe(true);
    expect(kube.all("pods")).toHaveLength(1);
    const told = broker().inputs.length;
    kube.put("nodes", nodeObject("n2"));
    await clock.advance(10_000);
    expect(broker().inputs.length).toBe(told);
  });

  test("waits for it only so long", async () => {
    const { kube, clock, operator, lead } = setUp({
      react: (scripted) => {
        scripted.react = (input) => (input.type === "opened" ? [create] : []);
      },
    });
    fill(kube);
    const request = kube.request.bind(kube);
    kube.request = (method, path, options) =>
      method === "POST" && path.endsWith("/pods") && !options?.query?.dryRun
        ? new Promise(() => {})
        : request(method, path, options);
    await lead();
    let closed = false;
    void operator.close().then(() => {
      closed = true;
    });
    await clock.advance(6_000);
    expect(closed).toBe(true);
  });
});

describe("the admission policies", () => {
  const publish: Effect = {
    type: "publish-offer",
    offer: {
      key: "ns/fw-7-1",
      framework: "ns/fw",
      frameworkUid: "fw-1",
      queue: "default",
      term: "7",
      concurrency: "Exclusive",
      slices: [{ name: "s0", node: "n1", nodeUid: "u", resources: { cpu: 1000 }, labels: {} }],
      expiresAtMs: Date.UTC(2027, 0, 1),
      answerers: ["alice"],
    },
  };
  const publishing = (broker: ScriptedBroker) => {
    broker.react = (input) => (input.type === "opened" ? [publish] : []);
  };
  const refusing = ({ query, path }: FakeRequest): Fault | undefined => {
    if (!query.dryRun) return undefined;
    const policy = path.endsWith("/queues") ? "status" : path.endsWith("/offers") ? "offers" : "pods";
    return { error: status(403, "Forbidden", `ValidatingAdmissionPolicy '${policy}.proffer.dev' denied the request`) };
  };
  const offers = (kube: FakeKube) => kube.all("offers").map(({ metadata }) => metadata.name);

  test("are waited for before the first offer is published, and that is said (guards: the probe)", async () => {
    const { kube, clock, lead, logged } = setUp({ requireAdmissionPolicy: true, react: publishing });
    fill(kube);
    kube.put("frameworks", frameworkObject({ scheduler: { type: "Offers" }, answerers: ["alice"] }));
    await lead();
    await clock.advance(10_000);
    expect(offers(kube)).toEqual(["fw-7-0"]);
    expect(logged).toContain("no offer is published before the admission policies are in force");
    expect(kube.get("frameworks", "ns", "fw").status.conditions).toContainEqual(
      expect.objectContaining({ type: "OffersHeldBack", status: "True" }),
    );
    kube.fault = refusing;
    await clock.advance(10_000);
    expect(offers(kube)).toEqual(["fw-7-0", "fw-7-1"]);
    expect(kube.get("frameworks", "ns", "fw").status.conditions).not.toContainEqual(
      expect.objectContaining({ type: "OffersHeldBack" }),
    );
  });

  test.each<[string, (request: FakeRequest) => Fault | undefined]>([
    [
      "a 403 that is not the policy's",
      (_: FakeRequest) => ({ error: status(403, "Forbidden", "cannot create offers") }),
    ],
    ["an object that the schema refuses", (_: FakeRequest) => ({ error: status(422, "Invalid", "spec: Required") })],
    ["no answer", (_: FakeRequest) => ({ error: lost() })],
    ...["offers", "pods", "queues"].map((missing): [string, (request: FakeRequest) => Fault | undefined] => [
      `all policies but the one that is tried on ${missing}`,
      (request) => (request.path.endsWith(`/${missing}`) ? undefined : refusing(request)),
    ]),
  ])("are not taken to be in force by %s", async (_, fault) => {
    const { kube, clock, lead } = setUp({ requireAdmissionPolicy: true, react: publishing });
    fill(kube);
    kube.fault = (request) => (request.query.dryRun ? fault(request) : undefined);
    await lead();
    await clock.advance(30_000);
    expect(offers(kube)).toEqual(["fw-7-0"]);
  });

  test("that are not in force yet keep the broker from making offers, from before the term is open until they are", async () => {
    const { kube, clock, lead, broker } = setUp({ requireAdmissionPolicy: true });
    await lead();
    await clock.advance(10_000);
    expect(broker().types().slice(0, 2)).toEqual(["publishing", "opened"]);
    kube.fault = refusing;
    await clock.advance(10_000);
    kube.fault = () => undefined;
    await clock.advance(600_000);
    expect(broker().of("publishing")).toMatchObject([{ allowed: false }, { allowed: true }, { allowed: false }]);
  });

  test("are not asked for where nobody requires them", async () => {
    const { kube, lead, broker } = setUp({ react: publishing });
    fill(kube);
    await lead();
    expect(offers(kube)).toEqual(["fw-7-0", "fw-7-1"]);
    expect(broker().of("publishing")).toMatchObject([{ allowed: true }]);
  });
});
