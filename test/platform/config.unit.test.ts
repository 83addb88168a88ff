// Settings as they are read from the environment.
import { expect, it } from 'vitest';
import { readConfig, readExternalParts } from '../../platform/config.ts';

it('a variable that is set to nothing counts as not set', () => {
  const nothing = {
    ...{ FLYWHEEL_DIR: '', KAFKA_BROKERS: '', REDIS_URL: '', CLICKHOUSE_URL: '', SERVE_HOST: '' },
    ...{ SERVE_PORT: '', SERVE_KEYS_FILE: '', SECRET_KEY: '', STREAM_SLOT: '', STREAM_CACHE: '' },
  };
  expect(readConfig(nothing)).toEqual(readConfig({}));
  expect(readConfig(nothing).serveHost).toBe('127.0.0.1');
  expect(readExternalParts(nothing)).toEqual(readExternalParts({}));
});

it('the files of keys and of secrets lie in FLYWHEEL_DIR unless they are named', () => {
  expect(readConfig({ FLYWHEEL_DIR: '/x' })).toMatchObject({
    serveKeysFile: '/x/keys.hashed.json',
    jobsSecretsFile: '/x/webhook-secrets.json',
  });
  expect(readConfig({}).serveKeysFile).toBe('.flywheel/keys.hashed.json');
  const named = { FLYWHEEL_DIR: '/x', SERVE_KEYS_FILE: '/k.json', JOBS_SECRETS_FILE: 's.json' };
  expect(readConfig(named)).toMatchObject({ serveKeysFile: '/k.json', jobsSecretsFile: 's.json' });
});

it.each(['x', 'clickhouse.example.com:8123', 'clickhouse://secret@host'])(
  'CLICKHOUSE_URL %s is no address, which is said with its name and without its value',
  (url) => {
    expect(() => readConfig({ CLICKHOUSE_URL: url })).toThrow(
      /^the environment is wrong: CLICKHOUSE_URL: must be like https:\/\/\S+$/,
    );
  },
);

it.each([
  'http://127.0.0.1:18123',
  'https://u:p%40s@ch.internal:8443',
  'http://[::1]:8123',
  'http://clickhouse',
])('CLICKHOUSE_URL %s is taken as it is', (url) => {
  expect(readConfig({ CLICKHOUSE_URL: url }).clickhouseUrl).toBe(url);
});
