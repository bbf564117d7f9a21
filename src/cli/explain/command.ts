import { Command, Option } from "commander";
import type { ResourceDefinition } from "../../api/common.ts";
import { isNotFound } from "../../controller/kube/api-error.ts";
import { EXPLAINED, type Explained } from "../../server/explain.ts";
import { connect, type Session } from "../connection.ts";
import { CliError } from "../errors.ts";
import { connectionFlags, withConnectionFlags } from "../flags.ts";
import { type CommandHelp, withHelp } from "../help.ts";
import { kindOf, refOf } from "../kinds.ts";
import type { Surroundings } from "../surroundings.ts";
import { askOperator, type OperatorAnswer } from "./ask-operator.ts";
import { explainFromStatus } from "./from-status.ts";

interface ExplainFlags {
  output: Format;
  as?: string;
}

type Format = "text" | "json";

const HELP: CommandHelp = {
  about: [
    "The answer is the operator's own, worked out when you ask. It is asked through the API server with your token, and tells what you may see.",
    "Where it cannot be asked (you log in with a client certificate, or the chart does not let you through), you are told why, and what the object's status says: the same words, as of the operator's last write.",
  ],
  examples: [
    ["Why does it wait?", "kubectl proffer explain task train -n team-a"],
    ["Why does this framework get nothing more?", "kubectl proffer explain framework nightly"],
    ["For a program.", "kubectl proffer explain queue research -o json"],
  ],
};

/** `kubectl proffer explain`. */
export function explainCommand({ terminal }: Surroundings): Command {
  const command = new Command("explain")
    .summary("tell why a task, framework or queue gets nothing more")
    .description("Tells what a task, a framework or a queue has, and why it gets nothing more now.")
    .argument("<kind>", "task, framework or queue")
    .argument("<name>", "its name")
    .addOption(new Option("-o, --output <format>", "how to print").choices(["text", "json"]).default("text"));
  return withHelp(withConnectionFlags(command), HELP).action(
    async (kindName: string, name: string, flags: ExplainFlags) => {
      const kind = kindOf(kindName);
      if (!isExplained(kind)) throw new CliError(`an ${kind.singular} is not explained: ask for its framework`);
      const session = await connect(connectionFlags(flags), terminal);
      terminal.out(await explain(session, kind, name, flags));
    },
  );
}

const isExplained = ({ singular }: ResourceDefinition): boolean => Object.hasOwn(EXPLAINED, singular);

/** @throws CliError if there is no such object */
export async function explain(
  session: Session,
  kind: ResourceDefinition,
  name: string,
  { output, as }: ExplainFlags,
): Promise<string> {
  const { namespace } = session;
  const within = kind.scope === "Namespaced" ? `/${encodeURIComponent(namespace)}` : "";
  const path = `/explain/${kind.singular as Explained}${within}/${encodeURIComponent(name)}`;
  const answer: OperatorAnswer =
    as === undefined
      ? await askOperator(session, path, output)
      : // The token is that of who acts, not of whom they act as.
        { outcome: "unreachable", why: "it would answer you, not whom you act as" };
  if (answer.outcome === "answer") return answer.text;
  const object = await session.client.get(refOf(kind, namespace, name)).catch((error: unknown) => {
    if (!isNotFound(error)) throw error;
    throw new CliError(`there is no ${kind.singular} ${name}${within && ` in namespace ${namespace}`}`);
  });
  const why = answer.outcome === "not-found" ? "it does not know it (yet)" : answer.why;
  session.terminal.note(`the operator could not be asked: ${why}; this is what the ${kind.singular}'s status says`);
  const { json, text } = explainFromStatus(object);
  return output === "json" ? `${JSON.stringify(json)}\n` : text;
}
