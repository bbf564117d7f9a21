import { Command } from "commander";
import { COMPLETION_PROGRAM, COMPLETION_SCRIPT } from "./complete.ts";
import { explainCommand } from "./explain/command.ts";
import { getCommand } from "./get/command.ts";
import { withHelp } from "./help.ts";
import { runCommand } from "./run/command.ts";
import type { Surroundings } from "./surroundings.ts";
import { topCommand } from "./top/command.ts";

/** Every command, ready to parse; the reference and the completion are made of it as well. */
export function createProgram(surroundings: Surroundings, version: string): Command {
  const program = new Command("kubectl proffer")
    .description("Runs and looks at what Proffer schedules.")
    .version(version)
    .helpCommand("help [command]", "show the help of a command");
  for (const make of [runCommand, getCommand, explainCommand, topCommand, completionCommand]) {
    const command = make(surroundings);
    program.addCommand(command.showHelpAfterError("See --help for every flag and examples."));
  }
  return program;
}

function completionCommand({ terminal }: Surroundings): Command {
  const command = new Command("completion")
    .summary("print the script that completes words in a shell")
    .description(
      "Prints the script by which kubectl, whose own completion is set up, completes these commands as well.",
    )
    .action(() => terminal.out(COMPLETION_SCRIPT));
  return withHelp(command, {
    about: [`kubectl looks for it on the PATH under the name ${COMPLETION_PROGRAM}.`],
    examples: [
      [
        "Put it beside the plugin.",
        `kubectl proffer completion > ~/.local/bin/${COMPLETION_PROGRAM} && chmod +x ~/.local/bin/${COMPLETION_PROGRAM}`,
      ],
    ],
  });
}
