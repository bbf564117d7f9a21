import { readFileSync } from "node:fs";
import { parseAllDocuments } from "yaml";
import { projectFramework } from "../../controller/observe/framework.ts";
import { projectQueue } from "../../controller/observe/queue.ts";
import type { FrameworkFacts } from "../../offers/messages.ts";
import type { QueueFacts } from "../../offers/queues/queue-facts.ts";

/** A cluster's configuration: what an administrator applies before anybody has work. */
export interface Configuration {
  readonly queues: readonly QueueFacts[];
  readonly frameworks: readonly FrameworkFacts[];
}

/** An object as it stands in a file. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: unknown;
}

/** The objects of a file, in its order. @throws Error that names the file and what is wrong in it */
export function readManifests(path: string): Manifest[] {
  const documents = parseAllDocuments(readFileSync(path, "utf8"));
  return documents.map((document) => {
    if ("errors" in document && document.errors.length > 0) throw new Error(`${path}: ${document.errors[0]!.message}`);
    return (document as { toJS(): unknown }).toJS() as Manifest;
  });
}

/**
 * Queues and Frameworks of a file, read as the operator reads them from the API server.
 *
 * @throws Error that names the file, the object and the rule it breaks
 */
export function readConfiguration(path: string): Configuration {
  const queues: QueueFacts[] = [];
  const frameworks: FrameworkFacts[] = [];
  for (const { kind, metadata, spec } of readManifests(path)) {
    const object = { metadata: { ...metadata, uid: metadata.name }, spec };
    const refuse = (invalid: string | undefined): never => {
      throw new Error(`${path}: ${kind} ${metadata.name}: ${invalid}`);
    };
    if (kind === "Queue") {
      const { facts } = projectQueue(object);
      queues.push(facts.invalid === undefined ? facts : refuse(facts.invalid));
    } else {
      const { facts, invalid } = projectFramework(object);
      frameworks.push(facts ?? refuse(invalid));
    }
  }
  return { queues, frameworks };
}
