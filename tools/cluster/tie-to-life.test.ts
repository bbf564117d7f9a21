import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { identify, isAlive } from "./process-info.ts";
import { tieToLife } from "./tie-to-life.ts";
import { waitFor } from "./wait.ts";

const MODULE = new URL("./tie-to-life.ts", import.meta.url).href;
const PARENT = `
import { spawnTied } from "${MODULE}";
console.log(spawnTied(process.execPath, ["-e", "setInterval(() => {}, 1_000)"], { stdio: "ignore" }).pid);
`;

test.runIf(tieToLife().length > 0)("what is tied dies with its parent, even by SIGKILL", async () => {
  const parent = spawn(process.execPath, ["--input-type=module", "-e", PARENT], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(createInterface(parent.stdout), "line");
  const child = identify(Number(line));
  expect(isAlive(child)).toBe(true);
  parent.kill("SIGKILL");
  await waitFor("the child is gone", async () => !isAlive(child));
});
