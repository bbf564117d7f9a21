import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { OperatorProcess } from "../../tools/operator/start-operator.ts";
import { eventually } from "./support/eventually.ts";
import { becomes, roleOf } from "./support/leadership.ts";
import { needs, Site } from "./support/site.ts";

// etcd is put back to a backup without raising its revision, while two operators run on.

let site: Site;

beforeAll(async () => {
  site = await Site.open({ operator: false });
});
afterAll(() => site?.close());
needs(() => site.cluster, "processes", "fakeKubelets");

/** Copies what etcd has stored; the function that is returned brings it back, with the API server stopped meanwhile. */
async function backup(): Promise<() => Promise<void>> {
  const { dir, processes } = site.cluster;
  const [data, copy] = [join(dir, "etcd"), join(dir, "etcd-backup")];
  await processes.pause("etcd");
  await cp(data, copy, { recursive: true });
  processes.resume("etcd");
  return async () => {
    await processes.kill("kube-apiserver");
    await processes.kill("etcd");
    await rm(data, { recursive: true });
    await cp(copy, data, { recursive: true });
    await Promise.all([processes.restart("etcd"), processes.restart("kube-apiserver")]);
    // The kubelets, too, know of versions that will come again.
    await processes.restart("kwok");
  };
}

const doubts = (operator: OperatorProcess) => operator.log().map(({ doubt }) => doubt);

test("operators go on from what a restored etcd says, without a restart", async () => {
  const tenant = await site.tenant("restored", "cpu=4,memory=8Gi", 2);
  await tenant.framework();
  const leader = await site.startOperator();
  await becomes(leader, "leader");
  const standby = await site.startOperator();
  await becomes(standby, "standby");
  await tenant.task("kept");
  await tenant.task("ended-since");
  await tenant.counts("kept", { running: 1 });
  await tenant.counts("ended-since", { running: 1 });
  const [kept] = await tenant.pods("kept");
  const restore = await backup();

  await tenant.task("since", { instances: 2 });
  await tenant.counts("since", { running: 2 });
  await tenant.api.delete(tenant.path("tasks", "ended-since"));
  await tenant.podsUntil("none is left", (pods) => pods.length === 0, "ended-since");
  // So far back that the versions are not overtaken while the API server starts.
  for (let i = 0; i < 500; i++)
    await tenant.api.patch(tenant.path("frameworks", "fw"), { metadata: { labels: { i: `${i}` } } });
  await restore();

  for (const operator of [leader, standby]) {
    await eventually(
      "it notices",
      () => doubts(operator),
      (found) => found.includes("restored"),
    );
  }
  await eventually(
    "one of them leads",
    async () => [await roleOf(leader), await roleOf(standby)].sort(),
    (roles) => roles.join() === "leader,standby",
  );
  await tenant.task("after", { instances: 3 });
  await tenant.counts("after", { running: 3 });
  await tenant.counts("ended-since", { running: 1 });
  await tenant.counts("kept", { running: 1 });
  expect((await tenant.pods("kept")).map(({ metadata }) => metadata.uid)).toEqual([kept!.metadata.uid]);
  expect(await tenant.pods("since")).toEqual([]);
  expect([leader.running(), standby.running()]).toEqual([true, true]);
});
