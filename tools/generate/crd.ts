import { stringify } from "yaml";
import { celOf, GROUP, LABEL_NAME, type ResourceDefinition, VERSION } from "../../src/api/common.ts";
import { definitions } from "../../src/api/definitions.ts";
import { type SchemaNode, structuralSchema } from "./crd-schema.ts";
import type { Generator, Output } from "./output.ts";

const NOTICE = "# Generated from src/api by `npm run generate`. Edits are overwritten.\n";
const CHART_FOLDER = "charts/proffer/templates/crds";

/** `crds/`: for `kubectl apply`. */
export const crdGenerator: Generator = {
  name: "crds",
  ownedFolders: ["crds"],
  generate: () => definitions.map((definition) => fileOf("crds", definition, NOTICE + toYaml(crdOf(definition)))),
};

/** The same as templates of the chart: Helm upgrades templates, and leaves `crds/` alone. */
export const chartCrdGenerator: Generator = {
  name: "chart-crds",
  ownedFolders: [CHART_FOLDER],
  generate: () => definitions.map((definition) => fileOf(CHART_FOLDER, definition, chartTemplate(definition))),
};

function fileOf(folder: string, { plural }: ResourceDefinition, content: string): Output {
  return { path: `${folder}/${GROUP}_${plural}.yaml`, content };
}

/** The CustomResourceDefinition object of a definition. */
export function crdOf(definition: ResourceDefinition) {
  const { plural, singular, kind, shortNames, scope, columns, selectableFields } = definition;
  // `kubectl get all -n X` would show what is no namespace's.
  const categories = scope === "Namespaced" ? ["all", "proffer"] : ["proffer"];
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope,
      names: { plural, singular, kind, listKind: `${kind}List`, shortNames, categories },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          ...(selectableFields.length > 0
            ? { selectableFields: selectableFields.map((jsonPath) => ({ jsonPath })) }
            : {}),
          additionalPrinterColumns: columns,
          subresources: { status: {} },
          schema: { openAPIV3Schema: rootSchema(definition) },
        },
      ],
    },
  };
}

const labelName: SchemaNode = { type: "string", maxLength: LABEL_NAME.maxLength, pattern: LABEL_NAME.pattern };

function rootSchema({ kind, description, members, nameIsLabel, rules }: ResourceDefinition): SchemaNode {
  const properties: Record<string, SchemaNode> = {
    apiVersion: { type: "string", description: "The version of this object's schema." },
    kind: { type: "string", description: "The kind of this object." },
    metadata: { type: "object", ...(nameIsLabel ? { properties: { name: labelName } } : {}) },
  };
  const required: string[] = [];
  for (const [name, schema] of Object.entries(members)) {
    properties[name] = structuralSchema(schema, `${kind}.${name}`);
    if (!schema.safeParse(undefined).success) required.push(name);
  }
  return {
    type: "object",
    description,
    ...(rules.length > 0
      ? { "x-kubernetes-validations": rules.map(celOf) as SchemaNode["x-kubernetes-validations"] & object }
      : {}),
    ...(required.length > 0 ? { required } : {}),
    properties,
  };
}

/** Version 1.1 quotes what kubectl's YAML would read as booleans; no aliases, since kubectl's readers count them. */
function toYaml(object: object): string {
  return stringify(object, { version: "1.1", aliasDuplicateObjects: false, lineWidth: 120 });
}

/** Helm keeps the definitions when the release goes: removing them would delete every object. */
function chartTemplate(definition: ResourceDefinition): string {
  const crd = crdOf(definition);
  const metadata = { ...crd.metadata, annotations: { "helm.sh/resource-policy": "keep" } };
  const yaml = escapeTemplate(toYaml({ ...crd, metadata }));
  const labelled = yaml.replace("metadata:\n", 'metadata:\n  labels: {{- include "proffer.labels" . | nindent 4 }}\n');
  return `${NOTICE}{{- if .Values.crds.install }}\n${labelled}{{- end }}\n`;
}

/** What Helm would take for one of its own expressions, as an expression that yields it. */
export function escapeTemplate(text: string): string {
  return text.replaceAll(/\{\{|\}\}/g, (braces) => `{{ "${braces}" }}`);
}
