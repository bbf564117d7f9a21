import { Argument, Command } from "commander";
import type { Framework } from "../../api/framework.ts";
import type { Offer } from "../../api/offer.ts";
import type { Queue } from "../../api/queue.ts";
import { listAll } from "../../controller/kube/list-watch.ts";
import { connect, type Session } from "../connection.ts";
import { connectionFlags, withConnectionFlags } from "../flags.ts";
import { type CommandHelp, withHelp } from "../help.ts";
import { kindOf } from "../kinds.ts";
import { listObjects } from "../list.ts";
import type { Surroundings } from "../surroundings.ts";
import { tableText } from "../table.ts";
import { frameworkRows, type NodeObject, nodeRows, type PodObject, queueRows } from "./usage.ts";

interface TopFlags {
  allNamespaces?: true;
  allResources?: true;
}

const SUBJECTS = ["queues", "frameworks", "nodes"] as const;
type Subject = (typeof SUBJECTS)[number];

const HELP: CommandHelp = {
  about: [
    "queues and frameworks show what the operator counted at its last write; shares are dominant shares of the whole cluster. nodes shows what is requested and offered of each node at this moment, and needs the right to list nodes, and pods and offers of all namespaces.",
  ],
  examples: [
    ["Frameworks of your namespace.", "kubectl proffer top"],
    ["Frameworks everywhere.", "kubectl proffer top frameworks -A"],
    ["Queues, with what they are due.", "kubectl proffer top queues"],
    ["What is free.", "kubectl proffer top nodes"],
  ],
};

/** `kubectl proffer top`. */
export function topCommand({ terminal }: Surroundings): Command {
  const command = new Command("top")
    .summary("show who holds how much")
    .description("Shows how much queues and frameworks hold, are offered and ask for, and what is free on nodes.")
    .addArgument(new Argument("[what]", "what is counted (default: frameworks)").choices(SUBJECTS))
    .option("-A, --all-namespaces", "frameworks of all namespaces")
    .option("--all-resources", "of nodes, also pods, storage and huge pages that nobody asks for");
  return withHelp(withConnectionFlags(command), HELP).action(async (what: Subject | undefined, flags: TopFlags) => {
    const session = await connect(connectionFlags(flags), terminal);
    const rows = await rowsFor(session, what ?? "frameworks", flags);
    if (rows.length === 1) terminal.note(`no ${what ?? "frameworks"} found`);
    else terminal.out(tableText(rows));
  });
}

async function rowsFor(session: Session, what: Subject, flags: TopFlags): Promise<string[][]> {
  switch (what) {
    case "queues":
      return queueRows(await list<Queue>(session, "queue"));
    case "frameworks": {
      const namespace = flags.allNamespaces ? undefined : session.namespace;
      return frameworkRows(await list<Framework>(session, "framework", namespace), namespace === undefined);
    }
    case "nodes": {
      const [nodes, pods, offers] = await Promise.all([
        listCore<NodeObject>(session, "nodes"),
        // Those that have ended take no room.
        listCore<PodObject>(session, "pods", "status.phase!=Succeeded,status.phase!=Failed,spec.nodeName!="),
        list<Offer>(session, "offer"),
      ]);
      return nodeRows({ nodes, pods, offers }, { all: flags.allResources ?? false });
    }
  }
}

async function list<T>(session: Session, kind: string, namespace?: string): Promise<readonly T[]> {
  return (await listObjects(session, kindOf(kind), { namespace })) as unknown as T[];
}

async function listCore<T>({ transport }: Session, plural: string, fieldSelector?: string): Promise<T[]> {
  const resource = { group: "", version: "v1", plural };
  let objects: T[] = [];
  const selection = { resource, ...(fieldSelector !== undefined && { fieldSelector }) };
  await listAll(transport, selection, new AbortController().signal, (items, isFirst) => {
    if (isFirst) objects = [];
    objects.push(...(items as unknown as T[]));
  });
  return objects;
}
