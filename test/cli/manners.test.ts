// How commands end: when what they ask is not there, when the time that they were given is over, when nobody reads on.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, expect, inject, it } from 'vitest';
import { takeFolder } from '../../ops/local/pids.ts';
import { DEFAULT_PORTS } from '../../ops/local/ports.ts';
import { ensureApiKeys } from '../../platform/api-keys.ts';
import { openClickHouse } from '../../platform/clickhouse.ts';
import { readConfig } from '../../platform/config.ts';
import { migrate } from '../../platform/migrate.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import { endChildren, startChild } from '../e2e/support/child.ts';

const NOBODY = 'http://127.0.0.1:1';
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

afterEach(endChildren);

/** The address of a stand-in for serve. */
async function listening(server: Server): Promise<string> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

it('tail says at once that serve is not there, and where it looked', async () => {
  const tail = startChild('tail', { SECRET_KEY: 'sk' }, ['--url', NOBODY]);
  expect((await tail.ended).code).toBe(1);
  expect(tail.errors()).toBe(`serve at ${NOBODY} cannot be reached: is it up?\n`);
});

it('tail ends in the time that it was given, though serve dies meanwhile', async () => {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('event: open\ndata: {"watching":{},"resumed":null}\n\nevent: ready\ndata: {}\n\n');
  });
  const url = await listening(server);
  const tail = startChild('tail', { SECRET_KEY: 'sk' }, ['--url', url, '--seconds', '1']);
  await tail.untilSaid('watching everything');
  server.closeAllConnections();
  server.close();
  expect((await tail.ended).code).toBe(0);
  expect(tail.errors()).toContain('cut off: ');
});

it('tail says in words what serve refuses', async () => {
  const server = createServer((_request, response) => {
    response.writeHead(400, { 'content-type': 'application/problem+json' });
    response.end(JSON.stringify({ code: 'invalid', detail: 'seconds must be integer' }));
  });
  const url = await listening(server);
  const tail = startChild('tail', { SECRET_KEY: 'sk' }, ['--url', url, '--seconds', 'x']);
  expect((await tail.ended).code).toBe(1);
  expect(tail.errors()).toBe('serve refuses: seconds must be integer\n');
  server.close();
});

it('up does not begin with an option that it would not heed', async () => {
  const up = startChild('up', {}, ['--until', '2026-01-01T00:00:00Z']);
  expect((await up.ended).code).toBe(1);
  expect(up.errors()).toContain("option '--until <time>' is of --replay");
});

it('up goes on though the disk that its output goes to is full', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'flywheel-manners-'));
  // Taken, by this one or by whoever was there before: what ends it is to be that.
  const taken = createServer().on('error', () => {});
  taken.listen(DEFAULT_PORTS.serve, '127.0.0.1');
  const command = `"${process.execPath}" "${MAIN}" up --dir "${folder}" > /dev/full`;
  const failed = await promisify(execFile)('sh', ['-c', command]).catch((error: unknown) => error);
  expect(failed).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^serve needs port \d+[^\n]*\n$/),
  });
  taken.close();
  await rm(folder, { recursive: true });
});

it('serve goes on though the disk that its log goes to is full', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'flywheel-manners-'));
  const hashedFile = path.join(folder, 'keys.hashed.json');
  const environment = {
    FLYWHEEL_NAMESPACE: 'manners',
    FLYWHEEL_DIR: folder,
    KAFKA_BROKERS: inject('kafkaBrokers'),
    REDIS_URL: inject('redisUrl'),
    CLICKHOUSE_URL: inject('clickhouseUrl'),
    SERVE_PORT: '0',
    SERVE_KEYS_FILE: hashedFile,
  };
  await ensureApiKeys({ plainFile: path.join(folder, 'keys.json'), hashedFile });
  await migrate({ config: readConfig(environment) });
  const serve = startChild('serve', environment, [], '/dev/full');
  const { url } = await serve.ready;
  const isBroken = async (): Promise<string | undefined> =>
    /^flywheel_keys_file_broken (\d)$/m.exec(await (await fetch(`${url}/metrics`)).text())?.[1];
  const keys = await readFile(hashedFile, 'utf8');
  // It says in its log that the file is broken, and then that it is whole again.
  await writeFile(hashedFile, 'broken');
  await expect.poll(isBroken, { timeout: 60_000 }).toBe('1');
  await writeFile(hashedFile, keys);
  await expect.poll(isBroken, { timeout: 60_000 }).toBe('0');
  expect((await serve.stop()).code).toBe(0);
  await rm(folder, { recursive: true });
});

it('status says in words, and without its password, that a ClickHouse cannot be reached', async () => {
  const environment = {
    FLYWHEEL_NAMESPACE: 'manners',
    KAFKA_BROKERS: inject('kafkaBrokers'),
    REDIS_URL: inject('redisUrl'),
  };
  await migrate({ config: readConfig({ ...environment, CLICKHOUSE_URL: inject('clickhouseUrl') }) });
  const away = { ...environment, CLICKHOUSE_URL: 'http://flywheel:geheim@127.0.0.1:1' };
  const status = startChild('status', away, ['--json']);
  expect((await status.ended).code, status.errors()).toBe(1);
  const { faults } = JSON.parse(status.output()) as { faults: string[] };
  expect(faults).toContainEqual(expect.stringMatching(/^no ClickHouse at 127\.0\.0\.1:1: .*ECONNREFUSED/));
  expect(status.output()).not.toContain('geheim');
});

