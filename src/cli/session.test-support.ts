import { KubeClient } from "../controller/kube/client.ts";
import { FakeClock } from "../controller/kube/clock.test-support.ts";
import type { Clock } from "../controller/kube/clock.ts";
import type { Headers } from "../controller/kube/config.ts";
import type { FakeApiServer } from "../controller/kube/fake-api-server.test-support.ts";
import { HttpTransport } from "../controller/kube/transport.ts";
import type { Session } from "./connection.ts";
import type { Terminal } from "./terminal.ts";

/** Keeps what is said. */
export class TestTerminal implements Terminal {
  readonly said: string[] = [];
  readonly notes: string[] = [];
  readonly colours = false;
  readonly congested = false;

  out(text: string): void {
    this.said.push(text);
  }

  note(line: string): void {
    this.notes.push(line);
  }

  drained(): Promise<void> {
    return Promise.resolve();
  }
}

/** A session in namespace `a` with a server that does what the test says. */
export function testSession(
  server: FakeApiServer,
  terminal: Terminal,
  clock: Clock = new FakeClock(),
  credentials: Headers = { authorization: "Bearer canary" },
): Session {
  const cluster = { ...server.config(), authorize: () => Promise.resolve(credentials) };
  const random = () => 0.5;
  const transport = new HttpTransport({
    config: cluster,
    clock,
    random,
    userAgent: "test",
    // Time that others let pass is not to end a request that is under way.
    timeoutMs: 1e9,
  });
  const client = new KubeClient(transport, "test");
  return { transport, client, cluster, clock, random, namespace: "a", terminal };
}
