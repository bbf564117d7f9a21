import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { scratchFolder } from "./image.test-support.ts";
import { describePause } from "./pause.ts";

const at = scratchFolder();
let program: string;

beforeAll(async () => {
  mkdirSync(at("scratch"));
  const { layers, config } = await describePause(at("scratch"));
  const file = layers[0]?.entries.find(({ path }) => `/${path}` === config.Entrypoint?.[0]);
  if (file?.type !== "file" || !("source" in file)) throw new Error("the image holds no program");
  program = at("pause");
  copyFileSync(file.source, program);
});

/** It sleeps nowhere but where it waits for signals. */
const waiting = (child: ChildProcess) =>
  vi.waitFor(
    () => {
      const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
      expect(status).toMatch(/^Name:\s+pause$/m);
      expect(status).toMatch(/^State:\s+S /m);
    },
    { timeout: 20_000 },
  );
const childrenOf = ({ pid }: ChildProcess) => readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();

describe("pause", () => {
  test.each(["SIGTERM", "SIGINT"] as const)("ends well at a %s, and not before", async (signal) => {
    const child = spawn(program, { stdio: "ignore" });
    await waiting(child);
    expect(child.exitCode).toBeNull();
    child.kill(signal);
    expect(await once(child, "exit")).toEqual([0, null]);
  });

  test("collects the dead, several at once and those from before its time", async () => {
    // The shell's children are pause's after the exec. One ends at once, the others when their input does.
    const child = spawn("/bin/sh", ["-c", `exec 3<&0; true & cat <&3 & cat <&3 & exec '${program}'`], {
      stdio: ["pipe", "ignore", "ignore"],
    });
    await waiting(child);
    expect(childrenOf(child)).not.toBe("");
    child.stdin.end();
    await vi.waitFor(() => expect(childrenOf(child)).toBe(""), { timeout: 20_000 });
    child.kill("SIGTERM");
    expect(await once(child, "exit")).toEqual([0, null]);
  });

  test("cannot be made without a C compiler, and says so", async () => {
    vi.stubEnv("PATH", at("scratch"));
    await expect(describePause(at("scratch"))).rejects.toThrow("no cc on the PATH. The pause image is compiled");
    vi.unstubAllEnvs();
  });
});
