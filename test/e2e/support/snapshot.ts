// Everything that a run of the stream leaves behind, as text: what two runs over the same log must have in common.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Stage } from './stage.ts';

export interface Snapshot {
  /** Redis key → its value, as bytes in hex or as sorted fields. */
  readonly state: Map<string, string>;
  /** ClickHouse table → its rows, sorted. */
  readonly rows: Map<string, string[]>;
  /** What went to other topics, once each, sorted. */
  readonly sent: string[];
}

/**
 * Fields of the head that are of this run alone, not of the log. The offset and the last record are of them because every run sends
 * what it derives once more, to the log's end, where it is dropped as a repeat.
 */
const ownOfTheRun = new Set([
  'nonce',
  'seq',
  'stamp',
  'ready',
  'flushed',
  'offset',
  'last',
  'owner',
  'paused',
  'oldest',
  'owed',
  'owedSince',
]);

/** The version of an aggregate says when its value was last written, which is a matter of time. */
const tables: Record<string, string> = {
  events: '*',
  links: '*',
  identities: '*',
  adjustments: '*',
  rejects: '*',
  transitions: '*',
  opportunities: '*',
  exposures: '*',
  triggers: '*',
  spend: '*',
  leases: '*',
  definitions: '*',
  campaign_hours: '*',
  funnel_hours: '* EXCEPT(version)',
  north_star_days: '* EXCEPT(version)',
};

async function keysOf(stage: Stage): Promise<string[]> {
  const keys: string[] = [];
  const pattern = `{${stage.namespace.redisPrefix}*`;
  let cursor = '0';
  do {
    const [next, found] = (await stage.redis.call('SCAN', cursor, 'MATCH', pattern, 'COUNT', '1000')) as [
      string,
      string[],
    ];
    cursor = next;
    keys.push(...found);
  } while (cursor !== '0');
  return keys;
}

function fieldsOf(fields: Readonly<Record<string, Buffer>>, isHead: boolean): string {
  return Object.entries(fields)
    .filter(([name]) => !isHead || !ownOfTheRun.has(name))
    .map(([name, value]) => `${name}=${value.toString('latin1')}`)
    .sort()
    .join('\n');
}

async function keyValue(stage: Stage, key: string): Promise<string> {
  const { redis } = stage;
  const type = await redis.type(key);
  switch (type) {
    case 'string':
      return (await redis.getBuffer(key))!.toString('hex');
    case 'hash':
      return fieldsOf(
        (await redis.hgetallBuffer(key)) as unknown as Record<string, Buffer>,
        key.endsWith(':head'),
      );
    case 'zset':
      return ((await redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')) as string[]).join('\n');
    case 'set':
      return (await redis.smembers(key)).sort().join('\n');
    default:
      throw new Error(`the key ${key} is a ${type}: no type of ours`);
  }
}

/** State of the partitions of `events` and `spend`: the log of `events.rejected` grows with every run. */
export async function stateOf(stage: Stage): Promise<Map<string, string>> {
  const rejected = `{${stage.namespace.redisPrefix}r`;
  const keys = (await keysOf(stage)).filter((key) => !key.startsWith(rejected));
  const state = new Map<string, string>();
  for (const key of keys.sort()) {
    if (key.endsWith(':outbox')) continue;
    state.set(key, await keyValue(stage, key));
  }
  return state;
}

async function rowsOf(stage: Stage): Promise<Map<string, string[]>> {
  const rows = new Map<string, string[]>();
  for (const [table, columns] of Object.entries(tables)) {
    const found = await stage.rows<object>(`SELECT ${columns} FROM ${table} FINAL`);
    rows.set(table, found.map((row) => JSON.stringify(row)).sort());
  }
  return rows;
}

const outputs = ['rejected', 'triggers'] as const;

/** The ends of the topics that a run writes to. */
export async function outputEnds(stage: Stage): Promise<Record<(typeof outputs)[number], number[]>> {
  const [rejected, triggers] = await Promise.all(
    outputs.map(async (name) =>
      (await stage.admin.watermarks(stage.namespace.topics[name])).map(({ high }) => high),
    ),
  );
  return { rejected: rejected!, triggers: triggers! };
}

async function sentSince(stage: Stage, since: Awaited<ReturnType<typeof outputEnds>>): Promise<string[]> {
  const sent = new Set<string>();
  for (const name of outputs) {
    for (const record of await stage.log(stage.namespace.topics[name], since[name])) {
      const { partition, key, value, headers } = record;
      sent.add(`${name}:${partition} ${headers.source} ${key} ${value}`);
    }
  }
  return [...sent].sort();
}

/** @param since where the outputs ended before the run */
export async function snapshot(
  stage: Stage,
  since: Awaited<ReturnType<typeof outputEnds>>,
): Promise<Snapshot> {
  return { state: await stateOf(stage), rows: await rowsOf(stage), sent: await sentSince(stage, since) };
}

/** Loses the state in Redis. */
export async function forgetState(stage: Stage): Promise<void> {
  const keys = await keysOf(stage);
  for (let from = 0; from < keys.length; from += 500) await unlink(stage, keys.slice(from, from + 500));
}

/** Takes away what a run left, so that the next one begins with nothing but the log. */
export async function forget(stage: Stage): Promise<void> {
  await forgetState(stage);
  for (const table of Object.keys(tables)) {
    await stage.clickhouse.command({ query: `TRUNCATE TABLE ${table}` });
  }
}

async function unlink(stage: Stage, keys: readonly string[]): Promise<void> {
  const pipeline = stage.redis.pipeline();
  for (const key of keys) pipeline.unlink(key);
  await pipeline.exec();
}

/** The names of what differs: Redis keys, tables, outputs. Empty if the two are the same. */
export function differences(one: Snapshot, other: Snapshot): string[] {
  const found: string[] = [];
  for (const key of new Set([...one.state.keys(), ...other.state.keys()])) {
    if (one.state.get(key) !== other.state.get(key)) found.push(`Redis ${key}`);
  }
  for (const [table, rows] of one.rows) {
    const theirs = new Set(other.rows.get(table));
    const ours = new Set(rows);
    for (const row of ours) if (!theirs.has(row)) found.push(`${table} - ${row}`);
    for (const row of theirs) if (!ours.has(row)) found.push(`${table} + ${row}`);
  }
  const theirs = new Set(other.sent);
  const ours = new Set(one.sent);
  for (const record of ours) if (!theirs.has(record)) found.push(`sent - ${record}`);
  for (const record of theirs) if (!ours.has(record)) found.push(`sent + ${record}`);
  return found;
}

/** Writes definitions as files, the way that `flywheel migrate` reads them. */
export function writeDefinitions(folder: string, documents: Readonly<Record<string, object>>): void {
  for (const [name, document] of Object.entries(documents)) {
    const file = path.join(folder, `${name}.json`);
    if (!existsSync(path.dirname(file))) mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify(document));
  }
}

/** Everything that Redis keeps for the stage, as it would stand in a copy made now. */
export async function keptKeys(stage: Stage): Promise<Map<string, Buffer>> {
  const kept = new Map<string, Buffer>();
  for (const key of await keysOf(stage)) kept.set(key, (await stage.redis.dumpBuffer(key))!);
  return kept;
}

/** Puts an older copy in the place of what Redis keeps for the stage. */
export async function restoreKeys(stage: Stage, kept: ReadonlyMap<string, Buffer>): Promise<void> {
  await forgetState(stage);
  for (const [key, bytes] of kept) await stage.redis.restore(key, 0, bytes);
}
