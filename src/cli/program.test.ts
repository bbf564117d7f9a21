import { describe, expect, test } from "vitest";
import { helpOf } from "./help.ts";
import { createProgram } from "./program.ts";
import { TestTerminal } from "./session.test-support.ts";

const terminal = new TestTerminal();
const create = () => createProgram({ terminal, onInterrupt: () => () => {}, exitWith: () => {} }, "1.2.3");

describe.each(create().commands.map((command) => [command.name(), command] as const))("%s", (name, command) => {
  test("has help with examples that it understands", () => {
    const { about = [], examples = [] } = helpOf(command) ?? {};
    expect(about.length).toBeGreaterThan(0);
    expect(examples.length).toBeGreaterThan(0);
    for (const [, line] of examples) {
      const words = line.split(" > ")[0]!.split(" ");
      expect(words.slice(0, 3)).toEqual(["kubectl", "proffer", name]);
      const fresh = create().commands.find((one) => one.name() === name)!;
      const { unknown } = fresh.exitOverride().parseOptions(words.slice(3));
      expect(unknown.filter((word) => word.startsWith("-") && word !== "--" && word !== "-c")).toEqual([]);
    }
  });

  test("describes every flag, and no two have the same name", () => {
    const names = command.options.flatMap(({ short, long }) => [short, long].filter(Boolean));
    expect(new Set(names).size).toBe(names.length);
    for (const { description } of command.options) expect(description.length).toBeGreaterThan(5);
  });
});

test("-n is the namespace as kubectl's, but for run, where it is the number of instances", () => {
  const short = create().commands.map((command) => [
    command.name(),
    command.options.find((one) => one.short === "-n")?.long,
  ]);
  expect(Object.fromEntries(short)).toEqual({
    run: "--instances",
    get: "--namespace",
    explain: "--namespace",
    top: "--namespace",
    completion: undefined,
  });
});

const run = async (...words: string[]) => {
  terminal.said.length = 0;
  await create().parseAsync(
    ["run", "-s", "http://127.0.0.1:1", "--dry-run", "--framework", "fw", "--namespace", "a", ...words],
    {
      from: "user",
    },
  );
  return terminal.said.join("");
};

test("run --dry-run prints the Task and talks to nobody", async () => {
  const text = await run("-n", "4", "--cpu", "1", "--memory", "1Gi", "--", "sh", "-c", "echo $A", "--rm");
  expect(text).toContain("instances: 4");
  expect(text).toMatch(/name: run-[bcdfghjklmnpqrstvwxz2456789]{8}\n/);
  expect(text).toContain("namespace: a");
  // What stands after -- is the command's, whatever it looks like.
  expect(text).toMatch(/command:\n +- sh\n +- -c\n +- echo \$A\n +- --rm\n/);
  // The default image's user is root, which no task may be; another image's own user is not replaced.
  expect(text).toContain("runAsUser: 65534");
  expect(await run("--image", "other")).not.toContain("runAsUser");
  await expect(run()).rejects.toThrow("say what to run");
});
