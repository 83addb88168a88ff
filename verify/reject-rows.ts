// What could not be taken: each rejected offset once in `events.rejected` and once in the table `rejects`, and each
// record of collect's there too.
import { type RejectedRecord, rejectedRecord } from '../domain/record.ts';
import type { Fields } from './compare.ts';
import { jsonOf } from './decode.ts';
import type { LogRecord } from './log.ts';
import { hasGoneOn, type Scope } from './scope.ts';
import { addTo, compareGroups, type Grouped, ms, readRows, whole } from './table.ts';

/** What the log alone says of a rejected offset: all but the words of the detail. */
interface Rejection {
  readonly reason: string;
  readonly raw: string;
  readonly at: number;
  /** The write key that the record itself names. */
  readonly source: string;
}

/** Rejected offsets of `events` and `spend`, by `<topic> <partition> offset <offset>`. */
export function rejectionsOf({ events, spend }: Scope): Map<string, Rejection> {
  const rejections = new Map<string, Rejection>();
  for (const { walk } of events) {
    for (const { offset, reason, value, appendMs } of walk.steps) {
      if (reason !== undefined)
        rejections.set(`events ${walk.partition} offset ${offset}`, rejection(reason, value, appendMs));
    }
  }
  for (const { walk, ledger } of spend) {
    for (const { offset, reason: decoded, value, appendMs } of walk.steps) {
      const reason = decoded ?? ledger.facts.rejected.get(offset);
      if (reason !== undefined)
        rejections.set(`spend ${walk.partition} offset ${offset}`, rejection(reason, value, appendMs));
    }
  }
  return rejections;
}

/** Of a larger record only so much is kept, which is what fits its topic as base64. */
const KEPT_BYTES = 5 * 1_048_576;

function rejection(reason: string, value: Buffer | null, at: number): Rejection {
  const kept = (value ?? Buffer.alloc(0)).subarray(0, KEPT_BYTES);
  return { reason, raw: kept.toString('base64'), at, source: sourceIn(value) };
}

/** Also of what is nested too deeply to be a record. */
function sourceIn(value: Buffer | null): string {
  try {
    const named = (JSON.parse(value?.toString('utf8') ?? '') as { source?: unknown } | null)?.source;
    return typeof named === 'string' && named.length <= 64 ? named.toWellFormed() : '';
  } catch {
    return '';
  }
}

/** Every rejected offset stands in `events.rejected`, and nothing stands there that was not rejected. */
export function compareRejectedLog(scope: Scope): void {
  const { comparison, rejected } = scope;
  comparison.expectKind('rejected records');
  const rejections = rejectionsOf(scope);
  const found = new Set<string>();
  for (const logRecord of rejected.log.records) {
    const record = rejectedOf(logRecord);
    if (record === undefined || record.sourceTopic === 'collect') continue;
    if (isBeyond(scope, record)) {
      comparison.leaveOut('rejected records', 'of offsets behind what was read');
      continue;
    }
    const where = `${record.sourceTopic} ${record.sourcePartition} offset ${record.sourceOffset}`;
    // A crash between sending and clearing sends again: the same record twice is one.
    found.add(where);
    const expected = rejections.get(where);
    // Older versions did not write it.
    const { reason, raw, at, source = expected?.source ?? '' } = record;
    if (expected === undefined) comparison.differ('rejected records', where, 'taken', { reason });
    else comparison.fields('rejected records', where, { ...expected }, { reason, raw, at, source });
  }
  for (const [where, { reason }] of rejections) {
    if (!found.has(where)) comparison.differ('rejected records', where, { reason }, 'missing');
  }
}

/** A live partition goes on while it is verified as it stood. */
function isBeyond(
  { events, spend }: Scope,
  { sourceTopic, sourcePartition, sourceOffset }: RejectedRecord,
): boolean {
  const scopes = sourceTopic === 'events' ? events : spend;
  const stored = scopes.find(({ walk }) => walk.partition === sourcePartition)?.stored;
  return stored !== undefined && sourceOffset >= (stored.head?.offset ?? 0);
}

/** One row for each record of `events.rejected`, and for each that is no rejected record itself. */
export async function compareRejectRows(scope: Scope): Promise<void> {
  const expected: Grouped = new Map();
  for (const logRecord of scope.rejected.log.records) {
    const [where, row] = rowOf(logRecord);
    expected.set(where, [row]);
  }
  const actual: Grouped = new Map();
  const columns = [
    'source_topic',
    'source_partition',
    whole('source_offset'),
    'source_id',
    ms('at'),
    'reason',
    'detail',
    'route',
    'raw',
    'source',
  ];
  const rows = await readRows(scope.clickhouse, { table: 'rejects', columns, where: '1' });
  const hasMovedOn = hasGoneOn(await scope.versionsNow(), scope.rejected.stored);
  for (const row of rows) {
    const {
      source_topic: topic,
      source_partition: partition,
      source_offset: offset,
      source_id: sourceId,
      ...rest
    } = row;
    const where = `${topic} ${partition} offset ${offset} ${sourceId}`;
    if (hasMovedOn && !expected.has(where)) {
      scope.comparison.leaveOut('rejects rows', 'that may be of records behind what was read');
      continue;
    }
    const fields =
      topic === 'rejected' ? { reason: rest.reason, raw: rest.raw, at: rest.at, source: rest.source } : rest;
    addTo(actual, where, fields);
  }
  compareGroups(scope.comparison, 'rejects rows', expected, actual);
}

function rowOf(logRecord: LogRecord): [where: string, row: Fields] {
  const record = rejectedOf(logRecord);
  if (record === undefined) {
    const reason = jsonOf(logRecord.value) === 'malformed' ? 'malformed' : 'invalid';
    const row = { ...rejection(reason, logRecord.value, logRecord.appendMs) };
    return [`rejected 0 offset ${logRecord.offset} `, row];
  }
  const { sourceTopic, sourcePartition, sourceOffset, sourceId, source = '', ...said } = record;
  const { reason, detail, route, raw, at } = said;
  const where = `${sourceTopic} ${sourcePartition} offset ${sourceOffset} ${sourceId}`;
  return [where, { reason, detail, route, raw, at, source }];
}

function rejectedOf({ value }: LogRecord): RejectedRecord | undefined {
  const json = jsonOf(value);
  if (json === 'malformed') return undefined;
  const parsed = rejectedRecord.safeParse(json.value);
  return parsed.success ? parsed.data : undefined;
}
