// Reads what buyers did before a funnel's record from ClickHouse, a bounded piece of the keys at a time.
import { readFileSync } from 'node:fs';
import type { Pasts } from '../domain/funnel-past.ts';
import type { KeyPast, PastChange, PastRow } from '../domain/funnel-past-rows.ts';
import { beforeAbort } from '../platform/before-abort.ts';
import type { ClickHouse } from '../platform/clickhouse.ts';

/** Keys of one piece, and rows after which it is full (its last key may go beyond). */
const KEYS_MAX = 2_000;
const ROWS_MAX = 100_000;
/** Of a key with more rows, the latest so many are looked at. */
export const ROWS_PER_KEY_MAX = 20_000;
/** Of a user with more links, the visitors of the latest so many. */
const LINKS_PER_USER_MAX = 1_000;
const FOLDER = new URL('../sql/backfill/', import.meta.url);

type QueryName = 'bounds' | 'any' | 'total' | 'keys' | 'rows' | 'changes';

/** Each question is called off by its signal, with whose reason it then fails: a ClickHouse that does not answer holds up no turn that ends. */
export interface PastReader {
  /** The offset of the revision's record by partition; undefined for those that ClickHouse does not have yet. */
  bounds(
    funnel: string,
    revision: number,
    partitions: number,
    signal: AbortSignal,
  ): Promise<(number | undefined)[]>;
  /** False if nobody did anything before. */
  any(bounds: readonly number[], signal: AbortSignal): Promise<boolean>;
  total(bounds: readonly number[], signal: AbortSignal): Promise<number>;
  /** The keys behind `after`, as many as one piece takes, ascending. */
  keys(bounds: readonly number[], after: string, signal: AbortSignal): Promise<string[]>;
  /** All that is known of keys that follow each other, as `keys` gives them. */
  pasts(bounds: readonly number[], keys: readonly string[], signal: AbortSignal): Promise<Pasts>;
}

type Keyed<Value> = Value & { readonly key: string };

/** How many of the keys make one piece. */
export function pieceOf(found: readonly { readonly key: string; readonly rows: number }[]): string[] {
  let rows = 0;
  const keys: string[] = [];
  for (const each of found) {
    if (rows >= ROWS_MAX) break;
    rows += Math.min(each.rows, ROWS_PER_KEY_MAX);
    keys.push(each.key);
  }
  return keys;
}

function grouped<Value>(all: readonly Keyed<Value>[]): Map<string, Keyed<Value>[]> {
  const groups = new Map<string, Keyed<Value>[]>();
  for (const each of all) {
    const group = groups.get(each.key);
    if (group === undefined) groups.set(each.key, [each]);
    else group.push(each);
  }
  return groups;
}

export function openPastReader(clickhouse: ClickHouse, generation: number): PastReader {
  async function ask<Row>(
    name: QueryName,
    parameters: Record<string, unknown>,
    signal: AbortSignal,
  ): Promise<Row[]> {
    const answer = await clickhouse.query({
      query: readFileSync(new URL(`${name}.sql`, FOLDER), 'utf8'),
      query_params: { generation, ...parameters },
      format: 'JSONEachRow',
      clickhouse_settings: { output_format_json_quote_64bit_integers: 0 },
      abort_signal: signal,
    });
    return answer.json<Row>();
  }

  // The client heeds the signal until the answer begins, not while it is read.
  function query<Row>(
    name: QueryName,
    parameters: Record<string, unknown>,
    signal: AbortSignal,
  ): Promise<Row[]> {
    signal.throwIfAborted();
    return beforeAbort(ask<Row>(name, parameters, signal), signal);
  }

  return {
    async bounds(funnel, revision, partitions, signal) {
      const found = await query<{ partition: number; bound: number }>('bounds', { funnel, revision }, signal);
      return Array.from(
        { length: partitions },
        (_, partition) => found.find((each) => each.partition === partition)?.bound,
      );
    },
    any: async (bounds, signal) => (await query('any', { bounds }, signal)).length > 0,
    total: async (bounds, signal) =>
      (await query<{ keys: number }>('total', { bounds }, signal))[0]?.keys ?? 0,
    keys: async (bounds, after, signal) =>
      pieceOf(await query('keys', { bounds, after, limit: KEYS_MAX }, signal)),
    async pasts(bounds, keys, signal) {
      const range = { bounds, from: keys[0]!, upTo: keys.at(-1)!, links_per_user: LINKS_PER_USER_MAX };
      const [rows, changes] = await Promise.all([
        query<Keyed<PastRow>>('rows', { ...range, rows_per_key: ROWS_PER_KEY_MAX }, signal),
        query<Keyed<PastChange>>('changes', range, signal),
      ]);
      const rowsOf = grouped(rows.reverse());
      const changesOf = grouped(changes);
      const pastOf = (key: string): KeyPast => ({
        key,
        rows: rowsOf.get(key) ?? [],
        changes: changesOf.get(key) ?? [],
      });
      const merged = changes.filter(({ change }) => change === 'merged');
      const visitors = [...new Set(merged.map(({ visitor }) => visitor))];
      return {
        keys: keys.map(pastOf),
        visitors: visitors.map(pastOf),
        merged: new Set(merged.map(({ link }) => link)),
      };
    },
  };
}
