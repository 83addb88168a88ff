// Spend against real Kafka: reports and notices come to one record each in their account's partition, or back with a reason.
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { noticeRecord, reportRecord } from '../../domain/spend-record.ts';
import { noticeSecretOf, readHashedKeys } from '../../platform/hashed-keys.ts';
import { accountPartition } from '../../platform/keys.ts';
import { type NoticedBid, signNotices } from '../../serve/notice-address.ts';
import { type Logged, post, readData, serveInNamespace, type TestServing } from './serving.ts';

let serving: TestServing;

beforeAll(async () => {
  serving = await serveInNamespace('spend-intake', {
    kafkaBrokers: inject('kafkaBrokers'),
    redisUrl: inject('redisUrl'),
    clickhouseUrl: inject('clickhouseUrl'),
  });
});

afterAll(async () => {
  await serving.close();
});

async function loggedSince<Result>(act: () => Promise<Result>): Promise<[Result, Logged[], Logged[]]> {
  const spent = new Set((await readData(serving, 'spend')).map((one) => `${one.partition}:${one.offset}`));
  const kept = new Set((await readData(serving, 'rejected')).map((one) => one.offset));
  const result = await act();
  const spend = (await readData(serving, 'spend')).filter(
    (one) => !spent.has(`${one.partition}:${one.offset}`),
  );
  const rejected = (await readData(serving, 'rejected')).filter((one) => !kept.has(one.offset));
  return [result, spend, rejected];
}

const row = {
  campaign: 'search-machinery',
  country: 'us',
  period: 'hour',
  start: '2026-01-15T09:00:00Z',
  impressions: 1_000,
  clicks: 20,
  cost: '12.345678',
  currency: 'USD',
  asOf: '2026-01-15T10:05:00Z',
};

