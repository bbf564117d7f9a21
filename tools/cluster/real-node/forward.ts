/**
 * `node forward.ts FROM TO`: passes connections on. Either is `HOST:PORT` or the path of a socket. Two of these, one on each
 * side, lead into a network that has no other way in: files know no networks.
 */
import { createConnection, createServer, type NetConnectOpts } from "node:net";

function endpoint(text: string): NetConnectOpts & { readonly exclusive?: boolean } {
  const [, host, port] = /^([\d.]+):(\d+)$/.exec(text) ?? [];
  return host === undefined ? { path: text } : { host, port: Number(port) };
}

const [from = "", to = ""] = process.argv.slice(2);
const server = createServer({ allowHalfOpen: true }, (near) => {
  const far = createConnection({ ...endpoint(to), allowHalfOpen: true });
  for (const socket of [near, far]) {
    socket.setNoDelay(true);
    socket.on("error", () => {
      near.destroy();
      far.destroy();
    });
  }
  near.pipe(far).pipe(near);
});
server.listen(endpoint(from));
