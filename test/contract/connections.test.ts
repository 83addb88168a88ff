// Topics and their generations, Redis and ClickHouse: that they are as the rest expects, and that their absence is told clearly.
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import {
  type ClickHouse,
  insertCompact,
  insertLines,
  openClickHouse,
  pingClickHouse,
} from '../../platform/clickhouse.ts';
import { ensureGeneration, openTopicAdmin, type TopicAdmin } from '../../platform/kafka-topics.ts';
import { generationsKey } from '../../platform/keys.ts';
import { namespaceOf, topicPartitions } from '../../platform/namespace.ts';
import { openRedis, type RedisClient } from '../../platform/redis.ts';

let admin: TopicAdmin;
let redis: RedisClient;

beforeAll(async () => {
  admin = openTopicAdmin(inject('kafkaBrokers'));
  redis = await openRedis({ url: inject('redisUrl'), autoPipelining: true });
});

afterAll(async () => {
  await admin.close();
  redis.disconnect();
});

describe('topics', () => {
  const namespace = namespaceOf('contract-topics');
  const all = Object.values(namespace.topics);

  test('are made once, with their partitions and an id each', async () => {
    expect([...(await admin.createMissing(namespace))].sort()).toEqual([...all].sort());
    expect(await admin.createMissing(namespace)).toEqual([]);
    const described = await admin.describe(all);
    expect(described.map(({ partitions }) => partitions)).toEqual([12, 4, 1, 1, 4, 1]);
    expect(new Set(described.map(({ id }) => id)).size).toBe(all.length);
  });

  test('two that make them at the same time do not disturb each other', async () => {
    const other = namespaceOf('contract-topics-race');
    const second = openTopicAdmin(inject('kafkaBrokers'));
    await Promise.all([admin.createMissing(other), second.createMissing(other)]);
    await second.close();
    expect(await admin.describe(Object.values(other.topics))).toEqual(
      Object.values(topicPartitions).map((partitions) => expect.objectContaining({ partitions })),
    );
  });

  test('a missing one is named, with what to do', async () => {
    await expect(admin.describe(['contract-nowhere'])).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
      message: expect.stringContaining('flywheel migrate'),
    });
    await expect(admin.watermarks('contract-nowhere')).rejects.toMatchObject({ code: 'TOPIC_MISSING' });
  });

  test('no broker: KAFKA_UNREACHABLE with the address', async () => {
    const nowhere = openTopicAdmin('127.0.0.1:1');
    await expect(nowhere.describe(all)).rejects.toMatchObject({
      code: 'KAFKA_UNREACHABLE',
      message: expect.stringContaining('127.0.0.1:1'),
    });
    await nowhere.close();
  });

  test('state belongs to one generation: a topic made anew is refused', async () => {
    const firstTime = await ensureGeneration(namespace, admin, redis);
    expect(firstTime).toEqual({ events: 1, spend: 1, rejected: 1 });
    const noted = await redis.hgetall(generationsKey(namespace));
    expect(noted[namespace.topics.events]).toMatch(/^1:[0-9a-f-]{36}:12$/);
    expect(await ensureGeneration(namespace, admin, redis)).toEqual(firstTime);

    await redis.hset(
      generationsKey(namespace),
      namespace.topics.spend,
      noted[namespace.topics.spend]!.replace(/^1/, '7'),
    );
    expect(await ensureGeneration(namespace, admin, redis)).toEqual({ events: 1, spend: 7, rejected: 1 });

    await admin.deleteTopics([namespace.topics.spend]);
    await expect
      .poll(() => admin.createMissing(namespace), { timeout: 10_000 })
      .toEqual([namespace.topics.spend]);
    await expect(ensureGeneration(namespace, admin, redis)).rejects.toMatchObject({
      code: 'GENERATION_MISMATCH',
      message: expect.stringContaining(namespace.topics.spend),
    });
  });
});

