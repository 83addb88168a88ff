// People over all partitions: the view `event_people` says whose each row is, and ClickHouse's own `windowFunnel` over all
// that a person did, wherever it was collected, says how far the person is.
import { randomUUID } from 'node:crypto';
import { insertCompact } from '../../platform/clickhouse.ts';
import type { FunnelSpan } from '../in-force.ts';
import { isBehaved } from '../judge.ts';
import { type Scope, writtenBy } from '../scope.ts';
import { functionOf } from '../scratch.ts';
import { type PersonAt, personsOf } from './persons.ts';
import { type WholePerson, wholePersons } from './whole-persons.ts';

const ROWS_PER_INSERT_MAX = 100_000;
const LEVELS = 'levels of persons';

export async function comparePersons(scope: Scope): Promise<void> {
  const personAt = personsOf(scope.events);
  await compareView(scope, personAt);
  await compareLevels(scope, personAt);
}

/** Every row of the view once, with the person whose it is, or whose it has become by a link since the log was read. */
async function compareView(scope: Scope, personAt: PersonAt): Promise<void> {
  const { comparison, clickhouse, events } = scope;
  comparison.expectKind('persons of events');
  const others: { readonly key: string; compare(): boolean }[] = [];
  const left = new Map(
    events.map(({ walk, people }) => [walk.partition, new Map(people.judgedByOffset)] as const),
  );
  const query = `SELECT key, partition, toFloat64(offset), person FROM event_people WHERE ${writtenBy(events)}`;
  const result = await clickhouse.query({ query, format: 'JSONCompactEachRow' });
  for await (const rows of result.stream()) {
    for (const row of rows) {
      const [key, partition, offset, person] = row.json<[string, number, number, string]>();
      const where = `event_people ${partition} offset ${offset}`;
      const expected = personAt(key, offset);
      const compare = (): boolean => comparison.equal('persons of events', where, expected, person);
      if (expected === person) compare();
      else others.push({ key, compare });
      if (left.get(partition)?.delete(offset) !== true)
        comparison.differ('persons of events', where, 'no row, or one', person);
    }
  }
  const changed = others.length === 0 ? new Set<string>() : await linkedSince(scope);
  for (const { key, compare } of others) {
    if (changed.has(key))
      comparison.leaveOut('persons of events', 'whose links have changed since they were read');
    else compare();
  }
  for (const [partition, offsets] of left) {
    for (const offset of offsets.keys())
      comparison.differ(
        'persons of events',
        `event_people ${partition} offset ${offset}`,
        'a row',
        'missing',
      );
  }
}

/** Whose links changed behind what was read. */
async function linkedSince({ clickhouse, events }: Scope): Promise<Set<string>> {
  const query = `SELECT DISTINCT key FROM identities WHERE NOT ${writtenBy(events)}`;
  const result = await clickhouse.query({ query, format: 'JSONCompactEachRow' });
  return new Set((await result.json<[string]>()).map(([key]) => key));
}

/**
 * Levels of users to whom something came by links, as Redis holds them: where nothing of it was forgotten or is under way,
 * they are what `windowFunnel` makes of all their rows. Strict funnels wait for two watermarks and are left to each owner.
 */
export async function compareLevels(scope: Scope, personAt: PersonAt): Promise<void> {
  const { comparison, clickhouse, events } = scope;
  comparison.expectKind(LEVELS);
  const { users, leftOut } = wholePersons(scope, personAt);
  for (const [why, { size }] of leftOut) comparison.leaveOut(LEVELS, why, size);
  if (users.size === 0) return;
  const table = `verify_${randomUUID().replaceAll('-', '')}`;
  await clickhouse.command({
    query: `CREATE TABLE ${table} (person String, time_ms UInt64, behaviour LowCardinality(String)) ENGINE = MergeTree ORDER BY person`,
  });
  try {
    let rows: unknown[][] = [];
    for (const { people } of events) {
      for (const { key, offset, timeMs, behaviour, ...own } of people.judgedByOffset.values()) {
        const person = personAt(key, offset);
        if (!users.has(person) || !isBehaved({ key, offset, timeMs, behaviour, ...own })) continue;
        rows.push([person, timeMs, behaviour]);
        if (rows.length < ROWS_PER_INSERT_MAX) continue;
        await insertCompact(clickhouse, table, ['person', 'time_ms', 'behaviour'], rows);
        rows = [];
      }
    }
    await insertCompact(clickhouse, table, ['person', 'time_ms', 'behaviour'], rows);
    for (const [name, question] of questionsOf(users)) await ask(scope, table, name, question, users);
  } finally {
    await clickhouse.command({ query: `DROP TABLE IF EXISTS ${table} SYNC` });
  }
}

function questionsOf(
  users: ReadonlyMap<string, WholePerson>,
): Map<string, { span: FunnelSpan; keys: string[] }> {
  const questions = new Map<string, { span: FunnelSpan; keys: string[] }>();
  for (const [key, { spans }] of users) {
    for (const span of spans) {
      const name = `${span.id} ${span.revision} ${span.hash}`;
      const question = questions.get(name) ?? { span, keys: [] };
      question.keys.push(key);
      questions.set(name, question);
    }
  }
  return questions;
}

async function ask(
  { comparison, clickhouse }: Scope,
  table: string,
  name: string,
  { span, keys }: { readonly span: FunnelSpan; readonly keys: readonly string[] },
  users: ReadonlyMap<string, WholePerson>,
): Promise<void> {
  const query = `SELECT person, ${functionOf(span.document)} AS level FROM ${table} GROUP BY person`;
  const result = await clickhouse.query({ query, format: 'JSONCompactEachRow' });
  const levels = new Map(await result.json<[string, number]>());
  for (const key of keys) {
    const kept = users
      .get(key)!
      .state?.funnels.find(({ id, revision }) => id === span.id && revision === span.revision);
    const level = Math.max(0, ...(kept?.reached ?? []).map((each) => each.level));
    comparison.equal(LEVELS, `person ${key} funnel ${name}`, levels.get(key) ?? 0, level);
  }
}
