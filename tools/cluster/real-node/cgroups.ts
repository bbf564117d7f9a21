/** The control groups that a node's pods live in: the one thing of it that is outside of its folder and its namespaces. */
import { mkdirSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";

export interface CgroupMount {
  readonly place: string;
  /** With version 1, the controllers are among them. */
  readonly options: readonly string[];
}

/** Where the hierarchies of control groups are mounted: one with version 2, one for each controller with version 1. */
export function cgroupMounts(mounts = readMounts()): CgroupMount[] {
  return mounts.split("\n").flatMap((line) => {
    const [, place, kind = "", options = ""] = line.split(" ");
    return place !== undefined && /^cgroup2?$/.test(kind) ? [{ place, options: options.split(",") }] : [];
  });
}

function readMounts(): string {
  try {
    return readFileSync("/proc/self/mounts", "utf8");
  } catch {
    return "";
  }
}

/** Makes the group in every hierarchy. Throws where this process may not. */
export function makeCgroups(name: string): void {
  for (const { place } of cgroupMounts()) mkdirSync(join(place, name), { recursive: true });
}

/** Removes the group and those below it from every hierarchy. No process may be left in them, or it throws. */
export function removeCgroups(name: string): void {
  for (const { place } of cgroupMounts()) removeTree(join(place, name));
}

/** Files of a control group cannot be removed, and go with their folder. */
function removeTree(folder: string): void {
  let entries: { readonly name: string; isDirectory(): boolean }[];
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  for (const entry of entries) if (entry.isDirectory()) removeTree(join(folder, entry.name));
  rmdirSync(folder);
}
