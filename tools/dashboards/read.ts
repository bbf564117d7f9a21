/** What a dashboard asks Prometheus for, read from its JSON as Grafana would. */
import type { Json } from "../cluster/api-client.ts";

/** One query of a panel. */
export interface PanelQuery {
  readonly panel: string;
  readonly expr: string;
  /** The name of its series, with labels in double braces. */
  readonly legend: string;
  /** True: asked at one time; false: over the whole range. */
  readonly instant: boolean;
}

/** A variable whose values are those of a label. */
export interface LabelVariable {
  readonly name: string;
  readonly label: string;
  readonly selector: string;
  readonly multi: boolean;
}

/** Every query of every panel. */
export function queriesOf(dashboard: Json): PanelQuery[] {
  const panels: Json[] = dashboard.panels.filter(({ type }: Json) => type !== "row");
  return panels.flatMap(({ title, targets }) =>
    targets.map(({ expr, legendFormat, instant = false }: Json) => ({
      panel: title,
      expr,
      legend: legendFormat,
      instant,
    })),
  );
}

/** Its variables in their order: later ones may use earlier ones. Throws on a kind that nobody here knows. */
export function variablesOf(dashboard: Json): LabelVariable[] {
  const variables: Json[] = dashboard.templating.list.filter(({ type }: Json) => type !== "datasource");
  return variables.map(({ name, multi, query }) => {
    const [, selector, label] = /^label_values\((.+), (\w+)\)$/.exec(query.query) ?? [];
    if (selector === undefined || label === undefined) throw new Error(`no label_values: ${JSON.stringify(query)}`);
    return { name, label, selector, multi };
  });
}

/**
 * The query with values for its variables; of a variable of many values each, as Grafana puts them into a regular expression.
 * Throws when one is left.
 */
export function substitute(expr: string, values: Readonly<Record<string, string | readonly string[]>>): string {
  const text = expr.replace(/\$(\w+)/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`${whole} has no value: ${expr}`);
    if (typeof value === "string") return value;
    // Twice: once for the regular expression, once for the string that it stands in.
    const escaped = value.map((one) => one.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\\$&`));
    return escaped.length === 1 ? escaped[0]! : `(${escaped.join("|")})`;
  });
  return text;
}
