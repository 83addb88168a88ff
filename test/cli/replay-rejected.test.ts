// Rejects go in again after a fix: with their first times and ids, once each, and what is wrong still is not kept twice.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, inject, it, onTestFinished } from 'vitest';
import { submissionOf } from '../../cli/rejected-submission.ts';
import { replayRejected } from '../../cli/replay-rejected.ts';
import type { RejectedRecord } from '../../domain/record.ts';
import { createProducer, type Producer } from '../../platform/kafka.ts';
import { type Logged, post, readData, serveInNamespace, type TestServing } from '../serve/serving.ts';

let serving: TestServing;
let producer: Producer;

beforeAll(async () => {
  const kafkaBrokers = inject('kafkaBrokers');
  serving = await serveInNamespace('replay-rejected', {
    kafkaBrokers,
    redisUrl: inject('redisUrl'),
    clickhouseUrl: inject('clickhouseUrl'),
  });
  producer = await createProducer({ brokers: kafkaBrokers, clientId: 'test', deliveryTimeoutMs: 10_000 });
});

afterAll(async () => {
  await producer.close();
  await serving.close();
});

const AT_MS = Date.parse('2026-02-01T12:00:00Z');

function reject(route: string, raw: unknown, fields: Partial<RejectedRecord> = {}): RejectedRecord {
  return {
    kind: 'rejected',
    sourceTopic: route === '' ? 'events' : 'collect',
    sourcePartition: route === '' ? 3 : -1,
    sourceOffset: 0,
    sourceId: route === '' ? '' : 'request',
    route,
    reason: 'invalid',
    detail: 'an older version did not take it',
    raw: Buffer.from(typeof raw === 'string' ? raw : JSON.stringify(raw)).toString('base64'),
    at: AT_MS,
    ...fields,
  };
}

/** As the stream writes it for a record of `spend` that the ledger rejected. */
function ledgerReject({ partition, offset, value }: Logged, fields: Partial<RejectedRecord>): RejectedRecord {
  const place = { sourceTopic: 'spend', sourcePartition: partition, sourceOffset: offset };
  return reject('', value, { ...place, ...fields });
}

async function put(record: RejectedRecord): Promise<void> {
  await producer.send(serving.namespace.topics.rejected, 0, 'key', JSON.stringify(record));
}

function options() {
  const { config, namespace, url, keys } = serving;
  return { brokers: config.kafkaBrokers, namespace, url, secretKey: keys.secret };
}

it('submits what can be taken now, and does not keep twice what cannot', async () => {
  const stillWrong = await post(serving, '/v1/track', serving.keys.write, { event: 'nobody' });
  expect(stillWrong.status).toBe(400);
  const message = { type: 'track', userId: 'u', event: 'e' };
  await put(
    reject('/v1/track', {
      ...message,
      messageId: 'again-1',
      timestamp: '2026-02-01T11:00:00Z',
      sentAt: '2026-02-01T11:30:00Z',
    }),
  );
  await put(reject('/v1/batch', { ...message, messageId: 'again-2' }));
  await put(reject('/v1/batch', { ...message, messageId: 'again-2' }));
  await put(
    reject('/v1/batch', {
      batch: [{ ...message, messageId: 'again-3', timestamp: '2026-02-01T11:59:00Z' }],
      sentAt: '2026-02-01T12:00:00Z',
    }),
  );
  await put(
    reject('', {
      kind: 'track',
      messageId: 'again-4',
      userId: 'u',
      event: 'e',
      timestamp: AT_MS - 1,
      receivedAt: AT_MS,
    }),
  );
  await put(reject('', 'raw garbage'));
  await put(reject('/v1/spend', { campaign: 'search-machinery', start: '2026-01-31T10:00:00Z', cost: 5 }));
  await put(reject('/v1/track', { ...message, messageId: 'other-reason' }, { reason: 'other' }));

  const dry = await replayRejected({ ...options(), reason: 'invalid', dryRun: true });
  expect(dry).toMatchObject({
    read: 9,
    matched: 7,
    submittable: 5,
    submitted: 0,
    repeated: 1,
    unsubmittable: 1,
    accepted: 0,
  });
  const keptBefore = await readData(serving, 'rejected');
  expect(await readData(serving, 'events')).toEqual([]);

  const report = await replayRejected({ ...options(), reason: 'invalid' });
  expect(report).toMatchObject({ matched: 7, submittable: 5, submitted: 5, accepted: 5, rejected: 0 });
  const events = await readData(serving, 'events');
  const times = Object.fromEntries(events.map((one) => [one.value.messageId, AT_MS - one.value.timestamp]));
  expect(times).toEqual({ 'again-1': 1_800_000, 'again-2': 0, 'again-3': 60_000, 'again-4': 1 });
  const [spend] = await readData(serving, 'spend');
  expect(spend!.value).toMatchObject({ asOf: AT_MS, costMicros: 5_000_000 });

  const all = await replayRejected(options());
  expect(all).toMatchObject({ matched: 9, accepted: 6, rejected: 1, rejectedByReason: { missing_id: 1 } });
  expect(await readData(serving, 'rejected')).toEqual(keptBefore);
  const since = await replayRejected({ ...options(), sinceMs: AT_MS + 1, dryRun: true });
  expect(since.matched).toBe(1);
  const misspelt = await replayRejected({ ...options(), reason: 'invald', dryRun: true });
  expect(misspelt).toMatchObject({ matched: 0, readByReason: { invalid: 7, other: 1, missing_id: 1 } });
});

