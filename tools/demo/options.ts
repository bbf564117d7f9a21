import { Command, InvalidArgumentError, Option } from "commander";

export interface DemoOptions {
  /** The folder of a trace; absent: nodes and pods are drawn. */
  readonly trace?: string;
  readonly keep: boolean;
  readonly nodes: number;
  readonly seconds: number;
  readonly seed: number;
  /** Of the operator's HTTP server; absent: any free one. */
  readonly port?: number;
}

const HELP = `
Two queues and three frameworks share a cluster of fake nodes: one framework is placed by the operator, two are programs of
their own that answer offers. All of it runs on this machine and is gone at the end, unless it is kept. The exit code is 0
only if every task ran exactly once and no node ever held more than it has, counted from the API server's own pods.

Examples:
  npm run demo
  TRACE=~/openb npm run demo          # with nodes and pods of the openb trace
  KEEP=1 npm run demo                 # leaves it running, to look around
  make demo-down                      # ends what was kept

docs/guide/demo.md says how to read what is shown.`;

function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d{1,9}$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`must be a whole number from ${least} to ${most}.`);
    }
    return value;
  };
}

/** @throws Error with a text for people about an option, or the environment, that is wrong */
export function parseOptions(argv: readonly string[], env: NodeJS.ProcessEnv): DemoOptions {
  const command = new Command("demo")
    .description("Shows frameworks that share a cluster through Proffer's offers")
    .addOption(new Option("--trace <folder>", "nodes and pods of the openb trace, from a folder (or TRACE)"))
    .option("--keep", "leave everything running at the end (or KEEP=1)", false)
    .option("--nodes <number>", "how many nodes", whole(10, 500), 100)
    .option("--seconds <number>", "how long the work is to take, about", whole(15, 600), 60)
    .option("--seed <number>", "chooses nodes and pods", whole(0, 999_999_999), 42)
    .option("--port <number>", "the port of the operator's HTTP server (default: any free one)", whole(1, 65_535))
    .addHelpText("after", HELP)
    .parse(argv, { from: "user" });
  const given = command.opts<DemoOptions>();
  const trace = given.trace ?? (env.TRACE || undefined);
  const { trace: _, ...rest } = given;
  return {
    ...rest,
    keep: given.keep || !["", "0", "false", "no"].includes(env.KEEP ?? ""),
    ...(trace === undefined ? {} : { trace }),
  };
}
