import { API_VERSION } from "./common.ts";

/**
 * Objects that must be accepted or refused, for both readers of the schemas: `problemsOf` in the unit tests and the API
 * server in the end-to-end tests.
 */
export interface Example {
  /** A sentence about the world. */
  name: string;
  object: { kind: string; [member: string]: unknown };
  /** Part of the message with which both refuse it. Absent: accepted. */
  refused?: string | RegExp;
}

export type Json = Record<string, unknown>;

const object = (kind: string, members: Json, name = "example") => ({
  apiVersion: API_VERSION,
  kind,
  metadata: { name },
  ...members,
});

export const queue = (spec: Json, name?: string) => object("Queue", { spec }, name);
export const framework = (spec: Json, name?: string) => object("Framework", { spec }, name);
export const container = (fields: Json = {}) => ({ name: "main", image: "busybox", ...fields });
export const template = (spec: Json = {}, metadata: Json = {}) => ({
  metadata,
  spec: { containers: [container()], ...spec },
});
export const task = (spec: Json, name?: string) =>
  object("Task", { spec: { framework: "f", template: template(), ...spec } }, name);

export const offerSpec = {
  framework: "f",
  queue: "default",
  concurrency: "Exclusive",
  slices: [
    {
      name: "s0",
      node: "node-0.example",
      nodeUID: "u0",
      resources: { cpu: "2", memory: "4Gi" },
      labels: { zone: "a" },
    },
    { name: "s1", node: "node-1.example", nodeUID: "u1", resources: { cpu: 2, pods: 10 } },
  ],
  expiresAt: "2026-11-22T12:00:00.123Z",
  answerers: ["system:serviceaccount:ns:f"],
  term: "1",
};
export const offer = (spec: Json = {}, answer?: Json, name?: string) =>
  object("Offer", { spec: { ...offerSpec, ...spec }, ...(answer ? { answer } : {}) }, name);

export const accept = (fields: Json = {}) => ({
  by: "system:serviceaccount:ns:f",
  decision: "Accept",
  launches: [{ task: "t", slice: "s0", count: 2 }],
  ...fields,
});
