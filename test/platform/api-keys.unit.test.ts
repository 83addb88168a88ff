// API keys on the disk: made once, private, changed by many at once without losing one, and what administration does to the list.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureApiKeys, hashApiKey, replacePlainKey } from '../../platform/api-keys.ts';
import {
  changeHashedKeys,
  type HashedKey,
  noticeSecretOf,
  readHashedKeys,
} from '../../platform/hashed-keys.ts';
import {
  createKey,
  KEYS_PER_NAME_MAX,
  limitKey,
  revokeKey,
  rotateKey,
  stateOf,
} from '../../platform/key-administration.ts';

const NOW_MS = Date.parse('2026-03-01T12:00:00Z');
const HOUR_MS = 3_600_000;
const iso = (ms: number): string => new Date(ms).toISOString();

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'flywheel-keys-'));
});
afterAll(() => rm(dir, { recursive: true }));
const filesIn = (folder: string) => ({
  plainFile: path.join(dir, folder, 'keys.json'),
  hashedFile: path.join(dir, folder, 'keys.hashed.json'),
});

describe('the local pair', () => {
  test('is made once, kept private, and stands hashed for `serve`', async () => {
    const files = filesIn('new');
    const keys = await ensureApiKeys(files, NOW_MS);
    expect(keys).toEqual({ write: expect.stringMatching(/^wk_/), secret: expect.stringMatching(/^sk_/) });
    expect(await ensureApiKeys(files)).toEqual(keys);
    for (const file of Object.values(files)) expect((await stat(file)).mode & 0o777).toBe(0o600);
    const hashed = await readFile(files.hashedFile, 'utf8');
    expect(hashed).not.toContain(keys.secret);
    const createdAt = iso(NOW_MS);
    expect(JSON.parse(hashed).keys).toEqual([
      { name: 'write', scope: 'write', sha256: hashApiKey(keys.write), createdAt },
      { name: 'secret', scope: 'secret', sha256: hashApiKey(keys.secret), createdAt },
    ]);
  });

  test('what somebody else put into the hashed file stays, and so do the limits of our own', async () => {
    const files = filesIn('shared');
    await ensureApiKeys(files);
    const hashed = JSON.parse(await readFile(files.hashedFile, 'utf8')) as { keys: object[] };
    const limited = { ...hashed.keys[0], limits: { requests: { perSecond: 5, burst: 9 } } };
    const other = { name: 'partner', scope: 'write', sha256: hashApiKey('wk_partner') };
    const changed = {
      keys: [limited, hashed.keys[1], other],
      noticeSecret: 'ab'.repeat(16),
      note: 'by hand',
    };
    await writeFile(files.hashedFile, JSON.stringify(changed));
    await ensureApiKeys(files);
    expect(JSON.parse(await readFile(files.hashedFile, 'utf8'))).toEqual(changed);
  });

  test('a rotation of one of them goes into the plain file, and the next start takes it as it is', async () => {
    const files = filesIn('rotated');
    const before = await ensureApiKeys(files);
    const { plain, before: old } = await changeHashedKeys(files.hashedFile, (keys) =>
      rotateKey(keys, { name: 'secret', overlapMs: HOUR_MS }, Date.now()),
    );
    expect(await replacePlainKey(files.plainFile, [old.sha256], plain)).toBe(true);
    expect(await replacePlainKey(files.plainFile, [old.sha256], 'sk_other')).toBe(false);
    const hashed = await readFile(files.hashedFile, 'utf8');
    expect(await ensureApiKeys(files)).toEqual({ write: before.write, secret: plain });
    expect(await readFile(files.hashedFile, 'utf8')).toBe(hashed);
    expect((await stat(files.plainFile)).mode & 0o777).toBe(0o600);
  });

  test('a file that holds no keys is named, not overwritten', async () => {
    const files = filesIn('shared');
    await writeFile(files.plainFile, '{}');
    await expect(ensureApiKeys(files)).rejects.toMatchObject({ code: 'KEYS_UNREADABLE' });
    expect(await readFile(files.plainFile, 'utf8')).toBe('{}');
  });

  test('a pair that `serve` would refuse is said to be, and not quietly let in again', async () => {
    const files = filesIn('revoked');
    await ensureApiKeys(files);
    await changeHashedKeys(files.hashedFile, (keys) =>
      revokeKey(keys, { name: 'secret', onlyReplaced: false }),
    );
    await expect(ensureApiKeys(files)).rejects.toMatchObject({
      code: 'KEYS_REFUSED',
      message: expect.stringContaining('was revoked'),
    });
  });
});

