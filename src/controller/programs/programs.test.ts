import { afterEach, describe, expect, test } from "vitest";
import type { FakeKube } from "../fake-kube.test-support.ts";
import { status } from "../fake-kube.test-support.ts";
import { frameworkObject } from "../objects.test-support.ts";
import { setUp, stopWorlds } from "../operator.test-support.ts";

afterEach(stopWorlds);

const template = (image = "program:1") => ({ spec: { containers: [{ name: "main", image }] } });
const spec = (change: object = {}) => ({
  scheduler: { type: "Offers", controller: { serviceAccountName: "app", template: template(), ...change } },
});

function account(kube: FakeKube, labels: object = { "proffer.dev/framework": "fw" }): void {
  kube.put("serviceaccounts", { metadata: { name: "app", namespace: "ns", labels } });
}

async function led(prepare: (kube: FakeKube) => void = account) {
  const made = setUp();
  const { kube, clock } = made;
  kube.put("frameworks", frameworkObject(spec()));
  prepare(kube);
  await made.lead();
  const pod = () => kube.all("pods")[0];
  /** The kubelet says how it is with the pod; it ran for so long. */
  const report = async (phase: string, ranMs = 1_000) => {
    const at = (ms: number) => new Date(ms).toISOString();
    const nowMs = clock.nowMs();
    const state =
      phase === "Running"
        ? { running: { startedAt: at(nowMs) } }
        : { terminated: { exitCode: phase === "Failed" ? 3 : 0, startedAt: at(nowMs - ranMs), finishedAt: at(nowMs) } };
    kube.put("pods", { ...pod(), status: { phase, containerStatuses: [{ name: "main", state }] } });
    await clock.advance(10);
  };
  const program = () => kube.get("frameworks", "ns", "fw").status?.controller;
  return { ...made, pod, report, program };
}

describe("the program of a framework", () => {
  test("gets a pod of its own, confined as a Task's, with the account's token and its framework's name", async () => {
    const { pod } = await led();
    expect(pod()).toMatchObject({
      metadata: {
        name: expect.stringMatching(/^fw-[a-z0-9]{10}-controller$/),
        labels: { "proffer.dev/framework": "fw", "proffer.dev/controller-of": "fw-1" },
        ownerReferences: [{ kind: "Framework", name: "fw", uid: "fw-1", controller: true }],
      },
      spec: {
        serviceAccountName: "app",
        automountServiceAccountToken: true,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
        containers: [
          {
            image: "program:1",
            env: [
              { name: "PROFFER_FRAMEWORK", value: "fw" },
              { name: "PROFFER_NAMESPACE", value: "ns" },
            ],
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
          },
        ],
      },
    });
    expect(pod().spec).not.toHaveProperty("nodeName");
  });

  test("may answer where nobody else is named", async () => {
    const { broker } = await led();
    expect(broker().of("framework-observed")[0]!.framework.answerers).toEqual(["system:serviceaccount:ns:app"]);
  });

  test("that fails is started again after a while, and after a longer one the next time", async () => {
    const { kube, clock, pod, report, program } = await led();
    await report("Running");
    const uids = new Set([pod().metadata.uid]);
    for (const waitMs of [10_000, 20_000, 40_000]) {
      await report("Failed");
      await clock.advance(waitMs - 20);
      expect(uids.has(pod().metadata.uid)).toBe(true);
      expect(program()).toMatchObject({ state: "BackOff", lastFailure: "exit code 3" });
      await clock.advance(30);
      expect(uids.has(pod().metadata.uid)).toBe(false);
      uids.add(pod().metadata.uid);
      expect(kube.all("pods")).toHaveLength(1);
    }
    await report("Running");
    await clock.advance(5_000);
    expect(program()).toMatchObject({ state: "Running", restarts: 3, lastFailure: "exit code 3" });
  });

  test("waits as long under another leader, who sees in its pod how often it has failed", async () => {
    const { clock, pod, report, lose, lead } = await led();
    await report("Failed");
    await clock.advance(11_000);
    await report("Failed");
    const { uid } = pod().metadata;
    lose();
    await clock.advance(12_000);
    await lead("8");
    await clock.advance(6_000);
    expect(pod().metadata.uid).toBe(uid);
    await clock.advance(1_500);
    expect(pod().metadata.uid).not.toBe(uid);
    expect(pod().metadata.annotations["proffer.dev/program"]).toMatch(/ 2 2$/);
  });

  test("that has ended well is not started again", async () => {
    const { clock, pod, report, program } = await led();
    const { uid } = pod().metadata;
    await report("Succeeded");
    await clock.advance(600_000);
    expect(pod().metadata.uid).toBe(uid);
    expect(program()).toMatchObject({ state: "Ended" });
  });

  test("of which another is wanted is replaced, once it is gone", async () => {
    const { kube, clock, pod, report } = await led();
    await report("Running");
    kube.put("pods", { ...pod(), metadata: { ...pod().metadata, finalizers: ["test/holds"] } });
    kube.put("frameworks", frameworkObject(spec({ template: template("program:2") }), { generation: 2 }));
    await clock.advance(1_000);
    expect(pod().spec.containers[0].image).toBe("program:1");
    expect(pod().metadata.deletionTimestamp).toBeDefined();
    expect(kube.all("pods")).toHaveLength(1);
    kube.remove("pods", pod());
    await clock.advance(1_000);
    expect(pod().spec.containers[0].image).toBe("program:2");
    expect(pod().metadata.annotations["proffer.dev/program"]).toMatch(/ 0 0$/);
  });

  test.each([
    {
      name: "no longer wanted",
      change: (kube: FakeKube) => kube.put("frameworks", frameworkObject({}, { generation: 2 })),
    },
    { name: "whose framework is gone", change: (kube: FakeKube) => kube.remove("frameworks", frameworkObject()) },
  ])("$name is ended", async ({ change }) => {
    const { kube, clock } = await led();
    change(kube);
    await clock.advance(1_000);
    expect(kube.all("pods")).toEqual([]);
  });

  test("of a Framework that was made anew waits for the end of the one before", async () => {
    const { kube, clock, pod } = await led();
    const held = kube.put("pods", { ...pod(), metadata: { ...pod().metadata, finalizers: ["test/holds"] } });
    kube.put("frameworks", frameworkObject(spec(), { uid: "fw-2" }));
    await clock.advance(1_000);
    expect(kube.all("pods")).toHaveLength(1);
    kube.remove("pods", held);
    await clock.advance(1_000);
    expect(pod().metadata.labels["proffer.dev/controller-of"]).toBe("fw-2");
  });
});

