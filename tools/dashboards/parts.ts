/** What the dashboards are put together from: panels of few kinds, all of one look. */
import type { Builder, Dataquery } from "@grafana/grafana-foundation-sdk/cog";
import {
  BigValueColorMode,
  BigValueGraphMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from "@grafana/grafana-foundation-sdk/common";
import {
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  type Panel,
  QueryVariableBuilder,
  RowBuilder,
  type RowPanel,
  VariableRefresh,
  VariableSort,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { DataqueryBuilder, PromQueryFormat } from "@grafana/grafana-foundation-sdk/prometheus";
import { PanelBuilder as StatBuilder } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as TableBuilder } from "@grafana/grafana-foundation-sdk/table";
import { PanelBuilder as TimeseriesBuilder } from "@grafana/grafana-foundation-sdk/timeseries";

/** Selects the series of the chosen release. */
export const OURS = 'namespace="$namespace",job="$job"';

const DATASOURCE = { type: "prometheus", uid: "$" + "{datasource}" };
const WIDTH = 24;

/** A query with the name of its series, in which labels stand in double braces. */
type Query = readonly [name: string, expr: string];

interface Common {
  readonly title: string;
  /** What it shows and what is good, for those who hover over the title. */
  readonly about: string;
  /** Grafana's name of the unit: `percentunit`, `s`, `bytes`, `short`, `ops`. */
  readonly unit: string;
  readonly queries: readonly Query[];
}

/** One number. */
type Stat = Common & { readonly kind: "stat"; readonly decimals?: number };
/** A curve for each series, or areas upon each other. */
type Graph = Common & {
  readonly kind: "graph";
  readonly stacked?: boolean;
  /** One such panel for each chosen value of this variable. */
  readonly repeat?: string;
};
/** A line for each set of labels, and a column for each query; one without a name brings its labels alone. */
type Table = Common & { readonly kind: "table" };
export type PanelShape = Stat | Graph | Table;

/** Panels that share a row's width evenly. */
interface Row {
  readonly title: string;
  readonly panels: readonly PanelShape[];
}

/** A variable that is chosen from the values of a label. */
interface Variable {
  readonly name: string;
  readonly label: string;
  /** `label_values(…)`. */
  readonly query: string;
  /** Any number of values may be chosen, all of them at first. */
  readonly multi?: boolean;
}

export interface DashboardShape {
  /** The file's name and, after `proffer-`, the dashboard's address. */
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly variables?: readonly Variable[];
  readonly rows: readonly Row[];
}

const RELEASE: readonly Variable[] = [
  { name: "namespace", label: "Namespace", query: "label_values(proffer_is_leader, namespace)" },
  { name: "job", label: "Release", query: 'label_values(proffer_is_leader{namespace="$namespace"}, job)' },
];

/** The dashboard as Grafana imports it. */
export function dashboard({ name, title, about, variables = [], rows }: DashboardShape): Dashboard {
  const builder = new DashboardBuilder(`Proffer / ${title}`)
    .uid(`proffer-${name}`)
    .description(about)
    .tags(["proffer"])
    .time({ from: "now-1h", to: "now" })
    .refresh("30s")
    .tooltip(DashboardCursorSync.Crosshair)
    .readonly()
    .link(
      new DashboardLinkBuilder("Proffer")
        .type(DashboardLinkType.Dashboards)
        .tags(["proffer"])
        .includeVars(true)
        .keepTime(true),
    )
    .withVariable(new DatasourceVariableBuilder("datasource").label("Data source").type("prometheus"));
  for (const variable of [...RELEASE, ...variables]) builder.withVariable(chosen(variable));
  for (const { title, panels } of rows) {
    builder.withRow(new RowBuilder(title));
    for (const shape of panels) builder.withPanel(panel(shape, Math.floor(WIDTH / panels.length)));
  }
  return numbered(builder.build());
}

/** Grafana addresses panels by number: in order, so that a link to one holds as long as none is put before it. */
function numbered(made: Dashboard): Dashboard {
  const panels = (made.panels ?? []).map((one: Panel | RowPanel, index) => ({ ...one, id: index + 1 }));
  return { ...made, panels };
}

function chosen({ name, label, query, multi = false }: Variable): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .label(label)
    .datasource(DATASOURCE)
    .query({ query, refId: name })
    .definition(query)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
    .multi(multi)
    .includeAll(multi)
    .current(multi ? { text: "All", value: "$__all" } : { text: "", value: "" });
}

function panel(shape: PanelShape, width: number): Builder<Panel> {
  const own = shape.kind === "stat" ? stat(shape) : shape.kind === "table" ? table(shape) : graph(shape);
  return own.title(shape.title).description(shape.about).unit(shape.unit).datasource(DATASOURCE).span(width);
}

function stat({ queries, decimals = 0 }: Stat): StatBuilder {
  return new StatBuilder()
    .height(4)
    .decimals(decimals)
    .colorMode(BigValueColorMode.None)
    .graphMode(BigValueGraphMode.Area)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(["lastNotNull"]))
    .targets(queries.map((query, index) => target(query, index)));
}

function graph({ queries, stacked = false, repeat }: Graph): TimeseriesBuilder {
  const builder = new TimeseriesBuilder()
    .height(8)
    .fillOpacity(stacked ? 40 : 5)
    .stacking(new StackingConfigBuilder().mode(stacked ? StackingMode.Normal : StackingMode.None))
    .min(0)
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
    .targets(queries.map((query, index) => target(query, index)));
  return repeat === undefined ? builder : builder.repeat(repeat).maxPerRow(3);
}

function table({ queries }: Table): TableBuilder {
  const columns = queries.map(([name], index) => [`Value #${refId(index)}`, name] as const);
  const unnamed = columns.filter(([, name]) => name === "").map(([column]) => [column, true] as const);
  return new TableBuilder()
    .height(8)
    .filterable(true)
    .targets(queries.map((query, index) => target(query, index).instant().format(PromQueryFormat.Table)))
    .withTransformation({ id: "merge", options: {} })
    .withTransformation({
      id: "organize",
      options: {
        excludeByName: { Time: true, ...Object.fromEntries(unnamed) },
        renameByName: Object.fromEntries(columns.filter(([, name]) => name !== "")),
      },
    });
}

const refId = (index: number) => String.fromCharCode("A".charCodeAt(0) + index);

function target([name, expr]: Query, index: number): DataqueryBuilder & Builder<Dataquery> {
  return new DataqueryBuilder().refId(refId(index)).datasource(DATASOURCE).expr(expr).legendFormat(name);
}

/** Curves of quantiles of a histogram, by the label when there is one. */
export function quantiles(metric: string, quantile: number, by?: string, more = ""): Query {
  const labels = by === undefined ? "le" : `le, ${by}`;
  const name = by === undefined ? `p${quantile * 100}` : `{{${by}}}`;
  const rate = `rate(${metric}_bucket{${OURS}${more}}[$__rate_interval])`;
  return [name, `histogram_quantile(${quantile}, sum by (${labels}) (${rate}))`];
}
