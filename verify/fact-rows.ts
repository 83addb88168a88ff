// The tables that follow from buyers' states: `transitions`, `opportunities`, `exposures`, `definitions`.
import { type Scope, writtenBy } from './scope.ts';
import type { Column } from './table.ts';
import { addTo, compareGroups, type Grouped, ms, readTable, whole } from './table.ts';

const position: readonly Column[] = ['partition', whole('offset')];

/** Reads a table of events' partitions into groups by partition and offset. */
async function grouped(scope: Scope, table: string, columns: readonly Column[]): Promise<Grouped> {
  const actual: Grouped = new Map();
  const where = writtenBy(scope.events);
  await readTable(scope.clickhouse, { table, columns: [...columns, ...position], where }, (row) => {
    const { partition, offset, ...rest } = row;
    addTo(actual, `${table} ${partition} offset ${offset}`, rest);
  });
  return actual;
}

export async function compareTransitionRows(scope: Scope): Promise<void> {
  const expected: Grouped = new Map();
  for (const { walk, people } of scope.events) {
    for (const { offset, key, timeMs, from, to, reason, revision } of people.facts.transitions) {
      const row = { key, time: timeMs, from_stage: from, to_stage: to, reason, revision };
      addTo(expected, `transitions ${walk.partition} offset ${offset}`, row);
    }
  }
  const columns = ['key', ms('time'), 'from_stage', 'to_stage', 'reason', 'revision'];
  const actual = await grouped(scope, 'transitions', columns);
  compareGroups(scope.comparison, 'transitions rows', expected, actual);
}

export async function compareOpportunityRows(scope: Scope): Promise<void> {
  const expected: Grouped = new Map();
  for (const { walk, people } of scope.events) {
    for (const change of people.facts.opportunities) {
      addTo(expected, `opportunities ${walk.partition} offset ${change.offset}`, {
        key: change.key,
        time: change.timeMs,
        opportunity_id: change.id,
        change: change.change,
        subject: change.subject,
        stage: change.stage,
        opened_at: change.openedMs,
        quality: change.quality,
        qualified: change.qualified ? 1 : 0,
        ...change.segment,
        level: change.level,
        revision: change.revision,
      });
    }
  }
  const actual = await grouped(scope, 'opportunities', [
    'key',
    ms('time'),
    'opportunity_id',
    'change',
    'subject',
    'stage',
    ms('opened_at'),
    'quality',
    'qualified',
    'country',
    'industry',
    'channel',
    'level',
    'revision',
  ]);
  compareGroups(scope.comparison, 'opportunities rows', expected, actual);
}

export async function compareExposureRows(scope: Scope): Promise<void> {
  const expected: Grouped = new Map();
  for (const { walk } of scope.events) {
    for (const { offset, record } of walk.steps) {
      if (record?.kind !== 'exposure') continue;
      const { key, timestamp: time, messageId, experiment, revision, variant, reason } = record;
      const row = { key, time, message_id: messageId, experiment, revision, variant, reason };
      addTo(expected, `exposures ${walk.partition} offset ${offset}`, row);
    }
  }
  const columns = ['key', ms('time'), 'message_id', 'experiment', 'revision', 'variant', 'reason'];
  compareGroups(scope.comparison, 'exposures rows', expected, await grouped(scope, 'exposures', columns));
}

/** The audit trail: when each definition came into force, in every partition of both topics. */
export async function compareDefinitionRows(scope: Scope): Promise<void> {
  const expected: Grouped = new Map();
  const actual: Grouped = new Map();
  const columns = [
    'type',
    'id',
    'revision',
    ms('time'),
    'hash',
    'document',
    'changed_by',
    'why',
    ...position,
  ];
  for (const [topic, scopes] of [
    ['events', scope.events],
    ['spend', scope.spend],
  ] as const) {
    for (const { walk } of scopes) {
      for (const { offset, record, inForce } of walk.steps) {
        if (record?.kind !== 'definition' || !inForce) continue;
        const { type, id, revision, hash, document, by, why, at } = record;
        const row = { type, id, revision, time: at, hash, document, changed_by: by, why };
        addTo(expected, `definitions ${topic} ${walk.partition} offset ${offset}`, row);
      }
    }
    const where = `topic = '${topic}' AND ${writtenBy(scopes)}`;
    await readTable(scope.clickhouse, { table: 'definitions', columns, where }, (row) => {
      const { partition, offset, document, ...rest } = row;
      const group = `definitions ${topic} ${partition} offset ${offset}`;
      addTo(actual, group, { ...rest, document: JSON.parse(document as string) });
    });
  }
  compareGroups(scope.comparison, 'definitions rows', expected, actual);
}
