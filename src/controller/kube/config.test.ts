import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeClock } from "./clock.test-support.ts";
import { loadConfig } from "./config.ts";
import type { KubeconfigOverrides } from "./overrides.ts";

let directory: string;
let clock: FakeClock;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "proffer-config-"));
  clock = new FakeClock();
});

afterEach(() => rm(directory, { recursive: true }));

async function write(name: string, text: string): Promise<string> {
  await writeFile(join(directory, name), text);
  return join(directory, name);
}

function kubeconfig(user: object, cluster: object = {}): Promise<string> {
  return write(
    "kubeconfig",
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "one",
      clusters: [
        { name: "c1", cluster: { server: "https://one:6443", ...cluster } },
        { name: "c2", cluster: { server: "https://two:6443" } },
      ],
      users: [{ name: "u", user }],
      contexts: [
        { name: "one", context: { cluster: "c1", user: "u", namespace: "team" } },
        { name: "two", context: { cluster: "c2", user: "u" } },
      ],
    }),
  );
}

async function serviceAccount(): Promise<Parameters<typeof loadConfig>[0]> {
  await write("token", "first\n");
  await write("ca.crt", "the CA");
  await write("namespace", "operators\n");
  const env = { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "443" };
  return { env, clock, serviceAccountDirectory: directory };
}

test("in a pod, the ServiceAccount says who and where we are", async () => {
  const config = await loadConfig(await serviceAccount());
  expect(config).toMatchObject({ server: "https://[fd00::1]:443", namespace: "operators", tls: { ca: "the CA" } });
  expect(await config.authorize()).toEqual({ authorization: "Bearer first" });
});

test("a rotated token is read after 60 s, and no earlier", async () => {
  const config = await loadConfig(await serviceAccount());
  await write("token", "second");
  await clock.advance(59_999);
  expect(await config.authorize()).toEqual({ authorization: "Bearer first" });
  await clock.advance(1);
  expect(await config.authorize()).toEqual({ authorization: "Bearer second" });
});

test("a refused token is read again at once, but only once for all requests that were refused with it", async () => {
  const config = await loadConfig(await serviceAccount());
  const first = await config.authorize();
  await write("token", "second");
  const second = await config.authorize(first);
  expect(second).toEqual({ authorization: "Bearer second" });
  await write("token", "third");
  expect(await config.authorize(first)).toBe(second);
});

test("a token file that is gone for a moment leaves the earlier token in use", async () => {
  const config = await loadConfig(await serviceAccount());
  await rm(join(directory, "token"));
  await clock.advance(60_000);
  expect(await config.authorize()).toEqual({ authorization: "Bearer first" });
});

test("a new CA is a new TLS object, an unchanged one is not", async () => {
  const config = await loadConfig(await serviceAccount());
  const { tls } = config;
  await clock.advance(60_000);
  await config.authorize();
  expect(config.tls).toBe(tls);
  await write("ca.crt", "the next CA");
  await clock.advance(60_000);
  await config.authorize();
  expect(config.tls).toEqual({ ca: "the next CA" });
});

test("a kubeconfig's current context is used, or the one asked for", async () => {
  const path = await kubeconfig(
    { token: "static" },
    { "certificate-authority-data": btoa("CA"), "tls-server-name": "x" },
  );
  const one = await loadConfig({ path, env: {}, clock });
  expect(one).toMatchObject({ server: "https://one:6443", namespace: "team" });
  expect(one.tls).toEqual({ ca: Buffer.from("CA"), servername: "x" });
  expect(await one.authorize()).toEqual({ authorization: "Bearer static" });
  const two = await loadConfig({ path, context: "two", env: {}, clock });
  expect(two).toMatchObject({ server: "https://two:6443", namespace: "default" });
});

test("client certificates, passwords and impersonation come from the kubeconfig", async () => {
  const path = await kubeconfig({
    "client-certificate-data": btoa("cert"),
    "client-key-data": btoa("key"),
    username: "me",
    password: "secret",
    as: "somebody",
  });
  const config = await loadConfig({ path, env: {}, clock });
  expect(config.tls).toEqual({ cert: Buffer.from("cert"), key: Buffer.from("key") });
  expect(await config.authorize()).toMatchObject({ authorization: `Basic ${btoa("me:secret")}` });
});

test("a kubeconfig's token file is read again as it changes", async () => {
  await write("mounted-token", "first");
  const config = await loadConfig({ path: await kubeconfig({ tokenFile: "mounted-token" }), env: {}, clock });
  expect(await config.authorize()).toEqual({ authorization: "Bearer first" });
  await write("mounted-token", "second");
  await clock.advance(60_000);
  expect(await config.authorize()).toEqual({ authorization: "Bearer second" });
});

