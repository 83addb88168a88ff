// The tables `events` and `links`: exactly one row for each segment record of the log, with its verdict.
import { createHash } from 'node:crypto';
import type { SegmentRecord } from '../domain/buyer-record.ts';
import type { Fields } from './compare.ts';
import { isSegment } from './identity/kinds.ts';
import { type EventsScope, type Scope, writtenBy } from './scope.ts';
import { statedAttributes } from './stated.ts';
import { addTo, compareGroups, type Grouped, md5, ms, readTable, whole } from './table.ts';

const linkKinds = ['identify', 'alias', 'group'];

const SAID_EVERY_ROWS = 50_000;

/** Counts rows as they come, so that the table is never held whole. */
export async function compareEventRows(
  { comparison, clickhouse, events }: Scope,
  onProgress: (line: string) => void,
): Promise<void> {
  comparison.expectKind('events rows', 'late records', 'duplicate records');
  const byPartition = new Map(events.map((scope) => [scope.walk.partition, scope]));
  const seen = new Map(events.map(({ walk }) => [walk.partition, new Set<number>()]));
  const columns = [
    'key',
    ms('time'),
    'kind',
    'event',
    'behaviour',
    'verdict',
    'message_id',
    'user_id',
    'anonymous_id',
    'country',
    'industry',
    'channel',
    'level',
    'source',
    ms('received_at'),
    ms('appended_at'),
    md5('record'),
    'partition',
    whole('offset'),
  ];
  const total = events.reduce((sum, { people }) => sum + people.judgedByOffset.size, 0);
  let read = 0;
  await readTable(clickhouse, { table: 'events', columns, where: writtenBy(events) }, (row) => {
    read += 1;
    if (read % SAID_EVERY_ROWS === 0) onProgress(`comparing rows of events: ${read} of ${total}`);
    const { partition, offset, ...actual } = row as { partition: number; offset: number };
    const where = `events ${partition} offset ${offset}`;
    const expected = expectedEvent(byPartition.get(partition)!, offset);
    const offsets = seen.get(partition)!;
    if (expected === undefined || offsets.has(offset)) {
      comparison.differ('events rows', where, expected === undefined ? 'no row' : 'one row', actual);
      return;
    }
    offsets.add(offset);
    comparison.fields('events rows', where, expected, actual);
    if (expected.verdict !== 'applied') comparison.counted(`${expected.verdict} records`);
  });
  for (const { walk, people } of events) {
    const offsets = seen.get(walk.partition)!;
    for (const [offset, { verdict, key, record }] of people.judgedByOffset) {
      if (offsets.has(offset)) continue;
      const expected = { verdict, key, message_id: record.messageId };
      comparison.differ('events rows', `events ${walk.partition} offset ${offset}`, expected, 'missing');
    }
  }
}

function expectedEvent({ walk, people }: EventsScope, offset: number): Fields | undefined {
  const judged = people.judgedByOffset.get(offset);
  if (judged === undefined) return undefined;
  const { record, verdict, behaviour, key, index } = judged;
  const { value, appendMs } = walk.steps[index]!;
  const { country = '', industry = '', channel = '', level = '' } = statedAttributes(record);
  return {
    key,
    time: record.timestamp,
    kind: record.kind,
    event: record.event ?? '',
    behaviour,
    verdict,
    message_id: record.messageId,
    user_id: record.userId ?? '',
    anonymous_id: record.anonymousId ?? '',
    country,
    industry,
    channel,
    level,
    source: record.source ?? '',
    received_at: record.receivedAt,
    appended_at: appendMs,
    record: createHash('md5').update(value!.toString('utf8')).digest('hex'),
  };
}

/** Of applied rows, no message stands twice. */
export async function compareAppliedIds({ comparison, clickhouse, events }: Scope): Promise<void> {
  const query = `SELECT toFloat64(count()), toFloat64(uniqExact(key, message_id)) FROM events FINAL WHERE verdict = 'applied' AND ${writtenBy(events)}`;
  const result = await clickhouse.query({ query, format: 'JSONCompactEachRow' });
  const [[rows, messages] = [0, 0]] = await result.json<[number, number]>();
  const applied = events
    .flatMap(({ people }) => [...people.judgedByOffset.values()])
    .filter(({ verdict }) => verdict === 'applied').length;
  const where = 'events, applied: count() and uniqExact(key, message_id)';
  comparison.equal('applied messages', where, [applied, applied], [rows, messages]);
}

/** Identify, alias and group have a row of their own. */
export async function compareLinkRows({ comparison, clickhouse, events }: Scope): Promise<void> {
  const expected: Grouped = new Map();
  for (const { walk, people } of events) {
    for (const { offset, record } of walk.steps) {
      if (record === undefined || !isSegment(record) || !linkKinds.includes(record.kind)) continue;
      addTo(
        expected,
        `links ${walk.partition} offset ${offset}`,
        linkOf(record, people.judgedByOffset.get(offset)!.key),
      );
    }
  }
  const columns = [
    'key',
    ms('time'),
    'kind',
    'message_id',
    'user_id',
    'anonymous_id',
    'previous_id',
    'group_id',
    'traits',
    'partition',
    whole('offset'),
  ];
  const actual: Grouped = new Map();
  await readTable(clickhouse, { table: 'links', columns, where: writtenBy(events) }, (row) => {
    const { partition, offset, traits, ...rest } = row;
    addTo(actual, `links ${partition} offset ${offset}`, { ...rest, traits: JSON.parse(traits as string) });
  });
  compareGroups(comparison, 'links rows', expected, actual);
}

function linkOf(record: SegmentRecord, key: string): Fields {
  return {
    key,
    time: record.timestamp,
    kind: record.kind,
    message_id: record.messageId,
    user_id: record.userId ?? '',
    anonymous_id: record.anonymousId ?? '',
    previous_id: record.previousId ?? '',
    group_id: record.groupId ?? '',
    traits: record.traits ?? {},
  };
}
