// Collect against real Kafka: what clients send comes into the log once, what is wrong gets a clear answer and is kept.
import { brotliCompressSync, constants, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { segmentRecord } from '../../domain/buyer-record.ts';
import { buyerPartition } from '../../platform/keys.ts';
import {
  basic,
  type Logged,
  post,
  readData,
  readMessages,
  serveInNamespace,
  type TestServing,
} from './serving.ts';

let serving: TestServing;

beforeAll(async () => {
  serving = await serveInNamespace('collect', {
    kafkaBrokers: inject('kafkaBrokers'),
    redisUrl: inject('redisUrl'),
    clickhouseUrl: inject('clickhouseUrl'),
  });
});

afterAll(async () => {
  await serving.close();
});

const loggedOf = (...messageIds: string[]): Promise<Logged[]> => readMessages(serving, messageIds);

async function rejectedOf(requestDetail: (value: Logged['value']) => boolean): Promise<Logged[]> {
  return (await readData(serving, 'rejected')).filter((record) => requestDetail(record.value));
}

function track(messageId: string, fields: Record<string, unknown> = {}) {
  return { type: 'track', messageId, userId: 'u1', event: 'Product Viewed', ...fields };
}

describe('one message', () => {
  it('is in the log, under its key and partition, when the answer comes', async () => {
    const answer = await post(
      serving,
      '/v1/track',
      serving.keys.write,
      track('one-1', { properties: { a: 1 } }),
    );
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({ success: true, accepted: 1, rejected: [] });
    const [record] = await loggedOf('one-1');
    expect(record!.key).toBe('u:u1');
    expect(record!.partition).toBe(buyerPartition('u:u1'));
    expect(segmentRecord.parse(record!.value)).toMatchObject({
      kind: 'track',
      event: 'Product Viewed',
      properties: { a: 1 },
      source: 'write',
    });
  });

  it('gets a message id when it has none', async () => {
    const anonymousId = 'without-message-id';
    const answer = await post(serving, '/v1/page', serving.keys.write, { anonymousId, name: 'Home' });
    expect(answer.status).toBe(200);
    const logged = (await readData(serving, 'events')).filter((one) => one.value.anonymousId === anonymousId);
    expect(logged).toHaveLength(1);
    expect(logged[0]!.value.messageId).toMatch(/^[0-9a-f-]{36}$/);
    expect(logged[0]!.value.event).toBe('Home');
    expect(logged[0]!.key).toBe(`a:${anonymousId}`);
  });

  it('has numbers as ids taken as text, and refuses one that lost digits', async () => {
    const taken = await post(serving, '/v1/track', serving.keys.write, track('number-id', { userId: 42 }));
    expect(taken.status).toBe(200);
    expect((await loggedOf('number-id'))[0]!.key).toBe('u:42');
    const body = '{"userId": 12345678901234567890, "event": "x", "messageId": "number-lost"}';
    const refused = await post(serving, '/v1/track', serving.keys.write, body, {
      'content-type': 'application/json',
    });
    expect(refused.status).toBe(400);
    expect(refused.body.detail).toContain('2^53');
  });

  it('has its time corrected by sentAt, for a client whose clock is an hour slow', async () => {
    const clientMs = Date.now() - 3_600_000;
    await post(serving, '/v1/track', serving.keys.write, {
      ...track('skewed'),
      timestamp: new Date(clientMs - 5_000).toISOString(),
      sentAt: new Date(clientMs).toISOString(),
    });
    const { timestamp, receivedAt } = (await loggedOf('skewed'))[0]!.value;
    expect(receivedAt - timestamp).toBe(5_000);
    expect(Math.abs(receivedAt - Date.now())).toBeLessThan(60_000);
  });

  it('keeps its own times where a secret key supplies receivedAt, and only there', async () => {
    const fields = {
      timestamp: '2019-10-01T10:00:00Z',
      sentAt: '2019-10-01T11:00:00Z',
      receivedAt: '2019-10-01T10:00:01Z',
    };
    await post(serving, '/v1/track', serving.keys.secret, track('supplied', fields));
    await post(serving, '/v1/track', serving.keys.write, track('not-supplied', { ...fields, sentAt: null }));
    const [supplied] = await loggedOf('supplied');
    expect(supplied!.value).toMatchObject({
      timestamp: Date.parse('2019-10-01T10:00:00Z'),
      receivedAt: Date.parse('2019-10-01T10:00:01Z'),
      supplied: true,
    });
    const [other] = await loggedOf('not-supplied');
    expect(other!.value.supplied).toBeUndefined();
    expect(other!.value.receivedAt).toBeGreaterThan(Date.parse('2025-01-01'));
  });
});

const QUICKLY = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } };

