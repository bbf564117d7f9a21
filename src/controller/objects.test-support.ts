import type { OfferDraft } from "../offers/messages.ts";

/** Objects as the API server shows them, for tests. */

type Json = Record<string, unknown>;

export const taskUid = "11111111-2222-3333-4444-555555555555";

export function podObject(over: { metadata?: Json; spec?: Json; status?: Json } = {}): Json {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "t-abc-0-0",
      namespace: "ns",
      uid: "pod-1",
      resourceVersion: "5",
      labels: {
        "proffer.dev/task": "t",
        "proffer.dev/task-uid": taskUid,
        "proffer.dev/index": "0",
        "proffer.dev/attempt": "0",
        "proffer.dev/framework": "fw",
        "proffer.dev/queue": "default",
      },
      finalizers: ["proffer.dev/tracking"],
      ownerReferences: [
        { apiVersion: "proffer.dev/v1alpha1", kind: "Task", name: "t", uid: taskUid, controller: true },
      ],
      ...over.metadata,
    },
    spec: {
      nodeName: "n1",
      containers: [{ name: "main", resources: { requests: { cpu: "500m", memory: "64Mi" } } }],
      ...over.spec,
    },
    status: { phase: "Pending", ...over.status },
  };
}

export function taskObject(over: { metadata?: Json; spec?: Json; status?: Json } = {}): Json {
  return {
    apiVersion: "proffer.dev/v1alpha1",
    kind: "Task",
    metadata: {
      name: "t",
      namespace: "ns",
      uid: taskUid,
      resourceVersion: "5",
      generation: 1,
      creationTimestamp: "2026-01-01T00:00:00Z",
      ...over.metadata,
    },
    spec: {
      framework: "fw",
      instances: 1,
      template: {
        spec: { containers: [{ name: "main", image: "i", resources: { requests: { cpu: "500m", memory: "64Mi" } } }] },
      },
      ...over.spec,
    },
    ...(over.status && { status: over.status }),
  };
}

export function frameworkObject(spec: Json = {}, metadata: Json = {}): Json {
  return {
    apiVersion: "proffer.dev/v1alpha1",
    kind: "Framework",
    metadata: { name: "fw", namespace: "ns", uid: "fw-1", resourceVersion: "5", generation: 1, ...metadata },
    spec,
  };
}

export function queueObject(name: string, spec: Json = {}): Json {
  return {
    apiVersion: "proffer.dev/v1alpha1",
    kind: "Queue",
    metadata: { name, uid: `queue-${name}`, resourceVersion: "5", generation: 1 },
    spec,
  };
}

export function nodeObject(name: string, over: { metadata?: Json; spec?: Json; status?: Json } = {}): Json {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, uid: `uid-${name}`, resourceVersion: "5", labels: { zone: "a" }, ...over.metadata },
    spec: { ...over.spec },
    status: {
      allocatable: { cpu: "4", memory: "16Gi", pods: "110" },
      conditions: [{ type: "Ready", status: "True" }],
      ...over.status,
    },
  };
}

export function offerObject(over: { metadata?: Json; spec?: Json; answer?: unknown; status?: Json } = {}): Json {
  return {
    apiVersion: "proffer.dev/v1alpha1",
    kind: "Offer",
    metadata: {
      name: "fw-7-0",
      namespace: "ns",
      uid: "offer-1",
      resourceVersion: "5",
      generation: 1,
      ...over.metadata,
    },
    spec: {
      framework: "fw",
      queue: "default",
      concurrency: "Exclusive",
      slices: [
        { name: "s0", node: "n1", nodeUID: "uid-n1", resources: { cpu: "2", memory: "1Gi" }, labels: { zone: "a" } },
      ],
      expiresAt: "2026-01-01T00:00:30Z",
      answerers: ["alice"],
      term: "7",
      ...over.spec,
    },
    ...(over.answer !== undefined && { answer: over.answer }),
    status: { phase: "Open", ...over.status },
  };
}

/** An offer of Framework `fw` of one slice, before it is published. */
export const offerDraft: OfferDraft = {
  key: "ns/fw-7-0",
  framework: "ns/fw",
  frameworkUid: "fw-1",
  queue: "q",
  term: "7",
  concurrency: "Exclusive",
  slices: [{ name: "s0", node: "n1", nodeUid: "u1", resources: { cpu: 1000 }, labels: {} }],
  expiresAtMs: Date.UTC(2026, 0, 1),
  answerers: ["alice"],
};
