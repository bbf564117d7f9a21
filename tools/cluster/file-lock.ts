/** A lock between processes on one file system that survives the death of its owner. */
import { linkSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { identify, isAlive, type ProcessIdentity } from "./process-info.ts";

export interface LockOptions {
  /** Called every few seconds while another process holds the lock. */
  readonly onWait?: (owner: ProcessIdentity) => void;
  readonly pollMs?: number;
}

// Taking a dead owner's lock away lasts microseconds; a breaker this old died doing it.
const BREAKER_STALE_MS = 10_000;
let sequence = 0;

/** Runs `work` while this process alone holds the lock at `path`. Not reentrant. */
export async function withLock<T>(path: string, work: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  let lastNoticeMs = Number.NEGATIVE_INFINITY;
  while (!claim(path)) {
    const owner = readOwner(path);
    if (owner === undefined || !isAlive(owner)) {
      breakStale(path);
    } else if (performance.now() - lastNoticeMs > 5_000) {
      lastNoticeMs = performance.now();
      options.onWait?.(owner);
    }
    await delay(options.pollMs ?? 100);
  }
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}

/** A hard link appears whole or not at all, so nobody ever reads a half-written owner. */
function claim(path: string): boolean {
  const mine = `${path}.${process.pid}.${sequence++}`;
  writeFileSync(mine, JSON.stringify(identify(process.pid)));
  try {
    linkSync(mine, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(mine, { force: true });
  }
}

function readOwner(path: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as ProcessIdentity;
  } catch {
    return undefined;
  }
}

/** Only the holder of the breaker removes a dead owner's lock: else two waiters could remove each other's fresh ones. */
function breakStale(path: string): void {
  const breaker = `${path}.break`;
  if (!claim(breaker)) {
    try {
      if (Date.now() - statSync(breaker).mtimeMs > BREAKER_STALE_MS) rmSync(breaker, { force: true });
    } catch {
      // Another waiter has finished with it.
    }
    return;
  }
  try {
    const owner = readOwner(path);
    if (owner !== undefined && !isAlive(owner)) rmSync(path, { force: true });
  } finally {
    rmSync(breaker, { force: true });
  }
}
