// What decoding takes and what it turns away: no record stops a partition, and no record lies about its place or time.
import { describe, expect, it } from 'vitest';
import { jsonText } from '../../platform/json-text.ts';
import { accountPartition, buyerPartition } from '../../platform/keys.ts';
import { takeMessage } from '../../serve/collect/message.ts';
import { decode, futureMaxMs, type Message } from '../../stream/decode.ts';
import { decodeEvent } from '../../verify/decode.ts';
import type { LogRecord } from '../../verify/log.ts';
import { buyersOf } from '../e2e/support/mixed-log.ts';
import { createPartition } from './support/partition.ts';

const NOW_MS = Date.UTC(2024, 5, 1);

function message(value: unknown, partition = buyerPartition('u:1'), appendMs = NOW_MS): Message {
  const bytes = value === null || Buffer.isBuffer(value) ? value : Buffer.from(jsonText(value));
  return { partition, offset: 0, key: null, value: bytes, appendMs, size: bytes?.length ?? 0 };
}

const track = {
  kind: 'track',
  messageId: 'm',
  userId: '1',
  event: 'e',
  timestamp: NOW_MS,
  receivedAt: NOW_MS,
};
const reasonOf = (decoded: ReturnType<typeof decode>): string =>
  decoded.kind === 'reject' ? decoded.reason : decoded.kind;

describe('what is no record', () => {
  it.each([
    ['no value', null, 'malformed'],
    ['no JSON', Buffer.from('{"kind":'), 'malformed'],
    ['bytes that are not UTF-8', Buffer.from([0xff, 0xfe, 0x00]), 'malformed'],
    ['a list', [], 'invalid'],
    ['null', Buffer.from('null'), 'invalid'],
    ['an unknown kind', { kind: 'nothing' }, 'invalid'],
    ['a kind of another topic', { kind: 'leaseRequest' }, 'invalid'],
    ['nobody', { ...track, userId: undefined }, 'invalid'],
    ['a time as text', { ...track, timestamp: '2024-06-01' }, 'invalid'],
    ['a time before 2000', { ...track, timestamp: 0 }, 'invalid'],
    ['a definition that fits no schema', definition({ steps: 7 }), 'invalid'],
    ['a definition of no known type', { ...definition({}), type: 'nothing' }, 'invalid'],
  ])('%s is a reject with its reason, without key and time', (_, value, reason) => {
    const decoded = decode('events', message(value));
    expect(reasonOf(decoded)).toBe(reason);
    expect([decoded.key, decoded.timeMs]).toEqual(['', 0]);
  });
});

