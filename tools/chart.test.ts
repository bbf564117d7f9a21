import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { beforeAll, describe, expect, test } from "vitest";
import { configOf, withConfigOptions } from "../src/controller/config.ts";
import type { Json } from "./cluster/api-client.ts";
import { ensureHelm } from "./cluster/helm-kubectl.ts";
import { OPERATOR_IMAGE, operatorConfig } from "./image/operator-config.ts";
import { helmOnChart, renderChart } from "./operator/render-chart.ts";

const chart = join(import.meta.dirname, "../charts/proffer");
const everything = {
  metrics: {
    readers: [{ namespace: "m", name: "p" }],
    serviceMonitor: { enabled: true },
    prometheusRule: { enabled: true },
    dashboards: { enabled: true },
  },
  networkPolicy: { egress: { restrict: true } },
};
let helm: string;

beforeAll(async () => {
  helm = await ensureHelm();
});

/** Throws what Helm says. */
const run = (command: readonly string[], values: Json) => helmOnChart(helm, command, values, "system");

const rendered = new Map<string, Json[]>();
/** Every object that the chart makes of these values. */
function render(values: Json = {}): Json[] {
  const key = JSON.stringify(values);
  const known = rendered.get(key);
  if (known !== undefined) return known;
  const objects = renderChart(helm, values, "system");
  rendered.set(key, objects);
  return objects;
}

const ofKind = (objects: Json[], ...kinds: string[]) => objects.filter(({ kind }) => kinds.includes(kind));
const one = (objects: Json[], kind: string, name: string) =>
  objects.find((object) => object.kind === kind && object.metadata.name === name);
const operatorOf = (values: Json = {}) => one(render(values), "Deployment", "proffer").spec.template.spec;