describe("a program that cannot be started", () => {
  test.each([
    { name: "for want of its account", prepare: () => {}, why: /app does not exist/ },
    {
      name: "for its account is not meant for it (guards: the label)",
      prepare: (kube: FakeKube) => account(kube, { "proffer.dev/framework": "another" }),
      why: /give it the label proffer.dev\/framework=fw/,
    },
  ])("$name says so, and starts when that is put right", async ({ prepare, why }) => {
    const { kube, clock, program } = await led(prepare);
    await clock.advance(5_000);
    expect(kube.all("pods")).toEqual([]);
    expect(program()).toMatchObject({ state: "Refused", lastFailure: expect.stringMatching(why) });
    account(kube);
    await clock.advance(20_000);
    expect(kube.all("pods")).toHaveLength(1);
  });

  test("because the API server refuses it is tried less and less often", async () => {
    const { kube, clock } = await led((fake) => {
      account(fake);
      fake.fault = ({ method, path }) =>
        method === "POST" && path.endsWith("/pods") ? { error: status(403, "Forbidden", "exceeded quota") } : undefined;
    });
    const tries = () => kube.requests.filter(({ method, path }) => method === "POST" && path.endsWith("/pods")).length;
    expect(tries()).toBe(1);
    await clock.advance(70_000);
    expect(tries()).toBe(4);
  });

  test("because another pod has its name says so", async () => {
    const { kube, clock, pod, program } = await led();
    const { metadata, spec: podSpec } = pod();
    kube.put("pods", { metadata: { name: metadata.name, namespace: "ns", uid: "theirs" }, spec: podSpec });
    await clock.advance(5_000);
    expect(pod().metadata.uid).toBe("theirs");
    expect(program()).toMatchObject({ state: "Refused", lastFailure: expect.stringMatching(/not the framework's/) });
  });
});

describe("the broker is told", () => {
  test("whether the program's pod runs, and since when it does not", async () => {
    const { kube, clock, broker, report } = await led();
    const told = () => broker().inputs.filter(({ type }) => type.startsWith("program-"));
    expect(told()).toEqual([{ type: "program-observed", framework: "ns/fw", awaySinceMs: expect.any(Number) }]);
    await report("Running");
    expect(told().at(-1)).toEqual({ type: "program-observed", framework: "ns/fw" });
    await report("Failed");
    expect(told().at(-1)).toEqual({ type: "program-observed", framework: "ns/fw", awaySinceMs: clock.nowMs() - 10 });
    const before = told().length;
    // It stays away from then on, whatever becomes of its pods, until one runs.
    await clock.advance(11_000);
    expect(told()).toHaveLength(before);
    kube.put("frameworks", frameworkObject({}, { generation: 2 }));
    await clock.advance(10);
    expect(told().at(-1)).toEqual({ type: "program-gone", framework: "ns/fw" });
  });

  test("of it before the term opens", async () => {
    const { broker } = await led();
    expect(broker().types().indexOf("program-observed")).toBeLessThan(broker().types().indexOf("opened"));
  });
});
