// `serve` follows the file of hashed keys: changes are in force within a second; a broken file changes nothing, is logged and counted.
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { hashApiKey } from '../../platform/api-keys.ts';
import { openKeysFile } from '../../serve/keys-file.ts';

const SOON = { timeout: 1_500, interval: 20 };

let dir: string;
let file: string;
let opened: Awaited<ReturnType<typeof openKeysFile>> | undefined;
let registry: Registry;
let errors: string[];

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'flywheel-keys-file-'));
  file = path.join(dir, 'keys.hashed.json');
  registry = new Registry();
  errors = [];
});
afterEach(async () => {
  opened?.close();
  opened = undefined;
  await rm(dir, { recursive: true });
});

const contentOf = (...names: string[]) =>
  JSON.stringify({ keys: names.map((name) => ({ name, scope: 'write', sha256: hashApiKey(name) })) });

/** In one step, so that nobody reads half of it. */
async function replace(content: string): Promise<void> {
  await writeFile(`${file}.new`, content);
  await rename(`${file}.new`, file);
}

async function follow() {
  const error = (_message: string, fields?: Readonly<Record<string, unknown>>) =>
    void errors.push(String(fields?.error));
  opened = await openKeysFile(file, { registry, log: { info: () => {}, warn: () => {}, error } });
  return opened.keys;
}

async function metric(name: string): Promise<string | undefined> {
  return new RegExp(`^${name} (.*)$`, 'm').exec(await registry.metrics())?.[1];
}

it('takes a file that was replaced, and one that was written over', async () => {
  await writeFile(file, contentOf('first'));
  const keys = await follow();
  await replace(contentOf('first', 'second'));
  await expect.poll(() => keys.find('second')?.name, SOON).toBe('second');
  expect(errors).toEqual([]);
  await writeFile(file, contentOf('second'));
  await expect.poll(() => keys.find('first'), SOON).toBeUndefined();
  expect(keys.find('second')?.name).toBe('second');
});

it('keeps the last good keys while a file is half written, empty or gone, says so once each, and goes on', async () => {
  const good = contentOf('first', 'second');
  await writeFile(file, contentOf('first'));
  const keys = await follow();
  const rejects = 'flywheel_keys_file_reloads_total\\{outcome="refused"\\}';
  for (const [index, broken] of [good.slice(0, -9), '', '{"keys":[]}', 'null'].entries()) {
    await replace(broken);
    await expect.poll(() => errors.length, SOON).toBe(index + 1);
    expect(keys.find('first')?.name).toBe('first');
    expect(await metric('flywheel_keys_file_broken')).toBe('1');
  }
  // Nobody who was not let in before is let in by a broken file.
  for (const key of ['', 'second', 'null', 'undefined']) expect(keys.find(key), key).toBeUndefined();
  await rm(file);
  await expect.poll(() => errors.length, SOON).toBe(5);
  expect(errors[4]).toContain(file);
  expect(keys.find('first')?.name).toBe('first');
  expect(await metric(rejects)).toBe('5');
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  expect(errors).toHaveLength(5);
  await writeFile(file, good);
  await expect.poll(() => keys.find('second')?.name, SOON).toBe('second');
  expect(await metric('flywheel_keys_file_broken')).toBe('0');
});

it('refuses to start without keys that it can read, and says why', async () => {
  await expect(follow()).rejects.toMatchObject({
    code: 'KEYS_UNREADABLE',
    message: expect.stringContaining('flywheel keys create'),
  });
  await writeFile(file, '{"keys": [{"name": "a"');
  await expect(follow()).rejects.toMatchObject({ code: 'KEYS_UNREADABLE' });
  await writeFile(file, JSON.stringify({ keys: [{ name: 'a', scope: 'write', sha256: 'short' }] }));
  await expect(follow()).rejects.toThrow('keys[0].sha256');
  await rm(file);
  // What a file that one may not read looks like to everybody, root included.
  await mkdir(file);
  await expect(follow()).rejects.toMatchObject({
    code: 'KEYS_UNREADABLE',
    message: expect.stringContaining('cannot be read'),
  });
});

it('follows no more once it is closed', async () => {
  await writeFile(file, contentOf('first'));
  const keys = await follow();
  opened!.close();
  await writeFile(file, contentOf('second'));
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  expect(keys.find('first')?.name).toBe('first');
});
