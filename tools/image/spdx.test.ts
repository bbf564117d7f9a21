import { expect, test } from "vitest";
import { debianPurl, type Material, npmPurl, spdx } from "./spdx.ts";

const product = { name: "tool", version: "1.2.3", license: "Apache-2.0" };
const materials: Material[] = [
  {
    kind: "npm",
    name: "@scope/a_b",
    version: "1.0.0",
    license: "MIT",
    purl: npmPurl("@scope/a_b", "1.0.0"),
    checksum: { algorithm: "SHA512", checksumValue: "00" },
  },
  {
    kind: "deb",
    name: "libstdc++6",
    version: "1:2+b1",
    comment: "see the file",
    purl: debianPurl("libstdc++6", "1:2+b1", "amd64", "bookworm"),
    checksum: { algorithm: "SHA256", checksumValue: "11" },
  },
];

test("a bill of materials names every part once and says that the product contains it", () => {
  const { packages, relationships } = JSON.parse(spdx(product, materials));
  const ids = packages.map(({ SPDXID }: { SPDXID: string }) => SPDXID);
  expect(new Set(ids).size).toBe(3);
  for (const id of ids) expect(id).toMatch(/^SPDXRef-[A-Za-z0-9.-]+$/);
  expect(packages.map(({ name, licenseDeclared }: Record<string, string>) => [name, licenseDeclared])).toEqual([
    ["tool", "Apache-2.0"],
    ["@scope/a_b", "MIT"],
    ["libstdc++6", "NOASSERTION"],
  ]);
  expect(relationships).toEqual([
    { spdxElementId: "SPDXRef-DOCUMENT", relationshipType: "DESCRIBES", relatedSpdxElement: ids[0] },
    { spdxElementId: ids[0], relationshipType: "CONTAINS", relatedSpdxElement: ids[1] },
    { spdxElementId: ids[0], relationshipType: "CONTAINS", relatedSpdxElement: ids[2] },
  ]);
});

test("parts are named as scanners look them up", () => {
  expect(materials.map(({ purl }) => purl)).toEqual([
    "pkg:npm/%40scope/a_b@1.0.0",
    "pkg:deb/debian/libstdc%2B%2B6@1%3A2%2Bb1?arch=amd64&distro=bookworm",
  ]);
});

test("the same materials make the same document, others one of another name", () => {
  expect(spdx(product, materials)).toBe(spdx(product, materials));
  const namespace = (text: string) => JSON.parse(text).documentNamespace;
  expect(namespace(spdx(product, materials))).not.toBe(namespace(spdx(product, materials.slice(1))));
});
