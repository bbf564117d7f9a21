import type { Command } from "commander";

/** What the help of a command says beside its flags. */
export interface CommandHelp {
  /** Paragraphs, each of one line. */
  readonly about: readonly string[];
  /** Command lines, each with what it is an example of. */
  readonly examples: readonly (readonly [what: string, line: string])[];
}

const helpOfCommands = new WeakMap<Command, CommandHelp>();
const helpWidth = 100;

/** Adds paragraphs and examples to a command's help; the reference has them as well. */
export function withHelp(command: Command, help: CommandHelp): Command {
  helpOfCommands.set(command, help);
  const width = Math.min(process.stdout.columns ?? helpWidth, helpWidth);
  const paragraphs = help.about.map((paragraph) => `${wrapped(paragraph, width)}\n`);
  const examples = help.examples.map(([what, line]) => `  # ${what}\n  ${line}`);
  return command.addHelpText("after", ["", ...paragraphs, "Examples:", ...examples].join("\n"));
}

export function helpOf(command: Command): CommandHelp | undefined {
  return helpOfCommands.get(command);
}

function wrapped(paragraph: string, width: number): string {
  const lines = [""];
  for (const word of paragraph.split(" ")) {
    const line = lines.at(-1)!;
    if (line === "") lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= width) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines.join("\n");
}
