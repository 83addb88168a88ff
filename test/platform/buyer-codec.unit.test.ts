// A buyer's bytes: they come back as they were, and the same state gives the same bytes.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Buyer, newBuyer, newHistory } from '../../domain/buyer.ts';
import type { MergeBase } from '../../domain/identity-record.ts';
import { BinaryReader, BinaryWriter } from '../../platform/binary.ts';
import { decodeBuyer, encodeBuyer, StateSchemaError } from '../../platform/buyer-codec.ts';

const timeMs = fc.integer({ min: 1_700_000_000_000, max: 1_900_000_000_000 });
const stamp = fc.option(fc.record({ value: fc.string(), timeMs, messageId: fc.string() }), { nil: null });
const behaviour = fc.constantFrom('visit', 'view', 'order', 'fulfil', 'sampleAsked');
const count = fc.nat(1_000_000);

const totals = fc.array(fc.record({ behaviour, count }));
const engagement = fc.array(
  fc.record({
    halfLifeMs: count,
    referenceMs: timeMs,
    sums: fc.array(fc.record({ behaviour, sum: fc.double({ noNaN: true }) })),
  }),
);
const exposures = fc.array(
  fc.record({
    experiment: fc.string(),
    variant: fc.string(),
    timeMs,
    messageId: fc.string({ unit: 'grapheme' }),
  }),
);
const stage = fc.constantFrom('contact' as const, 'inquiry' as const, 'order' as const);
const lifecycleStage = fc.constantFrom(null, 'new' as const, 'mature' as const, 'churned' as const);
const history = {
  lastMs: timeMs,
  // UK is read as GB: below.
  country: stamp.filter((said) => said?.value !== 'UK'),
  industry: stamp,
  channel: stamp,
  level: stamp,
  company: stamp,
  engagement,
  totals,
  exposures,
};
const part = fc.nat(20);
const said = { saidFromMs: fc.oneof(fc.constant(0), timeMs), saidToMs: fc.oneof(fc.constant(0), timeMs) };

/** What a buyer has whom no link ever touched. */
const unlinked = {
  key: fc.constant('u:1'),
  firstMs: fc.oneof(fc.constant(0), timeMs),
  ...history,
  ids: fc.array(fc.tuple(fc.nat(Number.MAX_SAFE_INTEGER), timeMs)).map((pairs) => pairs.flat()),
  settledCount: count,
  visitDays: fc.array(fc.integer({ min: 0, max: 40_000 })),
  stage: lifecycleStage,
  stageSinceMs: fc.oneof(fc.constant(0), timeMs),
  maturedMs: fc.oneof(fc.constant(0), timeMs),
  timerMs: fc.oneof(fc.constant(0), timeMs),
  overflow: fc.boolean(),
};

const funnel = {
  id: fc.string(),
  revision: count,
  counted: fc.nat(12),
  settled: fc.oneof(fc.constant([]), fc.tuple(fc.nat(12)), fc.tuple(fc.nat(12), timeMs, timeMs)),
  early: fc.array(fc.record({ column: fc.nat(11), timeMs, cell: fc.string(), nextPart: count })),
  backfilled: fc.boolean(),
};
const opportunity = {
  id: fc.string(),
  subject: fc.string(),
  stage,
  openedMs: timeMs,
  updatedMs: timeMs,
  quality: fc.double({ min: 0, max: 1, noNaN: true }),
  qualified: fc.boolean(),
};

const alone: fc.Arbitrary<Buyer> = fc.record({
  ...unlinked,
  behaviours: fc.array(fc.record({ timeMs, behaviour, epoch: count, part: fc.constant(0) })),
  funnels: fc.array(fc.record({ ...funnel, reached: fc.constant([]) })),
  opportunities: fc.array(fc.record({ ...opportunity, shares: fc.constant([]) })),
  links: fc.constant(null),
  parts: fc.constant([]),
  nextPart: fc.constant(1),
  arriving: fc.constant([]),
});

