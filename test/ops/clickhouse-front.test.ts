// The local ClickHouse as `@clickhouse/client` sees it: every way of the client that Flywheel uses, and what must not get through.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { getPriority, tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ephemeralPorts } from '../../ops/local/ports.ts';
import { type Stack, startStack } from '../../ops/local/stack.ts';

let dir: string;
let stack: Stack;
let client: ClickHouseClient;

beforeAll(async () => {
  dir = mkdtempSync(path.join(tmpdir(), 'flywheel-front-'));
  await start();
});

afterAll(async () => {
  await client.close();
  await stack.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function start(): Promise<void> {
  stack = await startStack({ dir, ports: 'ephemeral', parts: ['clickhouse'] });
  client = createClient({
    url: stack.clickhouseUrl!,
    database: 'default',
    log: { level: ClickHouseLogLevel.OFF },
  });
}

async function rowsOf<Row>(query: string, parameters?: Record<string, unknown>): Promise<Row[]> {
  const result = await client.query({ query, format: 'JSONEachRow', query_params: parameters ?? {} });
  return result.json<Row>();
}

/** As curl would send it. */
async function send(pathAndQuery: string, body: string | Buffer, headers: Record<string, string> = {}) {
  const response = await fetch(`${stack.clickhouseUrl}${pathAndQuery}`, { method: 'POST', body, headers });
  return {
    status: response.status,
    code: response.headers.get('x-clickhouse-exception-code'),
    text: await response.text(),
  };
}

async function makeTable(name: string): Promise<void> {
  await client.command({
    query: `CREATE OR REPLACE TABLE ${name} (id UInt64, text String) ENGINE = MergeTree ORDER BY id`,
  });
}

describe('client', () => {
  test('ping', async () => {
    expect(await client.ping()).toMatchObject({ success: true });
    expect(await client.ping({ select: true })).toMatchObject({ success: true });
  });

  test('insert of arrays and streams in both row formats; the summary counts what was written', async () => {
    await makeTable('inserted');
    const first = await client.insert({
      table: 'inserted',
      values: [
        { id: 1, text: 'a' },
        { id: 2, text: 'ü "\' \n' },
      ],
      format: 'JSONEachRow',
    });
    expect(first.summary?.written_rows).toBe('2');
    await client.insert({
      table: 'inserted',
      values: [[3, 'c']],
      format: 'JSONCompactEachRow',
      columns: ['id', 'text'],
    });
    await client.insert({
      table: 'inserted',
      values: Readable.from([
        { id: 4, text: 'd' },
        { id: 5, text: 'e' },
      ]),
      format: 'JSONEachRow',
    });
    await client.insert({
      table: 'inserted',
      values: Readable.from([
        [6, 'f'],
        [7, 'g'],
      ]),
      format: 'JSONCompactEachRow',
    });
    await client.command({ query: "INSERT INTO inserted VALUES (8, 'in;line'), (9, 'x')" });
    expect(await rowsOf('SELECT id, text FROM inserted ORDER BY id')).toEqual(
      ['a', 'ü "\' \n', 'c', 'd', 'e', 'f', 'g', 'in;line', 'x'].map((text, at) => ({
        id: expect.toSatisfy((id) => Number(id) === at + 1),
        text,
      })),
    );
    expect(readdirSync(path.join(dir, 'clickhouse', 'spool'))).toEqual([]);
  });

  test('20,000 rows go in as one part', async () => {
    await makeTable('large');
    const values = Array.from({ length: 20_000 }, (_, id) => [id, `row ${id} ${'x'.repeat(300)}`]);
    await client.insert({ table: 'large', values, format: 'JSONCompactEachRow' });
    expect(
      await rowsOf(
        'SELECT toUInt32(count()) AS rows, toUInt32(uniqExact(_part)) AS parts, toUInt32(sum(length(text)) > 0) AS filled FROM large',
      ),
    ).toEqual([{ rows: 20_000, parts: 1, filled: 1 }]);
  });

  test('query as JSON, with parameters of every shape', async () => {
    const result = await client.query({
      query:
        'SELECT {text:String} AS text, {list:Array(String)} AS list, {nothing:Nullable(String)} AS nothing, {number:UInt32} AS number, {at:DateTime64(3)} AS at, {map:Map(String, UInt8)} AS map',
      query_params: {
        text: "tab\t newline\n quote' backslash\\ 😀",
        list: ["it's", 'b\\'],
        nothing: null,
        number: 7,
        at: new Date(1_700_000_000_123),
        map: { k: 1 },
      },
      format: 'JSON',
    });
    const answer = await result.json<Record<string, unknown>>();
    expect(answer.rows).toBe(1);
    expect(answer.data).toEqual([
      {
        text: "tab\t newline\n quote' backslash\\ 😀",
        list: ["it's", 'b\\'],
        nothing: null,
        number: 7,
        at: '2023-11-14 22:13:20.123',
        map: { k: 1 },
      },
    ]);
    expect(
      await rowsOf('SELECT count() > 0 AS found FROM {table:Identifier}.one', { table: 'system' }),
    ).toHaveLength(1);
  });

  test('parameters of any length, as a form', async () => {
    const text = 'x'.repeat(200_000);
    const result = await client.query({
      query: 'SELECT length({text:String}) AS length',
      query_params: { text },
      format: 'JSONCompactEachRow',
      use_multipart_params: true,
    });
    expect(await result.json()).toEqual([[expect.toSatisfy((length) => Number(length) === 200_000)]]);
  });

  test('database, settings and a session belong to their requests alone', async () => {
    await client.command({ query: 'CREATE DATABASE IF NOT EXISTS other' });
    await client.command({ query: 'CREATE TABLE IF NOT EXISTS other.here (id UInt8) ENGINE = Memory' });
    const other = createClient({
      url: stack.clickhouseUrl!,
      database: 'other',
      clickhouse_settings: { max_block_size: '77' },
    });
    const settings =
      "SELECT currentDatabase() AS database, toUInt32(getSetting('max_block_size')) AS size, toUInt32((SELECT count() FROM here)) AS rows";
    expect(await (await other.query({ query: settings, format: 'JSONEachRow' })).json()).toEqual([
      { database: 'other', size: 77, rows: 0 },
    ]);
    expect(
      await rowsOf("SELECT currentDatabase() AS database, toUInt32(getSetting('max_block_size')) AS size"),
    ).not.toEqual([{ database: 'other', size: 77 }]);
    const session = { session_id: 'one' };
    await client.command({ query: 'CREATE TEMPORARY TABLE kept (id UInt8)', ...session });
    await client.insert({ table: 'kept', values: [{ id: 1 }], format: 'JSONEachRow', ...session });
    expect(
      await (await client.query({ query: 'SELECT id FROM kept', format: 'JSONEachRow', ...session })).json(),
    ).toEqual([{ id: 1 }]);
    await expect(rowsOf('SELECT id FROM kept')).rejects.toMatchObject({ type: 'UNKNOWN_TABLE' });
    await other.close();
  });

  test('compression both ways', async () => {
    await makeTable('compressed');
    const compressing = createClient({
      url: stack.clickhouseUrl!,
      compression: { request: true, response: true },
    });
    await compressing.insert({
      table: 'compressed',
      values: [{ id: 1, text: 'z'.repeat(10_000) }],
      format: 'JSONEachRow',
    });
    const result = await compressing.query({ query: 'SELECT text FROM compressed', format: 'JSONEachRow' });
    expect(result.response_headers['content-encoding']).toBe('gzip');
    expect(await result.json()).toEqual([{ text: 'z'.repeat(10_000) }]);
    await compressing.close();
    const gzipped = await send(
      '/?query=INSERT+INTO+compressed+FORMAT+JSONEachRow',
      gzipSync('{"id":2,"text":"b"}'),
      { 'content-encoding': 'gzip' },
    );
    expect(gzipped.status).toBe(200);
  });

  test('forty requests at once keep their parameters apart', async () => {
    await makeTable('crowded');
    const numbers = Array.from({ length: 40 }, (_, at) => at);
    await Promise.all(
      numbers.map(async (number) => {
        await client.insert({
          table: 'crowded',
          values: [{ id: number, text: `t${number}` }],
          format: 'JSONEachRow',
        });
        const rows = await rowsOf<{ n: number; text: string }>(
          'SELECT {n:UInt32} AS n, text FROM crowded WHERE id = {n:UInt32}',
          { n: number },
        );
        expect(rows).toEqual([{ n: number, text: `t${number}` }]);
      }),
    );
  });
});

/** With the address as it is, and any headers. */
function ask(
  method: string,
  address: string,
  headers: Record<string, string> = {},
  body?: string,
): Promise<{ status: number; code: unknown; text: string }> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(stack.clickhouseUrl!);
    const asked = request({ hostname, port, method, path: address, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () =>
        resolve({
          status: response.statusCode!,
          code: response.headers['x-clickhouse-exception-code'],
          text,
        }),
      );
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

describe('what is not asked by POST', () => {
  const read = '/?query=SELECT+text,getSetting(%27readonly%27)+FROM+shown';

  test('reads, with settings and parameters', async () => {
    await makeTable('shown');
    await client.insert({ table: 'shown', values: [{ id: 1, text: 'a' }], format: 'JSONEachRow' });
    expect(await ask('GET', `${read}+WHERE+id={id:UInt8}&param_id=1&max_threads=1&database=default`)).toEqual(
      {
        status: 200,
        code: undefined,
        text: 'a\t2\n',
      },
    );
  });

  test('changes nothing, whatever else the address says', async () => {
    await makeTable('shown');
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE'])
      for (const statement of ['DROP TABLE shown', 'CREATE TABLE made (id UInt8) ENGINE = Memory'])
        expect(await ask(method, `/?query=${encodeURIComponent(statement)}`)).toMatchObject({
          status: 500,
          code: '164',
        });
    expect(await ask('GET', '/?query=INSERT+INTO+shown+VALUES+(1,1)')).toMatchObject({ code: '164' });
    for (const setting of ['readonly=0', 'readonly=1&readonly=0', 'param_x=1&readonly=0'])
      expect(await ask('GET', `/?query=DROP+TABLE+shown&${setting}`)).toMatchObject({ code: '164' });
    expect(await ask('GET', '/?query=SET+readonly=0')).toMatchObject({ code: '164' });
    for (const statement of [
      'DROP TABLE shown SETTINGS readonly=0',
      "INSERT INTO shown SETTINGS readonly=0 VALUES (1,'a')",
    ])
      expect(await ask('GET', `/?query=${encodeURIComponent(statement)}`)).toMatchObject({ code: '164' });
    expect(await rowsOf('SELECT * FROM shown')).toEqual([]);
    expect(readdirSync(path.join(dir, 'clickhouse', 'spool'))).toEqual([]);
  });

  test('leaves a session as it was: there it is refused', async () => {
    await makeTable('shown');
    expect(await ask('GET', '/?query=SELECT+1&session_id=mine')).toMatchObject({ status: 501, code: '48' });
    await client.command({ query: 'DROP TABLE shown', session_id: 'mine' });
  });
});

test('no result and no row goes to a file, however it is asked', async () => {
  const made = path.join(dir, 'made');
  const before = [
    ...[
      '1 INTO OUTFILE',
      '1 into /* a */ -- b\n outfile',
      "length(‘'’) INTO OUTFILE",
      "length($$'$$) INTO OUTFILE",
    ],
    ...['1 AS “"” INTO OUTFILE', '1 INTO\u200bOUTFILE', '(1, 2).1INTO OUTFILE', "1 // '\n INTO OUTFILE"],
    ...["1 # '\n INTO OUTFILE", "1 #!'\n INTO OUTFILE", "1 −− '\n INTO OUTFILE", '1 /* /* */ INTO OUTFILE'],
  ];
  for (const method of ['GET', 'POST'])
    for (const to of before) {
      const query = encodeURIComponent(`SELECT ${to} '${made}' TRUNCATE FORMAT TSV`);
      const answer = await ask(method, `/?query=${query}`);
      expect([to, answer.code, existsSync(made)]).toEqual([to, expect.stringMatching(/^(358|62)$/), false]);
    }
  for (const method of ['GET', 'POST'])
    for (const rows of ["SELECT 'x'", "VALUES ('x')", "(SELECT 'x')"]) {
      const statement = `INSERT INTO FUNCTION file('${made}', 'LineAsString', 's String') ${rows}`;
      const answer = await ask(method, `/?query=${encodeURIComponent(statement)}`);
      expect([rows, answer.code, existsSync(made)]).toEqual([rows, '164', false]);
    }
  const behind = encodeURIComponent(`INSERT INTO t (SELECT 1); SHOW TABLES INTO OUTFILE '${made}'`);
  expect(await ask('POST', `/?query=${behind}`)).toMatchObject({ code: '62' });
  expect(existsSync(made)).toBe(false);
  expect(await rowsOf("SELECT 'INTO OUTFILE' AS `outfile`")).toEqual([{ outfile: 'INTO OUTFILE' }]);
});

test('a page of the web may send no statement', async () => {
  await makeTable('victim');
  for (const origin of ['http://evil.example', 'null'])
    expect(await ask('POST', '/', { origin }, 'DROP TABLE victim')).toMatchObject({ status: 403 });
  for (const site of ['cross-site', 'same-site', 'same-origin', ''])
    expect(await ask('GET', '/?query=SELECT+1', { 'sec-fetch-site': site })).toMatchObject({ status: 403 });
  expect(await ask('GET', '/?query=SELECT+1', { 'sec-fetch-site': 'none' })).toMatchObject({ status: 200 });
  for (const host of ['evil.example:18123', '127.0.0.1.evil.example', 'localhost@evil.example'])
    expect(await ask('GET', '/?query=SELECT+1', { host })).toMatchObject({ status: 403 });
  for (const host of ['LOCALHOST:18123', '127.0.0.1', '[::1]:18123'])
    expect(await ask('GET', '/?query=SELECT+1', { host })).toMatchObject({ status: 200 });
  expect(await rowsOf('SELECT * FROM victim')).toEqual([]);
});

test('no address and no name of a query ends the process or leaves data behind', async () => {
  await makeTable('named');
  const pid = stack.pidOf('clickhouse');
  expect(await ask('GET', '//?query=SELECT+1')).toMatchObject({
    status: 404,
    text: 'There is no handle //\n',
  });
  expect(await ask('GET', 'http://[/?query=SELECT+1')).toMatchObject({ status: 400, code: '36' });
  expect(await ask('OPTIONS', '*')).toMatchObject({ status: 404 });
  const insert = '/?query=INSERT+INTO+named+FORMAT+JSONEachRow';
  const { status } = await ask('POST', `${insert}&query_id=%D0%B7`, {}, '{"id":1,"text":"a"}');
  expect(status).not.toBe(200);
  expect(readdirSync(path.join(dir, 'clickhouse', 'spool'))).toEqual([]);
  expect(await ask('GET', '/ping')).toMatchObject({ status: 200 });
  expect(stack.pidOf('clickhouse')).toBe(pid);
});

test('who is started with a low priority may keep it', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'flywheel-nice-'));
  // Root may raise a priority, unless it gave up the capability.
  const asOthers = process.getuid!() === 0 ? ['setpriv', '--bounding-set', '-sys_nice'] : [];
  const front = [process.execPath, '--import', 'tsx', 'ops/local/clickhouse-front.ts'];
  const { redis: port } = await ephemeralPorts();
  const [command, ...args] = [
    ...asOthers,
    'nice',
    '-n',
    '10',
    ...front,
    '--port',
    `${port}`,
    '--dir',
    folder,
  ];
  const child = spawn(command!, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
  const ended = once(child, 'exit');
  await expect.poll(() => said, { timeout: 60_000 }).toMatch(/./);
  const priority = getPriority(child.pid!);
  child.stdin.end();
  expect([await ended, said]).toEqual([[0, null], expect.stringMatching(/^ready: /)]);
  expect(priority).toBe(10);
  rmSync(folder, { recursive: true });
});

describe('errors', () => {
  test('wrong SQL, missing tables and settings come with ClickHouse’s codes', async () => {
    await expect(client.command({ query: 'SELEC 1' })).rejects.toMatchObject({
      code: '62',
      type: 'SYNTAX_ERROR',
    });
    await expect(rowsOf('SELECT * FROM missing')).rejects.toMatchObject({
      code: '60',
      type: 'UNKNOWN_TABLE',
    });
    await expect(
      client.insert({ table: 'missing', values: [{ a: 1 }], format: 'JSONEachRow' }),
    ).rejects.toMatchObject({ code: '60' });
    await expect(
      client.command({ query: 'SELECT 1', clickhouse_settings: { nonsense: 1 } as never }),
    ).rejects.toMatchObject({ code: '115' });
    expect(await send('/', 'SELECT * FROM missing')).toMatchObject({
      status: 404,
      code: '60',
      text: expect.stringMatching(/^Code: 60\. DB::Exception: .*\(UNKNOWN_TABLE\) \(version /),
    });
    expect(await send('/?database=missing', 'SELECT 1')).toMatchObject({ code: '81' });
    expect(await send('/', '  ')).toMatchObject({ status: 400, code: '62' });
    expect((await fetch(`${stack.clickhouseUrl}/nowhere`)).status).toBe(404);
  });

  test('a bad row refuses the insert and leaves nothing', async () => {
    await makeTable('strict');
    const values = [{ id: 1, text: 'a' }, { id: 'no number' }];
    await expect(client.insert({ table: 'strict', values, format: 'JSONEachRow' })).rejects.toMatchObject({
      code: expect.stringMatching(/^\d+$/),
    });
    expect(await rowsOf('SELECT id FROM strict')).toEqual([]);
    expect(readdirSync(path.join(dir, 'clickhouse', 'spool'))).toEqual([]);
  });

  test('data after a blank line is data, never SQL', async () => {
    await makeTable('victim');
    const attack = '{"id":1,"text":"a"}\n\nDROP TABLE victim\n';
    expect((await send('/?query=INSERT+INTO+victim+FORMAT+JSONEachRow', attack)).status).not.toBe(200);
    expect((await send('/', `INSERT INTO victim FORMAT JSONEachRow\n${attack}`)).status).not.toBe(200);
    expect(
      (
        await send(
          '/?query=INSERT+INTO+victim+FORMAT+JSONEachRow',
          '{"id":1,"text":"a"}\n\n{"id":2,"text":"b"}\n',
        )
      ).status,
    ).toBe(200);
    expect(await rowsOf('SELECT text FROM victim ORDER BY id')).toEqual([{ text: 'a' }, { text: 'b' }]);
  });

  test('a second statement is refused', async () => {
    await makeTable('victim');
    expect(await send('/', 'SELECT 1; DROP TABLE victim')).toMatchObject({ status: 400, code: '62' });
    expect(await rowsOf('SELECT * FROM victim')).toEqual([]);
  });

  test('a parameter cannot leave its literal', async () => {
    await makeTable('victim');
    const text = "x', param_y='1'; DROP TABLE victim; --\\";
    expect(await rowsOf('SELECT {text:String} AS text', { text })).toEqual([{ text }]);
    expect(
      await send(`/?${encodeURIComponent('max_threads=1; DROP TABLE victim; SET a')}=1`, 'SELECT 1'),
    ).toMatchObject({ code: '115' });
    expect(await rowsOf('SELECT * FROM victim')).toEqual([]);
  });
});

test('a statement whose client went away is killed', async () => {
  const running =
    "SELECT toUInt32(count()) AS running FROM system.processes WHERE query LIKE '%100000000000%' AND query NOT LIKE '%processes%'";
  const left = request(stack.clickhouseUrl!, { method: 'POST' });
  left.on('error', () => {});
  left.end('SELECT count() FROM numbers(100000000000) WHERE NOT ignore(sipHash64(number))');
  await expect.poll(() => rowsOf(running), { timeout: 5000 }).toEqual([{ running: 1 }]);
  left.destroy();
  await expect.poll(() => rowsOf(running), { timeout: 5000 }).toEqual([{ running: 0 }]);
});

test('a restart keeps the data, also after a kill', async () => {
  await makeTable('kept');
  await client.insert({ table: 'kept', values: [{ id: 1, text: 'before' }], format: 'JSONEachRow' });
  await client.close();
  await stack.stop();
  await start();
  expect(await rowsOf('SELECT text FROM kept')).toEqual([{ text: 'before' }]);
  await client.insert({ table: 'kept', values: [{ id: 2, text: 'killed' }], format: 'JSONEachRow' });
  process.kill(stack.pidOf('clickhouse')!, 'SIGKILL');
  await expect
    .poll(() => rowsOf('SELECT text FROM kept ORDER BY id').catch(() => undefined), { timeout: 20_000 })
    .toEqual([{ text: 'before' }, { text: 'killed' }]);
});