describe('reports', () => {
  it('as JSON come to a record in the account’s partition, with exact money', async () => {
    const [answer, spend] = await loggedSince(() =>
      post(serving, '/v1/spend', serving.keys.secret, { rows: [row] }),
    );
    expect(answer.body).toEqual({ success: true, accepted: 1, rejected: [] });
    expect(spend).toHaveLength(1);
    const [{ key, partition, value }] = spend as [Logged];
    expect(key).toBe('search-portfolio');
    expect(partition).toBe(accountPartition('search-portfolio'));
    expect(reportRecord.parse(value)).toMatchObject({
      account: 'search-portfolio',
      channel: 'search',
      country: 'US',
      period: 'hour',
      periodStart: Date.parse(row.start),
      impressions: 1_000,
      clicks: 20,
      costMicros: 12_345_678,
      currency: 'USD',
      asOf: Date.parse(row.asOf),
    });
  });

  it('as CSV, one row of them wrong, and the same row again is the same message', async () => {
    const csv = [
      'campaign,country,period,start,impressions,clicks,cost,currency,asOf',
      'display-brands,DE,day,2026-01-14,10,1,0.1,EUR,2026-01-15T01:00:00Z',
      'display-brands,DE,day,2026-01-14,10,1,-0.1,EUR,2026-01-15T01:00:00Z',
      'display-brands,DE,day,2026-01-14,10,1,0.1,EUR,2026-01-15T01:00:00Z',
      'display-brands,DE',
    ].join('\n');
    const [answer, spend, rejected] = await loggedSince(() =>
      post(serving, '/v1/spend', serving.keys.secret, csv, { 'content-type': 'text/csv; charset=utf-8' }),
    );
    expect(answer.status).toBe(200);
    expect(answer.body.accepted).toBe(2);
    expect(answer.body.rejected).toMatchObject([
      { index: 1, reason: 'negative_money' },
      { index: 3, reason: 'invalid' },
    ]);
    expect(spend).toHaveLength(2);
    expect(spend[0]!.value.messageId).toBe(spend[1]!.value.messageId);
    // The account's day begins at midnight one hour east of Greenwich.
    expect(spend[0]!.value).toMatchObject({
      periodStart: Date.parse('2026-01-13T23:00:00Z'),
      costMicros: 100_000,
    });
    expect(rejected.map((one) => [one.value.route, one.value.reason])).toEqual([
      ['/v1/spend', 'negative_money'],
      ['/v1/spend', 'invalid'],
    ]);
    expect(JSON.parse(Buffer.from(rejected[0]!.value.raw, 'base64').toString())).toMatchObject({
      cost: '-0.1',
    });
  });

  it.each([
    ['negative money', { cost: -1 }, 'negative_money'],
    ['negative micros', { cost: null, costMicros: -1 }, 'negative_money'],
    ['an unknown currency', { currency: 'XQZ' }, 'unknown_currency'],
    ['another currency than its account’s', { currency: 'EUR' }, 'wrong_currency'],
    ['an unknown campaign', { campaign: 'nobody' }, 'unknown_campaign'],
    ['no country', { country: 'Germany' }, 'bad_country'],
    ['a country that there is not', { country: 'QQ' }, 'bad_country'],
    ['half an hour', { start: '2026-01-15T09:30:00Z' }, 'misaligned'],
    ['a day that is none of the account', { period: 'day', start: '2026-01-15T00:00:00Z' }, 'misaligned'],
    ['an absurd start', { start: '1970-01-01T00:00:00Z' }, 'absurd_time'],
    ['figures of the future', { asOf: '2099-01-01T00:00:00Z' }, 'future'],
    ['a period after its figures', { start: '2026-02-01T00:00:00Z' }, 'future'],
    ['a fraction of a click', { clicks: 1.5 }, 'invalid'],
    ['no cost', { cost: null }, 'invalid'],
    ['no start', { start: undefined }, 'invalid'],
    ['a number as campaign', { campaign: 7 }, 'invalid'],
    ['a revision that is none', { revision: 'last' }, 'invalid'],
  ])('with %s is a 400 that says so, and kept', async (_name, change, reason) => {
    const [answer, spend, rejected] = await loggedSince(() =>
      post(serving, '/v1/spend', serving.keys.secret, { ...row, ...change }),
    );
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: reason, accepted: 0, rejected: [{ index: 0, reason }] });
    expect(spend).toEqual([]);
    expect(rejected).toHaveLength(1);
    expect(rejected[0]!.value).toMatchObject({ route: '/v1/spend', reason, sourceTopic: 'collect' });
  });

  it.each([
    ['malformed JSON', '{"rows":', 'application/json', 'malformed'],
    ['CSV without an end', 'a,"b\n', 'text/csv', 'malformed'],
    ['no CSV at all', '', 'text/csv', 'malformed'],
    ['a header alone', 'campaign,cost', 'text/csv', 'empty_batch'],
    ['no rows', '{"rows":[]}', 'application/json', 'empty_batch'],
    ['text', '"text"', 'application/json', 'invalid'],
  ])('in a body that is %s: 400, and kept', async (_name, body, type, code) => {
    const [answer, , rejected] = await loggedSince(() =>
      post(serving, '/v1/spend', serving.keys.secret, body, { 'content-type': type }),
    );
    expect([answer.status, answer.body.code]).toEqual([400, code]);
    expect(Buffer.from(rejected[0]!.value.raw, 'base64').toString()).toBe(body);
  });

  it('take from their envelope what their own empty columns do not say', async () => {
    const own = { ...row, campaign: 'display-brands', start: '2026-01-15T10:00:00Z', asOf: undefined };
    const rows = ['', null].map((currency) => ({ ...own, currency }));
    const [answer, spend] = await loggedSince(() =>
      post(serving, '/v1/spend', serving.keys.secret, { currency: 'USD', rows }),
    );
    // The account is kept in EUR.
    expect(answer.body.rejected).toMatchObject([{ reason: 'wrong_currency' }, { reason: 'wrong_currency' }]);
    expect(spend).toEqual([]);
    const receivedAt = '2026-01-15T11:00:00Z';
    const history = { receivedAt, rows: [{ ...own, currency: 'EUR', receivedAt: null }] };
    const [, [taken]] = await loggedSince(() => post(serving, '/v1/spend', serving.keys.secret, history));
    expect(taken!.value).toMatchObject({ supplied: true, receivedAt: Date.parse(receivedAt) });
  });

  it('of the same second are told apart by their revision; supplied receipt makes them history', async () => {
    const rows = [0, 7].map((revision) => ({ ...row, revision, receivedAt: '2026-01-15T10:05:01Z' }));
    const [, spend] = await loggedSince(() => post(serving, '/v1/spend', serving.keys.secret, rows));
    expect(spend.map((one) => one.value.asOf - Date.parse(row.asOf))).toEqual([0, 7]);
    expect(spend[0]!.value).toMatchObject({ supplied: true, receivedAt: Date.parse('2026-01-15T10:05:01Z') });
  });
});

