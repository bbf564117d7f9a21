import type { Command, Option } from "commander";
import { connect } from "./connection.ts";
import { connectionFlags } from "./flags.ts";
import { KINDS, kindOf } from "./kinds.ts";
import { listObjects } from "./list.ts";
import type { Terminal } from "./terminal.ts";

/** Names of the objects of a kind, in the namespace that flags name. */
export type NamesOf = (kind: string, flags: object) => Promise<readonly string[]>;

/** What kubectl runs to complete the words of a plugin: an executable of this name on the PATH. */
export const COMPLETION_PROGRAM = "kubectl_complete-proffer";
export const COMPLETION_SCRIPT = `#!/bin/sh
# Completes the words of "kubectl proffer": an executable on the PATH with the name ${COMPLETION_PROGRAM}.
exec kubectl-proffer __complete "$@"
`;

/** What could stand in the place of the last word, given those before it. */
export async function candidates(program: Command, words: readonly string[], namesOf: NamesOf): Promise<string[]> {
  const [name = "", ...rest] = words;
  const commands = program.commands.map((command) => command.name());
  if (rest.length === 0) return startingWith(name, commands);
  const command = program.commands.find((one) => one.name() === name);
  const last = rest.at(-1) ?? "";
  const before = rest.slice(0, -1);
  // What comes after it is the user's own command.
  if (command === undefined || before.includes("--")) return [];
  const option = command.options.find((one) => isNamed(one, before.at(-1)) && takesValue(one));
  if (option === undefined && last.startsWith("-")) {
    const flags = command.options.filter(({ hidden }) => !hidden).flatMap(({ long }) => long ?? []);
    return startingWith(last, [...flags, "--help"]);
  }
  // What is wrong with the words so far is not to be told here.
  command.exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} });
  const { operands } = command.parseOptions(option === undefined ? before : before.slice(0, -1));
  const flags = command.opts<object>();
  if (option !== undefined) return startingWith(last, await valuesOf(option, flags, namesOf));
  return startingWith(last, await argumentsOf(command, operands, flags, namesOf));
}

const startingWith = (start: string, all: readonly string[]): string[] => all.filter((one) => one.startsWith(start));
const isNamed = ({ short, long }: Option, word: string | undefined): boolean =>
  word !== undefined && (word === short || word === long);
const takesValue = ({ required, optional }: Option): boolean => required || optional;

async function valuesOf(option: Option, flags: object, namesOf: NamesOf): Promise<readonly string[]> {
  if (option.argChoices !== undefined) return option.argChoices;
  return option.long === "--framework" ? namesOf("frameworks", flags) : [];
}

async function argumentsOf(
  command: Command,
  operands: readonly string[],
  flags: object,
  namesOf: NamesOf,
): Promise<readonly string[]> {
  const [argument] = command.registeredArguments;
  const [kind] = operands;
  if (kind === undefined && argument?.argChoices !== undefined) return argument.argChoices;
  if (argument?.name() !== "kind") return [];
  if (kind === undefined)
    return KINDS.map(({ plural, singular }) => (command.name() === "explain" ? singular : plural));
  return namesOf(kind, flags);
}

/** The names that the cluster has; none where it cannot be asked. */
export function namesFrom(terminal: Terminal): NamesOf {
  return async (kind, flags) => {
    try {
      const session = await connect(connectionFlags(flags), terminal);
      const objects = await listObjects(session, kindOf(kind), { namespace: session.namespace });
      return objects.map(({ metadata }) => metadata.name);
    } catch {
      return [];
    }
  };
}

/** No file names beside what is said, in the words of kubectl's completion. */
const NO_FILES = ":4";

/** What kubectl reads: one candidate a line, and what to do with them. */
export function completionText(found: readonly string[]): string {
  return [...found, NO_FILES, ""].join("\n");
}