describe('Redis', () => {
  test('a batch of commands in one turn is answered in order', async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, () => redis.incr('contract:counter')));
    expect(answers).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
  });

  test('bytes come back as they were', async () => {
    const bytes = Buffer.from([0, 255, 128, 10]);
    await redis.hset('contract:hash', 'blob', bytes);
    expect((await redis.hgetallBuffer('contract:hash')).blob).toEqual(bytes);
  });

  test.each(['redis://:secret@127.0.0.1:1', 'redis+cluster://:secret@127.0.0.1:1,127.0.0.1:2'])(
    'nobody at %s: REDIS_UNREACHABLE, without the password',
    async (url) => {
      const failure = await openRedis({ url }).catch((error: Error) => error);
      expect(failure).toMatchObject({
        code: 'REDIS_UNREACHABLE',
        message: expect.stringContaining('127.0.0.1:1'),
      });
      expect((failure as Error).message).not.toContain('secret');
    },
  );
});

describe('ClickHouse', () => {
  let client: ClickHouse;
  const columns = ['id', 'text', 'time', 'steps'];

  beforeAll(async () => {
    client = openClickHouse({ url: inject('clickhouseUrl'), database: 'default' });
    await client.command({
      query: `CREATE TABLE contract_rows (id UInt32, text String, time DateTime64(3, 'UTC'), steps Array(UInt64))
        ENGINE = MergeTree ORDER BY id`,
    });
  });
  afterAll(async () => {
    await client.command({ query: 'DROP TABLE contract_rows' });
    await client.close();
  });
  const stored = async () => {
    const result = await client.query({
      query: 'SELECT * FROM contract_rows ORDER BY id',
      format: 'JSONCompactEachRow',
    });
    return result.json<unknown[]>();
  };

  test.each([false, true])('rows arrive as they were, compressed: %s', async (compression) => {
    const compressing = openClickHouse({ url: inject('clickhouseUrl'), database: 'default', compression });
    const texts = ['line\nbreak', '\n\n', 'quote \' " `', '; DROP TABLE contract_rows', '買', '\\N', '\t'];
    const rows = texts.map((text, index) => [index, text, 1_700_000_000_123 + index, [index, 2 ** 40]]);
    await insertCompact(compressing, 'contract_rows', columns, rows);
    expect(await stored()).toEqual(
      rows.map(([id, text, , steps], index) => [id, text, `2023-11-14 22:13:20.${123 + index}`, steps]),
    );
    await compressing.command({ query: 'TRUNCATE TABLE contract_rows' });
    await compressing.close();
  });

  test('lines that are JSON already, and no rows at all', async () => {
    await insertLines(client, 'contract_rows', ['id', 'text'], ['[1,"a"]', '[2,"b"]']);
    await insertCompact(client, 'contract_rows', columns, []);
    expect((await stored()).map((row) => row.slice(0, 2))).toEqual([
      [1, 'a'],
      [2, 'b'],
    ]);
    await client.command({ query: 'TRUNCATE TABLE contract_rows' });
  });

  test('a text that ends in half of a character is stored, and refuses nobody else', async () => {
    await insertCompact(
      client,
      'contract_rows',
      ['id', 'text'],
      [
        [1, 'cut \ud83d'],
        [2, 'whole 😀'],
      ],
    );
    expect((await stored()).map((row) => row.slice(0, 2))).toEqual([
      [1, 'cut \ufffd'],
      [2, 'whole 😀'],
    ]);
    await client.command({ query: 'TRUNCATE TABLE contract_rows' });
  });

  test('one bad row: an error, and no row of the insert is stored', async () => {
    const rows = [
      [1, 'a'],
      ['bad', 'b'],
    ];
    await expect(insertCompact(client, 'contract_rows', ['id', 'text'], rows)).rejects.toThrow(/parse/i);
    expect(await stored()).toEqual([]);
  });

  test('nobody there: CLICKHOUSE_UNREACHABLE with the address', async () => {
    const nowhere = openClickHouse({ url: 'http://user:secret@127.0.0.1:1', database: 'default' });
    const failure = await pingClickHouse(nowhere, 'http://user:secret@127.0.0.1:1').catch(
      (error: Error) => error,
    );
    expect(failure).toMatchObject({
      code: 'CLICKHOUSE_UNREACHABLE',
      message: expect.stringContaining('127.0.0.1:1'),
    });
    expect((failure as Error).message).not.toContain('secret');
    await nowhere.close();
  });
});
