import { Command, Option } from "commander";
import { stringify } from "yaml";
import type { ResourceDefinition } from "../../api/common.ts";
import { isNotFound, isStatus } from "../../controller/kube/api-error.ts";
import type { KubeObject } from "../../controller/kube/client.ts";
import { connect, type Session } from "../connection.ts";
import { CliError, sentenceOf } from "../errors.ts";
import { connectionFlags, withConnectionFlags } from "../flags.ts";
import { type CommandHelp, withHelp } from "../help.ts";
import { KINDS, kindOf, refOf } from "../kinds.ts";
import { type Listing, listObjects, withoutManagedFields } from "../list.ts";
import type { Surroundings } from "../surroundings.ts";
import { tableText } from "../table.ts";
import { rowsOf } from "./columns.ts";

interface GetFlags {
  allNamespaces?: true;
  selector?: string;
  output?: "wide" | "json" | "yaml" | "name";
}

const HELP: CommandHelp = {
  about: [
    "Without a kind: queues, frameworks, tasks and offers, one below the other, as far as you may see them. Columns and formats are kubectl's.",
  ],
  examples: [
    ["Everything in your namespace.", "kubectl proffer get"],
    ["Everything everywhere, with more columns.", "kubectl proffer get -A -o wide"],
    ["The tasks of a team.", "kubectl proffer get tasks -n team-a"],
    ["All of one framework.", "kubectl proffer get framework nightly -o yaml"],
  ],
};

/** `kubectl proffer get`. */
export function getCommand({ terminal }: Surroundings): Command {
  const command = new Command("get")
    .summary("show queues, frameworks, tasks and offers")
    .description("Shows queues, frameworks, tasks and offers.")
    .argument("[kind]", "queues, frameworks, tasks or offers, or several with commas between them")
    .argument("[names...]", "only these")
    .option("-A, --all-namespaces", "of all namespaces")
    .option("-l, --selector <labels>", "only those with these labels: team=a,tier!=test")
    .addOption(new Option("-o, --output <format>", "how to print").choices(["wide", "json", "yaml", "name"]));
  return withHelp(withConnectionFlags(command), HELP).action(
    async (kind: string | undefined, names: string[], flags: GetFlags) => {
      const kinds = kind === undefined ? KINDS : kind.split(",").map(kindOf);
      const session = await connect(connectionFlags(flags), terminal);
      terminal.out(await get(session, kinds, { names, flags, overview: kind === undefined }));
    },
  );
}

interface Wanted {
  readonly names: readonly string[];
  readonly flags: GetFlags;
  /** Nobody asked for these very kinds: what may not be seen is left out. */
  readonly overview: boolean;
}

async function get(session: Session, kinds: readonly ResourceDefinition[], wanted: Wanted): Promise<string> {
  const { flags, names, overview } = wanted;
  const namespace = flags.allNamespaces ? undefined : session.namespace;
  if (names.length > 0 && (flags.allNamespaces || flags.selector !== undefined)) {
    throw new CliError("a name goes with one namespace and no --selector");
  }
  const listing = { namespace, labelSelector: flags.selector };
  const found: { kind: ResourceDefinition; objects: KubeObject[] }[] = [];
  for (const kind of kinds) {
    try {
      found.push({
        kind,
        objects: await (names.length > 0 ? named(session, kind, names) : listObjects(session, kind, listing)),
      });
    } catch (error) {
      if (!overview || !isStatus(error, 403)) throw error;
      session.terminal.note(`${kind.plural} are left out: ${sentenceOf(error)}`);
    }
  }
  const objects = found.flatMap((one) => one.objects);
  switch (flags.output) {
    case "json":
      return `${JSON.stringify(documentOf(objects, names), undefined, 2)}\n`;
    case "yaml":
      return stringify(documentOf(objects, names));
    case "name":
      return found.flatMap((one) => one.objects.map((object) => `${nameOf(one.kind, object)}\n`)).join("");
    default:
      if (objects.length === 0) session.terminal.note(nothing(listing, kinds));
      return tables(found, { wide: flags.output === "wide", namespaces: flags.allNamespaces ?? false, session });
  }
}

/** Objects by name. */
async function named(session: Session, kind: ResourceDefinition, names: readonly string[]): Promise<KubeObject[]> {
  const find = async (name: string): Promise<KubeObject> => {
    const object = await session.client.get(refOf(kind, session.namespace, name)).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
      const where = kind.scope === "Namespaced" ? ` in namespace ${session.namespace}` : "";
      throw new CliError(`there is no ${kind.singular} ${name}${where}`);
    });
    return withoutManagedFields(object);
  };
  return Promise.all(names.map(find));
}

/** One object as itself, others as a list, as kubectl does. */
function documentOf(objects: readonly KubeObject[], names: readonly string[]): object {
  if (names.length === 1 && objects.length === 1) return objects[0]!;
  return { apiVersion: "v1", kind: "List", items: objects };
}

const nameOf = ({ singular }: ResourceDefinition, { metadata }: KubeObject): string =>
  `${singular}.proffer.dev/${metadata.name}`;

function nothing({ namespace }: Listing, kinds: readonly ResourceDefinition[]): string {
  const what = kinds.length === 1 ? kinds[0]!.plural : "objects of Proffer";
  return `no ${what} found${namespace === undefined ? "" : ` in namespace ${namespace}`}`;
}

/** One table a kind; where there are several, names say of which kind they are. */
function tables(
  found: readonly { readonly kind: ResourceDefinition; readonly objects: readonly KubeObject[] }[],
  { wide, namespaces, session }: { wide: boolean; namespaces: boolean; session: Session },
): string {
  const shown = found.filter(({ objects }) => objects.length > 0);
  const nowMs = session.clock.nowMs();
  return shown
    .map(({ kind, objects }) => {
      const withNamespaces = namespaces && kind.scope === "Namespaced";
      const rows = rowsOf(kind, objects, { wide, namespaces: withNamespaces, nowMs });
      const at = withNamespaces ? 1 : 0;
      if (shown.length > 1) for (const row of rows.slice(1)) row[at] = `${kind.singular}/${row[at]}`;
      return tableText(rows);
    })
    .join("\n");
}
