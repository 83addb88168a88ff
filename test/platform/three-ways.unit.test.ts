// docs/architecture.md walks through the code file by file: each file that it names there is one.
import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const project = new URL('../../', import.meta.url);

it('the three ways through the code name files that there are', () => {
  const page = readFileSync(new URL('docs/architecture.md', project), 'utf8');
  const [, rest = ''] = page.split('\n## Three ways through the code\n');
  const [section = ''] = rest.split('\n## ');
  const files = [...section.matchAll(/`([\w/-]+\.ts)`/g)].map(([, file]) => file!);
  expect(files.length).toBeGreaterThan(30);
  expect(files.filter((file) => !existsSync(new URL(file, project)))).toEqual([]);
});