test("a credential plugin is run, and run again when its token is refused", async () => {
  const plugin = await write(
    "plugin.cjs",
    `const fs = require("node:fs");
     const file = ${JSON.stringify(join(directory, "runs"))};
     fs.appendFileSync(file, "x");
     const token = "run-" + fs.readFileSync(file, "utf8").length;
     console.log(JSON.stringify({ kind: "ExecCredential", status: { token } }));`,
  );
  const exec = { apiVersion: "client.authentication.k8s.io/v1", command: process.execPath, args: [plugin] };
  const config = await loadConfig({ path: await kubeconfig({ exec }), env: {}, clock });
  const first = await config.authorize();
  expect(first).toEqual({ authorization: "Bearer run-1" });
  await clock.advance(60_000);
  expect(await config.authorize()).toBe(first);
  expect(await config.authorize(first)).toEqual({ authorization: "Bearer run-2" });
});

test("KUBECONFIG may name several files: the first that names a context wins", async () => {
  const first = await write(
    "first",
    JSON.stringify({ "current-context": "two", clusters: [], users: [], contexts: [] }),
  );
  const second = await kubeconfig({ token: "static" });
  const config = await loadConfig({ env: { KUBECONFIG: `${first}${delimiter}${second}` }, clock });
  expect(config.server).toBe("https://two:6443");
});

test("a given file outranks KUBECONFIG, which outranks the pod, which outranks the home directory", async () => {
  const pod = await serviceAccount();
  const path = await kubeconfig({ token: "static" });
  await mkdir(join(directory, ".kube"));
  await writeFile(join(directory, ".kube", "config"), JSON.stringify({ clusters: [], users: [], contexts: [] }));
  const env = { ...pod.env, KUBECONFIG: join(directory, "missing"), HOME: directory };
  expect((await loadConfig({ ...pod, env, path })).server).toBe("https://one:6443");
  await expect(loadConfig({ ...pod, env })).rejects.toThrow("missing");
  expect((await loadConfig({ ...pod, env: { ...pod.env, HOME: directory } })).server).toBe("https://[fd00::1]:443");
  await expect(loadConfig({ env: { HOME: directory }, clock })).rejects.toThrow("no cluster");
});

test("plain HTTP, as of a local proxy, needs no TLS", async () => {
  const path = await kubeconfig({}, { server: "http://127.0.0.1:8001" });
  const config = await loadConfig({ path, env: {}, clock });
  expect(config.server).toBe("http://127.0.0.1:8001");
  expect(await config.authorize()).toEqual({});
});

test("a kubeconfig that cannot be read is named, not quoted", async () => {
  const path = await write("broken", "users:\n- name: u\n  user: {token: canary\n");
  const error = await loadConfig({ path, env: {}, clock }).catch((reason: unknown) => reason);
  expect(String(error)).toContain("broken: cannot be read");
  expect(String(error)).not.toContain("canary");
  await expect(loadConfig({ path: `${path}-not`, env: {}, clock })).rejects.toThrow("ENOENT");
});

test("a command line may say other things than the context", async () => {
  const path = await kubeconfig(
    { token: "theirs" },
    { "certificate-authority-data": Buffer.from("CA").toString("base64") },
  );
  const of = (overrides: KubeconfigOverrides) => loadConfig({ path, env: {}, clock, overrides });
  expect(await of({ cluster: "c2" })).toMatchObject({ server: "https://two:6443", namespace: "team" });
  const elsewhere = await of({ server: "https://other", token: "ours", insecureSkipTlsVerify: true });
  expect(elsewhere).toMatchObject({ server: "https://other", namespace: "team", tls: { rejectUnauthorized: false } });
  expect(await elsewhere.authorize()).toEqual({ authorization: "Bearer ours" });
  const acting = await of({ as: "somebody" });
  expect(await acting.authorize()).toEqual({ authorization: "Bearer theirs", "impersonate-user": "somebody" });
  const ca = await write("other-ca.crt", "another CA");
  expect((await of({ certificateAuthority: ca })).tls.ca?.toString()).toBe("another CA");
  await expect(of({ cluster: "nowhere" })).rejects.toThrow("no cluster for context");
});

test("whoever names server and token needs no kubeconfig", async () => {
  const env = { HOME: directory };
  const config = await loadConfig({ env, clock, overrides: { server: "https://other", token: "ours" } });
  expect(config).toMatchObject({ server: "https://other", namespace: "default" });
  expect(await config.authorize()).toEqual({ authorization: "Bearer ours" });
  await expect(loadConfig({ env, clock })).rejects.toThrow("ENOENT");
});

test("in a pod, another server and token may be named", async () => {
  const overrides = { server: "https://other", token: "ours" };
  const config = await loadConfig({ ...(await serviceAccount()), overrides });
  expect(config).toMatchObject({ server: "https://other", namespace: "operators" });
  expect(await config.authorize()).toEqual({ authorization: "Bearer ours" });
});
