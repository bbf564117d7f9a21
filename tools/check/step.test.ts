import { expect, test, vi } from "vitest";
import { runCommand } from "./command.ts";
import { runSteps } from "./step.ts";

const passing = { name: "fine", run: async () => ({ ok: true, output: "not shown" }) };
const failing = { name: "wrong", run: async () => ({ ok: false, output: "this is\n\nwrong\n" }) };
const throwing = {
  name: "broken",
  run: async () => {
    throw new Error("it broke");
  },
};

async function linesOf(steps: Parameters<typeof runSteps>[0]) {
  const lines: string[] = [];
  const tally = await runSteps(steps, 1, (line) => lines.push(line));
  return { tally, lines };
}

test("a step that passes is one line", async () => {
  const { tally, lines } = await linesOf([passing]);
  expect(tally).toEqual({ passed: 1, failed: 0 });
  expect(lines).toEqual([expect.stringMatching(/^ok {6}fine +\d+\.\d s$/)]);
});

test("a step that fails shows what it said, and the next ones run", async () => {
  const { tally, lines } = await linesOf([failing, passing]);
  expect(tally).toEqual({ passed: 1, failed: 1 });
  expect(lines[0]).toMatch(/^FAILED {2}wrong +\d+\.\d s$/);
  expect(lines[1]).toBe("    this is\n\n    wrong");
  expect(lines[2]).toMatch(/^ok/);
});

test("a step that throws has failed", async () => {
  const { tally, lines } = await linesOf([throwing]);
  expect(tally).toEqual({ passed: 0, failed: 1 });
  expect(lines.join("\n")).toContain("it broke");
});

test("no more steps run at once than asked for", async () => {
  let now = 0;
  let most = 0;
  const ends: (() => void)[] = [];
  const slow = {
    name: "slow",
    run: async () => {
      most = Math.max(most, ++now);
      await new Promise<void>((end) => ends.push(end));
      now--;
      return { ok: true, output: "" };
    },
  };
  const running = runSteps([slow, slow, slow, slow, slow], 2, () => {});
  for (let ended = 0; ended < 5; ended++) {
    // Each ends when as many wait as can: two, and one at the last.
    await vi.waitFor(() => expect(ends.length).toBe(Math.min(5, ended + 2)));
    ends[ended]!();
  }
  await running;
  expect(most).toBe(2);
});

test.each([
  { name: "exit code 0 is ok", script: "console.log('out'); console.error('err')", ok: true, says: ["out", "err"] },
  { name: "any other exit code is not", script: "console.log('why'); process.exit(3)", ok: false, says: ["why"] },
  {
    name: "a signal is not, and is named",
    script: "process.kill(process.pid, 'SIGKILL')",
    ok: false,
    says: ["SIGKILL"],
  },
])("of a command, $name", async ({ script, ok, says }) => {
  const result = await runCommand("node", ["-e", script]);
  expect(result.ok).toBe(ok);
  for (const text of says) expect(result.output).toContain(text);
});

test("a command that does not exist fails by name", async () => {
  expect(await runCommand("no-such-program", [])).toEqual({
    ok: false,
    output: expect.stringContaining("no-such-program"),
  });
});