it('status says what ClickHouse refuses', async () => {
  const environment = {
    FLYWHEEL_NAMESPACE: 'manners',
    KAFKA_BROKERS: inject('kafkaBrokers'),
    REDIS_URL: inject('redisUrl'),
    CLICKHOUSE_URL: inject('clickhouseUrl'),
  };
  const config = readConfig(environment);
  await migrate({ config });
  const { database } = namespaceOf(config.namespace);
  const clickhouse = openClickHouse({ url: config.clickhouseUrl, database });
  await clickhouse.command({ query: 'RENAME TABLE rejects TO rejects_aside' });
  const status = startChild('status', environment);
  expect((await status.ended).code, status.errors()).toBe(1);
  expect(status.output()).toMatch(/unhealthy: ClickHouse does not tell what was rejected: .*rejects/);
  await clickhouse.command({ query: 'RENAME TABLE rejects_aside TO rejects' });
  await clickhouse.close();
});

it('replay says which file it cannot read', async () => {
  const replay = startChild('replay', { SECRET_KEY: 'sk' }, ['rees46', '/nothing/here.csv', '--url', NOBODY]);
  expect((await replay.ended).code).toBe(1);
  expect(replay.errors()).toBe('/nothing/here.csv cannot be read: is there such a file?\n');
});

it('who reads on no longer ends a command without a stack trace', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'flywheel-manners-'));
  const env = { PATH: process.env.PATH, SERVE_KEYS_FILE: path.join(folder, 'keys.hashed.json') };
  await promisify(execFile)(process.execPath, [MAIN, 'keys', 'create', 'shop', '--scope', 'write'], { env });
  const listed = `"${process.execPath}" "${MAIN}" keys list | true`;
  const { stderr } = await promisify(execFile)('sh', ['-c', listed], { env });
  expect(stderr).toBe('');
  await rm(folder, { recursive: true });
});

it('a wrong option is what stands last, not the help', async () => {
  const status = startChild('status', {}, ['--jsn']);
  expect((await status.ended).code).toBe(1);
  const [first, ...rest] = status.errors().trim().split('\n');
  expect(first).toBe("error: unknown option '--jsn'");
  expect(rest.join(' ')).toBe('(Did you mean --json?) --help tells which commands and options there are.');
});

it.each(['constructor', '__proto__'])('a command named %s is one that there is not', async (name) => {
  const wrong = startChild(name, {});
  expect((await wrong.ended).code).toBe(1);
  expect(wrong.errors()).toMatch(/^error: unknown command '\w+'\n/);
});

it('bench does not measure what every object has', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'flywheel-manners-'));
  const bench = startChild('bench', {}, ['toString', '--dir', folder, '--results', folder]);
  expect((await bench.ended).code).toBe(1);
  expect(bench.errors()).toContain(
    "'toString' is invalid for argument 'what'. there are stream, serve, latency, memory",
  );
  expect(await readdir(folder)).toEqual([]);
  await rm(folder, { recursive: true });
});

it('bench leaves alone a folder of its name that is not its own', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'flywheel-manners-'));
  const theirs = path.join(folder, 'flywheel-bench', 'work');
  await mkdir(path.dirname(theirs));
  await writeFile(theirs, 'of somebody');
  const bench = startChild('bench', {}, ['stream', '--dir', folder, '--results', folder]);
  expect((await bench.ended).code).toBe(1);
  expect(bench.errors()).toBe(
    `${path.dirname(theirs)} holds what no benchmark has left there: move it away, or name another folder with --dir\n`,
  );
  expect(await readFile(theirs, 'utf8')).toBe('of somebody');
  await rm(folder, { recursive: true });
});

it('bench does not pull its folder away under another one', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'flywheel-manners-'));
  const dir = path.join(folder, 'flywheel-bench');
  await mkdir(dir);
  const { release } = await takeFolder(dir, () => {});
  const bench = startChild('bench', {}, ['stream', '--dir', folder, '--results', folder]);
  expect((await bench.ended).code).toBe(1);
  expect(bench.errors()).toContain(`process ${process.pid} works in ${dir}`);
  expect(await readdir(dir)).toEqual(['holder', 'pids.json']);
  release();
  await rm(folder, { recursive: true });
});

it.each([
  ['a byte order mark', '\uFEFF{"secret":"sk_1"}'],
  ['null', 'null'],
  ['no key', '{}'],
])('a file of keys that has %s is named, and nothing of it is shown', async (_what, content) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'flywheel-manners-'));
  const file = path.join(folder, 'keys.json');
  await writeFile(file, content);
  const tail = startChild('tail', {}, ['--keys-file', file, '--url', NOBODY]);
  expect((await tail.ended).code).toBe(1);
  expect(tail.errors()).toMatch(new RegExp(`^${file} holds no secret key: it must be JSON[^\\n]*\\n$`));
  expect(tail.errors()).not.toContain('sk_1');
  await rm(folder, { recursive: true });
});