describe("rights", () => {
  const roles = () => ofKind(render(everything), "Role", "ClusterRole");
  const rules = (): Json[] => roles().flatMap((role) => role.rules);

  test("name everything: no wildcard", () => {
    expect(rules().length).toBeGreaterThan(10);
    expect(JSON.stringify(rules())).not.toContain("*");
  });

  test("hold neither secrets nor the power to give rights", () => {
    const verbs = rules().flatMap(({ verbs }) => verbs);
    for (const verb of ["escalate", "bind", "impersonate"]) expect(verbs).not.toContain(verb);
    const resources = rules().flatMap(({ resources = [] }) => resources);
    for (const resource of ["secrets", "serviceaccounts/token", "pods/exec", "nodes/proxy"]) {
      expect(resources).not.toContain(resource);
    }
  });

  test("of the operator reach what it works with, and no other API group", () => {
    const groups = new Set(
      one(render(everything), "ClusterRole", "proffer").rules.flatMap(({ apiGroups }: Json) => apiGroups),
    );
    const asked = ["authentication.k8s.io", "authorization.k8s.io"];
    expect([...groups].sort()).toEqual(["", ...asked, "coordination.k8s.io", "events.k8s.io", "proffer.dev"]);
  });

  test("to write pods go to the operator and the releaser alone", () => {
    const writers = roles().filter(({ rules }) =>
      rules.some(({ resources = [], verbs }: Json) => resources.includes("pods") && verbs.includes("patch")),
    );
    expect(writers.map(({ metadata }) => metadata.name)).toEqual(["proffer", "proffer-releaser"]);
  });

  test("of the operator to the leases of all namespaces, and to accounts, are to read them", () => {
    const verbsFor = (resource: string) =>
      one(render(everything), "ClusterRole", "proffer").rules.flatMap(({ resources, verbs }: Json) =>
        resources.includes(resource) ? verbs : [],
      );
    expect(verbsFor("leases")).toEqual(["get", "list", "watch"]);
    expect(verbsFor("serviceaccounts")).toEqual(["get"]);
  });

  test("of a framework's program are bound to nobody, and flow into no other role", () => {
    const role = one(render(everything), "ClusterRole", "proffer-framework");
    expect(JSON.stringify(role.metadata.labels)).not.toContain("aggregate-to");
    const bindings = ofKind(render(everything), "RoleBinding", "ClusterRoleBinding");
    expect(bindings.map(({ roleRef }) => roleRef.name)).not.toContain("proffer-framework");
    const resources = role.rules.flatMap((rule: Json) => rule.resources);
    expect(resources.sort()).toEqual(["frameworks", "leases", "offers", "tasks"]);
    expect(JSON.stringify(role.rules)).not.toContain("/status");
  });

  test("to write leases are for one Lease in the release's namespace, those of programs aside", () => {
    const writers = roles().filter(({ metadata, rules }) => {
      const verbs = rules.flatMap(({ resources = [], verbs }: Json) => (resources.includes("leases") ? verbs : []));
      return (
        metadata.name !== "proffer-framework" && verbs.some((verb: string) => !["get", "list", "watch"].includes(verb))
      );
    });
    expect(writers.length).toBeGreaterThan(0);
    for (const role of writers) {
      expect([role.kind, role.metadata.namespace]).toEqual(["Role", "system"]);
      for (const { verbs, resourceNames } of role.rules) {
        // A create has no name yet.
        expect(resourceNames).toEqual(verbs.includes("create") ? undefined : ["proffer-operator"]);
      }
    }
  });

  test.each(["viewer", "editor"])("of the %s flow into the built-in roles, and write no status", (name) => {
    const role = one(render(), "ClusterRole", `proffer-${name}`);
    const into = Object.keys(role.metadata.labels).filter((key) => key.includes("aggregate-to"));
    expect(into.map((key) => key.split("-").at(-1)).sort()).toEqual(
      name === "viewer" ? ["admin", "edit", "view"] : ["admin", "edit"],
    );
    expect(JSON.stringify(role.rules)).not.toContain("/status");
  });

  test("to reach the operator by the API server's proxy are everybody's, and for nothing else", () => {
    const objects = render();
    const [found, at] = ["kube-public", "system"].map((namespace) =>
      objects.find(
        ({ kind, metadata }) =>
          kind === "Role" && metadata.name === "proffer-explain" && metadata.namespace === namespace,
      ),
    );
    const { namespace, service, port } = one(objects, "ConfigMap", "proffer").data;
    expect(found?.rules).toEqual([
      { apiGroups: [""], resources: ["configmaps"], resourceNames: ["proffer"], verbs: ["get"] },
    ]);
    expect(at?.metadata.namespace).toBe(namespace);
    expect(at?.rules).toEqual([
      { apiGroups: [""], resources: ["services/proxy"], resourceNames: [`http:${service}:${port}`], verbs: ["get"] },
    ]);
    expect(one(objects, "Service", service).spec.ports[0].name).toBe(port);
    const toAll = ofKind(objects, "RoleBinding", "ClusterRoleBinding").filter((binding) =>
      JSON.stringify(binding.subjects).includes("system:authenticated"),
    );
    expect(toAll.map(({ metadata, roleRef }) => [metadata.namespace, roleRef.name])).toEqual([
      ["kube-public", "proffer-explain"],
      ["system", "proffer-explain"],
    ]);
    const closed = JSON.stringify(render({ http: { throughApiServer: false } }));
    expect(closed).not.toMatch(/services\/proxy|system:authenticated|kube-public/);
  });

  test("to read metrics are bound to the readers", () => {
    expect(one(render(everything), "ClusterRoleBinding", "proffer-metrics-reader").subjects).toEqual([
      { kind: "ServiceAccount", namespace: "m", name: "p" },
    ]);
    expect(one(render(), "ClusterRoleBinding", "proffer-metrics-reader")).toBeUndefined();
  });
});

