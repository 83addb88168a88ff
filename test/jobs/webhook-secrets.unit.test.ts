// The receivers' signing secrets: who can read them, what signs, and what a file that is broken or written to costs.
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterAll, expect, it } from 'vitest';
import { webhookHeaders } from '../../jobs/message.ts';
import { addWebhookSecret, openWebhookSecrets } from '../../platform/webhook-secrets.ts';

const dir = mkdtempSync(path.join(tmpdir(), 'flywheel-secrets-'));
afterAll(() => rmSync(dir, { recursive: true }));

it('secrets are kept from others, and both sign while one is exchanged', async () => {
  const file = path.join(dir, 'new', 'secrets.json');
  const secrets = openWebhookSecrets(file, () => {});
  expect(await secrets.keysOf('crm')).toEqual([]);
  const before = await addWebhookSecret(file, 'crm');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(await secrets.keysOf('crm')).toHaveLength(1);
  const fresh = await addWebhookSecret(file, 'crm');
  expect(await secrets.keysOf('other')).toEqual([]);
  const body = '{"a":"ü"}';
  const headers = webhookHeaders('msg_1', Date.now(), body, await secrets.keysOf('crm'));
  for (const secret of [before, fresh]) expect(new Webhook(secret).verify(body, headers)).toEqual({ a: 'ü' });
  const third = await addWebhookSecret(file, 'crm');
  const later = webhookHeaders('msg_1', Date.now(), body, await secrets.keysOf('crm'));
  expect(() => new Webhook(before).verify(body, later)).toThrow();
  expect(new Webhook(third).verify(body, later)).toEqual({ a: 'ü' });
  expect(readFileSync(file, 'utf8')).not.toContain(before);
});

it('says at first where an older version has left the file that is not there', () => {
  const warnings: string[] = [];
  const open = (name: string) =>
    openWebhookSecrets(path.join(dir, 'data', name), (message) => warnings.push(message));
  const cwd = process.cwd();
  mkdirSync(path.join(dir, '.flywheel'));
  writeFileSync(path.join(dir, '.flywheel/webhook-secrets.json'), '{}');
  process.chdir(dir);
  try {
    for (const name of ['others.json', 'webhook-secrets.json']) open(name);
  } finally {
    process.chdir(cwd);
  }
  expect(warnings).toEqual([
    expect.stringContaining('if what .flywheel/webhook-secrets.json holds belongs here, move that file'),
  ]);
});

// It ended the turn, and so each turn after it: nobody got any webhook until the file was mended.
it('a file that cannot be read leaves the secrets from before, and says so once for each change', async () => {
  const file = path.join(dir, 'broken.json');
  const warnings: string[] = [];
  const secrets = openWebhookSecrets(file, (message) => warnings.push(message));
  await addWebhookSecret(file, 'crm');
  const before = await secrets.keysOf('crm');
  expect(before).toHaveLength(1);

  // The times are told, so that two changes within one tick of the file system's clock are two.
  const write = (text: string, changedS: number): void => {
    writeFileSync(file, text);
    utimesSync(file, changedS, changedS);
  };
  write('{"crm": ["whsec_sh', 1_000);
  expect(await Promise.all([secrets.keysOf('crm'), secrets.keysOf('crm')])).toEqual([before, before]);
  expect(await secrets.keysOf('crm')).toEqual(before);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toContain(file);
  expect(warnings[0]).not.toContain('whsec_sh');
  write('{"crm": ["whsec_short"]}', 1_001);
  expect(await secrets.keysOf('crm')).toEqual(before);
  expect(warnings).toHaveLength(2);
  await expect(addWebhookSecret(file, 'crm')).rejects.toMatchObject({ code: 'SECRETS_UNREADABLE' });

  write('{}', 1_002);
  expect(await secrets.keysOf('crm')).toEqual([]);
  expect(warnings).toHaveLength(2);
});

it('a file that could not be opened is tried again, also if it does not change', async () => {
  const file = path.join(dir, 'refused.json');
  const warnings: string[] = [];
  const secrets = openWebhookSecrets(file, (message) => warnings.push(message));
  // What a file that one may not read looks like to everybody, root included.
  mkdirSync(file);
  utimesSync(file, 1_000, 1_000);
  for (let look = 0; look < 3; look += 1) expect(await secrets.keysOf('crm')).toEqual([]);
  expect(warnings).toHaveLength(1);
  rmSync(file, { recursive: true });
  await addWebhookSecret(file, 'crm');
  utimesSync(file, 1_000, 1_000);
  expect(await secrets.keysOf('crm')).toHaveLength(1);
});

it('eight who add one at once all get theirs', async () => {
  const file = path.join(dir, 'crowd', 'secrets.json');
  const names = Array.from({ length: 8 }, (_none, index) => `receiver-${index}`);
  const made = await Promise.all(names.map((name) => addWebhookSecret(file, name)));
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(
    Object.fromEntries(names.map((name, index) => [name, [made[index]]])),
  );
  expect(readdirSync(path.dirname(file))).toEqual(['secrets.json']);
});
