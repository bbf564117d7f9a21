/** The part of a kubelet that serves logs, for fake nodes: the API server asks it as it would a real one. */

import type { ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { createAuthority } from "../../../tools/cluster/certificates.ts";
import type { Cluster } from "../../../tools/cluster/cluster.ts";

interface Log {
  readonly lines: { readonly atMs: number; readonly text: string }[];
  readonly followers: Set<ServerResponse>;
  ended: boolean;
}

export class LogKubelet {
  readonly #server: Server;
  readonly #logs = new Map<string, Log>();
  /** What was asked for: pod and query. */
  readonly requests: { readonly pod: string; readonly query: URLSearchParams }[] = [];

  private constructor(server: Server) {
    this.#server = server;
    server.on("request", (request, response) => {
      const url = new URL(request.url ?? "/", "https://kubelet");
      const pod = /^\/containerLogs\/[^/]+\/([^/]+)\/main$/.exec(url.pathname)?.[1];
      if (pod === undefined) response.writeHead(404).end();
      else this.#serve(pod, url.searchParams, response);
    });
  }

  static async start(): Promise<LogKubelet> {
    const authority = createAuthority("log-kubelet", new Date());
    const { certPem, keyPem } = authority.issue({ commonName: "kubelet", ipAddresses: ["127.0.0.1"], usage: "server" });
    const kubelet = new LogKubelet(createServer({ cert: certPem, key: keyPem }));
    await new Promise<void>((resolve) => kubelet.#server.listen(0, "127.0.0.1", () => resolve()));
    return kubelet;
  }

  /** From now on these nodes' logs come from here. */
  async serves(cluster: Cluster, nodes: readonly string[]): Promise<void> {
    const { port } = this.#server.address() as AddressInfo;
    const status = { daemonEndpoints: { kubeletEndpoint: { Port: port } } };
    for (const node of nodes) await cluster.api.patch(`/api/v1/nodes/${node}/status`, { status });
  }

  /** A container writes a line. */
  say(pod: string, text: string, nowMs = Date.now()): void {
    const line = { atMs: nowMs, text };
    const log = this.#log(pod);
    log.lines.push(line);
    for (const follower of log.followers) follower.write(lineText(line));
  }

  /** A container has ended: nothing follows. */
  end(pod: string): void {
    const log = this.#log(pod);
    log.ended = true;
    for (const follower of log.followers) follower.end();
  }

  /** All connections break, in the middle of a line. */
  break(): void {
    for (const { followers } of this.#logs.values()) {
      for (const follower of followers) {
        followers.delete(follower);
        follower.write(`${stampOf(Date.now())} half of a li`, () => follower.destroy());
      }
    }
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(pod: string, query: URLSearchParams, response: ServerResponse): void {
    this.requests.push({ pod, query });
    const log = this.#log(pod);
    const since = query.get("sinceTime");
    const sinceMs = since === null ? 0 : Date.parse(since);
    response.writeHead(200, { "content-type": "text/plain" });
    response.flushHeaders();
    for (const line of log.lines) if (line.atMs >= sinceMs) response.write(lineText(line));
    if (log.ended || query.get("follow") !== "true") {
      response.end();
      return;
    }
    log.followers.add(response);
    response.on("close", () => log.followers.delete(response));
  }

  #log(pod: string): Log {
    const log = this.#logs.get(pod) ?? { lines: [], followers: new Set(), ended: false };
    this.#logs.set(pod, log);
    return log;
  }
}

const lineText = ({ atMs, text }: Log["lines"][number]): string => `${stampOf(atMs)} ${text}\n`;
const stampOf = (ms: number): string => new Date(ms).toISOString();