describe('a record that is nested deeply', () => {
  const nest = (levels: number): unknown => JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`);
  // The record and its traits are two levels.
  const deep = (levels: number) => ({
    ...track,
    kind: 'identify',
    traits: { deep: nest(levels - 2), brackets: '[{"'.repeat(999), half: '\ud800' },
  });
  const forward = (levels: number) => ({
    kind: 'forward',
    origin: { generation: 1, partition: 0, offset: 1, ordinal: 0 },
    key: 'u:1',
    link: '3-1-0',
    visitor: 'a:1',
    appendMs: NOW_MS,
    behaviour: '',
    record: { ...deep(levels), userId: undefined, anonymousId: '1' },
  });
  const oracleOf = ({ value, offset, appendMs, partition }: Message): string => {
    const { reason, record } = decodeEvent({ value, offset, appendMs, key: null } as LogRecord, partition);
    return reason ?? record!.kind;
  };

  it.each([
    ['a thousand levels', deep(1_000), 'segment', 'identify'],
    ['one more', deep(1_001), 'malformed', 'malformed'],
    ['as many as a stack does not bear', deep(20_000), 'malformed', 'malformed'],
    ['a thousand levels, sent on', forward(1_000), 'derived', 'forward'],
    ['one more, sent on', forward(1_001), 'malformed', 'malformed'],
  ])('%s: by the stream and by the oracle', (_, value, kind, oracle) => {
    const given = message(value);
    expect([reasonOf(decode('events', given)), oracleOf(given)]).toEqual([kind, oracle]);
  });

  it('is folded, stored and sent on with a thousand levels, and stops no partition with more', () => {
    const partition = createPartition({ sizes: [100], restarts: false }, NOW_MS);
    const userId = buyersOf(0, 1, 'deep')[0]!.slice(2);
    const brackets = '['.repeat(90_000) + ']'.repeat(90_000);
    const text = JSON.stringify({ ...deep(1_000), userId }).replace('\\ud800', '');
    partition.run([text, text.replace('"deep":[', `"deep":[${brackets},`), text.replace('"m"', '"n"')]);
    const rejected = partition.records.filter(({ to }) => to === 'rejected');
    expect(rejected.map(({ value }) => JSON.parse(value).reason)).toEqual(['malformed']);
  });

  it('is told by collect, which takes as many levels and no more', () => {
    const taken = (levels: number) => {
      const { kind: _, ...given } = deep(levels);
      const envelope = {
        nowMs: NOW_MS,
        sentAt: undefined,
        receivedAt: undefined,
        trusted: false,
        source: 's',
      };
      return takeMessage({ ...given, type: 'identify' }, { ...envelope, kind: undefined });
    };
    const detail = 'the event is nested more than 1000 levels deep';
    const tooDeep = { taken: false, reason: 'invalid', detail };
    const last = taken(1_000);
    expect(last.taken && reasonOf(decode('events', message(Buffer.from(last.value))))).toBe('segment');
    expect([taken(1_001), taken(20_000)]).toEqual([tooDeep, tooDeep]);
  });
});

function definition(document: object) {
  const hash = '0'.repeat(64);
  const about = { type: 'funnel', id: 'f', revision: 1, hash, previousHash: null };
  return { kind: 'definition', ...about, document, by: 'test', why: '', at: NOW_MS };
}

describe('a time ahead of the clock', () => {
  it.each([
    ['when it was received', 0, 60_000, 'when it was received'],
    ['when it was appended', 60_000, 0, 'the clock of the broker'],
  ])(
    'is taken up to five minutes after %s, and not a millisecond more',
    (_, receivedAfter, appendedAfter, said) => {
      const at = (timestamp: number) =>
        decode(
          'events',
          message(
            { ...track, timestamp, receivedAt: NOW_MS + receivedAfter },
            undefined,
            NOW_MS + appendedAfter,
          ),
        );
      expect(reasonOf(at(NOW_MS + futureMaxMs))).toBe('segment');
      const refused = at(NOW_MS + futureMaxMs + 1);
      expect(refused).toMatchObject({ reason: 'future', detail: expect.stringContaining(said) });
    },
  );

  it('holds for the clock itself, which would make everybody late', () => {
    const clock = (time: number) => reasonOf(decode('events', message({ kind: 'clock', time })));
    expect([clock(NOW_MS + futureMaxMs), clock(NOW_MS + futureMaxMs + 1)]).toEqual(['clock', 'future']);
  });

  it('holds for money: a report by when it was counted, a notice by its time', () => {
    const partition = accountPartition('acme');
    const common = { account: 'acme', campaign: 'c', channel: 'x', country: '', currency: 'EUR' };
    const notice = { ...common, kind: 'notice', messageId: 'n', notice: 'click', bid: 'b', costMicros: 1 };
    const figures = { periodStart: NOW_MS, period: 'hour', impressions: 1, clicks: 1, costMicros: 1 };
    const report = { ...common, ...figures, kind: 'report', messageId: 'r' };
    const late = NOW_MS + futureMaxMs + 1;
    const spend = (record: object) => decode('spend', message({ ...record, receivedAt: NOW_MS }, partition));
    expect(reasonOf(spend({ ...notice, timestamp: late }))).toBe('future');
    expect(reasonOf(spend({ ...report, asOf: late }))).toBe('future');
    // Within the five minutes a report raises the watermark no further than its receipt.
    expect(spend({ ...report, asOf: NOW_MS + 1_000 }).timeMs).toBe(NOW_MS);
    expect(spend({ ...notice, timestamp: NOW_MS + 1_000 }).timeMs).toBe(NOW_MS + 1_000);
  });
});

describe("a record in a partition that is not its key's", () => {
  const elsewhere = (buyerPartition('u:1') + 1) % 12;
  it.each([
    ['a track', track],
    ['an exposure', exposure('u:1')],
    ['a receipt', { kind: 'receipt', messageId: 'm', key: 'u:1', trigger: 't', timestamp: NOW_MS }],
  ])('%s is a reject: its state is kept elsewhere', (_, record) => {
    expect(reasonOf(decode('events', message(record, elsewhere)))).toBe('misplaced');
    expect(reasonOf(decode('events', message(record)))).not.toBe('misplaced');
  });
});

function exposure(key: string) {
  const shown = { experiment: 'e', revision: 1, variant: 'a', reason: 'SPLIT' };
  return { kind: 'exposure', messageId: 'm', key, ...shown, timestamp: NOW_MS };
}

describe('lone surrogates', () => {
  it('become U+FFFD in keys, names and values at any depth; pairs stay', () => {
    const text = `{"kind":"track","messageId":"m","userId":"\\ud800","event":"e\\uDFFF","timestamp":${NOW_MS},"receivedAt":${NOW_MS},"properties":{"\\ud801":["\\ud83d\\ude00",{"a":"x\\udc00"}]}}`;
    const decoded = decode('events', message(Buffer.from(text), buyerPartition('u:\ufffd')));
    expect(decoded).toMatchObject({
      kind: 'segment',
      key: 'u:\ufffd',
      record: { event: 'e\ufffd', properties: { '\ufffd': ['\u{1f600}', { a: 'x\ufffd' }] } },
    });
  });
});
