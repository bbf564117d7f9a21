import type { Argument, Command, Option } from "commander";
import { CONNECTION_FLAGS } from "../../src/cli/flags.ts";
import { helpOf } from "../../src/cli/help.ts";
import { createProgram } from "../../src/cli/program.ts";
import { type Generator, markdownNotice } from "./output.ts";

/** `docs/reference/cli.md`: every command of kubectl's plugin with its arguments and flags. */
export const cliReferenceGenerator: Generator = {
  name: "cli-reference",
  generate: () => [{ path: "docs/reference/cli.md", content: cliReference() }],
};

const INTRODUCTION = `# kubectl proffer

Every command of the plugin with its arguments and flags. [The guide](../guide/cli.md) says how to install it and what it is good
for.

`;

/** The program as data: nothing of it runs. */
function program(): Command {
  const nothing = (): never => {
    throw new Error("the reference runs no command");
  };
  const terminal = { out: nothing, note: nothing, colours: false, congested: false, drained: nothing };
  return createProgram({ terminal, onInterrupt: nothing, exitWith: nothing }, "");
}

function cliReference(): string {
  const { commands } = program();
  const list = commands.map((command) => `| [\`${command.name()}\`](#${command.name()}) | ${command.summary()} |`);
  const isShared = ({ long }: Option): boolean => CONNECTION_FLAGS.some((flag) => `--${kebab(flag)}` === long);
  const shared = commands.find((command) => command.name() === "get")!.options.filter(isShared);
  return [
    markdownNotice("src/cli") + INTRODUCTION,
    `| Command | What it does |\n|---|---|\n${list.join("\n")}\n\n`,
    commands.map((command) => section(command, isShared)).join("\n"),
    `\n## Which cluster, and as whom\n\nThe same for all commands that talk to a cluster, and named as kubectl's.\n\n`,
    table("Flag", shared.map(flagRow)),
  ].join("");
}

function section(command: Command, isShared: (option: Option) => boolean): string {
  const { about = [], examples = [] } = helpOf(command) ?? {};
  const own = command.options.filter((option) => !isShared(option));
  const named = command.registeredArguments;
  return [
    `## ${command.name()}\n\n${command.description()}\n`,
    `\`\`\`\nkubectl proffer ${command.name()} ${command.usage()}\n\`\`\`\n`,
    ...about.map((paragraph) => `${paragraph}\n`),
    ...(named.length > 0 ? [table("Argument", named.map(argumentRow))] : []),
    ...(own.length > 0 ? [table("Flag", own.map(flagRow))] : []),
    `\`\`\`console\n${examples.map(([what, line]) => `# ${what}\n$ ${line}`).join("\n")}\n\`\`\`\n`,
  ].join("\n");
}

function argumentRow(argument: Argument): string[] {
  const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return [`\`${argument.required ? `<${name}>` : `[${name}]`}\``, withChoices(argument)];
}

function flagRow(option: Option): string[] {
  const { defaultValue } = option;
  const shown =
    defaultValue === undefined || defaultValue === true || option.negate ? "" : ` Default: \`${defaultValue}\`.`;
  return [`\`${option.flags}\``, `${withChoices(option)}${shown}`];
}

/** As a sentence: with a capital and a full stop, and the words that may be chosen from. */
function withChoices({ description, argChoices }: Pick<Option, "description" | "argChoices">): string {
  const sentence = `${description[0]?.toUpperCase()}${description.slice(1)}.`;
  return argChoices === undefined
    ? sentence
    : `${sentence} One of ${argChoices.map((choice) => `\`${choice}\``).join(", ")}.`;
}

function table(head: string, rows: readonly (readonly string[])[]): string {
  const lines = rows.map((cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`);
  return `| ${head} | |\n|---|---|\n${lines.join("\n")}\n`;
}

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
