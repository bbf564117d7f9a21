import { afterEach, describe, expect, test } from "vitest";
import type { FakeKube } from "./fake-kube.test-support.ts";
import { frameworkObject, nodeObject } from "./objects.test-support.ts";
import { fill, setUp, stopWorlds } from "./operator.test-support.ts";
import type { ScriptedBroker } from "./scripted-broker.test-support.ts";

afterEach(stopWorlds);

/** FakeClock begins at the beginning of 2026. */
const START_MS = Date.UTC(2026, 0, 1);

function lease(renewTime: string, metadata: object = {}): object {
  const labels = { "proffer.dev/framework": "fw" };
  return {
    metadata: { name: "l", namespace: "ns", labels, ...metadata },
    spec: { holderIdentity: "me", leaseDurationSeconds: 30, renewTime },
  };
}

async function led(react: (broker: ScriptedBroker) => void = () => {}, prepare: (kube: FakeKube) => void = () => {}) {
  const made = setUp({ react });
  fill(made.kube);
  made.kube.put("frameworks", frameworkObject({ scheduler: { type: "Offers" }, answerers: ["me"] }));
  made.kube.put("leases", lease("2025-12-31T23:59:50.000000Z"));
  prepare(made.kube);
  await made.lead();
  return made;
}

describe("a Lease with a framework's label", () => {
  test("that is there when a term begins is told by its own time, before the Tasks", async () => {
    const { broker } = await led();
    expect(broker().of("lease-observed")).toEqual([
      {
        type: "lease-observed",
        lease: { key: "ns/l", framework: "ns/fw", renewedAtMs: START_MS - 10_000, durationMs: 30_000, released: false },
      },
    ]);
    const types = broker().types();
    expect(types.indexOf("lease-observed")).toBeGreaterThan(types.indexOf("framework-observed"));
    expect(types.indexOf("lease-observed")).toBeLessThan(types.indexOf("task-observed"));
  });

  test("that changes is told by our time; its end, too", async () => {
    const { kube, clock, broker } = await led();
    await clock.advance(10_000);
    kube.put("leases", lease("2031-01-01T00:00:00.000000Z"));
    await clock.advance(10);
    expect(broker().of("lease-observed").at(-1)!.lease.renewedAtMs).toBe(clock.nowMs() - 10);
    kube.remove("leases", kube.get("leases", "ns", "l"));
    await clock.advance(10);
    expect(broker().of("lease-gone")).toEqual([{ type: "lease-gone", key: "ns/l" }]);
  });
});

describe("before an absence costs tasks, the Leases are read from the API server itself", () => {
  /** Asked for when the term opens; `change` happens just before the read, and no watch shows it. */
  async function confirmed(change: (kube: FakeKube) => void) {
    const paths: string[] = [];
    const asking = (broker: ScriptedBroker) => {
      broker.react = ({ type }) => (type === "opened" ? [{ type: "confirm-absence", framework: "ns/fw" }] : []);
    };
    const made = await led(asking, (kube) => {
      kube.fault = ({ path, query }) => {
        if (path !== "/apis/coordination.k8s.io/v1/namespaces/ns/leases") return undefined;
        paths.push(`${path}?${query.labelSelector}`);
        kube.mute();
        change(kube);
        return undefined;
      };
    });
    const { broker } = made;
    expect(paths).toEqual(["/apis/coordination.k8s.io/v1/namespaces/ns/leases?proffer.dev/framework=fw"]);
    const after = broker().inputs.slice(broker().types().indexOf("opened") + 1);
    return { ...made, after };
  }

  test("and what the watch has not shown is told before the confirmation", async () => {
    const { after } = await confirmed((kube) => kube.put("leases", lease("2020-01-01T00:00:00.000000Z")));
    expect(after.map(({ type }) => type)).toEqual(["lease-observed", "absence-confirmed"]);
    const [seen] = after.filter((input) => input.type === "lease-observed");
    expect(seen!.lease.renewedAtMs).toBeGreaterThanOrEqual(START_MS);
  });

  test("also of a Lease that was deleted", async () => {
    const { after } = await confirmed((kube) => kube.remove("leases", kube.get("leases", "ns", "l")));
    expect(after).toEqual([
      { type: "lease-gone", key: "ns/l" },
      { type: "absence-confirmed", framework: "ns/fw" },
    ]);
  });

  test("and what the watch has shown since the read is not undone by it", async () => {
    const later = {
      ...(lease("2026-01-01T00:00:01.000000Z") as object),
      spec: { holderIdentity: "", renewTime: "2026-01-01T00:00:01.000000Z" },
    };
    const asking = (broker: ScriptedBroker) => {
      broker.react = ({ type }) => (type === "opened" ? [{ type: "confirm-absence", framework: "ns/fw" }] : []);
    };
    const { broker } = await led(asking, (kube) => {
      const request = kube.request.bind(kube);
      kube.request = async (method, path, options) => {
        const answer = await request(method, path, options);
        if (path.endsWith("/namespaces/ns/leases")) kube.put("leases", later);
        return answer;
      };
    });
    const after = broker().inputs.slice(broker().types().indexOf("opened") + 1);
    expect(after).toEqual([
      { type: "lease-observed", lease: expect.objectContaining({ released: true }) },
      { type: "absence-confirmed", framework: "ns/fw" },
    ]);
  });

  test("and what is known already makes no difference", async () => {
    const { after: unchanged } = await confirmed(() => {});
    expect(unchanged).toEqual([{ type: "absence-confirmed", framework: "ns/fw" }]);
    // Something else was written since the watch has shown the Lease.
    const { after } = await confirmed((kube) => kube.put("nodes", nodeObject("other")));
    expect(after).toEqual([
      { type: "lease-observed", lease: expect.objectContaining({ renewedAtMs: START_MS - 10_000 }) },
      { type: "absence-confirmed", framework: "ns/fw" },
    ]);
  });
});
