import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterEach, describe, expect, test } from "vitest";
import { CONFIG_OPTIONS, configOf, withConfigOptions } from "./config.ts";

describe("the configuration", () => {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
  });
  const file = (text: string): string => {
    const folder = mkdtempSync(join(tmpdir(), "proffer-config-"));
    folders.push(folder);
    writeFileSync(join(folder, "config.yaml"), text);
    return join(folder, "config.yaml");
  };
  const flags = (...args: string[]) =>
    withConfigOptions(new Command()).exitOverride().parse(args, { from: "user" }).opts();

  test("has defaults for everything", () => {
    expect(configOf({}, {})).toMatchObject({
      leaseName: "proffer-operator",
      leaseSeconds: 6,
      nodeSelector: {},
      requireAdmissionPolicy: true,
      httpPort: 8080,
      logLevel: "info",
    });
  });

  test("flags outrank the environment, which outranks the file", () => {
    const path = file("httpPort: 1\nlogLevel: debug\nroundMinIntervalMs: 7\n");
    const env = { PROFFER_HTTP_PORT: "2", PROFFER_LOG_LEVEL: "warn", PROFFER_CONFIG: path };
    expect(configOf(flags("--http-port=3"), env)).toMatchObject({
      httpPort: 3,
      logLevel: "warn",
      roundMinIntervalMs: 7,
    });
  });

  test("takes selectors and headroom as the chart gives them, and as a map in the file", () => {
    const args = flags(
      "--node-selector=a=b",
      "--node-selector=c/d=e=f",
      "--node-headroom=cpu=500m",
      "--node-headroom=memory=1Gi",
    );
    const expected = { nodeSelector: { a: "b", "c/d": "e=f" }, nodeHeadroom: { cpu: 500, memory: 1_048_576 } };
    expect(configOf(args, {})).toMatchObject(expected);
    const path = file("nodeSelector: {a: b, c/d: e=f}\nnodeHeadroom: {cpu: 500m, memory: 1Gi}\n");
    expect(configOf({ config: path }, {})).toMatchObject(expected);
    expect(configOf({}, { PROFFER_NODE_SELECTOR: "a=b,c/d=e=f" }).nodeSelector).toEqual(expected.nodeSelector);
  });

  test.each([
    ["a number that is none", { httpPort: "many" }, "--http-port"],
    ["a port that does not exist", { httpPort: "70000" }, "--http-port"],
    ["a selector without a value", { nodeSelector: ["a"] }, '"a" must be NAME=VALUE'],
    ["a quantity that is none", { nodeHeadroom: ["cpu=lots"] }, '"lots" is no quantity'],
    ["a lease that two leaders could hold", { leaseSeconds: "5" }, "two leaders could act at once"],
    ["retries slower than the deadline", { retrySeconds: "4" }, "one failed renewal loses the lease"],
    ["a file that is not there", { config: "nowhere.yaml" }, "nowhere.yaml"],
  ])("%s is refused in one line that names the option", (_, given, message) => {
    const attempt = () => configOf(given, {});
    expect(attempt).toThrow(message);
    expect(attempt).not.toThrow("\n");
  });

  test("an option in the file that does not exist is refused", () => {
    expect(() => configOf({ config: file("httpProt: 1\n") }, {})).toThrow("httpProt");
    expect(() => configOf({ config: file("- a\n") }, {})).toThrow("must be a map");
  });

  test("every option is in the help with its default", () => {
    const help = withConfigOptions(new Command()).helpInformation().replaceAll(/\s+/g, " ");
    for (const { name, defaultText } of CONFIG_OPTIONS) {
      expect(help).toContain(`--${name}`);
      if (defaultText !== undefined) expect(help).toContain(`(default: ${defaultText})`);
    }
  });
});
