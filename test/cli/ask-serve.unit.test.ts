// What commands say of a serve that does not answer, what an export leaves when it is killed, and what an import puts in force.
import { once } from 'node:events';
import { link, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { askServe } from '../../cli/ask-serve.ts';
import { applyImport, exportDefinitions, planImport } from '../../cli/definitions.ts';

/** The address of a stand-in for serve. */
async function listening(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

it('a serve that takes the question and does not answer in time is not called unreachable', async () => {
  const url = await listening(() => {});
  await expect(askServe({ url, secretKey: 'sk' }, '/v1/definitions', 50)).rejects.toMatchObject({
    code: 'SERVE_REFUSED',
    message: `serve at ${url} did not answer within 0.05 s: it may still be at what it was asked`,
  });
});

it('a serve that is not there is called that', async () => {
  const url = 'http://127.0.0.1:1';
  await expect(askServe({ url, secretKey: 'sk' }, '/readyz', 60_000)).rejects.toMatchObject({
    message: `serve at ${url} cannot be reached: is it up?`,
  });
});

// The one who reads the file by another name sees whether it was written in place.
it('an export never has half of a file where a whole one was', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'flywheel-export-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await mkdir(path.join(folder, 'account'));
  const file = path.join(folder, 'account', 'a.json');
  const before = path.join(folder, 'before');
  await writeFile(file, '{"name":"as it was"}');
  await link(file, before);
  const definitions = [{ type: 'account', id: 'a', document: { name: 'as it is' } }];
  const url = await listening((_request, response) => response.end(JSON.stringify({ definitions })));
  await exportDefinitions({ url, secretKey: 'sk' }, folder);
  expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ name: 'as it is' });
  expect(await readFile(before, 'utf8')).toBe('{"name":"as it was"}');
  expect(await readdir(path.join(folder, 'account'))).toEqual(['a.json']);
});

// Somebody reads the plan for a while, and a colleague pulls into the folder meanwhile.
it('an import puts in force what it has shown', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'flywheel-import-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await mkdir(path.join(folder, 'account'));
  const file = path.join(folder, 'account', 'a.json');
  await writeFile(file, '{"name":"as it was shown"}');
  const asked: unknown[] = [];
  const url = await listening(async (request, response) => {
    asked.push(JSON.parse(Buffer.concat(await request.toArray()).toString()));
    response.setHeader('etag', '"7"').end(JSON.stringify({ changes: [], unchanged: 0 }));
  });
  const target = { url, secretKey: 'sk' };
  const plan = await planImport(target, { folder, keepOthers: true, reason: 'merged' });
  await writeFile(file, '{"name":"as nobody saw it"}');
  await applyImport(target, plan);
  expect(asked[0]).toMatchObject({ definitions: [{ document: { name: 'as it was shown' } }] });
  expect(asked[1]).toEqual(asked[0]);
});

it('an import that was cut off says what it has made', async () => {
  const problem = { code: 'too_large', detail: 'It is too large.', made: ['account/a', 'account/b'] };
  const url = await listening((_request, response) => response.writeHead(413).end(JSON.stringify(problem)));
  await expect(applyImport({ url, secretKey: 'sk' }, { tag: '"7"', asked: {} })).rejects.toMatchObject({
    code: 'SERVE_REFUSED',
    message: `${url}/v1/definitions/import answered 413: It is too large.\n  made: account/a\n  made: account/b`,
  });
});
