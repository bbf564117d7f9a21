import { afterEach, describe, expect, test } from "vitest";
import type { Effect } from "../offers/messages.ts";
import { lost } from "./fake-kube.test-support.ts";
import { frameworkObject, nodeObject, taskObject, taskUid } from "./objects.test-support.ts";
import { create, fill, setUp, stopWorlds } from "./operator.test-support.ts";
import type { ScriptedBroker } from "./scripted-broker.test-support.ts";

afterEach(stopWorlds);

describe("a pod", () => {
  test("tolerates all by which the broker may have chosen its node, as its Framework has it now", async () => {
    const { kube, clock, lead, broker } = setUp({
      react: (scripted) => {
        scripted.react = (input) =>
          input.type === "opened" || input.type === "framework-observed" ? [{ ...create, attempt: next() }] : [];
      },
    });
    let attempt = 0;
    const next = () => ({ ...create.attempt, attempt: attempt++ });
    const framework = (generation: number, ...keys: string[]) => {
      const constraints = { tolerations: keys.map((key) => ({ key, operator: "Exists" })) };
      const spec = { scheduler: { type: "Offers" }, answerers: ["alice"], offers: { constraints } };
      kube.put("frameworks", frameworkObject(spec, { generation }));
    };
    fill(kube);
    framework(1, "offered");
    const constraints = { tolerations: [{ key: "own", operator: "Exists" }] };
    kube.put("tasks", taskObject({ spec: { constraints } }));
    kube.remove("pods", kube.all("pods")[0]);
    await lead();
    framework(2, "offered", "later");
    await clock.advance(10);
    expect(broker().of("pod-created").length).toBeGreaterThan(1);
    const keys = kube
      .all("pods")
      .map(({ spec }) =>
        (spec.tolerations as { key: string }[]).map(({ key }) => key).filter((key) => !key.startsWith("node.")),
      );
    expect(keys[0]).toEqual(["own", "offered"]);
    expect(keys.at(-1)).toEqual(["own", "offered", "later"]);
  });
});

describe("a pod that was created", () => {
  const creating = (broker: ScriptedBroker) => {
    broker.react = (input) => (input.type === "opened" ? [create] : []);
  };

  test("is told with the newest that is known of it", async () => {
    const { kube, lead, broker } = setUp({ react: creating });
    fill(kube);
    kube.remove("pods", kube.all("pods")[0]);
    await lead();
    expect(broker().of("pod-created")).toHaveLength(1);
    expect(kube.all("pods")).toHaveLength(1);
  });

  test("stays bound to a node out of reach for as long as its Framework says by then (point 9)", async () => {
    const { kube, clock, lead, broker } = setUp();
    fill(kube);
    kube.remove("pods", kube.all("pods")[0]);
    kube.put("frameworks", frameworkObject({ unreachableSeconds: 7 }));
    await lead();
    const seconds = async (index: number) => {
      broker().react = (input) =>
        input.type === "node-observed" ? [{ ...create, attempt: { taskUid, index, attempt: 0 } } as Effect] : [];
      kube.put("nodes", nodeObject(`n${index + 2}`));
      await clock.advance(10);
      const { tolerations } = kube.all("pods").at(-1).spec;
      return tolerations.map(({ key, effect, tolerationSeconds }: Record<string, unknown>) => [
        key,
        effect,
        tolerationSeconds,
      ]);
    };
    const both = (s: number) => ["not-ready", "unreachable"].map((w) => [`node.kubernetes.io/${w}`, "NoExecute", s]);
    expect(await seconds(0)).toEqual(both(7));
    kube.put("frameworks", frameworkObject({ unreachableSeconds: 70 }, { generation: 2 }));
    await clock.advance(10);
    expect(await seconds(1)).toEqual(both(70));
  });

  test("and goes before any watch has shown it is gone once a list says so (point 7)", async () => {
    const { kube, clock, world, lead, broker } = setUp({ react: creating });
    fill(kube);
    kube.remove("pods", kube.all("pods")[0]);
    const create = kube.put.bind(kube);
    kube.put = (plural, object) => {
      if (plural === "pods") kube.mute();
      return create(plural, object);
    };
    await lead();
    expect(broker().types()).toContain("pod-created");
    await clock.advance(60_000);
    expect(broker().types()).not.toContain("pod-gone");
    kube.remove("pods", kube.all("pods")[0]);
    await world.pods.resync();
    await clock.advance(10);
    expect(broker().of("pod-gone")).toHaveLength(1);
  });

  test("while its answer was lost, and has run and gone, is not made again (guards: what the watch has shown)", async () => {
    const { kube, clock, lead, broker } = setUp({ react: creating });
    fill(kube);
    kube.remove("pods", kube.all("pods")[0]);
    const creates = () => kube.writes.filter(({ method, path }) => method === "POST" && path.endsWith("/pods"));
    kube.fault = ({ method, path }) => {
      if (method !== "POST" || !path.endsWith("/pods") || creates().length > 1) return undefined;
      void Promise.resolve().then(() => kube.remove("pods", kube.all("pods")[0]));
      return { error: lost(), applied: true };
    };
    await lead();
    await clock.advance(120_000);
    expect(broker().types()).toEqual(expect.arrayContaining(["pod-observed", "pod-gone"]));
    expect(creates()).toHaveLength(1);
    expect(kube.all("pods")).toEqual([]);
  });

  test("whose marks somebody strips counts as before, and its end is told (T9)", async () => {
    const { kube, clock, lead, broker } = setUp();
    fill(kube);
    await lead();
    const pod = kube.all("pods")[0];
    kube.put("pods", { ...pod, metadata: { ...pod.metadata, labels: {} } });
    await clock.advance(10);
    kube.put("pods", {
      ...pod,
      metadata: { ...pod.metadata, labels: {} },
      spec: { ...pod.spec, overhead: { cpu: "1" } },
    });
    await clock.advance(10);
    expect(broker().types()).not.toContain("foreign-pod-observed");
    expect(broker().types()).not.toContain("pod-gone");
    kube.remove("pods", pod);
    await clock.advance(10);
    expect(broker().of("pod-gone")[0]?.pod.uid).toBe("pod-1");
  });
});
