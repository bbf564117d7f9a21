/**
 * Proffer as its users have it: the chart with its default values, the operator in its own image, tasks as real containers
 * on a node with containerd and a kubelet. The tests of this file follow one another on one installation.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Json } from "../../tools/cluster/api-client.ts";
import { RELEASE } from "../../tools/operator/install-chart.ts";
import { eventually } from "./support/eventually.ts";
import { Installation, script } from "./support/installation.ts";
import { onRealNode } from "./support/real-node.ts";
import type { Tenant } from "./support/tenant.ts";

const running = (count: number) => (pods: Json[]) =>
  pods.length === count && pods.every(({ status }) => status.phase === "Running");

onRealNode("an installation", () => {
  let site: Installation;
  let tenant: Tenant;

  beforeAll(async () => {
    site = await Installation.open();
    await site.install();
    tenant = await site.tenant("team-a");
  });
  afterAll(() => site?.close());

  describe("after helm install with the default values", () => {
    test("has two operators of the chart's own image, of which one leads, and which need no second start", async () => {
      const pods = await site.operatorsReady();
      for (const { status } of pods) {
        expect(status.containerStatuses[0]).toMatchObject({
          image: expect.stringMatching(/^(docker\.io\/library\/)?proffer:/),
          restartCount: 0,
        });
      }
      const leases = `/apis/coordination.k8s.io/v1/namespaces/${RELEASE.namespace}/leases/proffer-operator`;
      const { spec } = await site.cluster.api.get(leases);
      expect(pods.filter(({ metadata }) => spec.holderIdentity.startsWith(metadata.name))).toHaveLength(1);
    });
  });

  describe("a task", () => {
    test("runs each of its instances to success, and their logs can be read", async () => {
      await site.apply("team-a", script("counts", "echo part $PROFFER_TASK_INDEX", { spec: { instances: 3 } }));
      expect(await tenant.ended("counts")).toMatchObject({
        state: "Finished",
        progress: "3/3",
        succeededIndexes: "0-2",
      });
      const logs = await site.kubectl("logs", "-n", "team-a", "-l", "proffer.dev/task=counts");
      expect(logs.trim().split("\n").sort()).toEqual(["part 0", "part 1", "part 2"]);
    });

    test("that fails tells its exit code, and its log tells more", async () => {
      await site.apply("team-a", script("fails", "echo no such luck >&2; exit 3"));
      const status = await tenant.ended("fails");
      expect(status).toMatchObject({ state: "Failed", why: expect.stringContaining("exit code 3") });
      expect(status.lastFailures).toMatchObject([
        { reason: "exit-code", exitCode: 3, node: site.cluster.realNode.name },
      ]);
      expect(await site.kubectl("logs", "-n", "team-a", "-l", "proffer.dev/task=fails")).toBe("no such luck\n");
    });

    test("that is killed has its time to end by itself", async () => {
      const polite = "trap 'echo saved; exit 5' TERM; echo up; while :; do sleep 0.1; done";
      await site.apply("team-a", script("polite", polite));
      const [pod] = await tenant.podsUntil("it runs", running(1), "polite");
      const log = site.follow("team-a", pod.metadata.name);
      await eventually("its log", log.sofar, (text) => text === "up\n");
      await tenant.patchTask("polite", { kill: {} });
      const status = await tenant.ended("polite");
      expect(status).toMatchObject({ state: "Killed", lastFailures: [{ reason: "killed", exitCode: 5 }] });
      expect(await log.all).toBe("up\nsaved\n");
    });

    test("that does not end by itself is ended when its grace is over", async () => {
      const stubborn = "trap '' TERM; while :; do sleep 0.1; done";
      await site.apply("team-a", script("stubborn", stubborn));
      await tenant.podsUntil("it runs", running(1), "stubborn");
      await tenant.patchTask("stubborn", { kill: { gracePeriodSeconds: 1 } });
      const status = await tenant.ended("stubborn");
      expect(status).toMatchObject({ state: "Killed", lastFailures: [{ reason: "killed", exitCode: 137 }] });
      await tenant.podsUntil("it is gone", (pods) => pods.length === 0, "stubborn");
    });
  });

  describe("a task says what went wrong on its node", () => {
    test("when it takes more memory than it may", async () => {
      const limits = { memory: "32Mi" };
      await site.apply("team-a", script("hungry", "dd if=/dev/zero of=/dev/null bs=100M count=1", { limits }));
      const status = await tenant.ended("hungry");
      expect(status).toMatchObject({ state: "Failed", why: "on real-node: exit code 137: OOMKilled: out of memory" });
      expect(status.lastFailures).toMatchObject([{ reason: "exit-code", exitCode: 137 }]);
    });

    test("when the kubelet evicts it", async () => {
      const limits = { "ephemeral-storage": "1Mi" };
      const fill = "dd if=/dev/zero of=/tmp/much bs=1M count=8; sleep 1000";
      await site.apply("team-a", script("fills", fill, { limits, pod: { terminationGracePeriodSeconds: 0 } }));
      const status = await tenant.ended("fills");
      expect(status).toMatchObject({ state: "Lost", lastFailures: [{ reason: "evicted" }] });
      expect(status.why).toMatch(/^on real-node: .*Evicted: .*ephemeral local storage usage exceeds/);
    });

    test("when its image does not exist: it waits, says so, and can be given up", async () => {
      await site.apply("team-a", script("unknown", "true", { image: "registry.invalid/no/such:image" }));
      const said = await tenant.waits("unknown", "NotStarting");
      expect(said).toMatch(/^on real-node: ErrImagePull: .*registry\.invalid\/no\/such:image/);
      expect(await tenant.status("unknown")).toMatchObject({ state: "Starting", why: said });
      await tenant.patchTask("unknown", { kill: {} });
      expect(await tenant.ended("unknown")).toMatchObject({ state: "Killed" });
      await tenant.podsUntil("none is left", (pods) => pods.length === 0, "unknown");
    });
  });
});
