// Triggers from creation to receipt or expiry: the table, the topic and what waits in Redis.
import type { Fields } from './compare.ts';
import { jsonOf } from './decode.ts';
import type { EventsScope, Scope } from './scope.ts';
import { writtenBy } from './scope.ts';
import { addTo, compareGroups, type Grouped, ms, readTable, whole } from './table.ts';
import { endsOf, type Named } from './waiting-triggers.ts';
import { watermarkWhen } from './watermark.ts';

const columns = [
  'key',
  ms('time'),
  'trigger_id',
  'status',
  'definition',
  'revision',
  'kind',
  'from_stage',
  'to_stage',
  'data',
  'partition',
  whole('offset'),
] as const;

/** Compares all that there is of triggers. */
export async function compareTriggers(scope: Scope): Promise<void> {
  const { comparison, clickhouse, events } = scope;
  const rows: Grouped = new Map();
  await readTable(clickhouse, { table: 'triggers', columns, where: writtenBy(events) }, (row) => {
    const { partition, offset, data, ...rest } = row;
    addTo(rows, `${partition}-${offset}`, { ...rest, data: JSON.parse(data as string) });
  });
  const expected: Grouped = new Map();
  const sent = recordsById(scope.triggers);
  comparison.expectKind('triggers pending', 'triggers records');
  for (const events of scope.events) {
    const named = nameAll(events, rows);
    const waiting = liveThrough(events, named, expected);
    compareWaiting(scope, events, waiting);
    for (const trigger of named) {
      const where = `triggers topic ${trigger.id}`;
      comparison.fields('triggers records', where, waitingFields(trigger), sent.get(trigger.id));
      sent.delete(trigger.id);
    }
  }
  for (const [id, record] of sent) {
    if (isBehind(scope, id)) comparison.leaveOut('triggers records', 'of offsets behind what was read');
    else comparison.differ('triggers records', `triggers topic ${id}`, 'none', record);
  }
  compareGroups(comparison, 'triggers rows', expected, withoutTimeOfExpiry(rows, expected));
}

function rowOf(trigger: Named, status: string, timeMs: number): Fields {
  const { id, key, definition, revision, on, from, to, data } = trigger;
  return {
    key,
    time: timeMs,
    trigger_id: id,
    status,
    definition,
    revision,
    kind: on,
    from_stage: from,
    to_stage: to,
    data,
  };
}

function waitingFields(trigger: Named): Fields {
  const { id, definition, revision, on, key, from, to, timeMs, expiresMs, data } = trigger;
  return { id, definition, revision, on, key, from, to, timeMs, expiresMs, data };
}

/** The ordinal in an id is the stream's; everything before it follows from the log. Ids are taken from the rows. */
function nameAll({ walk, people }: EventsScope, rows: Grouped): Named[] {
  const taken = new Set<string>();
  return people.facts.triggers.map((trigger) => {
    const position = `${walk.partition}-${trigger.offset}`;
    const createdMs = watermarkWhen(walk, trigger);
    const { triggerTtlMs } = walk.history.at(trigger.offset).settings;
    const row = (rows.get(position) ?? []).find(
      (each) =>
        each.status === 'created' &&
        each.key === trigger.key &&
        each.definition === trigger.definition &&
        each.from_stage === trigger.from &&
        each.to_stage === trigger.to &&
        each.time === trigger.timeMs &&
        String(each.trigger_id).startsWith(`${position}-`) &&
        !taken.has(String(each.trigger_id)),
    );
    const id = row === undefined ? `${position}-?` : String(row.trigger_id);
    taken.add(id);
    return { ...trigger, id, createdMs, expiresMs: createdMs + triggerTtlMs };
  });
}

/** Adds the rows of every trigger's life; answers those that wait at the end. */
function liveThrough({ walk }: EventsScope, named: readonly Named[], expected: Grouped): readonly Named[] {
  const position = (offset: number): string => `${walk.partition}-${offset}`;
  for (const trigger of named)
    addTo(expected, position(trigger.offset), rowOf(trigger, 'created', trigger.timeMs));
  const { ended, waiting } = endsOf(walk, named);
  for (const { trigger, how, offset, timeMs } of ended)
    addTo(expected, position(offset), { ...rowOf(trigger, how, 0), time: timeMs ?? 'expired' });
  return waiting;
}

/**
 * A trigger expires when the watermark passes its time, or rises while too many wait: at a timer's due time or the record's own, which of them depends
 * on timers that change nothing. So the time of an expired row is taken as right.
 */
function withoutTimeOfExpiry(rows: Grouped, expected: Grouped): Grouped {
  const result: Grouped = new Map();
  for (const [position, group] of rows) {
    const wanted = new Set(
      (expected.get(position) ?? []).map(({ trigger_id: id, status }) => `${id} ${status}`),
    );
    for (const row of group) {
      const isExpected = row.status === 'expired' && wanted.has(`${row.trigger_id} expired`);
      addTo(result, position, isExpected ? { ...row, time: 'expired' } : row);
    }
  }
  return result;
}

function compareWaiting(
  { comparison }: Scope,
  { walk, stored }: EventsScope,
  waiting: readonly Named[],
): void {
  const left = new Map(stored.triggers);
  for (const trigger of waiting) {
    const where = `events ${walk.partition} pending ${trigger.id} of ${trigger.key}`;
    comparison.fields('triggers pending', where, waitingFields(trigger), left.get(trigger.id));
    left.delete(trigger.id);
  }
  for (const [id, trigger] of left) {
    comparison.differ('triggers pending', `events ${walk.partition} pending ${id}`, 'none', trigger);
  }
}

/** What a record of the topic `triggers` says; nothing if it cannot be read. */
export function fieldsOf(value: Buffer | null): Fields {
  const json = jsonOf(value);
  return json === 'malformed' ? {} : (json.value as Fields);
}

/** What the topic `triggers` holds, by id; a crash may have sent the same again. */
export function recordsById(triggers: Scope['triggers']): Map<string, Fields> {
  const records = new Map<string, Fields>();
  for (const { records: logRecords } of triggers) {
    for (const { value } of logRecords) {
      const record = fieldsOf(value);
      records.set(String(record.id), record);
    }
  }
  return records;
}

/** Whether a trigger came of a record behind those that were read: nothing tells whether it is right. */
function isBehind({ events }: Scope, trigger: string): boolean {
  const [partition, offset] = trigger.split('-').map(Number);
  const stored = events.find(({ walk }) => walk.partition === partition)?.stored;
  return stored !== undefined && offset! >= (stored.head?.offset ?? 0);
}