describe("pods", () => {
  const templates = () => ofKind(render(everything), "Deployment", "Job").map(({ spec }) => spec.template);

  test("keep to the Pod Security Standard restricted, and to a read-only file system", () => {
    const all = [...templates(), ...ofKind(render(everything), "Pod")];
    expect(all).toHaveLength(3);
    for (const { spec } of all) {
      expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
      expect(spec.securityContext.runAsUser).toBeGreaterThan(0);
      for (const field of ["hostNetwork", "hostPID", "hostIPC", "volumes"]) expect(spec).not.toHaveProperty(field);
      for (const { securityContext, resources } of spec.containers) {
        expect(securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        });
        expect(resources.requests).toBeDefined();
      }
    }
  });

  test("of the operator are probed, and those of the hook are not behind its Service", () => {
    const [container] = operatorOf().containers;
    expect(container.livenessProbe.httpGet).toEqual({ path: "/healthz", port: "http" });
    expect(container.readinessProbe.httpGet).toEqual({ path: "/readyz", port: "http" });
    const { selector } = one(render(), "Service", "proffer").spec;
    const [operator, releaser] = templates().map(({ metadata }) => metadata.labels);
    expect(operator).toMatchObject(selector);
    expect(releaser).not.toMatchObject(selector);
    for (const kind of ["PodDisruptionBudget", "NetworkPolicy"]) {
      const { spec } = one(render(), kind, "proffer");
      expect((spec.selector ?? spec.podSelector).matchLabels).toEqual(selector);
    }
  });

  test("run the image that was asked for", () => {
    const digest = `sha256:${"0".repeat(64)}`;
    expect(operatorOf({ image: { repository: "r.example/p", tag: "1" } }).containers[0].image).toBe("r.example/p:1");
    expect(operatorOf({ image: { repository: "r.example/p", digest } }).containers[0].image).toBe(
      `r.example/p:0.1.0@${digest}`,
    );
  });

  test("run the image that this checkout makes, as its user and by its entry point", () => {
    for (const { spec } of templates()) {
      const { image, command } = spec.containers[0];
      const { runAsUser, runAsGroup } = spec.securityContext;
      expect([image, `${runAsUser}:${runAsGroup}`]).toEqual([OPERATOR_IMAGE, operatorConfig("").User]);
      expect(command).toBeUndefined();
    }
  });

  test("of helm test find the Service by the variables that its name gives", () => {
    const code = (values: Json) => ofKind(render(values), "Pod")[0].spec.containers[0].args[0];
    expect(code({})).toContain("{ PROFFER_SERVICE_HOST: host, PROFFER_SERVICE_PORT: port }");
    expect(code({ fullnameOverride: "my-own" })).toContain("{ MY_OWN_SERVICE_HOST: host,");
    expect(ofKind(render({ operator: { enabled: false } }), "Pod")).toEqual([]);
  });

  test("get options that the operator knows, with the values' meaning", () => {
    const values = {
      logLevel: "debug",
      http: { port: 9090, audience: "proffer" },
      extraArgs: ["--connections=64"],
      round: { minIntervalMs: 1_000_000 / 20, holdAfterSeconds: 20 },
      leaderElection: { leaseSeconds: 15, renewDeadlineSeconds: 10, retrySeconds: 2 },
      nodes: {
        selector: { pool: "batch", "a.example/b": "" },
        settleSeconds: 7,
        headroom: { cpu: "500m", memory: "1Gi" },
      },
    };
    const command = withConfigOptions(new Command()).exitOverride();
    command.parse(operatorOf(values).containers[0].args, { from: "user" });
    expect(configOf(command.opts(), {})).toMatchObject({
      namespace: "system",
      leaseName: "proffer-operator",
      logLevel: "debug",
      httpPort: 9090,
      audience: "proffer",
      connections: 64,
      roundMinIntervalMs: 50_000,
      holdAfterSeconds: 20,
      leaseSeconds: 15,
      renewDeadlineSeconds: 10,
      retrySeconds: 2,
      nodeSelector: { pool: "batch", "a.example/b": "" },
      nodeSettleSeconds: 7,
      nodeHeadroom: { cpu: 500, memory: 1_048_576 },
    });
  });
});