it('takes no line of a CSV that was refused for its width', async () => {
  const since = Date.now();
  const before = await readData(serving, 'spend');
  // The first ends early: without its country it would be all countries' money. The second's cost is cut in two.
  const sheets = [
    'campaign,start,cost,country\nsearch-machinery,2026-01-05,12.50',
    'campaign,start,cost\nsearch-machinery,2026-01-05,1,234',
  ];
  for (const sheet of sheets) {
    const answer = await post(serving, '/v1/spend', serving.keys.secret, sheet, {
      'content-type': 'text/csv',
    });
    expect(answer.body).toMatchObject({ accepted: 0, rejected: [{ reason: 'invalid' }] });
  }
  // As older versions kept them: what cells there were as a row.
  const cells = { campaign: 'search-machinery', start: '2026-01-05', cost: '12.50' };
  const width = { at: since, detail: 'the line has 3 columns, the header 4' };
  await put(reject('/v1/spend', cells, width));
  await put(reject('/v1/notices', { ...cells, notice: 'win', bid: 'cut' }, width));
  const report = await replayRejected({ ...options(), sinceMs: since });
  expect(report).toMatchObject({ matched: 4, unsubmittable: 4, submitted: 0, accepted: 0 });
  expect(await readData(serving, 'spend')).toEqual(before);
});

it('submits no notice that the log has, in whichever words it came there', async () => {
  const atMs = Date.now();
  const notice = { notice: 'win', campaign: 'search-machinery', bid: 'b-1', cost: 2 };
  const sent = await post(serving, '/v1/notices', serving.keys.secret, notice);
  expect(sent.status).toBe(200);
  const refused = { at: atMs, reason: 'refused' };
  await put(reject('/v1/notices', { ...notice, cost: 3 }, refused));
  for (const timestamp of [atMs - 1_000, atMs])
    await put(reject('/v1/notices', { ...notice, bid: 'b-2', timestamp }, refused));
  await put(reject('/v1/notices', { ...notice, notice: 'click', bid: 'b-1' }, refused));
  const before = await readData(serving, 'spend');
  // The log has what the ledger rejected, which is why it is submitted again.
  await put(ledgerReject(before.at(-1)!, refused));
  const filter = { ...options(), reason: 'refused' };
  const dry = await replayRejected({ ...filter, dryRun: true });
  expect(dry).toMatchObject({ matched: 5, submittable: 3, repeated: 2 });
  expect(await replayRejected(filter)).toMatchObject({ submitted: 3, accepted: 3, repeated: 2 });
  const added = (await readData(serving, 'spend')).slice(before.length);
  expect(added.map(({ value }) => value.messageId)).toEqual(['win:b-2', 'click:b-1', 'win:b-1']);
  expect(await replayRejected(filter)).toMatchObject({ submitted: 0, repeated: 5 });
});

