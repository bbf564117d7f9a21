import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { withLock } from "./file-lock.ts";
import { identify } from "./process-info.ts";

const dir = mkdtempSync(join(tmpdir(), "lock-"));
afterAll(() => rmSync(dir, { recursive: true }));
const quick = { pollMs: 1 };

/** A process that has ended, and been waited for. */
async function deadProcess() {
  const child = spawn("sleep", ["60"]);
  await once(child, "spawn");
  const identity = identify(child.pid as number);
  child.kill("SIGKILL");
  await once(child, "exit");
  return identity;
}

test("one at a time", async () => {
  const path = join(dir, "one");
  let inside = 0;
  let most = 0;
  const work = () =>
    withLock(
      path,
      async () => {
        most = Math.max(most, ++inside);
        for (let i = 0; i < 5; i++) await turn();
        inside--;
      },
      quick,
    );
  await Promise.all(Array.from({ length: 10 }, work));
  expect(most).toBe(1);
  expect(existsSync(path)).toBe(false);
});

test("the lock is free again when the work failed", async () => {
  const path = join(dir, "failed");
  await expect(withLock(path, () => Promise.reject(new Error("no")), quick)).rejects.toThrow("no");
  expect(await withLock(path, async () => "yes", quick)).toBe("yes");
});

test("a dead owner's lock is taken over by one waiter at a time", async () => {
  const path = join(dir, "dead");
  writeFileSync(path, JSON.stringify(await deadProcess()));
  let inside = 0;
  const work = async () => {
    expect(++inside).toBe(1);
    await turn();
    inside--;
  };
  await Promise.all(Array.from({ length: 10 }, () => withLock(path, work, quick)));
  expect(readdirSync(dir)).toEqual([]);
});

test("a pid used again by another process is not the owner", async () => {
  const path = join(dir, "reused");
  writeFileSync(path, JSON.stringify({ pid: process.pid, startTicks: 1 }));
  expect(await withLock(path, async () => "mine", quick)).toBe("mine");
});

test("who waits is told for whom", async () => {
  const path = join(dir, "told");
  const owners: number[] = [];
  await withLock(
    path,
    async () => {
      const second = withLock(path, async () => {}, { ...quick, onWait: ({ pid }) => owners.push(pid) });
      while (owners.length === 0) await turn();
      return { second };
    },
    quick,
  ).then(({ second }) => second);
  expect(owners).toEqual([process.pid]);
});
