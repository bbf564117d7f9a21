import type { OperatorProcess } from "../../../tools/operator/start-operator.ts";
import { eventually } from "./eventually.ts";

/** What an operator says it is: `leader`, `standby`, or an error's code. */
export async function roleOf(operator: OperatorProcess): Promise<string> {
  const answer = (await (await fetch(`${operator.url}/readyz`)).json()) as { status?: string; code?: string };
  return answer.status ?? answer.code ?? "";
}

/** Waits until the operator is what is wanted. */
export function becomes(operator: OperatorProcess, role: "leader" | "standby"): Promise<string> {
  return eventually(
    `the operator is ${role}`,
    () => roleOf(operator),
    (is) => is === role,
  );
}
