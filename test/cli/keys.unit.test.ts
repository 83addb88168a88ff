// `flywheel keys` as a process: what it prints, what it keeps, and what it says to wrong use.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { durationMs, endMs } from '../../cli/key-options.ts';
import { ensureApiKeys, hashApiKey } from '../../platform/api-keys.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const dir = mkdtempSync(path.join(tmpdir(), 'flywheel-cli-keys-'));
const file = path.join(dir, 'keys.hashed.json');
afterAll(() => rmSync(dir, { recursive: true }));

function keys(...args: string[]): { code: number | null; out: string; errors: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [path.join(root, 'bin/flywheel.js'), 'keys', ...args],
    {
      // Not the checkout, in which somebody may have keys.
      cwd: dir,
      env: { PATH: process.env.PATH, FLYWHEEL_DIR: dir },
      encoding: 'utf8',
    },
  );
  return { code: status, out: stdout, errors: stderr };
}

it('shows a key once; the file and the list have its hash alone', () => {
  expect(keys('list')).toMatchObject({
    code: 1,
    errors: expect.stringContaining('flywheel keys create NAME'),
  });
  const created = keys('create', 'shop', '--scope', 'write', '--expires', '90d', '--events-per-second', '20');
  expect(created.code).toBe(0);
  // Where somebody looks in another folder than `serve` does, this is how they see it.
  expect(created.errors).toBe(
    `${file} is new and holds this key alone: a serve knows it if it reads that file (SERVE_KEYS_FILE, FLYWHEEL_DIR)\n`,
  );
  const [plain] = /wk_[A-Za-z0-9_-]{32}/.exec(created.out)!;
  const text = readFileSync(file, 'utf8');
  expect(text).toContain(hashApiKey(plain));
  expect(text).not.toContain(plain);
  const { out } = keys('list');
  expect(out).toMatch(/^NAME +ID +SCOPE +STATE +CREATED +EXPIRES +LIMITS\n/);
  expect(out).toMatch(/\nshop +[0-9a-f]{12} +write +valid .* 20 events\/s, 40 at once\n$/);
  expect(out).not.toContain(plain);
});

it.each([
  [['create', 'shop', '--scope', 'write'], 'already'],
  [['create', 'x', '--scope', 'all'], 'Allowed choices are write, secret'],
  [['create', 'x'], "required option '--scope <scope>'"],
  [['create', 'x', '--scope', 'write', '--event-burst', '5'], '--event-burst needs --events-per-second'],
  [['create', 'x', '--scope', 'write', '--requests-per-second', '0'], 'a whole number from 1'],
  [['create', 'x', '--scope', 'write', '--requests-per-second', '1000001'], 'number from 1 to 1000000\n'],
  [['limit', 'shop', '--events-per-second', '9', '--event-burst', '10000001'], 'number from 1 to 10000000\n'],
  [['rotate', 'nobody', '--overlap', '1h'], 'there is no key "nobody"; there are: shop'],
  [['rotate', 'shop', '--overlap', 'soon'], 'must be like 90s, 15m, 24h, 7d or 0'],
  [['limit', 'shop'], 'say which limits'],
  [['revoke', 'shop', '--replaced'], 'no replaced key of "shop" is left to revoke'],
])('%j is refused with the reason, and changes nothing', (args, why) => {
  const before = readFileSync(file, 'utf8');
  const { code, errors } = keys(...args);
  expect([code, errors]).toEqual([1, expect.stringContaining(why)]);
  expect(errors).not.toMatch(/^ {4}at /m);
  expect(readFileSync(file, 'utf8')).toBe(before);
});

it('makes keys without an end, and takes the end of one away when it is rotated', () => {
  expect(keys('create', 'still', '--scope', 'write', '--expires', 'never')).toMatchObject({
    code: 0,
    out: expect.stringContaining('never expires'),
    errors: '',
  });
  expect(keys('rotate', 'shop', '--overlap', '24h', '--expires', 'never')).toMatchObject({
    code: 0,
    out: expect.stringContaining('never expires'),
    errors: '',
  });
});

it('a rotation shows the new key whatever is wrong with the plain file, and says what is', () => {
  const plainFile = path.join(dir, 'keys.json');
  writeFileSync(plainFile, '{ "write": "wk_');
  const { code, out, errors } = keys('rotate', 'shop', '--overlap', '0', '--json');
  expect(code).toBe(1);
  expect(errors).toMatch(
    /^The key was made, but could not be put into .*keys\.json.* holds no API keys.*\n$/,
  );
  expect(readFileSync(file, 'utf8')).toContain(hashApiKey(JSON.parse(out).key));
  expect(readFileSync(plainFile, 'utf8')).toBe('{ "write": "wk_');
  rmSync(plainFile);
  expect(keys('rotate', 'shop', '--overlap', '0')).toMatchObject({ code: 0, errors: '' });
});

it('a key of the pair that was revoked is followed by another, as the refusal of the start advises', async () => {
  const plainFile = path.join(dir, 'keys.json');
  const files = { plainFile, hashedFile: file };
  const { write, secret } = await ensureApiKeys(files);
  expect(keys('revoke', 'secret').code).toBe(0);
  const refusal = await ensureApiKeys(files).then(String, ({ message }: Error) => message);
  const [, advised] = /`npx flywheel keys (.+)`/.exec(refusal)!;
  const { code, out } = keys(...advised!.split(' '));
  expect([code, out]).toEqual([0, expect.stringContaining('keys.json has the new one.')]);
  const after = await ensureApiKeys(files);
  expect(after.write).toBe(write);
  expect(after.secret).not.toBe(secret);
  rmSync(plainFile);
});

it('reads durations and ends as people write them, and nothing else', () => {
  expect(['0', '90s', '15m', '24h', '7d'].map(durationMs)).toEqual([
    0, 90_000, 900_000, 86_400_000, 604_800_000,
  ]);
  expect(endMs('never')).toBe('never');
  expect(endMs('2027-01-31T00:00:00Z')).toBe(Date.parse('2027-01-31T00:00:00Z'));
  expect(Math.abs(Number(endMs('2h')) - Date.now() - 7_200_000)).toBeLessThan(1_000);
  for (const wrong of ['', '7', '-1h', '1w', 'h', '2027', '99999999d', '2027-13-45']) {
    expect(() => durationMs(wrong), wrong).toThrow('must be like');
    expect(() => endMs(wrong), wrong).toThrow('must be like');
  }
});
