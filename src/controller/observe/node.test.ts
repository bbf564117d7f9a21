import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nodeObject } from "../objects.test-support.ts";
import { projectNode, Settling, sameNode } from "./node.ts";

const options = { selector: {} };
const facts = (...args: Parameters<typeof nodeObject>) => projectNode(nodeObject(...args), options).facts;

describe("a node", () => {
  test("is told with what the broker needs", () => {
    const spec = {
      taints: [
        { key: "gpu", value: "yes", effect: "NoSchedule" },
        { key: "k", effect: "NoExecute" },
      ],
    };
    expect(facts("n1", { spec })).toEqual({
      name: "n1",
      uid: "uid-n1",
      allocatable: { cpu: 4000, memory: 16_777_216, pods: 110 },
      labels: { zone: "a" },
      taints: [
        { key: "gpu", value: "yes", effect: "NoSchedule" },
        { key: "k", effect: "NoExecute" },
      ],
      ready: true,
    });
  });

  test("capacity rounds down", () => {
    expect(facts("n", { status: { allocatable: { cpu: "1999999u", memory: "1023" } } }).allocatable).toEqual({
      cpu: 1999,
    });
  });

  test.each([
    {
      name: "not ready",
      over: { status: { conditions: [{ type: "Ready", status: "Unknown" }] } },
      expected: { ready: false },
    },
    { name: "cordoned", over: { spec: { unschedulable: true } }, expected: { closed: "cordoned" } },
    {
      name: "being deleted",
      over: { metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } },
      expected: { closed: "cordoned" },
    },
  ])("is $name", ({ over, expected }) => expect(facts("n", over)).toMatchObject(expected));

  test("outside the operator's selector is not placed on", () => {
    expect(projectNode(nodeObject("n"), { selector: { zone: "b" } }).facts.closed).toBe("not-selected");
    expect(projectNode(nodeObject("n"), { selector: { zone: "a" } }).facts.closed).toBeUndefined();
    // A label that is there by inheritance alone is not there.
    expect(projectNode(nodeObject("n"), { selector: { constructor: "x" } }).facts.closed).toBe("not-selected");
  });

  test("with a label named __proto__ changes no prototype", () => {
    const labels = JSON.parse('{"__proto__": "evil", "constructor": "c"}');
    const read = facts("n", { metadata: { labels } }).labels;
    expect(Object.getPrototypeOf(read)).toBeNull();
    expect(Object.keys(read).sort()).toEqual(["__proto__", "constructor"]);
    expect(({} as Record<string, unknown>).evil).toBeUndefined();
  });

  test("whose heartbeat alone is new is the same", () => {
    const before = projectNode(nodeObject("n"), options);
    const beat = nodeObject("n", {
      metadata: { resourceVersion: "9" },
      status: {
        conditions: [{ type: "Ready", status: "True", lastHeartbeatTime: "now" }],
        allocatable: { cpu: "4", memory: "16Gi", pods: "110" },
      },
    });
    expect(sameNode(before, projectNode(beat, options))).toBe(true);
    expect(sameNode(before, projectNode(nodeObject("n", { spec: { unschedulable: true } }), options))).toBe(false);
  });

  test("of any shape does not throw", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (spec, status) => {
        projectNode({ metadata: { name: "n", uid: "u", labels: spec }, spec, status }, options);
        projectNode(spec, options);
      }),
    );
  });
});

describe("settling", () => {
  test("nodes that were there when the term began are open at once, later ones after a while", () => {
    const settling = new Settling(5_000);
    const [old, young] = [projectNode(nodeObject("old"), options), projectNode(nodeObject("young"), options)];
    expect(settling.factsOf(old, 1_000).closed).toBeUndefined();
    settling.open();
    expect(settling.factsOf(young, 2_000)).toMatchObject({ closed: "settling", settledAtMs: 7_000 });
    expect(settling.factsOf(young, 6_999)).toMatchObject({ closed: "settling", settledAtMs: 7_000 });
    expect(settling.factsOf(young, 7_000).closed).toBeUndefined();
    expect(settling.factsOf(old, 7_000).closed).toBeUndefined();
  });

  test("a node that is cordoned stays cordoned, and one that comes again settles again", () => {
    const settling = new Settling(5_000);
    settling.open();
    const cordoned = projectNode(nodeObject("n", { spec: { unschedulable: true } }), options);
    expect(settling.factsOf(cordoned, 0).closed).toBe("cordoned");
    settling.forget("uid-n");
    expect(settling.factsOf(projectNode(nodeObject("n"), options), 100_000).closed).toBe("settling");
  });
});
