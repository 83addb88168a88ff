// Rows for ClickHouse, as arrays in the order of the columns named here; those of `events` are bytes (event-rows.ts).

import type { SegmentRecord } from '../domain/buyer-record.ts';
import type { EffectTable } from '../domain/effect.ts';
import type { RejectedRecord } from '../domain/record.ts';
import { type EventRowContext, eventColumns } from './event-rows.ts';
import type { Aggregate } from './window.ts';

export type Table =
  | EffectTable
  | 'events'
  | 'links'
  | 'rejects'
  | 'funnel_hours'
  | 'north_star_days'
  | 'campaign_hours';

export type Row = readonly unknown[];

const position = ['generation', 'partition', 'offset'] as const;

export const columns: Record<Table, readonly string[]> = {
  events: eventColumns,
  links: [
    'key',
    'time',
    ...position,
    'kind',
    'message_id',
    'user_id',
    'anonymous_id',
    'previous_id',
    'group_id',
    'traits',
  ],
  rejects: [
    'source_topic',
    'source_partition',
    'source_offset',
    'source_id',
    'at',
    'reason',
    'detail',
    'route',
    'raw',
    'source',
  ],
  transitions: ['key', 'time', ...position, 'ordinal', 'from_stage', 'to_stage', 'reason', 'revision'],
  opportunities: [
    'key',
    'time',
    ...position,
    'ordinal',
    'opportunity_id',
    'change',
    'subject',
    'stage',
    'opened_at',
    'quality',
    'qualified',
    'country',
    'industry',
    'channel',
    'level',
    'revision',
  ],
  exposures: [
    'key',
    'time',
    ...position,
    'ordinal',
    'message_id',
    'experiment',
    'revision',
    'variant',
    'reason',
  ],
  triggers: [
    'key',
    'time',
    ...position,
    'ordinal',
    'trigger_id',
    'status',
    'definition',
    'revision',
    'kind',
    'from_stage',
    'to_stage',
    'data',
  ],
  spend: [
    'account',
    'time',
    ...position,
    'ordinal',
    'kind',
    'verdict',
    'message_id',
    'campaign',
    'channel',
    'country',
    'period',
    'as_of',
    'bid',
    'lease',
    'impressions',
    'clicks',
    'cost_micros',
    'currency',
  ],
  leases: ['account', 'time', ...position, 'ordinal', 'lease', 'process', 'status', 'amount_micros', 'until'],
  definitions: [
    'type',
    'id',
    'revision',
    'time',
    'topic',
    ...position,
    'ordinal',
    'hash',
    'document',
    'changed_by',
    'why',
  ],
  identities: [
    'key',
    'time',
    ...position,
    'ordinal',
    'link',
    'visitor',
    'user',
    'change',
    'from_offset',
    'message_id',
    'changed_by',
    'why',
  ],
  adjustments: [
    'series',
    'revision',
    'start',
    ...position,
    'ordinal',
    'country',
    'industry',
    'channel',
    'column',
    'amount',
  ],
  funnel_hours: [
    'funnel',
    'revision',
    'hour',
    'country',
    'industry',
    'channel',
    'generation',
    'partition',
    'steps',
    'version',
  ],
  north_star_days: [
    'day',
    'country',
    'industry',
    'channel',
    'generation',
    'partition',
    'visitors',
    'opportunities',
    'quality_opportunities',
    'version',
  ],
  campaign_hours: [
    'campaign',
    'account',
    'hour',
    'country',
    'channel',
    'generation',
    'partition',
    'impressions',
    'clicks',
    'cost_micros',
    'version',
  ],
};

/** A column by whose months sql/ partitions a table, and how rows say its time. */
export interface MonthColumn {
  readonly column: string;
  readonly unit: 'ms' | 's' | 'date';
}

const byTime: MonthColumn = { column: 'time', unit: 'ms' };

/** Null for a table without partitions. An insert meets few enough months of it (months.ts). */
export const partitionedBy: Record<Table, MonthColumn | null> = {
  events: byTime,
  links: byTime,
  rejects: null,
  transitions: byTime,
  opportunities: byTime,
  exposures: byTime,
  triggers: byTime,
  spend: byTime,
  leases: byTime,
  definitions: null,
  identities: byTime,
  adjustments: { column: 'start', unit: 's' },
  funnel_hours: { column: 'hour', unit: 's' },
  north_star_days: { column: 'day', unit: 'date' },
  campaign_hours: { column: 'hour', unit: 's' },
};

/** Where a row comes from. */
export interface RowPosition {
  readonly generation: number;
  readonly partition: number;
  readonly offset: number;
  readonly ordinal: number;
}

/** A row that a transition asked for, with its position. */
export function effectRow(table: EffectTable, row: Readonly<Record<string, unknown>>, at: RowPosition): Row {
  const own = at as unknown as Record<string, unknown>;
  return columns[table].map((column) => own[column] ?? row[column] ?? '');
}

/** Identify, alias and group get a row of their own beside the event's. */
export function linkRow(record: SegmentRecord, at: Omit<EventRowContext, 'raw'>): Row {
  return [
    at.key,
    record.timestamp,
    at.generation,
    at.partition,
    at.offset,
    record.kind,
    record.messageId,
    record.userId ?? '',
    record.anonymousId ?? '',
    record.previousId ?? '',
    record.groupId ?? '',
    JSON.stringify(record.traits ?? {}),
  ];
}

export function rejectRow(record: RejectedRecord): Row {
  return [
    record.sourceTopic,
    record.sourcePartition,
    record.sourceOffset,
    record.sourceId,
    record.at,
    record.reason,
    record.detail,
    record.route,
    record.raw,
    record.source ?? '',
  ];
}

export function cellParts(cell: string): [string, string, string] {
  const [first = '', second = '', third = ''] = cell.split('|');
  return [first, second, third];
}

/** The table and row of an hour's or a day's latest value. */
export function aggregateRow(aggregate: Aggregate, generation: number, partition: number): [Table, Row] {
  const { series, revision, startMs, cell, values } = aggregate;
  const version = aggregate.version.toString();
  const [country, industry, channel] = cellParts(cell);
  if (series === 'northstar') {
    const day = new Date(startMs).toISOString().slice(0, 10);
    return ['north_star_days', [day, country, industry, channel, generation, partition, ...values, version]];
  }
  const funnel = series.slice('funnel:'.length);
  const row = [
    funnel,
    revision,
    startMs / 1_000,
    country,
    industry,
    channel,
    generation,
    partition,
    values,
    version,
  ];
  return ['funnel_hours', row];
}

/** A campaign's settled hour; the cell is `country|channel|account`. */
export function campaignRow(
  campaign: string,
  hourMs: number,
  cell: string,
  values: readonly number[],
  at: { readonly generation: number; readonly partition: number; readonly version: bigint },
): Row {
  const [country, channel, account] = cellParts(cell);
  return [
    campaign,
    account,
    hourMs / 1_000,
    country,
    channel,
    at.generation,
    at.partition,
    ...values,
    at.version.toString(),
  ];
}
