/** Whether a real node can run on this machine. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { CACHE } from "../binaries.ts";
import { cgroupMounts, makeCgroups, removeCgroups } from "./cgroups.ts";
import { OWN_FOLDERS } from "./node-config.ts";

const PROGRAMS = ["setpriv", "unshare", "nsenter", "ip", "apt-get", "dpkg-deb", "cc"];

/** What a node does with its network and its mounts. */
const PROBE = `
mount -t tmpfs tmpfs /run
ip link add probe type bridge
echo 1 > /proc/sys/net/ipv4/ip_forward
`;

/** Why no real node can run here, for people; undefined where it can. */
export function whyNoRealNode(): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64") return "it needs Linux on x64";
  if (process.getuid?.() !== 0) return "only root may make namespaces and control groups";
  const missing = PROGRAMS.filter((program) => spawnSync(program, ["--version"]).error !== undefined);
  if (missing.length > 0) return `no ${missing.join(", ")} on the PATH`;
  const hidden = [tmpdir(), CACHE].find((path) => OWN_FOLDERS.some((folder) => path.startsWith(folder + sep)));
  if (hidden !== undefined) return `a node has folders of its own over ${OWN_FOLDERS.join(", ")}, and needs ${hidden}`;
  return whyNoCgroups() ?? whyNoNamespaces();
}

function whyNoCgroups(): string | undefined {
  const hasMemory = cgroupMounts().some(({ place, options }) => {
    try {
      return options.includes("memory") || readFileSync(join(place, "cgroup.controllers"), "utf8").includes("memory");
    } catch {
      return false;
    }
  });
  if (!hasMemory) return "no control groups that limit memory";
  const name = `proffer-probe-${process.pid}`;
  try {
    makeCgroups(name);
    removeCgroups(name);
    return undefined;
  } catch (error) {
    return `no right to make control groups: ${(error as Error).message}`;
  }
}

function whyNoNamespaces(): string | undefined {
  const unshare = ["--net", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-ec", PROBE];
  const { status, stderr } = spawnSync("unshare", unshare, { encoding: "utf8" });
  return status === 0 ? undefined : `no right to make namespaces: ${stderr.trim()}`;
}
