import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeCluster } from "./fake-cluster.test-support.ts";
import { startRun } from "./start-run.test-support.ts";

let cluster: FakeCluster;
beforeEach(async () => {
  cluster = await FakeCluster.start();
});
afterEach(() => cluster.close());

const start = () => startRun(cluster);
const created = () => cluster.until(() => cluster.task !== undefined);
const said = (text: string) => cluster.notes.filter((note) => note.includes(text)).length;

describe("Ctrl-C", () => {
  test("kills all instances, waits for their end, and the exit code says so", async () => {
    const run = start();
    await created();
    cluster.running(0);
    cluster.interrupt();
    await cluster.until(() => cluster.patches.length === 1);
    expect(cluster.patches).toEqual([{ spec: { kill: {} } }]);
    cluster.ended(0, 0, 143);
    cluster.setStatus({ state: "Killed", progress: "0/2" });
    expect(await cluster.ends(run)).toBe(130);
    expect(cluster.notes.at(-1)).toBe("task t: Killed (0/2 succeeded)");
  });

  test("twice leaves at once", async () => {
    const run = start();
    await created();
    cluster.running(0);
    cluster.interrupt();
    cluster.interrupt();
    expect(await cluster.ends(run)).toBe(130);
    expect(said("left")).toBe(1);
  });

  test("before the Task is there kills it as soon as it is", async () => {
    const run = start();
    cluster.interrupt();
    await cluster.until(() => cluster.patches.length === 1);
    cluster.setStatus({ state: "Killed" });
    expect(await cluster.ends(run)).toBe(130);
  });

  test("is tried again while the API server does not take it", async () => {
    let refusals = 0;
    cluster.refuse = ({ method }) => (method === "PATCH" && refusals++ < 8 ? 503 : undefined);
    const run = start();
    await created();
    cluster.interrupt();
    await cluster.until(() => cluster.patches.length === 1);
    expect(said("could not be killed")).toBeGreaterThan(0);
    cluster.setStatus({ state: "Killed" });
    expect(await cluster.ends(run)).toBe(130);
  });
});