describe('a batch', () => {
  it('keeps the order of a buyer’s messages', async () => {
    const ids = Array.from({ length: 200 }, (_, index) => `ordered-${index}`);
    const batch = ids.map((id) => track(id, { userId: 'orderly' }));
    const answer = await post(serving, '/v1/batch', serving.keys.write, { batch });
    expect(answer.body.accepted).toBe(200);
    expect((await loggedOf(...ids)).map((one) => one.value.messageId)).toEqual(ids);
  });

  it('that is half valid: that half is taken, the rest comes back and is kept with its reason', async () => {
    const batch = [
      track('half-1'),
      { type: 'track', messageId: 'half-2', event: 'No buyer' },
      track('half-3', { timestamp: '1989-12-31T23:59:59Z' }),
      track('half-4', { timestamp: new Date(Date.now() + 600_000).toISOString() }),
      track('half-5', { properties: { blob: 'x'.repeat(1_048_576) } }),
      track('half-6', { type: 'purchase' }),
      'not an object',
      track('half-8', { event: 7 }),
      track('half-9', { properties: [1, 2] }),
      { type: 'alias', messageId: 'half-10', userId: 'u1' },
      track('half-11'),
    ];
    const answer = await post(serving, '/v1/batch', serving.keys.write, {
      batch,
      sentAt: new Date().toISOString(),
    });
    expect(answer.status).toBe(200);
    expect(answer.body.accepted).toBe(2);
    const reasons = answer.body.rejected.map((one: { index: number; reason: string }) => [
      one.index,
      one.reason,
    ]);
    expect(reasons).toEqual([
      [1, 'missing_id'],
      [2, 'absurd_time'],
      [3, 'future'],
      [4, 'too_large'],
      [5, 'invalid'],
      [6, 'invalid'],
      [7, 'invalid'],
      [8, 'invalid'],
      [9, 'invalid'],
    ]);
    expect(answer.body.rejected[0]).toMatchObject({ messageId: 'half-2' });
    expect(await loggedOf('half-1', 'half-11')).toHaveLength(2);
    const sentIn = await rejectedOf((value) => value.route === '/v1/batch' && value.reason === 'too_large');
    expect(sentIn).toHaveLength(1);
    const same = await rejectedOf((value) => value.sourceId === sentIn[0]!.value.sourceId);
    expect(same.map((one) => [one.value.sourceOffset, one.value.reason])).toEqual(reasons);
    expect(JSON.parse(Buffer.from(sentIn[0]!.value.raw, 'base64').toString())).toMatchObject({
      messageId: 'half-5',
      properties: { blob: 'x'.repeat(1_048_576) },
    });
  });

  it('of which nothing is valid is a 400 that says why, and is kept', async () => {
    const batch = [
      { type: 'track', event: 'a' },
      { type: 'track', userId: 'u' },
    ];
    const answer = await post(serving, '/v1/batch', serving.keys.write, { batch });
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.body).toMatchObject({
      code: 'all_rejected',
      accepted: 0,
      rejected: [{ index: 0 }, { index: 1 }],
    });
    expect(await rejectedOf((value) => value.sourceId === answer.body.instance)).toHaveLength(2);
  });

  it('that is empty is a 400 that says so', async () => {
    const answer = await post(serving, '/v1/batch', serving.keys.write, { batch: [] });
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: 'empty_batch', status: 400, title: 'Bad Request' });
  });
});

