import { expect, test } from "vitest";
import { createProgram } from "../../src/cli/program.ts";
import { TestTerminal } from "../../src/cli/session.test-support.ts";
import { cliReferenceGenerator } from "./cli.ts";

test("the reference has every command, argument, flag and example, each once in its section", async () => {
  const [{ content } = { content: "" }] = await cliReferenceGenerator.generate();
  const [, ...sections] = content.split(/^## /m);
  const shared = sections.at(-1) ?? "";
  const surroundings = { terminal: new TestTerminal(), onInterrupt: () => () => {}, exitWith: () => {} };
  const { commands } = createProgram(surroundings, "");
  expect(sections.map((section) => section.split("\n")[0]).slice(0, -1)).toEqual(
    commands.map((command) => command.name()),
  );
  for (const [at, command] of commands.entries()) {
    const section = sections[at] ?? "";
    for (const { long } of command.options) {
      const flag = new RegExp(`^\\| \`[^|]*${long}\\b`, "gm");
      expect([long, [...section.matchAll(flag), ...shared.matchAll(flag)].length]).toEqual([long, 1]);
    }
    expect(section).toContain(`$ kubectl proffer ${command.name()}`);
  }
});
