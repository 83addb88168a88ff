// Whoever reads on in a file that a page names finds it there.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const root = new URL('../../', import.meta.url);
const folders = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !['dist', 'node_modules'].includes(entry.name))
  .map(({ name }) => name);
const pages = [
  'README.md',
  ...readdirSync(new URL('docs/', root), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** Paths from the top of the project, in backticks: files, and folders with a slash at their end. `*` stands for some name. */
function pathsIn(text: string): string[] {
  return [...text.matchAll(/`([\w.-]+\/[\w./*-]*)`/g)]
    .map(([, path]) => path!)
    .filter((path) => folders.includes(path.split('/')[0]!) && !path.startsWith('.flywheel/'))
    .filter((path) => /(\.\w+|\/)$/.test(path));
}

function isThere(path: string): boolean {
  if (!path.includes('*')) return existsSync(new URL(path, root));
  const folder = path.slice(0, path.lastIndexOf('/') + 1);
  const name = new RegExp(`^${path.slice(folder.length).replaceAll('.', '\\.').replaceAll('*', '.*')}$`);
  return readdirSync(new URL(folder, root)).some((found) => name.test(found));
}

it.each(pages)('%s names files and folders that there are', (page) => {
  const named = pathsIn(readFileSync(new URL(page, root), 'utf8'));
  expect(named.filter((path) => !isThere(path))).toEqual([]);
});

it('README and architecture name many', () => {
  const named = ['README.md', 'docs/architecture.md'].flatMap((page) =>
    pathsIn(readFileSync(new URL(page, root), 'utf8')),
  );
  expect(named.length).toBeGreaterThan(150);
});
