import { REASONS } from "../../src/offers/reasons.ts";
import { type Generator, markdownNotice } from "./output.ts";

const INTRODUCTION = `# Reasons

Every reason for which an answer is refused, something waits, or an attempt fails. The same words appear in \`status\`, in
conditions and events (there in CamelCase: \`LostRace\`), and in the scheduler API.

`;

/** `docs/reference/reasons.md`: what each reason means and what to do. */
export const reasonReferenceGenerator: Generator = {
  name: "reason-reference",
  generate: () => [{ path: "docs/reference/reasons.md", content: render() }],
};

function render(): string {
  const sections = Object.entries(REASONS).map(
    ([code, [meaning, whatToDo]]) => `## ${code}\n\n${meaning}\n\n*What to do:* ${whatToDo}\n`,
  );
  return `${markdownNotice("src/offers/reasons.ts")}${INTRODUCTION}${sections.join("\n")}`;
}
