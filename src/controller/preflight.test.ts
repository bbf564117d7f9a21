import { describe, expect, test } from "vitest";
import { FakeKube, status } from "./fake-kube.test-support.ts";
import { TransportError } from "./kube/api-error.ts";
import { FakeClock } from "./kube/clock.test-support.ts";
import type { Method } from "./kube/transport.ts";
import { preflight } from "./preflight.ts";
import { noLogger } from "./telemetry.ts";

describe("before it begins", () => {
  async function said(fault: FakeKube["fault"]): Promise<string[]> {
    const [kube, clock, lines] = [new FakeKube(), new FakeClock(), [] as string[]];
    kube.put("", { metadata: { name: "version" } });
    kube.fault = fault;
    const stop = new AbortController();
    const log = { ...noLogger, warn: (_: object, message: string) => lines.push(message) };
    const { client } = kube;
    const ready = preflight({ transport: kube, client, clock, log, server: "https://api", signal: stop.signal });
    await clock.advance(30_000);
    stop.abort();
    expect(await ready).toBe(false);
    return lines;
  }

  test.each([
    [
      "an API server out of reach",
      () => ({ error: new TransportError("network", "connect ECONNREFUSED", false, false) }),
      "the API server at https://api cannot be reached: connect ECONNREFUSED; trying again",
    ],
    [
      "missing definitions",
      ({ path }: { path: string }) => (path.startsWith("/apis/") ? { error: status(404, "NotFound") } : { error: ok }),
      "the custom resource definitions of proffer.dev are not installed: install the chart first; trying again",
    ],
    [
      "missing rights",
      ({ path }: { path: string }) =>
        path.endsWith("/pods") ? { error: status(403, "Forbidden", "no") } : { error: ok },
      "missing right: list pods in all namespaces (403: no); trying again",
    ],
  ])("%s is said in one line, once, and waited for", async (_, fault, line) => {
    const answered: FakeKube["fault"] = (request) => {
      const found = fault(request);
      return found.error === ok ? pass(request.path) : found;
    };
    expect(await said(answered)).toEqual([line]);
  });

  const ok = new Error("answered");
  /** What the fake server does not know, a real one does. */
  const pass = (path: string) =>
    path === "/version" || path.startsWith("/openapi/") || path === "/apis/proffer.dev/v1alpha1"
      ? { error: status(403, "Forbidden") }
      : undefined;

  test("definitions without a field of ours are waited for", async () => {
    const [kube, clock, lines] = [new FakeKube(), new FakeClock(), [] as string[]];
    const schemas = { Queue: { "x-kubernetes-group-version-kind": [{ group: "proffer.dev", kind: "Queue" }] } };
    const client = kube.client;
    kube.fault = ({ path }) => pass(path);
    const transport = Object.create(kube, {
      request: {
        value: (method: Method, path: string, options: object) =>
          path.startsWith("/openapi/")
            ? Promise.resolve({ components: { schemas } })
            : kube.request(method, path, options),
      },
    });
    const stop = new AbortController();
    const log = { ...noLogger, warn: (_: object, message: string) => lines.push(message) };
    const ready = preflight({ transport, client, clock, log, server: "https://api", signal: stop.signal });
    await clock.advance(30_000);
    expect(lines).toEqual([expect.stringMatching(/^the custom resource definition queues.proffer.dev is older than /)]);
    stop.abort();
    expect(await ready).toBe(false);
  });

  test("it begins when nothing is missing", async () => {
    const [kube, clock] = [new FakeKube(), new FakeClock()];
    kube.fault = ({ path }) => pass(path);
    const signal = new AbortController().signal;
    const ready = preflight({ transport: kube, client: kube.client, clock, log: noLogger, server: "", signal });
    await clock.advance(0);
    expect(await ready).toBe(true);
  });
});
