/**
 * The parent of one cluster's processes. It runs in a session of its own and holds a channel to the program that wanted the
 * cluster. When that program ends, however it ends, the kernel closes the channel; the supervisor then ends its children,
 * last started first (the API server before etcd), removes the cluster's folder and ends itself.
 *
 * Should the supervisor be killed too, `setpriv --pdeathsig KILL` (Linux) has the kernel end the children, and the next
 * cluster started on this machine removes the folder (sweep.ts).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { childrenOf, identify, type ProcessIdentity, signal as sendSignal } from "./process-info.ts";
import {
  FOLDER_PREFIX,
  type ProcessSpec,
  SUPERVISOR_FILE,
  type SupervisorMessage,
  type SupervisorRecord,
  type SupervisorRequest,
} from "./supervisor-protocol.ts";
import { removeFolder } from "./sweep.ts";
import { tieToLife } from "./tie-to-life.ts";
import { waitFor } from "./wait.ts";

interface Child {
  /** What we started: the program itself, or what waits for it. */
  readonly process: ChildProcess;
  readonly identity: ProcessIdentity;
  readonly ended: Promise<void>;
}

const children = new Map<string, Child>();
const dir = mkdtempSync(join(tmpdir(), FOLDER_PREFIX));
const tie = tieToLife();
let detached = false;
let stopping = false;

function tell(message: SupervisorMessage): void {
  if (process.connected) process.send?.(message, () => {}); // The other side may be gone: "disconnect" deals with that.
}

function writeRecord(): void {
  const record: SupervisorRecord = {
    supervisor: identify(process.pid),
    children: [...children].map(([name, child]) => ({ name, ...child.identity })),
  };
  const path = join(dir, SUPERVISOR_FILE);
  writeFileSync(`${path}.new`, JSON.stringify(record));
  renameSync(`${path}.new`, path);
}

async function start(spec: ProcessSpec): Promise<number> {
  if (stopping) throw new Error("the cluster is stopping");
  if (children.has(spec.name)) throw new Error(`${spec.name} is running already`);
  const log = openSync(spec.logFile, "a");
  const [command = "", ...args] = [...tie, spec.command, ...spec.args];
  const child = spawn(command, args, { stdio: ["ignore", log, log], cwd: dir });
  closeSync(log);
  await once(child, "spawn");
  let pid = child.pid as number;
  const note = (ended: Promise<void>) => {
    children.set(spec.name, { process: child, identity: identify(pid), ended });
    writeRecord();
  };
  const ended = new Promise<void>((done) => {
    child.once("exit", (code, signal) => {
      children.delete(spec.name);
      if (!stopping) writeRecord();
      tell({ type: "exited", name: spec.name, pid, how: signal ?? `exit code ${code}` });
      done();
    });
  });
  note(ended);
  if (spec.forks) {
    const first = () => (child.exitCode === null ? childrenOf(child.pid as number)[0] : (child.pid as number));
    pid = await waitFor(`${spec.name} to start`, first, { everyMs: 2 });
    if (children.has(spec.name)) note(ended);
  }
  return pid;
}

async function end(name: string, signalName: NodeJS.Signals): Promise<void> {
  const child = children.get(name);
  if (child === undefined) throw new Error(`${name} is not running`);
  sendSignal(child.identity, signalName);
  sendSignal(child.identity, "SIGCONT"); // A paused process takes SIGTERM only once it goes on.
  child.process.kill("SIGCONT"); // What waits for it pauses with it.
  await child.ended;
}

/** The data is thrown away with the folder, so there is nothing to flush: SIGKILL cannot hang. */
async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  for (const name of [...children.keys()].reverse()) await end(name, "SIGKILL").catch(() => {});
  for (let attempt = 0; attempt < 50; attempt++) {
    try {
      removeFolder(dir);
      break;
    } catch {
      await delay(100);
    }
  }
  process.exit(0);
}

async function handle(request: SupervisorRequest): Promise<number | undefined> {
  switch (request.op) {
    case "start":
      return start(request.spec);
    case "end":
      await end(request.name, request.signal);
      return undefined;
    case "detach":
      detached = true;
      return undefined;
    case "stop":
      await stop();
      return undefined;
  }
}

process.on("message", (request: SupervisorRequest) => {
  handle(request).then(
    (pid) => tell({ type: "done", id: request.id, ...(pid === undefined ? {} : { pid }) }),
    (error: unknown) => tell({ type: "failed", id: request.id, error: String(error) }),
  );
});
process.on("disconnect", () => {
  if (!detached) void stop();
});
process.on("SIGTERM", () => void stop());
process.on("SIGINT", () => void stop());
process.stderr.on("error", () => {}); // Whoever started us closes it.
process.on("uncaughtException", (error) => {
  process.stderr.write(`${error.stack}\n`);
  void stop();
});
// Detached, nothing else keeps the event loop going.
setInterval(() => {}, 2 ** 30);

writeRecord();
if (process.connected) tell({ type: "ready", dir, identity: identify(process.pid) });
else void stop(); // Our parent died before we were ready.
