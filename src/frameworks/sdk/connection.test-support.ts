import { KubeClient } from "../../controller/kube/client.ts";
import { systemClock } from "../../controller/kube/clock.ts";
import type { FakeApiServer } from "../../controller/kube/fake-api-server.test-support.ts";
import { HttpTransport } from "../../controller/kube/transport.ts";
import type { Connection } from "./connection.ts";

/** A connection to a server that does what a test says. */
export function connectionTo(server: FakeApiServer): Connection {
  const transport = new HttpTransport({
    config: server.config(),
    clock: systemClock,
    random: () => 0,
    userAgent: "test",
    timeoutMs: 500,
    backoff: { baseMs: 1, maxMs: 5 },
  });
  return {
    server: "http://fake",
    transport,
    client: new KubeClient(transport, "test"),
    clock: systemClock,
    random: () => 0,
    namespace: "ns",
    username: "me",
    close: () => transport.close(),
  };
}
