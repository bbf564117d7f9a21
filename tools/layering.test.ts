import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

// Each case is a file with one line, in a scratch copy of the rules. Deleting a rule from biome.json or pure-core.grit makes
// the case that names it fail.
const root = join(import.meta.dirname, "..");
const core = "src/offers is the pure core";
const policy = "A policy turns a round into drafts";
const shapes = "src/api is the one source";
const otherSide = "src/frameworks is the other side";
const client = "src/controller/kube is a client of Kubernetes";
const meet = "Server and controller meet in src/main.ts alone";
const cli = "src/cli is a client";
const composition = "Only src/main.ts, the composition root";
const testOnly = "The program does not import what is there to test or build it";
const synchronous = "The core is synchronous";
const global = (name: string) => `Do not use the global variable ${name}.`;

interface Case {
  folder: string;
  line: string;
  refused: string | null;
}

const importOf = (specifier: string) => `import { x } from "${specifier}"; export const y = x;`;

const imports: [folder: string, specifier: string, refused: string | null][] = [
  ["src/offers", "./ledger.ts", null],
  ["src/offers", "./policies/fair.ts", null],
  ["src/offers", "zod", core],
  ["src/offers", "node:fs", core],
  ["src/offers", "../api/task.ts", core],
  ["src/offers", "./../server/http.ts", core],
  ["src/offers", "./world.test-support.ts", core],
  ["src/offers/gangs", "./gang.ts", null],
  ["src/offers/gangs", "../ledger.ts", null],
  ["src/offers/gangs", "../nodes/nodes.ts", null],
  ["src/offers/gangs", "zod", core],
  ["src/offers/gangs", "../../api/task.ts", core],
  ["src/offers/gangs", "./../../api/task.ts", core],
  ["src/offers/gangs", "../nodes/../../api/task.ts", core],
  ["src/offers/gangs", "../world.test-support.ts", core],
  ["src/offers/policies", "./order.ts", null],
  ["src/offers/policies", "../queues/queues.ts", null],
  ["src/offers/policies", "../resources.ts", null],
  ["src/offers/policies", "../offer.ts", policy],
  ["src/offers/policies", "../broker.ts", policy],
  ["src/offers/policies", "../../api/task.ts", policy],
  ["src/offers/policies", "./../broker.ts", policy],
  ["src/offers/policies", "zod", policy],
  ["src/offers/policies", "../world.test-support.ts", policy],
  ["src/api", "zod", null],
  ["src/api", "./common.ts", null],
  ["src/api", "yaml", shapes],
  ["src/api", "node:fs", shapes],
  ["src/api", "../offers/resources.ts", shapes],
  ["src/api", "./../offers/resources.ts", shapes],
  ["src/api", "./task.test-support.ts", shapes],
  ["src/frameworks", "../api/offer.ts", null],
  ["src/frameworks", "undici", null],
  ["src/frameworks/bag-of-tasks", "../../controller/kube/client.ts", null],
  ["src/frameworks", "../offers/broker.ts", otherSide],
  ["src/frameworks/bag-of-tasks", "../../offers/broker.ts", otherSide],
  ["src/frameworks", "../server/http.ts", otherSide],
  ["src/frameworks", "../simulator/world.ts", otherSide],
  ["src/frameworks", "../controller/loop.ts", otherSide],
  ["src/frameworks", "../main.ts", otherSide],
  ["src/frameworks", "./stream.test-support.ts", otherSide],
  ["src/controller", "../offers/broker.ts", null],
  ["src/controller", "./kube/client.ts", null],
  ["src/controller", "../server/http.ts", composition],
  ["src/controller", "../simulator/world.ts", composition],
  ["src/controller", "../main.ts", composition],
  ["src/controller", "./fake.test-support.ts", testOnly],
  ["src/controller", "../../tools/cluster/cluster.ts", testOnly],
  ["src/controller", "../../bench/load.ts", testOnly],
  ["src/controller/observe", "../../server/http.ts", composition],
  ["src/controller/kube", "./transport.ts", null],
  ["src/controller/kube", "undici", null],
  ["src/controller/kube", "../loop.ts", client],
  ["src/controller/kube", "./../loop.ts", client],
  ["src/controller/kube", "./server.test-support.ts", client],
  ["src/controller/kube", "../../offers/broker.ts", client],
  ["src/server", "../offers/broker.ts", null],
  ["src/server", "../controller/kube/client.ts", null],
  ["src/server", "../controller/loop.ts", meet],
  ["src/server", "../main.ts", meet],
  ["src/server", "../simulator/world.ts", meet],
  ["src/server", "./http.test-support.ts", testOnly],
  ["src/server", "../../tools/cluster/cluster.ts", testOnly],
  ["src/server", "../../bench/load.ts", testOnly],
  ["src/cli", "../server/explain-text.ts", null],
  ["src/cli/top", "../../controller/kube/client.ts", null],
  ["src/cli/top", "../../controller/pod-requests.ts", null],
  ["src/cli", "../controller/loop.ts", cli],
  ["src/cli", "../controller/observe/pod.ts", cli],
  ["src/cli", "../main.ts", cli],
  ["src/cli", "../simulator/world.ts", cli],
  ["src/cli", "./session.test-support.ts", testOnly],
  ["src/cli", "../../tools/cluster/cluster.ts", testOnly],
  ["src/simulator", "../controller/loop.ts", null],
  ["src/simulator", "../server/http.ts", null],
];