describe("admission policies", () => {
  const expressions = (values: Json) => JSON.stringify(ofKind(render(values), "ValidatingAdmissionPolicy"));

  test("know the operator by its ServiceAccount", () => {
    expect(
      expressions({})
        .match(/system:serviceaccount:system:[\w-]+/g)
        ?.sort(),
    ).toEqual(
      ["proffer", "proffer", "proffer", "proffer-releaser"].map((name) => `system:serviceaccount:system:${name}`),
    );
    const named = expressions({ serviceAccount: { create: false, name: "own" } });
    expect(named.match(/system:serviceaccount:system:own/g)).toHaveLength(3);
  });

  test("let system:masters take finalizers off pods in an emergency, and nothing else", () => {
    const policies = ofKind(render(), "ValidatingAdmissionPolicy");
    const variables = policies.flatMap(({ spec }) => spec.variables ?? []);
    const masters = variables.filter(({ expression }: Json) => expression.includes("'system:masters' in"));
    expect(masters.map(({ name }: Json) => name)).toEqual(["isEmergency"]);
    const rules = policies.flatMap(({ spec }) => spec.validations.map(({ expression }: Json) => expression));
    const used = rules.filter((rule: string) => rule.includes("isEmergency"));
    expect(used).toHaveLength(1);
    expect(used[0]).toMatch(/isEmergency\)\s+&& variables\.finalizers\.all\(f, f in variables\.oldFinalizers\)$/);
  });

  test("fail closed, deny, and are bound", () => {
    const objects = render();
    const policies = ofKind(objects, "ValidatingAdmissionPolicy");
    expect(policies.map(({ metadata }) => metadata.name).sort()).toEqual(
      ["offers", "pods", "queues", "status"].map((name) => `${name}.proffer.dev`),
    );
    for (const { spec, metadata } of policies) {
      expect(spec.failurePolicy).toBe("Fail");
      expect(spec.paramKind).toBeUndefined();
      for (const { message, reason } of spec.validations) {
        expect(reason).toBe("Forbidden");
        expect(message).toMatch(/^[A-Za-z].*\.$/);
      }
      expect(one(objects, "ValidatingAdmissionPolicyBinding", metadata.name).spec).toMatchObject({
        policyName: metadata.name,
        validationActions: ["Deny", "Audit"],
      });
    }
  });

  test("do not look at pods that carry none of our labels", () => {
    const bindings = ofKind(render(), "ValidatingAdmissionPolicyBinding");
    for (const { spec } of bindings.filter(({ spec }) => spec.policyName === "pods.proffer.dev")) {
      const asked = spec.matchResources.objectSelector.matchExpressions.filter((e: Json) => e.operator === "Exists");
      expect(asked).toHaveLength(1);
    }
  });
});

