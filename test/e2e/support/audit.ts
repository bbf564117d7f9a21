/** What the operator writes, as the API server's audit log has it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Json } from "../../../tools/cluster/api-client.ts";
import { RELEASE } from "../../../tools/operator/install-chart.ts";

/** One request that changed something, or tried to. */
export interface Write {
  readonly verb: string;
  /** With its subresource: `tasks/status`. */
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
  readonly code: number;
  readonly dryRun: boolean;
  readonly atMs: number;
}

const READS = new Set(["get", "list", "watch"]);
/** Not about the objects that it is there for. */
const OTHER = new Set(["leases", "events", "tokenreviews", "subjectaccessreviews", "selfsubjectreviews"]);

export class Audit {
  readonly #folder = mkdtempSync(join(tmpdir(), "proffer-audit-"));
  readonly #log = join(this.#folder, "audit.jsonl");

  /** For the API server's command line. */
  get apiserverArgs(): readonly string[] {
    const policy = {
      apiVersion: "audit.k8s.io/v1",
      kind: "Policy",
      omitStages: ["RequestReceived", "ResponseStarted"],
      rules: [
        { level: "Metadata", users: [`system:serviceaccount:${RELEASE.namespace}:${RELEASE.name}`] },
        { level: "None" },
      ],
    };
    const file = join(this.#folder, "policy.json");
    writeFileSync(file, JSON.stringify(policy));
    return [`--audit-log-path=${this.#log}`, `--audit-policy-file=${file}`];
  }

  /** All that it has asked for since then, but for its lease and events; writes alone unless said otherwise. */
  requests(sinceMs = 0, { reads = false } = {}): Write[] {
    const lines = readFileSync(this.#log, "utf8")
      .split("\n")
      .filter((line) => line.endsWith("}"));
    return lines
      .map((line) => JSON.parse(line))
      .filter(({ verb, objectRef }: Json) => reads === READS.has(verb) && !OTHER.has(objectRef?.resource))
      .map(writeOf)
      .filter(({ atMs }) => atMs >= sinceMs);
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function writeOf({ verb, objectRef = {}, responseStatus, requestURI, requestReceivedTimestamp }: Json): Write {
  const { resource = "", subresource, namespace = "", name = "" } = objectRef;
  return {
    verb,
    resource: subresource === undefined ? resource : `${resource}/${subresource}`,
    namespace,
    name,
    code: responseStatus?.code ?? 0,
    dryRun: requestURI.includes("dryRun=All"),
    atMs: Date.parse(requestReceivedTimestamp),
  };
}

/** How many requests of each kind: `{"create pods": 3}`. */
export function countsOf(writes: readonly Write[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { verb, resource, dryRun } of writes) {
    const key = `${dryRun ? "dry-run " : ""}${verb} ${resource}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}
