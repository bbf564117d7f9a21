import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeCluster } from "./fake-cluster.test-support.ts";
import { startRun } from "./start-run.test-support.ts";

let cluster: FakeCluster;
beforeEach(async () => {
  cluster = await FakeCluster.start();
});
afterEach(() => cluster.close());

const created = () => cluster.until(() => cluster.task !== undefined);
const finished = () => cluster.setStatus({ state: "Finished", progress: "2/2" });
const stamp = (second: number) => `2026-01-01T00:00:0${second}.000000001Z`;
/** What a kubelet answers, with 200, when it does not find the container. */
const lost = "unable to retrieve container logs for containerd://9295e63";

test("what a kubelet says in place of a log that it has lost for a moment is no line of it", async () => {
  const run = startRun(cluster);
  await created();
  cluster.logs.set(cluster.ended(0, 0, 0), [
    (_, reply) => reply.text(200, `${stamp(1)} all\n`),
    (_, reply) => reply.text(200, lost),
    (_, reply) => reply.text(200, `${stamp(1)} all\n${stamp(2)} and the rest\n`),
  ]);
  cluster.log(cluster.ended(1, 0, 0));
  finished();
  expect(await cluster.ends(run)).toBe(0);
  expect(cluster.out).toEqual(["[0] all\n", "[0] and the rest\n"]);
});

test("a log that is lost for good is given up with a word", async () => {
  const run = startRun(cluster);
  await created();
  cluster.logs.set(cluster.ended(0, 0, 0), [(_, reply) => reply.text(200, lost)]);
  cluster.log(cluster.ended(1, 0, 0));
  finished();
  expect(await cluster.ends(run)).toBe(0);
  expect(cluster.out).toEqual([]);
  expect(cluster.notes).toContain(`instance 0: the rest of its log cannot be read: ${lost}`);
});
