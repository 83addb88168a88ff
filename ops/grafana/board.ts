// From what a dashboard is to show (plain data: rows of panels of queries) to Grafana's own document, by its typed builders.
import { VizLegendOptionsBuilder } from '@grafana/grafana-foundation-sdk/common';
import {
  type Dashboard,
  DashboardBuilder,
  DatasourceVariableBuilder,
  RowBuilder,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as SeriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

/** Grafana's names of units. */
export type Unit = 'short' | 's' | 'bytes' | 'percentunit' | 'reqps' | 'cps' | 'dateTimeFromNow';

export interface Query {
  readonly expr: string;
  /** Names a line, with labels as `{{topic}}`. */
  readonly legend: string;
}

export interface PanelSpec {
  readonly title: string;
  /** What it shows, and when to worry. */
  readonly description: string;
  readonly unit: Unit;
  readonly queries: readonly Query[];
  /** One number instead of lines. */
  readonly stat?: true;
}

export interface BoardSpec {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly rows: readonly { readonly title: string; readonly panels: readonly PanelSpec[] }[];
}

/** Grafana's grid is 24 wide. */
const SERIES = { width: 8, height: 8 };
const STAT = { width: 4, height: 4 };
/** Which Prometheus is chosen where the dashboard is looked at. */
const datasource = { type: 'prometheus', uid: `\${datasource}` };

function query({ expr, legend }: Query, index: number): DataqueryBuilder {
  return new DataqueryBuilder()
    .refId(String.fromCharCode('A'.charCodeAt(0) + index))
    .datasource(datasource)
    .expr(expr)
    .legendFormat(legend);
}

function panel(spec: PanelSpec): StatBuilder | SeriesBuilder {
  const { width, height } = spec.stat ? STAT : SERIES;
  const builder = spec.stat
    ? new StatBuilder()
    : new SeriesBuilder()
        .min(0)
        .fillOpacity(10)
        .legend(new VizLegendOptionsBuilder().showLegend(true).calcs(['lastNotNull', 'max']));
  builder
    .title(spec.title)
    .description(spec.description)
    .unit(spec.unit)
    .datasource(datasource)
    .span(width)
    .height(height);
  for (const [index, one] of spec.queries.entries()) builder.withTarget(query(one, index));
  return builder;
}

/** The document as it is imported into Grafana. */
export function buildBoard(spec: BoardSpec): Dashboard {
  const board = new DashboardBuilder(spec.title)
    .uid(spec.uid)
    .description(spec.description)
    .tags(['flywheel'])
    .time({ from: 'now-1h', to: 'now' })
    .refresh('10s')
    .timezone('browser')
    .readonly()
    .withVariable(new DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'));
  for (const { title, panels } of spec.rows) {
    board.withRow(new RowBuilder(title));
    for (const one of panels) board.withPanel(panel(one));
  }
  return board.build();
}
