// The page snippet's route where nothing was built: a clear answer, and no other route suffers.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { readConfig } from '../../platform/config.ts';
import { openApp, world } from './without-parts.ts';

it('says that the snippet is not built, and how it is', async () => {
  const app = await openApp(world({ config: readConfig({ SERVE_SNIPPET_FILE: '/nowhere/flywheel.js' }) }));
  const answer = await app.inject({ url: '/v1/flywheel.js' });
  expect(answer.statusCode).toBe(404);
  expect(answer.json()).toMatchObject({
    code: 'not_built',
    detail: expect.stringContaining('npm run build'),
  });
});

it('gives another script another tag', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'flywheel-snippet-'));
  const tags = new Set<unknown>();
  for (const [index, script] of ['first()', 'second()'].entries()) {
    const file = path.join(folder, `${index}.js`);
    writeFileSync(file, script);
    const app = await openApp(world({ config: readConfig({ SERVE_SNIPPET_FILE: file }) }));
    const answer = await app.inject({ url: '/v1/flywheel.js' });
    expect(answer.body).toBe(script);
    tags.add(answer.headers.etag);
    const known = await app.inject({
      url: '/v1/flywheel.js',
      headers: { 'if-none-match': String([...tags][0]) },
    });
    expect(known.statusCode).toBe(index === 0 ? 304 : 200);
  }
  expect(tags.size).toBe(2);
  rmSync(folder, { recursive: true });
});
