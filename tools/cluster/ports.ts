import { createServer } from "node:net";

// Below the range that kernels hand out for outgoing connections (Linux: from 32768), so that a port stays ours while
// its server is down: tests kill the API server for seconds and start it again on the same port.
const FIRST = 20_000;
const LAST = 32_000;

/** Whether a server could listen on 127.0.0.1 at that port now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen({ port, host: "127.0.0.1", exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

/** `count` different ports, free at this moment. Another program may still be faster: callers retry with others. */
export async function freePorts(count: number, random: () => number = Math.random): Promise<number[]> {
  const found = new Set<number>();
  for (let attempt = 0; found.size < count; attempt++) {
    if (attempt > 1_000) throw new Error(`found no ${count} free ports between ${FIRST} and ${LAST}`);
    const port = FIRST + Math.floor(random() * (LAST - FIRST));
    if (!found.has(port) && (await isFree(port))) found.add(port);
  }
  return [...found];
}
