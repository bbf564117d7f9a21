/** A network of a cluster's own: the whole control plane and the node are in it, and one door leads to the API server. */
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import type { ProcessName } from "../cluster.ts";
import type { ProcessSpec } from "../supervisor-protocol.ts";
import { NETWORK_SCRIPT } from "./node-config.ts";
import type { Part } from "./part.ts";

const FORWARD = new URL("./forward.ts", import.meta.url).pathname;

/**
 * The processes that make the network and its door, in the order in which they start.
 *
 * @param port of the API server, on the loopback device outside as inside
 * @param enter gives a process of the network instead of one outside; called when the network is there
 */
export function networkParts(dir: string, port: number, enter: (spec: ProcessSpec) => ProcessSpec): Part[] {
  const process_ = (name: ProcessName, command: string, ...args: readonly string[]): ProcessSpec => {
    return { name, command, args, logFile: join(dir, `${name}.log`) };
  };
  const ready = join(dir, "network.ready");
  const socket = join(dir, "apiserver.sock");
  const address = `127.0.0.1:${port}`;
  return [
    {
      name: "network",
      spec: () => process_("network", "unshare", "--net", "sh", "-ec", NETWORK_SCRIPT, ready),
      works: { what: "the cluster's network", look: async () => existsSync(ready) },
    },
    {
      name: "door-inside",
      spec: () => enter(process_("door-inside", process.execPath, FORWARD, socket, address)),
      works: { what: "the door's inner half", look: async () => existsSync(socket) },
    },
    {
      name: "door",
      spec: () => process_("door", process.execPath, FORWARD, address, socket),
      works: { what: "the door's outer half", look: () => connects(port) },
    },
  ];
}

/** Has a process run in the network that another one holds. */
export function enterNetwork(holder: number, spec: ProcessSpec): ProcessSpec {
  return {
    ...spec,
    command: "nsenter",
    args: [`--net=/proc/${holder}/ns/net`, "--", spec.command, ...spec.args],
  };
}

function connects(port: number): Promise<true> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", reject);
  });
}
