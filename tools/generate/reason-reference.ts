import { REASONS } from "../../src/offers/explain/reasons.ts";
import { show, type WaitingReason } from "../../src/offers/explain/reasons.worlds.test-support.ts";
import { explain } from "../../src/server/explain.ts";
import { type Generator, markdownNotice } from "./output.ts";

const INTRODUCTION = `# Reasons

Every reason for which an answer is refused, something waits, or an attempt fails. The same words appear in \`status\`, under
\`/explain\`, and in conditions and events (there in CamelCase: \`LostRace\`).

Where something waits for a reason, an example shows what \`kubectl proffer explain task t\` tells of it, in a small world that a
test makes. \`kubectl describe task t\` says the same after \`Why\`: the reason and the message of the condition \`Waiting\` (or
\`Accepted\`, where the Task cannot take part at all), as of the time it was written. Times are those of the example.

`;

/** `docs/reference/reasons.md`: what each reason means and what to do. */
export const reasonReferenceGenerator: Generator = {
  name: "reason-reference",
  generate: () => [{ path: "docs/reference/reasons.md", content: render() }],
};

function render(): string {
  const sections = Object.entries(REASONS).map(
    ([code, [meaning, whatToDo]]) =>
      `## ${code}\n\n${meaning}\n\n*What to do:* ${whatToDo}\n${example(code as WaitingReason)}`,
  );
  return `${markdownNotice("src/offers/explain/reasons.ts")}${INTRODUCTION}${sections.join("\n")}`;
}

/** Of a world where something waits for this; nothing where there is none. */
function example(reason: WaitingReason): string {
  const shown = show(reason);
  if (shown === undefined) return "";
  const source = {
    taskUid: () => "t",
    taskView: () => shown.view,
    explainTask: () => shown,
    outlookOfTask: () => shown.outlook,
    frameworkView: () => undefined,
    queueView: () => undefined,
  };
  const { text } = explain(source, "task", { namespace: "ns", name: "t" }, 0)!;
  // What the section says already is left out.
  const lines = text.split("\n").filter((line) => !/^ {2}(Means|What to do): /.test(line));
  return `\n\`\`\`text\n${lines.join("\n")}\`\`\`\n`;
}
