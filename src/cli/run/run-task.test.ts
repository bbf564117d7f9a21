import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Condition } from "../../api/common.ts";
import { FakeCluster } from "./fake-cluster.test-support.ts";
import { runTask } from "./run-task.ts";
import { startRun, wishes } from "./start-run.test-support.ts";
import { taskObject } from "./task-object.ts";

let cluster: FakeCluster;
beforeEach(async () => {
  cluster = await FakeCluster.start();
});
afterEach(() => cluster.close());

const start = (options?: Parameters<typeof startRun>[1]) => startRun(cluster, options);
const created = () => cluster.until(() => cluster.task !== undefined);
const said = (text: string) => cluster.notes.filter((note) => note.includes(text)).length;
const shown = () => cluster.out.join("");
const finished = () => cluster.setStatus({ state: "Finished", progress: "2/2" });
const stamp = (second: number) => `2026-01-01T00:00:0${second}.000000001Z`;

function condition(type: string, status: "True" | "False", reason: string, message: string): Condition {
  return { type, status, reason, message, observedGeneration: 1, lastTransitionTime: "2026-01-01T00:00:00Z" };
}

describe("a run", () => {
  test("shows the logs of all instances and ends with 0 when all succeeded", async () => {
    const run = start();
    await created();
    cluster.log(cluster.ended(0, 0, 0), `${stamp(1)} hello`);
    cluster.log(cluster.ended(1, 0, 0), `${stamp(1)} hallo`, `${stamp(2)} welt`);
    finished();
    expect(await cluster.ends(run)).toBe(0);
    expect(cluster.out.filter((line) => line.startsWith("[0]"))).toEqual(["[0] hello\n"]);
    expect(cluster.out.filter((line) => line.startsWith("[1]"))).toEqual(["[1] hallo\n", "[1] welt\n"]);
    expect(cluster.notes.at(-1)).toBe("task t: Finished (2/2)");
    expect(cluster.deletes).toEqual([]);
  });

  test("waits with the operator's reason, said once", async () => {
    const run = start();
    await created();
    const waiting = condition("Waiting", "True", "NoNode", "3 nodes: 3 insufficient cpu");
    cluster.setStatus({ state: "Pending", conditions: [waiting] });
    await cluster.until(() => said("NoNode") === 1);
    cluster.setStatus({ conditions: [waiting], progress: "0/2" });
    cluster.setStatus({ state: "Running", conditions: [] });
    cluster.ended(0, 0, 0);
    cluster.ended(1, 0, 0);
    finished();
    expect(await cluster.ends(run)).toBe(0);
    expect(cluster.notes).toContain("waiting (NoNode): 3 nodes: 3 insufficient cpu");
    expect(said("NoNode")).toBe(1);
  });

  test("reads no log before a container has started", async () => {
    const run = start();
    await created();
    const name = cluster.pod(0, 0, { phase: "Pending", containerStatuses: [{ state: { waiting: {} } }] });
    cluster.log(name, `${stamp(1)} late`);
    cluster.setStatus({ state: "Starting", conditions: [condition("Waiting", "True", "Seen", "seen")] });
    await cluster.until(() => said("seen") === 1);
    expect(cluster.server.requests.filter(({ path }) => path.endsWith("/log"))).toEqual([]);
    cluster.ended(0, 0, 0);
    finished();
    await cluster.ends(run);
    expect(shown()).toBe("[0] late\n");
  });

  test("ends with the exit code of the worst instance, by its last attempt", async () => {
    const run = start();
    await created();
    cluster.log(cluster.ended(0, 0, 9), `${stamp(1)} first`);
    cluster.log(cluster.ended(0, 1, 0), `${stamp(2)} second`);
    cluster.ended(1, 0, 3);
    cluster.setStatus({ state: "Failed", progress: "1/2" });
    expect(await cluster.ends(run)).toBe(3);
    expect(shown()).toContain("[0] first\n");
    expect(shown()).toContain("[0.1] second\n");
    expect(cluster.notes).toContain("instance 1: exit code 3 on n1");
  });

  test("deletes the Task at its end if asked to", async () => {
    const run = start({ remove: true });
    await created();
    finished();
    expect(await cluster.ends(run)).toBe(0);
    expect(cluster.deletes).toEqual(["/apis/proffer.dev/v1alpha1/namespaces/a/tasks/t"]);
  });

  test("says so when somebody else deletes the Task", async () => {
    const run = start();
    await created();
    cluster.running(0);
    await cluster.until(() => said("created") === 1);
    cluster.remove("t");
    await expect(cluster.ends(run)).rejects.toThrow("task t was deleted by somebody else");
  });

  test("is not disturbed when the Task is deleted after its end", async () => {
    const run = start();
    await created();
    cluster.setStatus({ conditions: [condition("Waiting", "True", "Seen", "seen")] });
    await cluster.until(() => said("seen") === 1);
    cluster.log(cluster.ended(0, 0, 0), `${stamp(1)} hello`);
    finished();
    cluster.remove("t");
    expect(await cluster.ends(run)).toBe(0);
    expect(shown()).toBe("[0] hello\n");
  });

  test("knows its own Task again when the answer to the create was lost, and no other one", async () => {
    cluster.server.script.push((request, reply) => {
      cluster.server.otherwise(request, { json: () => {} } as never);
      reply.drop();
    });
    const run = start();
    await created();
    finished();
    expect(await cluster.ends(run)).toBe(0);
    await expect(
      cluster.ends(
        runTask({
          session: cluster.session(),
          task: taskObject(wishes, "another-call"),
          remove: false,
          prefix: true,
          maxLogs: 1,
          onInterrupt: cluster.onInterrupt,
        }),
      ),
    ).rejects.toThrow("there is a task t already");
  });

  test("tells what may not be seen: without the Task it ends, without logs it goes on", async () => {
    cluster.refuse = ({ path }) => (path.endsWith("/log") ? 403 : undefined);
    const run = start();
    await created();
    cluster.ended(0, 0, 0);
    cluster.ended(1, 0, 0);
    finished();
    expect(await cluster.ends(run)).toBe(0);
    expect(said("no logs are shown: refused")).toBe(1);
    cluster.refuse = ({ path, method }) => (path.endsWith("/tasks") && method === "GET" ? 403 : undefined);
    cluster.remove("t");
    await expect(cluster.ends(start())).rejects.toThrow("refused /apis");
  });

  test("looks again and again where one may list and not watch, and says so once", async () => {
    cluster.refuse = ({ query }) => (query.has("watch") ? 403 : undefined);
    const run = start();
    await created();
    await cluster.until(() => said("looking every 2 s instead") === 1);
    const waiting = condition("Waiting", "True", "NoNode", "3 nodes: 3 insufficient cpu");
    cluster.setStatus({ state: "Pending", conditions: [waiting] });
    await cluster.until(() => said("NoNode") === 1);
    cluster.log(cluster.ended(0, 0, 0), `${stamp(1)} hello`);
    cluster.ended(1, 0, 4);
    cluster.setStatus({ state: "Failed", progress: "1/2", conditions: [] });
    expect(await cluster.ends(run)).toBe(4);
    expect(shown()).toBe("[0] hello\n");
    expect(said("instead")).toBe(1);
  });

  test("hears of a deletion as well where one may not watch", async () => {
    cluster.refuse = ({ query }) => (query.has("watch") ? 403 : undefined);
    const run = start();
    await created();
    await cluster.until(() => said("instead") === 1);
    cluster.remove("t");
    await expect(cluster.ends(run)).rejects.toThrow("task t was deleted by somebody else");
  });

  test("shows no logs where pods may not even be listed", async () => {
    cluster.refuse = ({ path, method }) => (path.endsWith("/pods") && method === "GET" ? 403 : undefined);
    const run = start();
    await created();
    finished();
    expect(await cluster.ends(run)).toBe(0);
    expect(said("no logs are shown: refused")).toBe(1);
  });

  test("follows so many logs at once, and the others after them", async () => {
    const run = start({ maxLogs: 1 });
    await created();
    const names = [0, 1].map((index) => cluster.running(index));
    let open = 0;
    for (const name of names) {
      cluster.logs.set(name, [
        (_, reply) => {
          expect(++open).toBe(1);
          const stream = reply.stream();
          stream.raw(`${stamp(1)} of ${name}\n`);
          setImmediate(() => {
            open--;
            cluster.ended(names.indexOf(name), 0, 0);
            stream.end();
          });
        },
        (_, reply) => reply.text(200, ""),
      ]);
    }
    await cluster.until(() => cluster.out.length === 2);
    finished();
    expect(await cluster.ends(run)).toBe(0);
  });
});

