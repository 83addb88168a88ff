// The compiled validators agree with the zod schemas that they come from, and say what is wrong.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { exposureRecord, segmentRecord } from '../../domain/buyer-record.ts';
import { clockRecord, definitionRecord, eventsTopicRecord, rejectedRecord } from '../../domain/record.ts';
import { leaseRequestRecord, noticeRecord, reportRecord } from '../../domain/spend-record.ts';
import {
  compileValidator,
  jsonSchemaOf,
  validateEventsRecord,
  validateRejectedRecord,
  validateSpendRecord,
} from '../../platform/validate.ts';

const track = {
  kind: 'track',
  messageId: 'm-1',
  userId: 'u-1',
  event: 'Product Viewed',
  properties: { productId: 'p', price: 1.5 },
  timestamp: 1_700_000_000_000,
  receivedAt: 1_700_000_000_001,
};
const notice = {
  kind: 'notice',
  messageId: 'n-1',
  notice: 'win',
  account: 'a',
  campaign: 'c',
  channel: 'search',
  country: 'DE',
  bid: 'b-1',
  costMicros: 10,
  currency: 'EUR',
  timestamp: 1_700_000_000_000,
  receivedAt: 1_700_000_000_000,
};
const rejected = {
  kind: 'rejected',
  sourceTopic: 'events',
  sourcePartition: 3,
  sourceOffset: 9,
  sourceId: '',
  route: '',
  reason: 'malformed',
  detail: 'no JSON',
  raw: 'AA==',
  at: 1_700_000_000_000,
};

describe('records of the log', () => {
  test('a good record is returned itself, not copied', () => {
    const verdict = validateEventsRecord(track);
    expect(verdict.ok && verdict.value).toBe(track);
    expect(validateSpendRecord(notice)).toEqual({ ok: true, value: notice });
    expect(validateRejectedRecord(rejected)).toEqual({ ok: true, value: rejected });
  });

  test('a field that is not known is let through', () => {
    expect(validateEventsRecord({ ...track, integrations: {} }).ok).toBe(true);
  });

  test.each([
    ['null', null, 'the record must be an object'],
    ['a list', [track], 'the record must be an object'],
    ['no kind', {}, 'kind must be one of track, page'],
    ['a kind of the other topic', notice, 'kind must be one of track, page'],
    ['a kind that every object has', { kind: 'toString' }, 'kind must be one of track, page'],
    ['an absurd time', { ...track, timestamp: 5 }, 'timestamp must be >= 631152000000'],
    ['a time as text', { ...track, timestamp: '2024-01-01' }, 'timestamp must be integer'],
    ['half a millisecond', { ...track, timestamp: 1_700_000_000_000.5 }, 'timestamp must be integer'],
    ['properties as a list', { ...track, properties: [] }, 'properties must be object'],
    ['an empty id', { ...track, messageId: '' }, 'messageId must NOT have fewer than 1 characters'],
    ['supplied false', { ...track, supplied: false }, 'supplied must be true'],
  ])('%s is refused with the reason', (_, record, reason) => {
    const verdict = validateEventsRecord(record);
    expect(verdict.ok).toBe(false);
    expect(verdict.ok ? '' : verdict.errors.join('; ')).toContain(reason);
  });

  test.each([
    ['negative money', { ...notice, costMicros: -1 }],
    ['money in fractions', { ...notice, costMicros: 0.5 }],
    ['a currency that is none', { ...notice, currency: 'euro' }],
    ['a country that is none', { ...notice, country: 'Germany' }],
    ['an event', track],
  ])('spend: %s is refused', (_, record) => {
    expect(validateSpendRecord(record).ok).toBe(false);
  });

  test.each([
    ['segment', segmentRecord],
    ['exposure', exposureRecord],
    ['clock', clockRecord],
    ['definition', definitionRecord],
    ['report', reportRecord],
    ['notice', noticeRecord],
    ['lease request', leaseRequestRecord],
    ['rejected', rejectedRecord],
  ] as [string, z.ZodType][])('%s: Ajv and zod take the same values', (_, schema) => {
    const validate = compileValidator(schema);
    const fields = Object.keys((schema as z.ZodObject).shape);
    const anything = fc.oneof(fc.jsonValue(), fc.integer(), fc.constantFrom(...everyday));
    const records = fc.tuple(
      fc.constantFrom(track, notice, rejected),
      fc.dictionary(fc.constantFrom(...fields), anything),
    );
    fc.assert(
      fc.property(records, ([base, change]) => {
        const record = { ...base, ...change };
        expect(validate(record).ok).toBe(schema.safeParse(record).success);
      }),
      { numRuns: 500 },
    );
  });

  test('every kind of the topic `events` has a validator', () => {
    for (const option of eventsTopicRecord.options) {
      const kind = option.shape.kind.value;
      const verdict = validateEventsRecord({ kind });
      expect(verdict.ok ? [] : verdict.errors[0]).toContain('required property');
    }
  });

  test('one record takes less than 5 µs (1 µs on an idle machine)', () => {
    const rounds = 200_000;
    for (let i = 0; i < rounds; i++) validateEventsRecord(track);
    const startedAt = performance.now();
    for (let i = 0; i < rounds; i++) validateEventsRecord(track);
    expect(((performance.now() - startedAt) * 1_000) / rounds).toBeLessThan(5);
  });
});

const everyday = [
  1_700_000_000_000,
  0,
  -1,
  0.5,
  'DE',
  'EUR',
  '',
  'x'.repeat(300),
  true,
  null,
  'win',
  'hour',
  {},
  [],
];

describe('validators of any schema', () => {
  const schema = z.object({
    name: z.string(),
    limit: z.int().min(1).max(100).default(10),
    tags: z.array(z.string()).default([]),
  });

  test('defaults are filled in', () => {
    expect(compileValidator(schema)({ name: 'x' })).toEqual({
      ok: true,
      value: { name: 'x', limit: 10, tags: [] },
    });
  });

  test('all faults at once', () => {
    const verdict = compileValidator(schema)({ limit: 0, tags: [1] });
    expect(verdict.ok ? [] : verdict.errors).toEqual([
      "the document must have required property 'name'",
      'limit must be >= 1',
      'tags.0 must be string',
    ]);
  });

  test('say what would be right, once for a field, and nothing of the choices that a schema makes', () => {
    const choices = z.object({
      priceUnits: z.union([z.literal(1), z.literal(1_000)]).optional(),
      period: z.enum(['hour', 'day', '']).nullable(),
      supplied: z.literal(true).optional(),
      id: z.union([z.string(), z.number()]),
      event: z.string().nullable(),
    });
    const verdict = compileValidator(choices)({
      priceUnits: 5,
      period: 'week',
      supplied: false,
      id: {},
      event: 7,
    });
    expect(verdict.ok ? [] : verdict.errors).toEqual([
      'priceUnits must be one of 1, 1000',
      'period must be one of hour, day, "", null',
      'supplied must be true',
      'id must be string or number',
      'event must be string or null',
    ]);
  });

  test('the JSON schema names no draft and has nothing that is always true', () => {
    const text = JSON.stringify(jsonSchemaOf(segmentRecord));
    expect(text).not.toContain('$schema');
    expect(text).not.toContain('propertyNames');
  });
});
