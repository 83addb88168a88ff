// Applies the numbered files of sql/ to a database, forward only, each once.
// A file that was cut off midway is applied again from its beginning: its statements must bear that (IF NOT EXISTS).
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { ClickHouse } from './clickhouse.ts';
import { PlatformError } from './platform-error.ts';

const MIGRATION_NAME = /^\d{3}_[a-z0-9_]+\.sql$/;

/** Statements are separated by a line of four dashes. */
export function statementsOf(sql: string): string[] {
  return sql
    .split(/^----[ \t]*$/m)
    .map((part) => part.trim().replace(/;$/, ''))
    .filter((part) => part.replace(/^--.*$/gm, '').trim() !== '');
}

/**
 * @param client connected to the database
 * @returns the names of the files that were applied now
 * @throws PlatformError MIGRATION_CHANGED if a file differs from what was applied, MIGRATION_FAILED with the statement
 */
export async function migrateSql(client: ClickHouse, folder: string): Promise<string[]> {
  await client.command({
    query: `CREATE TABLE IF NOT EXISTS migrations (name String, checksum String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3))
      ENGINE = ReplacingMergeTree ORDER BY name`,
  });
  const applied = await appliedChecksums(client);
  const done: string[] = [];
  for (const name of (await readdir(folder)).filter((file) => MIGRATION_NAME.test(file)).sort()) {
    const sql = await readFile(path.join(folder, name), 'utf8');
    const checksum = createHash('sha256').update(sql).digest('hex');
    const before = applied.get(name);
    if (before === checksum) continue;
    if (before !== undefined) {
      throw new PlatformError(
        'MIGRATION_CHANGED',
        `sql/${name} differs from what was applied to this database: put it back and write a further migration`,
      );
    }
    await applyFile(client, name, sql);
    await client.insert({ table: 'migrations', values: [{ name, checksum }], format: 'JSONEachRow' });
    done.push(name);
  }
  return done;
}

async function appliedChecksums(client: ClickHouse): Promise<Map<string, string>> {
  const result = await client.query({
    query: 'SELECT name, checksum FROM migrations FINAL',
    format: 'JSONEachRow',
  });
  const rows = await result.json<{ name: string; checksum: string }>();
  return new Map(rows.map(({ name, checksum }) => [name, checksum]));
}

async function applyFile(client: ClickHouse, name: string, sql: string): Promise<void> {
  for (const query of statementsOf(sql)) {
    try {
      await client.command({ query });
    } catch (error) {
      throw new PlatformError(
        'MIGRATION_FAILED',
        `sql/${name} failed: ${(error as Error).message}\nin the statement:\n${query}`,
        { cause: error },
      );
    }
  }
}
