/** A bill of materials as SPDX 2.3 in JSON: what is in an image, for scanners and lawyers. */
import { createHash } from "node:crypto";

export interface Material {
  readonly kind: "npm" | "deb";
  readonly name: string;
  readonly version: string;
  /** An SPDX expression; none where only the licence's text is known. */
  readonly license?: string;
  readonly comment?: string;
  /** https://github.com/package-url/purl-spec */
  readonly purl: string;
  readonly checksum: { readonly algorithm: "SHA256" | "SHA512"; readonly checksumValue: string };
}

export interface Product {
  readonly name: string;
  readonly version: string;
  readonly license: string;
}

export const npmPurl = (name: string, version: string) => `pkg:npm/${name.replace("@", "%40")}@${version}`;
export const debianPurl = (name: string, version: string, architecture: string, release: string) =>
  `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=${architecture}&distro=${release}`;

const ROOT_ID = "SPDXRef-Product";
const UNKNOWN = "NOASSERTION";

/** The document as text. The same materials give the same text: its namespace is made of them, and its time is the epoch. */
export function spdx(product: Product, materials: readonly Material[]): string {
  const parts = materials.map((material, index) => ({ id: `SPDXRef-${index + 1}-${idPart(material)}`, material }));
  const packages = [
    { ...common(product.name, product.version, ROOT_ID), licenseDeclared: product.license },
    ...parts.map(({ id, material }) => ({
      ...common(material.name, material.version, id),
      licenseDeclared: material.license ?? UNKNOWN,
      ...(material.comment !== undefined && { licenseComments: material.comment }),
      checksums: [material.checksum],
      externalRefs: [{ referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: material.purl }],
    })),
  ];
  const name = `${product.name}-${product.version}`;
  const fingerprint = createHash("sha256").update(JSON.stringify(packages)).digest("hex");
  const document = {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name,
    documentNamespace: `https://proffer.dev/spdx/${name}-${fingerprint}`,
    creationInfo: { created: "1970-01-01T00:00:00Z", creators: [`Tool: ${name}`] },
    packages,
    relationships: [
      { spdxElementId: "SPDXRef-DOCUMENT", relationshipType: "DESCRIBES", relatedSpdxElement: ROOT_ID },
      ...parts.map(({ id }) => ({ spdxElementId: ROOT_ID, relationshipType: "CONTAINS", relatedSpdxElement: id })),
    ],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function common(name: string, version: string, id: string) {
  return {
    name,
    SPDXID: id,
    versionInfo: version,
    downloadLocation: UNKNOWN,
    filesAnalyzed: false,
    licenseConcluded: UNKNOWN,
    copyrightText: UNKNOWN,
  };
}

/** Identifiers are of letters, digits, dots and hyphens. */
const idPart = ({ kind, name }: Material) => `${kind}-${name.replaceAll(/[^A-Za-z0-9.-]+/g, "-").replace(/^-/, "")}`;