describe('notices', () => {
  it('are taken, each bid’s notice of one kind being one message', async () => {
    const common = { campaign: 'search-machinery', bid: 'bid-1', country: 'US' };
    const [answer, spend] = await loggedSince(() =>
      post(serving, '/v1/notices', serving.keys.secret, {
        notices: [
          { ...common, notice: 'win', cost: 0.5, lease: 'lease-1', heldMicros: 600_000 },
          { ...common, notice: 'click' },
          { ...common, notice: 'win' },
          { ...common, notice: 'sale' },
        ],
      }),
    );
    expect(answer.body).toMatchObject({
      accepted: 2,
      rejected: [{ index: 2, reason: 'invalid' }, { index: 3 }],
    });
    expect(spend.map((one) => noticeRecord.parse(one.value))).toMatchObject([
      {
        messageId: 'win:bid-1',
        costMicros: 500_000,
        lease: 'lease-1',
        account: 'search-portfolio',
        channel: 'search',
      },
      { messageId: 'click:bid-1', costMicros: 0 },
    ]);
  });

  it('come by their signed address, with the price that the exchange adds', async () => {
    const secret = noticeSecretOf(await readHashedKeys(serving.config.serveKeysFile));
    const noticed: NoticedBid = {
      account: 'search-portfolio',
      campaign: 'search-machinery',
      channel: 'search',
      country: 'US',
      bid: 'bid-2',
      lease: 'lease-2',
      currency: 'USD',
      bidMicros: 9_000,
      priceUnits: 1_000,
    };
    const { win, loss } = signNotices(secret, noticed);
    const call = (path: string, method = 'GET') => fetch(`${serving.url}${path}`, { method });
    const [answers, spend, kept] = await loggedSince(async () => [
      await call(`${win}?price=2.5`),
      await call(signNotices(secret, { ...noticed, bid: 'bid-3', lease: null }).win),
      await call(`${loss}?price=99`),
      await call(`${win}?price=-1`),
      await call(`${win}?price=$%7BAUCTION_PRICE%7D`),
      await call(`${win}?price=${'e'.repeat(65)}`),
      await call(`${win}?price=1&price=2`),
      await call(`${win}?price=2500`),
      await call(signNotices(Buffer.alloc(32), noticed).win),
      await call(win, 'HEAD'),
    ]);
    expect(answers.map((answer) => answer.status)).toEqual([
      ...[204, 204, 204, 400, 400, 400, 400, 400, 403, 405],
    ]);
    expect(spend.map((one) => noticeRecord.parse(one.value))).toMatchObject([
      { messageId: 'win:bid-2', costMicros: 2_500, heldMicros: 9_000, lease: 'lease-2' },
      { messageId: 'win:bid-3', costMicros: 9_000 },
      { messageId: 'loss:bid-2', costMicros: 9_000, heldMicros: 9_000 },
    ]);
    expect(spend[1]!.value).not.toHaveProperty('lease');
    expect(spend[1]!.value).not.toHaveProperty('heldMicros');
    // Won they are all the same: what was bid is on record.
    const reasons = ['negative_money', 'invalid', 'invalid', 'invalid', 'above_bid'];
    expect(kept.map(({ value }) => [value.route, value.reason])).toEqual(
      reasons.map((reason) => ['/v1/notices', reason]),
    );
    for (const { value } of kept) {
      const { bid, lease, costMicros, heldMicros, timestamp } = JSON.parse(
        Buffer.from(value.raw, 'base64').toString(),
      );
      expect({ bid, lease, costMicros, heldMicros }).toEqual({
        ...{ bid: 'bid-2', lease: 'lease-2', costMicros: 9_000, heldMicros: 9_000 },
      });
      expect(timestamp).toBe(value.at);
    }
  });
});
