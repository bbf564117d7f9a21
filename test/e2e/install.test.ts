/**
 * Proffer as its users have it: the chart with its default values, the operator in its own image, tasks as real containers
 * on a node with containerd and a kubelet. The tests of this file follow one another on one installation.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RELEASE } from "../../tools/operator/install-chart.ts";
import { Installation, script } from "./support/installation.ts";
import { onRealNode } from "./support/real-node.ts";
import type { Tenant } from "./support/tenant.ts";

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
  });
});
