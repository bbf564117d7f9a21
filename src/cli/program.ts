import { Command } from "commander";
import { explainCommand } from "./explain/command.ts";
import { getCommand } from "./get/command.ts";
import { runCommand } from "./run/command.ts";
import type { Surroundings } from "./surroundings.ts";
import { topCommand } from "./top/command.ts";

/** Every command, ready to parse; the reference and the completion are made of it as well. */
export function createProgram(surroundings: Surroundings, version: string): Command {
  const program = new Command("kubectl proffer")
    .description("Runs and looks at what Proffer schedules.")
    .version(version)
    .helpCommand("help [command]", "show the help of a command");
  for (const make of [runCommand, getCommand, explainCommand, topCommand]) {
    const command = make(surroundings);
    program.addCommand(command.showHelpAfterError("See --help for every flag and examples."));
  }
  return program;
}
