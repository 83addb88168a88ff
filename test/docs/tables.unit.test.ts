// A row that stands behind an empty line is no row of a table, and is shown as text with bars.
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const root = new URL('../../', import.meta.url);
const pages = [
  'README.md',
  ...readdirSync(new URL('docs/', root), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

it.each(pages)('%s: each table has its head', (page) => {
  const text = readFileSync(new URL(page, root), 'utf8').replaceAll(/^```[\s\S]*?^```/gm, '');
  const headless = text
    .split(/\n(?!\|)/)
    .map((block) => block.split('\n').filter((line) => line.startsWith('|')))
    .filter((rows) => rows.length > 0 && !/^\|(:?-+:?\|)+$/.test(rows[1] ?? ''));
  expect(headless.map(([first]) => first)).toEqual([]);
});