describe('the hashed file', () => {
  test('twenty who change it at once all get their change', async () => {
    const { hashedFile } = filesIn('crowd');
    const names = Array.from({ length: 20 }, (_none, index) => `site-${index}`);
    await Promise.all(
      names.map((name) =>
        changeHashedKeys(hashedFile, (keys) => createKey(keys, { name, scope: 'write' }, NOW_MS)),
      ),
    );
    const { keys } = await readHashedKeys(hashedFile);
    expect(keys.map(({ name }) => name).sort()).toEqual([...names].sort());
    expect(await readdir(path.dirname(hashedFile))).toEqual(['keys.hashed.json']);
  });

  test('two processes that rotate one key at once: both keys hold, and so does the one before until the overlap ends', async () => {
    const { hashedFile } = filesIn('processes');
    const { plain } = await changeHashedKeys(hashedFile, (keys) =>
      createKey(keys, { name: 'shop', scope: 'write' }, NOW_MS),
    );
    const root = fileURLToPath(new URL('../..', import.meta.url));
    const rotate = async (): Promise<string> => {
      const args = ['bin/flywheel.js', 'keys', 'rotate', 'shop', '--overlap', '1h', '--json'];
      const env = {
        PATH: process.env.PATH,
        SERVE_KEYS_FILE: hashedFile,
        FLYWHEEL_DIR: path.dirname(hashedFile),
      };
      const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, env });
      return (JSON.parse(stdout) as { key: string }).key;
    };
    const rotated = await Promise.all([rotate(), rotate()]);
    expect(new Set(rotated).size).toBe(2);
    const { keys } = await readHashedKeys(hashedFile);
    const states = new Map(keys.map((key) => [key.sha256, stateOf(key, Date.now())]));
    expect([plain, ...rotated].map((key) => states.get(hashApiKey(key))).sort()).toEqual([
      'replaced',
      'replaced',
      'valid',
    ]);
  });

  test('a change that fails leaves it as it was, and unlocked', async () => {
    const { hashedFile } = filesIn('crowd');
    const before = await readFile(hashedFile, 'utf8');
    await expect(
      changeHashedKeys(hashedFile, (keys) => rotateKey(keys, { name: 'nobody', overlapMs: HOUR_MS }, NOW_MS)),
    ).rejects.toThrow('there is no key "nobody"');
    expect(await readFile(hashedFile, 'utf8')).toBe(before);
    await changeHashedKeys(hashedFile, (keys) => ({ keys, result: undefined }));
  });

  test('a change that no `serve` could read is refused in words, and leaves it as it was', async () => {
    const { hashedFile } = filesIn('crowd');
    const before = await readFile(hashedFile, 'utf8');
    const crowd = Array.from({ length: 1_001 }, (_none, index) => ({
      name: `site-${index}`,
      scope: 'write' as const,
      sha256: hashApiKey(`wk_${index}`),
    }));
    await expect(
      changeHashedKeys(hashedFile, () => ({ keys: crowd, result: undefined })),
    ).rejects.toMatchObject({
      code: 'KEYS_REFUSED',
      message: expect.stringContaining('there are more than 1000 names'),
    });
    expect(await readFile(hashedFile, 'utf8')).toBe(before);
  });

  test('a lock that nobody gives back is named after a while, and nothing is changed', async () => {
    const { hashedFile } = filesIn('crowd');
    const before = await readFile(hashedFile, 'utf8');
    await writeFile(`${hashedFile}.lock`, '');
    await expect(changeHashedKeys(hashedFile, (keys) => ({ keys, result: undefined }))).rejects.toMatchObject(
      {
        code: 'KEYS_LOCKED',
        message: expect.stringContaining(`${hashedFile}.lock`),
      },
    );
    expect(await readFile(hashedFile, 'utf8')).toBe(before);
    await rm(`${hashedFile}.lock`);
  });

  test('notice addresses stay ours when the first secret key is rotated and revoked', async () => {
    const { hashedFile } = filesIn('notices');
    const old: HashedKey = { name: 'team', scope: 'secret', sha256: hashApiKey('sk_first') };
    await changeHashedKeys(hashedFile, () => ({ keys: [old], result: undefined }));
    await writeFile(hashedFile, JSON.stringify({ keys: [old] }));
    const signing = noticeSecretOf(await readHashedKeys(hashedFile));
    await changeHashedKeys(hashedFile, (keys) => rotateKey(keys, { name: 'team', overlapMs: 0 }, NOW_MS));
    await changeHashedKeys(hashedFile, (keys) => ({ keys: keys.slice(1), result: undefined }));
    expect(noticeSecretOf(await readHashedKeys(hashedFile))).toEqual(signing);
  });

  test.each([
    [
      'a misspelt member',
      { keys: [{ name: 'a', scope: 'write', sha256: 'a'.repeat(64), expiresat: iso(NOW_MS) }] },
    ],
    ['no keys', { keys: [] }],
    ['a hash twice', { keys: ['a', 'b'].map((name) => ({ name, scope: 'write', sha256: 'a'.repeat(64) })) }],
    [
      'a time that is none',
      { keys: [{ name: 'a', scope: 'write', sha256: 'a'.repeat(64), expiresAt: 'soon' }] },
    ],
    [
      'a limit of events for a secret key',
      {
        keys: [
          {
            name: 'a',
            scope: 'secret',
            sha256: 'a'.repeat(64),
            limits: { events: { perSecond: 1, burst: 1 } },
          },
        ],
      },
    ],
  ])('%s is refused', async (_name, content) => {
    const file = path.join(dir, 'wrong.json');
    await writeFile(file, JSON.stringify(content));
    await expect(readHashedKeys(file)).rejects.toMatchObject({ code: 'KEYS_UNREADABLE' });
  });

  // Who then makes a first key has refused all clients and all notices that are out.
  test('where there are none, those of an older version are named before new ones are advised', async () => {
    const messageFor = (name: string) =>
      readHashedKeys(path.join(dir, 'data', name)).catch(({ message }: Error) => message);
    const cwd = process.cwd();
    await mkdir(path.join(dir, '.flywheel'));
    await writeFile(path.join(dir, '.flywheel/keys.hashed.json'), '{}');
    process.chdir(dir);
    try {
      expect(await messageFor('keys.hashed.json')).toContain(
        `${dir}/data/keys.hashed.json: older versions looked for it in .flywheel whatever FLYWHEEL_DIR says: if what .flywheel/keys.hashed.json holds`,
      );
      expect(await messageFor('others.json')).toContain('makes the first');
    } finally {
      process.chdir(cwd);
    }
  });
});

