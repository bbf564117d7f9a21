import { once } from "node:events";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { freePorts, isFree } from "./ports.ts";

test("ports are different, free, and below those of outgoing connections", async () => {
  const ports = await freePorts(20);
  expect(new Set(ports).size).toBe(20);
  for (const port of ports) {
    expect(port).toBeLessThan(32_768);
    expect(await isFree(port)).toBe(true);
  }
});

test("a port with a server is not offered", async () => {
  const [port = 0, other = 0] = await freePorts(2);
  const server = createServer().listen(port, "127.0.0.1");
  await once(server, "listening");
  expect(await isFree(port)).toBe(false);
  // The dice show the taken port twice before the other one.
  const dice = [port, port, other].map((wanted) => (wanted - 20_000 + 0.5) / 12_000);
  expect(await freePorts(1, () => dice.shift() ?? 0)).toEqual([other]);
  server.close();
});