it('submits a notice that the ledger rejected until it has been taken, and once however often it was rejected', async () => {
  const notice = { notice: 'win', campaign: 'search-machinery', bid: 'b-of-ledger', cost: 2 };
  const all = { at: Date.now(), reason: 'unknownCampaign' };
  await post(serving, '/v1/notices', serving.keys.secret, notice);
  const spend = async () =>
    (await readData(serving, 'spend')).filter(({ value }) => value.bid === 'b-of-ledger');
  const filter = { ...options(), reason: 'unknownCampaign' };
  await put(ledgerReject((await spend())[0]!, all));
  expect(await replayRejected(filter)).toMatchObject({ submitted: 1, accepted: 1 });
  // The ledger rejects it again: by another reason, which the filter does not ask for.
  await put(ledgerReject((await spend())[1]!, { ...all, reason: 'channels' }));
  expect(await replayRejected({ ...filter, dryRun: true })).toMatchObject({ submittable: 1, repeated: 0 });
  // And by the same: two rejects of one notice.
  await put(ledgerReject((await spend())[1]!, all));
  expect(await replayRejected(filter)).toMatchObject({ matched: 2, submitted: 1, repeated: 1 });
  // The third has been taken.
  expect(await replayRejected(filter)).toMatchObject({ matched: 2, submitted: 0, repeated: 2 });
  expect(await spend()).toHaveLength(3);
});

// The secret key that submits it made history of it, which stops its partition's clock and leaves the sender's wrong clock in.
it('trusts a write key no more than when it was refused', async () => {
  const received = { receivedAt: '2019-01-01T00:00:00Z', sentAt: '2026-02-01T11:00:00Z' };
  const message = { userId: 'u', event: 'e', messageId: 'untrusted', timestamp: '2026-02-01T10:59:00Z' };
  const at = AT_MS + 500_000;
  const refused = { reason: 'trust', at };
  await put(reject('/v1/track', { ...message, ...received }, { ...refused, trusted: false }));
  expect(await replayRejected({ ...options(), reason: 'trust' })).toMatchObject({ accepted: 1 });
  const events = await readData(serving, 'events');
  const { value } = events.find((one) => one.value.messageId === 'untrusted')!;
  expect(value.supplied).toBeUndefined();
  expect(value.receivedAt).toBeGreaterThan(at);
  expect(value.timestamp).toBe(at - 60_000);
});

it('leaves what it submits to the source that it was of, while a key has its name', async () => {
  const message = { type: 'track', userId: 'u', event: 'e' };
  for (const source of ['write', 'gone', undefined])
    await put(
      reject(
        '/v1/batch',
        { ...message, messageId: `of-${source}` },
        { reason: 'source', ...(source === undefined ? {} : { source }) },
      ),
    );
  const inLog = { ...message, kind: 'track', messageId: 'of-log', timestamp: AT_MS, receivedAt: AT_MS };
  await put(reject('', inLog, { reason: 'source', source: 'write' }));
  expect(await replayRejected({ ...options(), reason: 'source' })).toMatchObject({ accepted: 4 });
  const events = await readData(serving, 'events');
  const sourceOf = (messageId: string) =>
    events.find(({ value }) => value.messageId === messageId)!.value.source;
  expect(['of-write', 'of-gone', 'of-undefined', 'of-log'].map(sourceOf)).toEqual([
    'write',
    'secret',
    'secret',
    'write',
  ]);
});

