import { describe, expect, test } from "vitest";
import { FakeKube, status } from "./fake-kube.test-support.ts";
import { ApiError } from "./kube/api-error.ts";
import { FakeClock } from "./kube/clock.test-support.ts";
import { releaseFinalizers } from "./release-finalizers.ts";
import { noLogger } from "./telemetry.ts";

describe("releasing the finalizers", () => {
  const pod = (name: string, finalizers: string[]) => ({ metadata: { name, namespace: "ns", finalizers } });
  const options = (kube: FakeKube, clock: FakeClock) => ({
    client: kube.client,
    clock,
    log: noLogger,
    namespace: "proffer",
    leaseName: "lease",
    identity: "releaser",
  });

  test("takes the lease by force, waits until its holder has noticed, and then takes ours off every pod", async () => {
    const [kube, clock] = [new FakeKube(), new FakeClock()];
    const spec = { holderIdentity: "leader", leaseDurationSeconds: 6, leaseTransitions: 3 };
    kube.put("leases", { metadata: { name: "lease", namespace: "proffer" }, spec });
    kube.put("pods", pod("a", ["proffer.dev/tracking"]));
    kube.put("pods", pod("b", ["other/x", "proffer.dev/tracking"]));
    kube.put("pods", pod("c", ["other/x"]));
    const done = releaseFinalizers(options(kube, clock));
    await clock.advance(5_999);
    expect(kube.get("leases", "proffer", "lease").spec).toMatchObject({
      holderIdentity: "releaser",
      leaseTransitions: 4,
    });
    expect(kube.get("pods", "ns", "a").metadata.finalizers).toHaveLength(1);
    await clock.advance(1);
    expect(await done).toBe(2);
    expect(kube.get("pods", "ns", "a").metadata.finalizers).toBeUndefined();
    expect(kube.get("pods", "ns", "b").metadata.finalizers).toEqual(["other/x"]);
    expect(kube.get("pods", "ns", "c").metadata.resourceVersion).toBe("104");
  });

  test("reads page after page until every pod is released", async () => {
    const [kube, clock] = [new FakeKube(), new FakeClock()];
    for (let i = 0; i < 1_001; i++) kube.put("pods", pod(`p${i}`, ["proffer.dev/tracking"]));
    expect(await releaseFinalizers(options(kube, clock))).toBe(1_001);
    expect(kube.all("pods").filter(({ metadata }) => metadata.finalizers !== undefined)).toEqual([]);
    expect(kube.requests.filter(({ path }) => path === "/api/v1/pods")).toHaveLength(3);
  });

  test("keeps the lease while it works, however long it had to wait for it", async () => {
    const [kube, clock] = [new FakeKube(), new FakeClock()];
    const spec = { holderIdentity: "another releaser", leaseDurationSeconds: 120 };
    kube.put("leases", { metadata: { name: "lease", namespace: "proffer" }, spec });
    const done = releaseFinalizers(options(kube, clock));
    await clock.advance(120_000);
    await done;
    const { renewTime, holderIdentity, leaseTransitions } = kube.get("leases", "proffer", "lease").spec;
    expect([holderIdentity, leaseTransitions, Date.parse(renewTime)]).toEqual(["releaser", 1, clock.nowMs()]);
  });

  test("tries the lease again when its holder renews meanwhile, and needs none where there is none", async () => {
    const [kube, clock] = [new FakeKube(), new FakeClock()];
    kube.put("leases", { metadata: { name: "lease", namespace: "proffer" }, spec: { leaseDurationSeconds: 1 } });
    let conflicts = 2;
    kube.fault = ({ method }) => (method === "PUT" && conflicts-- > 0 ? { error: status(409, "Conflict") } : undefined);
    const done = releaseFinalizers(options(kube, clock));
    await clock.advance(1_000);
    expect(await done).toBe(0);
    expect(await releaseFinalizers(options(new FakeKube(), clock))).toBe(0);
  });

  test("fails with the API server's words where the right is missing", async () => {
    const [kube, clock] = [new FakeKube(), new FakeClock()];
    kube.fault = ({ path }) =>
      path.endsWith("/pods") ? { error: status(403, "Forbidden", "cannot list pods") } : undefined;
    const attempt = releaseFinalizers(options(kube, clock));
    await expect(attempt).rejects.toThrow(ApiError);
  });
});