const joined: fc.Arbitrary<Buyer> = fc.record({
  ...unlinked,
  behaviours: fc.array(fc.record({ timeMs, behaviour, epoch: count, part })),
  funnels: fc.array(
    fc.record({
      ...funnel,
      reached: fc.array(fc.record({ level: fc.nat(12), parts: fc.array(part) })),
    }),
  ),
  opportunities: fc.array(
    fc.record({
      ...opportunity,
      shares: fc.array(
        fc.record({ part, stage, updatedMs: timeMs, quality: fc.double({ min: 0, max: 1, noNaN: true }) }),
      ),
    }),
  ),
  links: fc.record({
    current: fc.option(
      fc.record({ id: fc.string(), user: fc.string(), sinceMs: timeMs, stage: lifecycleStage, ...said }),
      { nil: null },
    ),
    history: fc.string(),
    past: fc.array(
      fc.record({
        id: fc.string(),
        user: fc.string(),
        how: fc.constantFrom('superseded' as const, 'revoked' as const, 'expired' as const),
        ...said,
      }),
    ),
    bornOffset: count,
    standing: count,
  }),
  parts: fc.array(
    fc.record({
      number: part,
      link: fc.string(),
      visitor: fc.string(),
      mergedMs: timeMs,
      ended: fc.boolean(),
      firstMs: fc.oneof(fc.constant(0), timeMs),
      ...history,
    }),
  ),
  nextPart: fc.integer({ min: 2, max: 100 }),
  arriving: fc.array(
    fc.record({
      link: fc.string(),
      visitor: fc.string(),
      base: fc.constant({ history: true } as unknown as MergeBase),
      chunks: fc.nat(9),
      behaviours: fc.array(fc.tuple(timeMs, behaviour)),
    }),
  ),
});
const buyers = fc.oneof(alone, joined);