describe('bad input', () => {
  it.each([
    ['malformed JSON', '{"userId": "u1", ', 'malformed'],
    ['no body', '', 'malformed'],
    ['an array', '[]', 'invalid'],
    ['a number', '1', 'invalid'],
  ])('%s is a 400 and is kept as it came', async (_name, body, code) => {
    const answer = await post(serving, '/v1/track', serving.keys.write, body, {
      'content-type': 'application/json',
    });
    expect(answer.status).toBe(400);
    expect(answer.body.code).toBe(code);
    const kept = await rejectedOf((value) => value.sourceId === answer.body.instance);
    expect(kept).toHaveLength(1);
    expect(Buffer.from(kept[0]!.value.raw, 'base64').toString()).toBe(body);
    expect(kept[0]!.value).toMatchObject({ route: '/v1/track', sourceTopic: 'collect', reason: code });
  });

  it.each(['userId', 'anonymousId', 'messageId', 'groupId', 'previousId'])(
    'half of a character in %s is refused: kept as U+FFFD, two ids would be one',
    async (name) => {
      const body = `{"userId":"u","event":"Viewed","${name}":"half-\\ud83d"}`;
      const answer = await post(serving, '/v1/track', serving.keys.write, body, {
        'content-type': 'application/json',
      });
      expect([answer.status, answer.body.code]).toEqual([400, 'invalid']);
      expect(answer.body.detail).toContain(`${name} holds half of a character`);
      const kept = await rejectedOf((value) => value.raw === Buffer.from(body).toString('base64'));
      expect(kept).toHaveLength(1);
    },
  );

  it('names and texts of any script are kept; lone surrogates become U+FFFD', async () => {
    const body =
      '{"messageId":"unicode","userId":"买家-é-\\ud83d\\ude00","event":"Größe","properties":{"ключ":"值","bad\\ud800key":"\\udfff!","text":"a\\\\ud800"}}';
    const answer = await post(serving, '/v1/track', serving.keys.write, body, {
      'content-type': 'application/json',
    });
    expect(answer.status).toBe(200);
    const [record] = await loggedOf('unicode');
    expect(record!.key).toBe('u:买家-é-😀');
    expect(record!.partition).toBe(buyerPartition('u:买家-é-😀'));
    expect(record!.value.properties).toEqual({ ключ: '值', 'bad\ufffdkey': '\ufffd!', text: 'a\\ud800' });
  });

  it('a key of objects’ inner names does no harm', async () => {
    const body =
      '{"messageId":"proto","userId":"u1","event":"x","properties":{"__proto__":{"a":1},"constructor":2}}';
    const answer = await post(serving, '/v1/track', serving.keys.write, body, {
      'content-type': 'application/json',
    });
    expect(answer.status).toBe(200);
    expect(({} as Record<string, unknown>).a).toBeUndefined();
    expect(await loggedOf('proto')).toHaveLength(1);
  });

  it('nesting beyond the stack is refused, not a crash', async () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    const body = `{"batch":[{"type":"track","userId":"u1","event":"deep","properties":{"a":${deep}}},${JSON.stringify(track('beside-deep'))}]}`;
    const answer = await post(serving, '/v1/batch', serving.keys.write, body, {
      'content-type': 'application/json',
    });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ accepted: 1, rejected: [{ index: 0, reason: 'invalid' }] });
  });

  it('a body beyond 5 MB is a 413, packed or not', async () => {
    const large = JSON.stringify({ batch: [track('large', { properties: { a: 'x'.repeat(6_000_000) } })] });
    const answer = await post(serving, '/v1/batch', serving.keys.write, large, {
      'content-type': 'application/json',
    });
    expect(answer.status).toBe(413);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    const packed = await post(serving, '/v1/batch', serving.keys.write, gzipSync(large), {
      'content-type': 'application/json',
      'content-encoding': 'gzip',
    });
    expect(packed.status).toBe(413);
    expect(packed.body.code).toBe('too_large');
  });

  it('is taken however it is packed', async () => {
    const packings = { gzip: gzipSync, br: brotliCompressSync, deflate: deflateSync };
    for (const [encoding, pack] of Object.entries(packings)) {
      const body = pack(JSON.stringify({ batch: [track(`packed-${encoding}`)] }));
      const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
      expect((await post(serving, '/v1/batch', serving.keys.write, body, headers)).status).toBe(200);
    }
    expect(await loggedOf('packed-gzip', 'packed-br', 'packed-deflate')).toHaveLength(3);
  });

  it('what unpacks to far more than it is gets a 413 and is not unpacked to its end', async () => {
    const zeros = Buffer.alloc(300_000_000);
    const bombs = {
      gzip: gzipSync(zeros),
      br: brotliCompressSync(zeros, QUICKLY),
      deflate: deflateSync(zeros),
    };
    for (const [encoding, bomb] of Object.entries(bombs)) {
      expect(bomb.length).toBeLessThan(1_048_576);
      const beforeBytes = process.memoryUsage().arrayBuffers;
      const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
      const answer = await post(serving, '/v1/batch', serving.keys.write, bomb, headers);
      expect(answer.status, encoding).toBe(413);
      expect(process.memoryUsage().arrayBuffers - beforeBytes).toBeLessThan(100_000_000);
    }
    const cut = gzipSync(JSON.stringify({ batch: [track('cut-off')] })).subarray(0, -9);
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
    expect((await post(serving, '/v1/batch', serving.keys.write, cut, headers)).status).toBe(400);
  });

  it('a body of 5 MB that cannot be read is kept whole', async () => {
    const body = 'x'.repeat(5 * 1_024 * 1_024);
    const answer = await post(serving, '/v1/batch', serving.keys.write, body, {
      'content-type': 'application/json',
    });
    expect(answer.status).toBe(400);
    const kept = await rejectedOf((value) => value.sourceId === answer.body.instance);
    expect(Buffer.from(kept[0]!.value.raw, 'base64').toString()).toBe(body);
  });

  it('bytes that are not packed as they say, and packings that we do not know, are told apart', async () => {
    const wrong = await post(serving, '/v1/batch', serving.keys.write, 'not gzip', {
      'content-type': 'application/json',
      'content-encoding': 'gzip',
    });
    expect(wrong.status).toBe(400);
    const unknown = await post(serving, '/v1/batch', serving.keys.write, 'x', {
      'content-type': 'application/json',
      'content-encoding': 'zstd',
    });
    expect(unknown.status).toBe(415);
    const media = await post(serving, '/v1/batch', serving.keys.write, '<a/>', {
      'content-type': 'text/xml',
    });
    expect(media.status).toBe(415);
    expect(media.headers.get('content-type')).toBe('application/problem+json');
  });

  it('nobody gets in without a key, and nothing of theirs is kept', async () => {
    const before = (await readData(serving, 'rejected')).length;
    expect((await post(serving, '/v1/track', null, track('no-key'))).status).toBe(401);
    expect((await post(serving, '/v1/track', 'wrong', track('wrong-key'))).status).toBe(401);
    expect((await post(serving, '/v1/track', null, { ...track('x'), writeKey: 'wrong' })).status).toBe(401);
    expect((await post(serving, '/v1/track', null, '{', { 'content-type': 'text/plain' })).status).toBe(401);
    expect(await readData(serving, 'rejected')).toHaveLength(before);
    expect(await loggedOf('no-key', 'wrong-key')).toEqual([]);
    const bearer = await fetch(`${serving.url}/v1/track`, {
      method: 'POST',
      headers: { authorization: `Bearer ${serving.keys.write}`, 'content-type': 'application/json' },
      body: JSON.stringify(track('bearer')),
    });
    expect(bearer.status).toBe(200);
    expect(basic('k')).toBe('Basic azo=');
  });
});
