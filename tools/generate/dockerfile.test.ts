import { expect, test } from "vitest";
import { operatorConfig } from "../image/operator-config.ts";
import { dockerfileGenerator } from "./dockerfile.ts";

const [{ path, content }] = (await dockerfileGenerator.generate()) as [{ path: string; content: string }];
const stages = content.split(/^(?=FROM )/m);
const lines = (stages.at(-1) ?? "").split("\n");
const all = (word: string) =>
  lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1));
/** `A="b c"` as Docker reads it. */
const pairs = (word: string) =>
  all(word).map((text) => [text.slice(0, text.indexOf("=")), JSON.parse(text.slice(text.indexOf("=") + 1))]);

test("the Dockerfile starts its containers as the image without a daemon does", () => {
  const config = operatorConfig("$REVISION");
  expect(path).toBe("Dockerfile");
  expect(all("USER")).toEqual([config.User]);
  expect(JSON.parse(all("ENTRYPOINT")[0] ?? "")).toEqual(config.Entrypoint);
  expect(pairs("ENV").map(([key, value]) => `${key}=${value}`)).toEqual(config.Env);
  expect(Object.fromEntries(pairs("LABEL"))).toEqual(config.Labels);
  expect(all("EXPOSE")).toEqual(Object.keys(config.ExposedPorts ?? {}));
  expect(all("WORKDIR")).toEqual([config.WorkingDir]);
});

test("and holds nothing but that image's files", () => {
  expect(all("FROM")).toEqual(["scratch"]);
  expect(all("COPY")).toEqual(["--from=build /rootfs/ /"]);
  expect([...all("ADD"), ...all("RUN")]).toEqual([]);
  expect(stages.at(-2)).toContain("RUN npm run image -- rootfs operator /rootfs\n");
});
