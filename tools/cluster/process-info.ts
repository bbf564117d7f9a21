/** What the kernel says about a process. A pid alone is no identity: it is used again, so it always goes with its start time. */
import { existsSync, readdirSync, readFileSync } from "node:fs";

/** A process that can be recognised later, even by another program. `startTicks` is absent where there is no /proc. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTicks?: number;
}

// The kernel's USER_HZ is 100 on every architecture Linux runs Node.js on; it is not the timer frequency.
const TICKS_PER_SECOND = 100;

interface Stat {
  readonly state: string;
  readonly parent: number;
  readonly cpuTicks: number;
  readonly startTicks: number;
}

function readStat(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The second field is the command in parentheses and may itself hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return {
    state: fields[0] ?? "?",
    parent: Number(fields[1]),
    cpuTicks: Number(fields[11]) + Number(fields[12]),
    startTicks: Number(fields[19]),
  };
}

/** The identity of a running process, to be recorded. */
export function identify(pid: number): ProcessIdentity {
  const stat = readStat(pid);
  return stat === undefined ? { pid } : { pid, startTicks: stat.startTicks };
}

/** The children of a process. None where there is no /proc. */
export function childrenOf(pid: number): number[] {
  const pids = existsSync("/proc/self") ? readdirSync("/proc").map(Number).filter(Number.isInteger) : [];
  return pids.filter((one) => readStat(one)?.parent === pid);
}

/** Whether that very process still runs; a zombie counts as ended. */
export function isAlive(identity: ProcessIdentity): boolean {
  const stat = readStat(identity.pid);
  if (stat !== undefined) {
    return stat.state !== "Z" && (identity.startTicks === undefined || identity.startTicks === stat.startTicks);
  }
  if (process.platform === "linux") return false;
  try {
    process.kill(identity.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Whether a process is stopped by a signal. Always true where there is no /proc to tell. */
export function isStopped(pid: number): boolean {
  const stat = readStat(pid);
  return stat === undefined || stat.state === "T";
}

/** Sends a signal to that very process; says whether it was there to receive it. */
export function signal(identity: ProcessIdentity, name: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    process.kill(identity.pid, name);
    return true;
  } catch {
    return false;
  }
}

/** CPU seconds (user and system) a process has used since it started. Needs Linux. */
export function cpuSeconds(pid: number): number {
  const stat = readStat(pid);
  if (stat === undefined) throw new Error(`no /proc/${pid}/stat: the process has ended, or this is not Linux`);
  return stat.cpuTicks / TICKS_PER_SECOND;
}

/** Resident memory of a process in bytes. Needs Linux. */
export function rssBytes(pid: number): number {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kibibytes === undefined) throw new Error(`process ${pid} has ended`);
  return Number(kibibytes) * 1024;
}
