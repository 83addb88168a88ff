// docs/architecture.md lists ClickHouse's tables and views, one row each: a migration that makes another one adds it there.
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const textOf = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

test('every table and view of sql/ and that of its files are listed, and nothing else', () => {
  const migrations = readdirSync(new URL('../../sql/', import.meta.url)).filter((name) =>
    name.endsWith('.sql'),
  );
  const texts = [...migrations.map((name) => `sql/${name}`), 'platform/migrate-sql.ts'].map(textOf);
  const made = texts.flatMap((text) =>
    [...text.matchAll(/CREATE (?:TABLE|VIEW) IF NOT EXISTS (\w+)/g)].map(([, table]) => table!),
  );
  const [, section = ''] = textOf('docs/architecture.md').split('\n## ClickHouse\n');
  const listed = [...section.split('\n## ')[0]!.matchAll(/^\| `(\w+)`/gm)].map(([, table]) => table!);
  expect(listed.sort()).toEqual(made.sort());
});