describe("optional parts", () => {
  test("without an operator there are its rights, its policies and its definitions, and nothing that runs", () => {
    const kinds = new Set(render({ ...everything, operator: { enabled: false } }).map(({ kind }) => kind));
    expect([...kinds].sort()).toEqual([
      "ClusterRole",
      "ClusterRoleBinding",
      "ConfigMap",
      "CustomResourceDefinition",
      "Role",
      "RoleBinding",
      "ServiceAccount",
      "ValidatingAdmissionPolicy",
      "ValidatingAdmissionPolicyBinding",
    ]);
  });

  test("the network policy lets in the http port, and out, when asked, DNS and the API server", () => {
    const { spec } = one(render(), "NetworkPolicy", "proffer");
    expect(spec.policyTypes).toEqual(["Ingress"]);
    expect(spec.ingress).toEqual([{ ports: [{ protocol: "TCP", port: "http" }] }]);
    const direct = render({ http: { throughApiServer: false } });
    expect(one(direct, "NetworkPolicy", "proffer").spec.ingress[0].from).toEqual([{ namespaceSelector: {} }]);
    const from = [{ podSelector: { matchLabels: { a: "b" } } }];
    const chosen = render({ networkPolicy: { ingressFrom: from } });
    const [first, tester, ...others] = one(chosen, "NetworkPolicy", "proffer").spec.ingress[0].from;
    expect([first, others]).toEqual([from[0], []]);
    const { labels } = one(chosen, "Pod", "proffer-test").metadata;
    expect(labels).toMatchObject(tester.podSelector.matchLabels);
    expect(labels).not.toMatchObject(one(chosen, "Service", "proffer").spec.selector);
    const strict = one(render(everything), "NetworkPolicy", "proffer").spec;
    expect(strict.policyTypes).toEqual(["Ingress", "Egress"]);
    expect(strict.egress.flatMap(({ ports }: Json) => ports.map(({ port }: Json) => port))).toEqual([
      53, 53, 443, 6443,
    ]);
    expect(ofKind(render({ networkPolicy: { enabled: false } }), "NetworkPolicy")).toEqual([]);
  });

  test("before an uninstall a hook may take finalizers off pods and hold the lease, and no more", () => {
    const hooks = render().filter(({ metadata }) => metadata.annotations?.["helm.sh/hook"] === "pre-delete");
    expect(hooks.map(({ kind }) => kind).sort()).toEqual(
      ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Job"].sort(),
    );
    expect(one(hooks, "ClusterRole", "proffer-releaser").rules).toEqual([
      { apiGroups: [""], resources: ["pods"], verbs: ["get", "list", "patch"] },
    ]);
    expect(one(hooks, "Job", "proffer-releaser").spec.template.spec.containers[0].args[0]).toBe("release-finalizers");
    const off = render({ uninstall: { releaseFinalizers: false } });
    expect(ofKind(off, "Job")).toEqual([]);
  });

  test("the scrape carries a token: Prometheus' own, or one from a Secret", () => {
    const endpoint = (values: Json) => one(render(values), "ServiceMonitor", "proffer").spec.endpoints[0];
    expect(endpoint(everything).bearerTokenFile).toContain("serviceaccount/token");
    const tokenSecret = { name: "s", key: "k" };
    const own = endpoint({ metrics: { serviceMonitor: { enabled: true, tokenSecret } } });
    expect(own.authorization.credentials).toEqual(tokenSecret);
    expect(own.bearerTokenFile).toBeUndefined();
  });

  test("dashboards are a ConfigMap where Grafana's sidecar looks for its label, if asked for", () => {
    expect(one(render(), "ConfigMap", "proffer-dashboards")).toBeUndefined();
    const dashboards = { enabled: true, namespace: "monitoring", annotations: { grafana_folder: "Proffer" } };
    const { metadata, data } = one(render({ metrics: { dashboards } }), "ConfigMap", "proffer-dashboards");
    expect(metadata).toMatchObject({
      namespace: "monitoring",
      labels: { grafana_dashboard: "1", "app.kubernetes.io/name": "proffer" },
      annotations: { grafana_folder: "Proffer" },
    });
    expect(Object.keys(data).sort()).toEqual(["operator", "overview", "queues"].map((name) => `proffer-${name}.json`));
    for (const [name, text] of Object.entries(data)) {
      const file = join(chart, "dashboards", name.replace("proffer-", ""));
      expect(JSON.parse(text as string)).toEqual(JSON.parse(readFileSync(file, "utf8")));
    }
  });

  test("what is said after an installation holds commands to try, and how to install again", () => {
    const notes = run(["install", "--dry-run=client"], {});
    expect(notes.match(/^ {2}kubectl .+$/gm)).toHaveLength(3);
    expect(notes).toContain("--take-ownership");
  });
});
