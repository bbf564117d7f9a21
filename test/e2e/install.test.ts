/**
 * Proffer as its users have it: the chart with its default values, the operator in its own image, tasks as real containers
 * on a node with containerd and a kubelet. The tests of this file follow one another on one installation.
 */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseRequests } from "../../src/offers/quantity.ts";
import type { Json } from "../../tools/cluster/api-client.ts";
import { RELEASE } from "../../tools/operator/install-chart.ts";
import { ranExactlyOnce } from "./support/burst.ts";
import { eventually } from "./support/eventually.ts";
import { Installation, script, shellPod } from "./support/installation.ts";
import { Person } from "./support/person.ts";
import { Plugin, type PluginRun } from "./support/plugin.ts";
import { onRealNode, withContainers } from "./support/real-node.ts";
import type { Tenant } from "./support/tenant.ts";

const running = (count: number) => (pods: Json[]) =>
  pods.length === count && pods.every(({ status }) => status.phase === "Running");

withContainers("an installation", () => {
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

  test("passes helm test", async () => {
    expect(await site.helm("test")).toMatch(/TEST SUITE: +proffer-test[^\0]*Phase: +Succeeded/);
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

  describe("kubectl proffer, typed by a tenant", () => {
    let start: (...args: string[]) => PluginRun;
    beforeAll(async () => {
      const plugin = await Plugin.build(site.cluster.dir);
      const { kubeconfig } = await Person.in(site.cluster, "team-a", "somebody", "edit");
      start = (...args) => plugin.start(kubeconfig, "team-a", ...args);
    });
    const command = (name: string, text: string, ...flags: string[]) => {
      const how = ["--name", name, "--image", "workload:local", "--run-as-user", "65534", "--cpu", "10m", "--rm"];
      return start("run", ...how, ...flags, "--", "sh", "-c", text);
    };

    test("runs a command in several containers, shows all that each says, and ends with the worst exit code", async () => {
      const says = 'i=0; while [ $i -lt 500 ]; do echo "line $i"; i=$((i+1)); done; exit $PROFFER_TASK_INDEX';
      const { code, out, notes } = await command("typed", says, "-n", "3").ended;
      const expected = Array.from({ length: 500 }, (_, i) => `line ${i}`);
      for (const index of [0, 1, 2]) {
        const lines = out.filter((line) => line.startsWith(`[${index}] `)).map((line) => line.slice(4));
        expect(lines).toEqual(expected);
      }
      expect(code).toBe(2);
      expect(notes).toContain(`instance 2: exit code 2 on ${site.cluster.realNode.name}`);
      expect(notes.at(-1)).toBe("task typed deleted");
    });

    test("shows what a container says when Ctrl-C ends it", async () => {
      const run = command("ended", "trap 'echo saved; exit 5' TERM; echo up; while :; do sleep 0.1; done");
      await run.says("[0] up");
      run.signal("SIGINT");
      const { code, out } = await run.ended;
      expect({ code, out }).toEqual({ code: 130, out: ["[0] up", "[0] saved"] });
    });

    test("has the leader explain, through the Service and with the default values", async () => {
      await site.apply("team-a", script("giant", "true", { requests: { cpu: "1000" } }));
      await tenant.waits("giant", "NoNode");
      const { code, out, notes } = await start("explain", "task", "giant").ended;
      expect({ code, notes }).toEqual({ code: 0, notes: [] });
      expect(out.join()).toMatch(/Why: +no-node: .*insufficient cpu \(needs 1000, largest free [^)]+\)/);
      await site.kubectl("delete", "task.proffer.dev", "-n", "team-a", "giant");
    });
  });

  describe("a task says what went wrong on its node", () => {
    test("when it takes more memory than it may", async () => {
      const limits = { memory: "32Mi" };
      await site.apply("team-a", script("hungry", "dd if=/dev/zero of=/dev/null bs=100M count=1", { limits }));
      const status = await tenant.ended("hungry");
      expect(status).toMatchObject({
        state: "Failed",
        why: `on ${site.cluster.realNode.name}: exit code 137: OOMKilled: out of memory`,
      });
      expect(status.lastFailures).toMatchObject([{ reason: "exit-code", exitCode: 137 }]);
    });

    test("when the kubelet evicts it", async () => {
      const limits = { "ephemeral-storage": "1Mi" };
      const fill = "dd if=/dev/zero of=/tmp/much bs=1M count=8; sleep 1000";
      await site.apply("team-a", script("fills", fill, { limits, pod: { terminationGracePeriodSeconds: 0 } }));
      const status = await tenant.ended("fills");
      expect(status).toMatchObject({ state: "Lost", lastFailures: [{ reason: "evicted" }] });
      expect(status.why).toMatch(/^on [\w-]+: .*Evicted: .*ephemeral local storage usage exceeds/);
    });

    test("when its image does not exist: it waits, says so, and can be given up", async () => {
      await site.apply("team-a", script("unknown", "true", { image: "registry.invalid/no/such:image" }));
      const said = await tenant.waits("unknown", "NotStarting");
      expect(said).toMatch(/^on [\w-]+: ErrImagePull: .*registry\.invalid\/no\/such:image/);
      expect(await tenant.status("unknown")).toMatchObject({ state: "Starting", why: said });
      await tenant.patchTask("unknown", { kill: {} });
      expect(await tenant.ended("unknown")).toMatchObject({ state: "Killed" });
      await tenant.podsUntil("none is left", (pods) => pods.length === 0, "unknown");
    });
  });

  onRealNode("a node", () => {
    const sleeps = "sleep 100000";
    const container = ({ metadata, status }: Json) => [metadata.uid, status.containerStatuses[0].containerID];

    test("whose kubelet starts again has its tasks go on", async () => {
      await site.apply("team-a", script("goes-on", sleeps));
      const [before] = await tenant.podsUntil("it runs", running(1), "goes-on");
      await site.cluster.processes.restart("kubelet");
      await site.apply("team-a", script("after-the-kubelet", "exit 0"));
      await tenant.ended("after-the-kubelet");
      const [after] = await tenant.pods("goes-on");
      expect(container(after)).toEqual(container(before));
      expect(await tenant.status("goes-on")).toMatchObject({ state: "Running" });
    });

    test("that loses power has lost what ran there: it says so, and what may is run again", async () => {
      const retry = { onNodeLost: "Retry", backoffSeconds: 1 };
      await site.apply("team-a", script("again", sleeps, { spec: { retry } }), script("removed", sleeps));
      await tenant.podsUntil("it runs", running(1), "again");
      const [removed] = await tenant.podsUntil("it runs", running(1), "removed");
      await site.cluster.realNode.cutPower();
      await site.kubectl("delete", "pod", "-n", "team-a", removed.metadata.name, "--force", "--wait=false");
      await site.cluster.realNode.boot();
      const restarted = "the node restarted, or lost track of it: how it ended is not known";
      const lost = [{ reason: "node-lost", node: site.cluster.realNode.name, message: restarted }];
      expect(await tenant.ended("goes-on")).toMatchObject({ state: "Lost", lastFailures: lost });
      // Whoever tells of it first, the kubelet or the deletion.
      const reason = expect.stringMatching(/^(node-lost|pod-deleted)$/);
      expect(await tenant.ended("removed")).toMatchObject({ state: "Lost", lastFailures: [{ reason }] });
      await tenant.podsUntil("it is gone", (pods) => pods.length === 0, "removed");
      const again = await tenant.until("again", "to run again", ({ state, lastFailures = [] }) => {
        return state === "Running" && lastFailures.length > 0;
      });
      expect(again.lastFailures).toMatchObject(lost);
      await site.operatorsReady();
    });

    test("that has less room than the API server knows refuses a task, which runs when there is room", async () => {
      const { name, staticPods } = site.cluster.realNode;
      const { cpu = 0 } = parseRequests((await site.cluster.api.get(`/api/v1/nodes/${name}`)).status.allocatable);
      // In a namespace that does not exist, so that nobody but the kubelet ever hears of it.
      const hidden = shellPod("hidden", "nowhere", sleeps, { cpu: `${cpu - 700}m` });
      const manifest = join(staticPods, "hidden.json");
      const onNode = async () => (await site.cluster.api.get(`/api/v1/nodes/${name}/proxy/pods`)).items;
      const isHidden = ({ metadata }: Json) => metadata.namespace === "nowhere";
      writeFileSync(manifest, JSON.stringify(hidden));
      await eventually("the kubelet runs it", onNode, (pods) => pods.some(isHidden));
      const retry = { backoffSeconds: 1 };
      await site.apply("team-a", script("squeezed", "exit 0", { requests: { cpu: "600m" }, spec: { retry } }));
      const refused = await tenant.until("squeezed", "to wait", ({ counts, lastFailures = [] }) => {
        return lastFailures.length > 0 && counts.pending === 1;
      });
      expect(refused.lastFailures[0]).toMatchObject({
        reason: "kubelet-refused",
        message: expect.stringMatching(/^OutOfcpu: .*enough resource: cpu/),
      });
      rmSync(manifest);
      await eventually("the kubelet runs it no more", onNode, (pods) => !pods.some(isHidden));
      // After a refusal a node is tried again when it was observed anew, or half a minute later.
      await site.kubectl("label", "node", name, "test/looked-at=again");
      expect(await tenant.ended("squeezed")).toMatchObject({ state: "Finished" });
    });
  });

  describe("under load", () => {
    /** Tasks come, one as soon as the other has its pod, until the work is done; then all must have run exactly once. */
    async function underLoad(namespace: string, work: () => Promise<unknown>): Promise<void> {
      const load = await site.tenant(namespace);
      let done = false;
      const working = work().finally(() => {
        done = true;
      });
      let count = 0;
      for (; !done; count++) {
        await site.apply(namespace, script(`t-${count}`, "sleep 1"));
        await load.podsUntil("it has a pod", (pods) => pods.length > 0, `t-${count}`);
      }
      await working;
      await ranExactlyOnce(site.watch, load, count, site.cluster.realNode.name);
    }
    const levels = async () => (await site.operatorsReady()).map(({ spec }) => logLevel(spec.containers[0].args));

    test("helm upgrade replaces the operators, and no task is lost or runs twice", async () => {
      await underLoad("upgrade", () => site.upgrade("--set", "logLevel=debug"));
      expect(await levels()).toEqual(["debug", "debug"]);
    });

    test("helm rollback does so as well", async () => {
      await underLoad("rollback", () => site.helm("rollback", "1", "--wait"));
      expect(await levels()).toEqual(["info", "info"]);
    });
  });

  describe("helm uninstall", () => {
    let tenant: Tenant;
    let before: Json[];

    beforeAll(async () => {
      tenant = await site.tenant("outlives");
      const waits = "until [ -e /tmp/enough ]; do sleep 0.1; done; echo enough";
      await site.apply("outlives", script("stays", waits), script("ends", waits));
      before = await tenant.podsUntil("both run", running(2));
      await tenant.until("stays", "to run", ({ state }) => state === "Running");
      await site.helm("uninstall", "--wait");
    });
    const enough = async (task: string) => {
      const [pod] = await tenant.pods(task);
      await site.kubectl("exec", "-n", "outlives", pod.metadata.name, "--", "touch", "/tmp/enough");
    };

    test("takes the operators and the rights away, with its hook's pod having ended well", async () => {
      await eventually(
        "all pods of the release to be gone",
        () => site.cluster.api.get(`/api/v1/namespaces/${RELEASE.namespace}/pods`),
        ({ items }) => items.length === 0,
      );
      const hooks = (await site.watch.in(RELEASE.namespace)).filter(({ name }) => name.startsWith("proffer-releaser"));
      expect(hooks.map(({ phases }) => phases.at(-1))).toEqual(["Succeeded"]);
      expect(await site.kubectl("get", "clusterroles", "-l", "app.kubernetes.io/name=proffer", "-o", "name")).toBe("");
    });

    test("leaves definitions, objects and running tasks, which nothing holds any more", async () => {
      expect(await tenant.status("stays")).toMatchObject({ state: "Running" });
      const after = await tenant.pods();
      const alike = ({ metadata, status }: Json) => [metadata.uid, status.containerStatuses[0].containerID];
      expect(after.map(alike)).toEqual(before.map(alike));
      expect(after.filter(({ metadata }) => metadata.finalizers !== undefined)).toEqual([]);
    });

    test("and another install: what runs is adopted, what ended meanwhile is known", async () => {
      await enough("ends");
      await tenant.podsUntil("it ends", ([pod]) => pod.status.phase === "Succeeded", "ends");
      await site.install();
      await site.operatorsReady();
      expect(await tenant.ended("ends")).toMatchObject({ state: "Finished" });
      expect(await tenant.status("stays")).toMatchObject({ state: "Running" });
      await enough("stays");
      expect(await tenant.ended("stays")).toMatchObject({ state: "Finished" });
      expect((await tenant.seen()).map(({ uid }) => uid).sort()).toEqual(
        before.map(({ metadata }) => metadata.uid).sort(),
      );
      await site.apply("outlives", script("next", "exit 0"));
      expect(await tenant.ended("next")).toMatchObject({ state: "Finished" });
    });
  });

  describe("an image that does not exist", () => {
    const missing = ["--set", "image.repository=registry.invalid/proffer", "--timeout=15s"];

    test("fails an upgrade, while an operator of before goes on, and a rollback repairs it", async () => {
      await expect(site.upgrade(...missing)).rejects.toThrow(/Deployment\/proffer-system\/proffer not ready/);
      await site.apply("team-a", script("meanwhile", "exit 0"));
      expect(await tenant.ended("meanwhile")).toMatchObject({ state: "Finished" });
      await site.helm("rollback", "--wait");
      await site.operatorsReady();
    });

    test("fails an install in those words; an upgrade repairs it, an uninstall without hooks leaves nothing", async () => {
      await site.helm("uninstall", "--wait");
      await expect(site.install(...missing)).rejects.toThrow(/Deployment\/proffer-system\/proffer not ready/);
      const pods = await eventually(
        "the kubelet says why",
        () => site.operators(),
        (pods) => pods.some(({ status }) => status.containerStatuses?.[0].state.waiting?.message),
      );
      expect(JSON.stringify(pods)).toMatch(/registry\.invalid\/proffer/);
      await site.upgrade("--reset-values");
      await site.operatorsReady();
      await site.helm("uninstall", "--wait");
      await expect(site.install(...missing)).rejects.toThrow("not ready");
      await site.helm("uninstall", "--no-hooks", "--wait");
      expect(await site.kubectl("get", "clusterroles", "-l", "app.kubernetes.io/name=proffer", "-o", "name")).toBe("");
      await site.install();
      await site.operatorsReady();
    });
  });
});

const logLevel = (args: readonly string[]) => args.find((arg) => arg.startsWith("--log-level="))?.split("=")[1];