describe('administration', () => {
  const limits = { requests: { perSecond: 5, burst: 10 } };
  const first = () => createKey([], { name: 'shop', scope: 'write', limits }, NOW_MS);

  test('a rotated key has name, scope and limits of the one before, which ends with the overlap', () => {
    const { keys, result } = rotateKey(first().keys, { name: 'shop', overlapMs: 24 * HOUR_MS }, NOW_MS);
    expect(result.made).toMatchObject({ name: 'shop', scope: 'write', limits });
    expect(result.made).not.toHaveProperty('expiresAt');
    expect(result.before).toMatchObject({
      expiresAt: iso(NOW_MS + 24 * HOUR_MS),
      replacedBy: hashApiKey(result.plain),
    });
    const statesAt = (nowMs: number) => keys.map((key) => stateOf(key, nowMs));
    expect(statesAt(NOW_MS + 24 * HOUR_MS - 1)).toEqual(['replaced', 'valid']);
    expect(statesAt(NOW_MS + 24 * HOUR_MS)).toEqual(['expired', 'valid']);
  });

  test('a rotation never lets the key before live longer, and gives the new one as long a life', () => {
    const given = createKey([], { name: 'shop', scope: 'write', expiresAtMs: NOW_MS + 10 * HOUR_MS }, NOW_MS);
    const atMs = NOW_MS + 9 * HOUR_MS;
    const { result } = rotateKey(given.keys, { name: 'shop', overlapMs: 24 * HOUR_MS }, atMs);
    expect(result.before.expiresAt).toBe(iso(NOW_MS + 10 * HOUR_MS));
    expect(result.made.expiresAt).toBe(iso(atMs + 10 * HOUR_MS));
    const never = rotateKey(given.keys, { name: 'shop', overlapMs: 0, expiresAtMs: null }, atMs);
    expect(never.result.made).not.toHaveProperty('expiresAt');
    expect(stateOf(never.result.before, atMs)).toBe('expired');
  });

  test('a rotation ends what an earlier one let live on: an overlap of 0 refuses every key before', () => {
    const earlier = rotateKey(first().keys, { name: 'shop', overlapMs: 24 * HOUR_MS }, NOW_MS);
    const other = createKey(earlier.keys, { name: 'other', scope: 'write' }, NOW_MS);
    const statesAfter = (overlapMs: number, atMs: number) =>
      rotateKey(other.keys, { name: 'shop', overlapMs }, NOW_MS).keys.map((key) => stateOf(key, atMs));
    expect(statesAfter(0, NOW_MS)).toEqual(['expired', 'expired', 'valid', 'valid']);
    expect(statesAfter(HOUR_MS, NOW_MS + HOUR_MS - 1)).toEqual(['replaced', 'replaced', 'valid', 'valid']);
    expect(statesAfter(HOUR_MS, NOW_MS + HOUR_MS)).toEqual(['expired', 'expired', 'valid', 'valid']);
    // No rotation lengthens what an earlier one left.
    expect(statesAfter(48 * HOUR_MS, NOW_MS + 24 * HOUR_MS)).toEqual([
      'expired',
      'replaced',
      'valid',
      'valid',
    ]);
  });

  test('an expired key can be rotated, a revoked one must be made anew', () => {
    const given = createKey([], { name: 'shop', scope: 'write', expiresAtMs: NOW_MS + 1 }, NOW_MS);
    expect(rotateKey(given.keys, { name: 'shop', overlapMs: HOUR_MS }, NOW_MS + 9).keys).toHaveLength(2);
    const gone = revokeKey(given.keys, { name: 'shop', onlyReplaced: false });
    expect(() => rotateKey(gone.keys, { name: 'shop', overlapMs: 0 }, NOW_MS)).toThrow('was revoked');
    expect(createKey(gone.keys, { name: 'shop', scope: 'secret' }, NOW_MS).keys).toHaveLength(2);
  });

  test('a name is taken once, and must be one; a limit of events is for write keys', () => {
    expect(() => createKey(first().keys, { name: 'shop', scope: 'write' }, NOW_MS)).toThrow('already');
    for (const name of ['', '../x', 'a b', 'x'.repeat(65)])
      expect(() => createKey([], { name, scope: 'write' }, NOW_MS), name).toThrow('no name for a key');
    const team = createKey([], { name: 'team', scope: 'secret' }, NOW_MS);
    const events = { events: { perSecond: 1, burst: 1 } };
    expect(() => limitKey(team.keys, { name: 'team', limits: events })).toThrow('for write keys');
    expect(() => createKey([], { name: 'x', scope: 'write', expiresAtMs: NOW_MS }, NOW_MS)).toThrow('past');
  });

  test('revoking ends all of a name, or only the overlap', () => {
    const { keys } = rotateKey(first().keys, { name: 'shop', overlapMs: HOUR_MS }, NOW_MS);
    const overlap = revokeKey(keys, { name: 'shop', onlyReplaced: true });
    expect(overlap.keys.map((key) => stateOf(key, NOW_MS))).toEqual(['revoked', 'valid']);
    expect(() => revokeKey(overlap.keys, { name: 'shop', onlyReplaced: true })).toThrow('left to revoke');
    const all = revokeKey(keys, { name: 'shop', onlyReplaced: false });
    expect([all.result, all.keys.map((key) => stateOf(key, NOW_MS))]).toEqual([2, ['revoked', 'revoked']]);
  });

  test('limits go to every key of the name and can be lifted', () => {
    const { keys } = rotateKey(first().keys, { name: 'shop', overlapMs: HOUR_MS }, NOW_MS);
    const other = { requests: { perSecond: 1, burst: 1 } };
    const limited = limitKey(keys, { name: 'shop', limits: other });
    expect(limited.keys.map((key) => key.limits)).toEqual([other, other]);
    const lifted = limitKey(keys, { name: 'shop', limits: undefined });
    for (const key of lifted.keys) expect(key).not.toHaveProperty('limits');
  });

  test('limits are for the keys of the name that can call, whatever scope a revoked one had', () => {
    const before = createKey([], { name: 'shop', scope: 'secret' }, NOW_MS).keys;
    const { keys: revoked } = revokeKey(before, { name: 'shop', onlyReplaced: false });
    const { keys } = createKey(revoked, { name: 'shop', scope: 'write' }, NOW_MS);
    const limits = { events: { perSecond: 100, burst: 200 } };
    const limited = limitKey(keys, { name: 'shop', limits });
    expect(limited.keys.map((key) => key.limits)).toEqual([undefined, limits]);
    expect(() => limitKey(revoked, { name: 'shop', limits })).toThrow('was revoked: create it anew');
  });

  test('keys of a name are bounded: refused ones are forgotten, valid ones never', () => {
    let { keys } = first();
    for (let turn = 0; turn < 3 * KEYS_PER_NAME_MAX; turn += 1)
      ({ keys } = rotateKey(keys, { name: 'shop', overlapMs: 0 }, NOW_MS + turn));
    expect(keys).toHaveLength(KEYS_PER_NAME_MAX);
    expect(keys.filter((key) => stateOf(key, NOW_MS + HOUR_MS) === 'valid')).toHaveLength(1);
    ({ keys } = first());
    for (let turn = 1; turn < KEYS_PER_NAME_MAX; turn += 1)
      ({ keys } = rotateKey(keys, { name: 'shop', overlapMs: HOUR_MS }, NOW_MS));
    expect(() => rotateKey(keys, { name: 'shop', overlapMs: HOUR_MS }, NOW_MS)).toThrow('are valid');
  });
});