it('heeds a receivedAt where collect would have, in a message and in its envelope', () => {
  const receivedAt = '2019-01-01T00:00:00Z';
  const sentAt = '2026-02-01T11:00:00Z';
  const message = { userId: 'u', messageId: 'm', timestamp: '2026-02-01T10:59:00Z' };
  const submitted = (raw: object, trusted?: boolean) =>
    JSON.parse(
      submissionOf(reject('/v1/batch', raw, trusted === undefined ? {} : { trusted }), '0:17')!.body,
    );
  const corrected = { userId: 'u', messageId: 'm', timestamp: AT_MS - 60_000 };
  for (const trusted of [true, undefined]) {
    expect(submitted({ ...message, receivedAt, sentAt }, trusted).batch).toEqual([
      { ...message, receivedAt, sentAt },
    ]);
    expect(submitted({ receivedAt, sentAt, batch: [message] }, trusted)).toEqual({
      receivedAt,
      batch: [message],
    });
  }
  expect(submitted({ ...message, receivedAt, sentAt }, false)).toEqual({ batch: [corrected] });
  expect(submitted({ receivedAt, sentAt, batch: [message] }, false)).toEqual({ batch: [corrected] });
  // It was wrong by any key, and is said again.
  expect(submitted({ ...message, receivedAt: {} }, false).batch[0].receivedAt).toEqual({});
});

it('gives a message without an id the same one each time', () => {
  const record = reject('/v1/track', { userId: 'u', event: 'e' });
  const bodies = [0, 1].map(() => JSON.parse(submissionOf(record, '0:17')!.body));
  expect(bodies[0]).toEqual({ userId: 'u', event: 'e', timestamp: AT_MS, messageId: 'rejected:0:17' });
  expect(bodies[1]).toEqual(bodies[0]);
});

it('submits an exposure by its own route, as it came', () => {
  const exposure = { messageId: 'e', userId: '7', experiment: 'form', variant: 'long', timestamp: 5 };
  const submission = submissionOf(reject('/v1/exposures', { exposures: [exposure] }), '0:17')!;
  expect(submission.route).toBe('/v1/exposures');
  expect(JSON.parse(submission.body)).toEqual({ exposures: [exposure] });
});

it('invents no time for a message that was refused for its time', () => {
  const sentAt = '2026-02-01T11:30:00Z';
  for (const timestamp of [
    '5',
    'Feb 1 2026 11:00',
    'Sun, 01 Feb 2026 11:00:00 GMT',
    '2026-02-30T00:00:00Z',
  ]) {
    const record = reject('/v1/track', { userId: 'u', event: 'e', messageId: 'm', timestamp, sentAt });
    expect(JSON.parse(submissionOf(record, '0:17')!.body).timestamp).toBe(timestamp);
  }
});

it('submits what is nested deeper than the call stack as it came, and no text that would say something else', () => {
  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
  const raw = `{"userId":"u","event":"e","messageId":"m","receivedAt":1,"properties":{"deep":${deep}}}`;
  expect(submissionOf(reject('/v1/track', raw), '0:17')!.body).toBe(raw);
  const latin1 = Buffer.from('{"userId":"müller","event":"e"}', 'latin1').toString('base64');
  expect(submissionOf(reject('/v1/track', '', { raw: latin1 }), '0:17')).toBeUndefined();
});

it('goes on after one that serve cannot answer', async () => {
  const answers = [500, 200];
  const server = createServer((_request, response) => {
    const status = answers.shift() ?? 200;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(status === 200 ? { accepted: 1, rejected: [] } : { code: 'internal' }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const since = AT_MS + 1_000_000;
  for (const messageId of ['broken', 'after'])
    await put(reject('/v1/track', { userId: 'u', event: 'e', messageId }, { at: since, reason: 'odd' }));
  const report = await replayRejected({
    ...options(),
    url: `http://127.0.0.1:${port}`,
    sinceMs: since,
    reason: 'odd',
  });
  expect(report).toMatchObject({ submitted: 2, accepted: 1, rejectedByReason: { internal: 1 } });
});

it('says so when the key is not taken', async () => {
  await put(reject('/v1/track', { userId: 'u', event: 'e' }));
  await expect(replayRejected({ ...options(), secretKey: 'wrong' })).rejects.toMatchObject({
    code: 'SERVE_REFUSED',
  });
});
