import { operatorConfig } from "../image/operator-config.ts";
import type { Generator } from "./output.ts";

/** For those who have a daemon: the files come from the code that makes the image without one, the rest from its description. */
export const dockerfileGenerator: Generator = {
  name: "Dockerfile",
  generate: () => [{ path: "Dockerfile", content: dockerfile() }],
};

function dockerfile(): string {
  // Shell variables are replaced in labels and variables, so the revision may be one.
  const { User, Entrypoint, Env, WorkingDir, ExposedPorts, Labels } = operatorConfig("$REVISION");
  const quoted = (text: string) => JSON.stringify(text);
  const pairs = (word: string, all: readonly (readonly string[])[]) =>
    all.map(([key = "", value = ""]) => `${word} ${key}=${quoted(value)}`);
  return [
    "# Generated from tools/image/operator-config.ts by `npm run generate`. Edits are overwritten.",
    "#",
    "#   docker build --build-arg REVISION=$(git rev-parse HEAD) --tag proffer .",
    "#",
    "# The same files and the same configuration as `make image` has, which needs no daemon and gives the same digest each time.",
    "FROM node:24-bookworm AS build",
    "WORKDIR /src",
    "COPY . .",
    "RUN npm install --no-save --no-audit --no-fund --loglevel=error",
    "RUN npm run image -- rootfs operator /rootfs",
    "",
    "FROM scratch",
    "ARG REVISION=unknown",
    "COPY --from=build /rootfs/ /",
    ...pairs(
      "ENV",
      (Env ?? []).map((pair) => pair.split(/=(.*)/s)),
    ),
    ...pairs("LABEL", Object.entries(Labels ?? {})),
    ...Object.keys(ExposedPorts ?? {}).map((port) => `EXPOSE ${port}`),
    `WORKDIR ${WorkingDir}`,
    `USER ${User}`,
    `ENTRYPOINT ${JSON.stringify(Entrypoint)}`,
    "",
  ].join("\n");
}