describe("what breaks", () => {
  test("a log that breaks within a line goes on without gaps and doubles", async () => {
    const run = start();
    await created();
    const name = cluster.running(0);
    const sinces: (string | null)[] = [];
    cluster.logs.set(name, [
      ({ query }, reply) => {
        sinces.push(query.get("sinceTime"));
        const stream = reply.stream();
        stream.raw(`${stamp(1)} one\n${stamp(3)} two\n${stamp(3)} th`);
        setImmediate(() => stream.drop());
      },
      ({ query }, reply) => {
        sinces.push(query.get("sinceTime"));
        cluster.ended(0, 0, 0);
        reply.text(200, `${stamp(3)} two\n${stamp(3)} three\n${stamp(4)} four\n`);
      },
      (_, reply) => reply.text(200, `${stamp(3)} two\n${stamp(3)} three\n${stamp(4)} four\n${stamp(5)} five`),
    ]);
    await cluster.until(() => cluster.out.length >= 4);
    finished();
    expect(await cluster.ends(run)).toBe(0);
    expect(shown()).toBe(["one", "two", "three", "four", "five"].map((word) => `[0] ${word}\n`).join(""));
    expect(sinces).toEqual([null, "2026-01-01T00:00:02Z"]);
  });

  test("an API server that is away for a while is waited for, with a word", async () => {
    const run = start();
    await created();
    const name = cluster.running(0);
    cluster.logs.set(name, [(_, reply) => reply.stream().raw(`${stamp(1)} before\n`)]);
    await cluster.until(() => cluster.out.length === 1);
    const back = await cluster.server.outage();
    await cluster.until(() => said("trying again") > 0);
    await back();
    cluster.log(name, `${stamp(1)} before`, `${stamp(5)} after`);
    cluster.ended(0, 0, 0);
    finished();
    expect(await cluster.ends(run)).toBe(0);
    expect(shown()).toBe("[0] before\n[0] after\n");
    expect(said("the API server answers again")).toBe(1);
  });

  test("an API server that lost its kubelet ends a log as if all was said: the rest is read as well", async () => {
    const run = start();
    await created();
    const name = cluster.running(0);
    const whole = `${stamp(1)} one\n${stamp(2)} two\n${stamp(3)} three`;
    cluster.logs.set(name, [
      (_, reply) => reply.text(200, whole.slice(0, 20)),
      (_, reply) => {
        cluster.ended(0, 0, 0);
        reply.text(200, whole.slice(0, 60));
      },
      (_, reply) => reply.text(200, whole.slice(0, 80)),
      (_, reply) => reply.text(200, whole),
    ]);
    await cluster.until(() => cluster.out.length >= 3);
    finished();
    expect(await cluster.ends(run)).toBe(0);
    expect(shown()).toBe("[0] one\n[0] two\n[0] three\n");
  });

  test("a log whose stream does not end with its container is read to its end all the same", async () => {
    const run = start();
    await created();
    const name = cluster.running(0);
    const follows: (string | null)[] = [];
    cluster.logs.set(name, [
      ({ query }, reply) => {
        follows.push(query.get("follow"));
        reply.stream().raw(`${stamp(1)} one\n`);
      },
      ({ query }, reply) => {
        follows.push(query.get("follow"));
        reply.text(200, `${stamp(1)} one\n${stamp(2)} two\n`);
      },
    ]);
    await cluster.until(() => cluster.out.length === 1);
    cluster.ended(0, 0, 0);
    finished();
    expect(await cluster.ends(run)).toBe(0);
    expect(shown()).toBe("[0] one\n[0] two\n");
    expect(follows).toEqual(["true", "false", "false"]);
  });

  test("an API server that has just started may refuse what it granted before", async () => {
    const run = start();
    await created();
    const name = cluster.running(0);
    cluster.logs.set(name, [(_, reply) => reply.stream().raw(`${stamp(1)} before\n`)]);
    await cluster.until(() => cluster.out.length === 1);
    const back = await cluster.server.outage();
    let refusals = 0;
    cluster.refuse = () => (refusals++ < 9 ? 403 : undefined);
    await back();
    cluster.log(name, `${stamp(1)} before`, `${stamp(5)} after`);
    cluster.ended(0, 0, 0);
    finished();
    expect(await cluster.ends(run)).toBe(0);
    expect(refusals).toBeGreaterThanOrEqual(9);
    expect(shown()).toBe("[0] before\n[0] after\n");
    expect(said("refused")).toBe(0);
  });

  test.each([401, 403])("a right that is taken away for good (%d) ends the run", async (status) => {
    const run = start();
    await created();
    await cluster.until(() => cluster.server.requests.filter(({ query }) => query.has("watch")).length === 2);
    const back = await cluster.server.outage();
    cluster.refuse = () => status;
    await back();
    await expect(cluster.ends(run)).rejects.toThrow(status === 401 ? "credentials" : "refused");
  });

  test("a connection on which the rest of a log does not come is replaced", async () => {
    const run = start();
    await created();
    const name = cluster.ended(0, 0, 0);
    let asked = false;
    const silent = () => {
      asked = true;
    };
    cluster.logs.set(name, [silent, (_, reply) => reply.text(200, `${stamp(1)} rest\n`)]);
    cluster.log(cluster.ended(1, 0, 0), `${stamp(1)} all`);
    finished();
    await cluster.until(() => asked);
    await cluster.clock.advance(15_000);
    expect(await cluster.ends(run)).toBe(0);
    expect([...cluster.out].sort()).toEqual(["[0] rest\n", "[1] all\n"]);
  });

  test("a log that cannot be read to its end is given up with a word", async () => {
    const run = start();
    await created();
    cluster.logs.set(cluster.ended(0, 0, 0), [(_, reply) => reply.status(500, "InternalError", "kubelet away")]);
    finished();
    expect(await cluster.ends(run)).toBe(0);
    expect(cluster.notes).toContain("instance 0: the rest of its log cannot be read: kubelet away");
  });

  test("a pod that goes away with its log ends the log, not the run", async () => {
    const run = start();
    await created();
    const name = cluster.running(0);
    cluster.logs.set(name, [(_, reply) => reply.status(404, "NotFound", "no such pod")]);
    await cluster.until(() => cluster.server.requests.some(({ path }) => path.endsWith("/log")));
    cluster.remove(name);
    cluster.ended(1, 0, 0);
    finished();
    expect(await cluster.ends(run)).toBe(0);
  });

  test("a slow reader makes a pause, and neither gaps nor doubles", async () => {
    const run = start();
    await created();
    const name = cluster.running(0);
    let requests = 0;
    const lines = [1, 2, 3].map((second) => `${stamp(second)} ${second}\n`);
    cluster.logs.set(name, [
      (_, reply) => {
        requests++;
        cluster.congested = true;
        reply.stream().raw(lines[0]!);
      },
      (_, reply) => {
        requests++;
        cluster.ended(0, 0, 0);
        reply.text(200, lines.join(""));
      },
    ]);
    await cluster.until(() => cluster.out.length === 1);
    expect(requests).toBe(1);
    cluster.drain();
    await cluster.until(() => cluster.out.length === 3);
    finished();
    expect(await cluster.ends(run)).toBe(0);
    expect(shown()).toBe("[0] 1\n[0] 2\n[0] 3\n");
  });
});