const cases: Case[] = [
  ...imports.map(([folder, specifier, refused]) => ({ folder, line: importOf(specifier), refused })),
  { folder: "src/offers", line: `import type { X } from "../server/http.ts"; export type Y = X;`, refused: core },
  { folder: "src/offers", line: `export * from "../server/http.ts";`, refused: core },
  { folder: "src/offers", line: `export const later = () => import("fastify");`, refused: core },
  ...["Date", "performance", "setTimeout", "setInterval", "setImmediate", "queueMicrotask", "Promise", "Atomics"].map(
    (name) => ({ folder: "src/offers", line: `export const it = ${name};`, refused: global(name) }),
  ),
  ...["process", "console", "fetch", "require", "crypto", "globalThis"].map((name) => ({
    folder: "src/offers",
    line: `export const it = ${name};`,
    refused: global(name),
  })),
  { folder: "src/offers/policies", line: "export const now = () => new Date();", refused: global("Date") },
  { folder: "src/offers", line: "export const dice = () => Math.random();", refused: "The core has no randomness" },
  { folder: "src/offers", line: "export const floor = () => Math.floor(1.5);", refused: null },
  { folder: "src/offers", line: "export async function declared() {}", refused: synchronous },
  { folder: "src/offers", line: "export default async function () {}", refused: synchronous },
  { folder: "src/offers", line: "export const arrow = async () => 1;", refused: synchronous },
  { folder: "src/offers", line: "export const expression = async function () {};", refused: synchronous },
  { folder: "src/offers", line: "export class Method { static async run() {} }", refused: synchronous },
  { folder: "src/offers", line: "export const object = { async run() {} };", refused: synchronous },
  { folder: "src/offers", line: "await 1;", refused: synchronous },
  { folder: "src/offers", line: "for await (const one of many) one();", refused: synchronous },
  { folder: "src/offers", line: "export function asynchronous() {}", refused: null },
  { folder: "src/server", line: "export const now = async () => new Date();", refused: null },
];

const fileOf = (number: number, folder: string) => join(folder, `case-${number}.ts`);

describe("layering", () => {
  const scratch = mkdtempSync(join(tmpdir(), "proffer-layering-"));
  const refusals = new Map<string, string[]>();

  beforeAll(() => {
    cpSync(join(root, "biome.json"), join(scratch, "biome.json"));
    cpSync(join(root, "tools/check/pure-core.grit"), join(scratch, "tools/check/pure-core.grit"));
    for (const [number, { folder, line }] of cases.entries()) write(fileOf(number, folder), line);
    write("src/offers/case.test.ts", importOf("vitest"));
    for (const [file, message] of lint(scratch)) refusals.set(file, [...(refusals.get(file) ?? []), message]);
  });
  afterAll(() => rmSync(scratch, { recursive: true }));

  function write(file: string, text: string): void {
    mkdirSync(dirname(join(scratch, file)), { recursive: true });
    writeFileSync(join(scratch, file), `${text}\n`);
  }

  test.each(cases.map((one, number) => ({ ...one, number })))("in $folder: $line", ({ folder, refused, number }) => {
    const messages = refusals.get(fileOf(number, folder)) ?? [];
    if (refused === null) expect(messages).toEqual([]);
    else expect(messages).toContainEqual(expect.stringContaining(refused));
  });

  test("tests of the core may import test libraries", () => {
    expect(refusals.get("src/offers/case.test.ts")).toBeUndefined();
  });
});

function lint(folder: string): [file: string, message: string][] {
  const rules = ["plugin", "noRestrictedImports", "noRestrictedGlobals"].map((rule) => `--only=${rule}`);
  const arguments_ = ["lint", "--vcs-enabled=false", "--max-diagnostics=none", "--reporter=github", ...rules];
  let output: string;
  try {
    output = execFileSync(join(root, "node_modules/.bin/biome"), arguments_, {
      cwd: folder,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  } catch (failure) {
    output = (failure as { stdout: string }).stdout;
  }
  return [...output.matchAll(/^::error title=[^,]+,file=([^,]+),[^:]*::(.*)$/gm)].map(([, file, message]) => [
    file!.slice(file!.indexOf("src/")),
    message!,
  ]);
}
