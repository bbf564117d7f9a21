#!/usr/bin/env node
import packageJson from "../../package.json" with { type: "json" };
import { candidates, completionText, namesFrom } from "./complete.ts";
import { sentenceOf } from "./errors.ts";
import { createProgram } from "./program.ts";
import { flushed, processTerminal } from "./terminal.ts";

const terminal = processTerminal();

function onInterrupt(listener: () => void): () => void {
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) process.on(signal, listener);
  return () => {
    for (const signal of signals) process.removeListener(signal, listener);
  };
}

/** What went wrong is one sentence, never a stack trace. */
async function fail(error: unknown): Promise<void> {
  terminal.note(`error: ${sentenceOf(error)}`);
  process.exitCode = 1;
}

const program = createProgram(
  {
    terminal,
    onInterrupt,
    exitWith: (code) => {
      process.exitCode = code;
    },
  },
  packageJson.version,
);
process.on("unhandledRejection", (error) => {
  terminal.note(`error: ${sentenceOf(error)}`);
  process.exit(1);
});
const [, , first, ...words] = process.argv;
if (first === "__complete") terminal.out(completionText(await candidates(program, words, namesFrom(terminal))));
else await program.parseAsync().catch(fail);
await flushed();
// Connections that are kept alive would keep the process, too.
process.exit();
