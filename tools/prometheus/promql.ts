import { parser } from "@prometheus-io/lezer-promql";

/** One selector of a query, such as `up{job="x"}`. */
interface Selector {
  readonly metric: string;
  readonly labels: readonly string[];
}

/** What a PromQL query asks for. */
export interface QueryParts {
  readonly selectors: readonly Selector[];
  /** Labels that its aggregations and matchings name: `by (…)`, `on (…)`, `group_left (…)`. */
  readonly groupings: readonly string[];
}

/** Throws when it is no PromQL. */
export function readQuery(query: string): QueryParts {
  const selectors: { metric: string; labels: string[] }[] = [];
  const groupings: string[] = [];
  parser.parse(query).iterate({
    enter({ type, from, to, node }) {
      const text = query.slice(from, to);
      if (type.isError) throw new Error(`no PromQL at ${from}: ${query}`);
      if (type.name === "VectorSelector") selectors.push({ metric: "", labels: [] });
      if (type.name === "Identifier" && node.parent?.name === "VectorSelector") selectors.at(-1)!.metric = text;
      if (type.name !== "LabelName") return;
      if (node.parent?.name === "UnquotedLabelMatcher") selectors.at(-1)!.labels.push(text);
      else groupings.push(text);
    },
  });
  return { selectors, groupings };
}