describe('a buyer in bytes', () => {
  it('comes back as it was, and encodes again to the same bytes', () => {
    fc.assert(
      fc.property(buyers, (buyer) => {
        const bytes = encodeBuyer(buyer);
        const decoded = decodeBuyer(buyer.key, bytes);
        expect(decoded).toEqual(buyer);
        expect(encodeBuyer(decoded).equals(bytes)).toBe(true);
      }),
    );
  });

  it('refuses a blob of a newer schema and says so', () => {
    const bytes = encodeBuyer(newBuyer('u:1'));
    bytes[0] = 5;
    expect(() => decodeBuyer('u:1', bytes)).toThrow(StateSchemaError);
    expect(() => decodeBuyer('u:1', bytes)).toThrow(/schema version 5, this process knows 4/);
  });

  it('reads what was written before there were links', () => {
    const bytes = [...encodeBuyer(newBuyer('u:1'))];
    // Version 1 had neither the company (behind the base, the last time and four attributes) nor what links brought.
    const old = Buffer.from([1, ...bytes.slice(1, 7), ...bytes.slice(8, -1)]);
    expect(decodeBuyer('u:1', old)).toEqual(newBuyer('u:1'));
  });

  it('reads what was written before attributes shared their message, and writes it shorter', () => {
    const timeMs = Date.UTC(2026, 0, 2, 3, 4, 5);
    const said = (value: string, messageId: string) => ({ value, timeMs, messageId });
    const buyer: Buyer = {
      ...newBuyer('u:1'),
      firstMs: timeMs - 60_000,
      lastMs: timeMs,
      country: said('DE', 'm-1'),
      industry: said('machinery', 'm-1'),
      channel: said('search', 'm-0'),
    };
    const old = Buffer.from(
      '02a8c4a2e5b733c0a90701024445c0a907036d2d3101096d616368696e657279c0a907036d2d31' +
        '0106736561726368c0a907036d2d300000000000000000000000000000000000',
      'hex',
    );
    expect(decodeBuyer('u:1', old)).toEqual(buyer);
    expect(decodeBuyer('u:1', encodeBuyer(buyer))).toEqual(buyer);
    // Three bytes of time, the id and its length.
    expect(encodeBuyer(buyer)).toHaveLength(old.length - 7);
  });

  it('reads links of before it was kept when they were said, and counts those that stand', () => {
    const timeMs = Date.UTC(2026, 0, 2, 3, 4, 5);
    const unsaid = { saidFromMs: 0, saidToMs: 0 };
    const links = {
      current: { id: '3-40-v', user: 'u:3', sinceMs: timeMs, stage: 'new' as const, ...unsaid },
      history: '',
      past: [
        // Of a life before.
        { id: '3-8-v', user: 'u:0', how: 'superseded' as const, ...unsaid },
        { id: '3-20-v', user: 'u:1', how: 'superseded' as const, ...unsaid },
        { id: '3-30-v', user: 'u:2', how: 'revoked' as const, ...unsaid },
      ],
      bornOffset: 9,
      standing: 1,
    };
    const old = Buffer.from(
      '038899a6e5b7338fb2cccaef6600000000000000000000000000000000000000010206332d34302d7603753a330001000305' +
        '332d382d7603753a300006332d32302d7603753a310006332d33302d7603753a320109',
      'hex',
    );
    expect(decodeBuyer('a:v', old)).toEqual({ ...newBuyer('a:v'), firstMs: timeMs, links });
  });

  it('reads GB where a state of before says UK, in what came by a link too', () => {
    const country = { value: 'UK', timeMs: 1_700_000_000_000, messageId: 'm-1' };
    const ended = { number: 1, link: 'l', visitor: 'a:1', mergedMs: 0, ended: false };
    const parts = [{ ...newHistory(), ...ended, country }];
    const decoded = decodeBuyer(
      'u:1',
      encodeBuyer({ ...newBuyer('u:1'), country, level: country, nextPart: 2, parts }),
    );
    expect(decoded).toMatchObject({ country: { ...country, value: 'GB' }, level: country });
    expect(decoded.parts[0]).toMatchObject({ country: { ...country, value: 'GB' } });
  });

  it('reads names of any script and length, each as it was written', () => {
    const name = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary', maxLength: 80 }),
      fc.constantFrom('DE', 'ED'),
    );
    fc.assert(
      fc.property(fc.array(name), (texts) => {
        const writer = new BinaryWriter();
        for (const text of texts) writer.text(text);
        const reader = new BinaryReader(Buffer.from(writer.take()));
        const wellFormed = texts.map((text) => text.toWellFormed());
        expect(texts.map(() => reader.name())).toEqual(wellFormed);
      }),
    );
  });

  it('refuses a blob that is cut short', () => {
    const bytes = encodeBuyer(newBuyer('u:1'));
    expect(() => decodeBuyer('u:1', bytes.subarray(0, bytes.length - 3))).toThrow(RangeError);
  });

  it('reads the next one as it is, wherever the one before was cut', () => {
    fc.assert(
      fc.property(buyers, fc.nat(), (buyer, place) => {
        const bytes = encodeBuyer(buyer);
        expect(() => decodeBuyer(buyer.key, bytes.subarray(0, place % bytes.length))).toThrow();
        expect(decodeBuyer(buyer.key, bytes)).toEqual(buyer);
      }),
    );
  });
});

describe('variable-length integers', () => {
  it('hold every safe whole number, positive and negative', () => {
    fc.assert(
      fc.property(
        fc.array(fc.maxSafeNat()),
        fc.array(fc.integer({ min: -(2 ** 52), max: 2 ** 52 - 1 })),
        (unsigned, signed) => {
          const writer = new BinaryWriter();
          for (const value of unsigned) writer.unsigned(value);
          for (const value of signed) writer.signed(value);
          const reader = new BinaryReader(writer.take());
          expect(unsigned.map(() => reader.unsigned())).toEqual(unsigned);
          expect(signed.map(() => reader.signed() + 0)).toEqual(signed);
        },
      ),
    );
  });
});

it('reads the fields in the order in which a new buyer has them, so that both have one shape', () => {
  const made = newBuyer('u:1');
  expect(Object.keys(decodeBuyer('u:1', encodeBuyer(made)))).toEqual(Object.keys(made));
});
