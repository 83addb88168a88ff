// A buyer's bytes: they come back as they were, and the same state gives the same bytes.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Buyer, newBuyer } from '../../domain/buyer.ts';
import { BinaryReader, BinaryWriter } from '../../platform/binary.ts';
import { decodeBuyer, encodeBuyer, StateSchemaError } from '../../platform/buyer-codec.ts';

const timeMs = fc.integer({ min: 1_700_000_000_000, max: 1_900_000_000_000 });
const stamp = fc.option(fc.record({ value: fc.string(), timeMs, messageId: fc.string() }), { nil: null });
const behaviour = fc.constantFrom('visit', 'view', 'order', 'fulfil', 'sampleAsked');
const count = fc.nat(1_000_000);

const buyers: fc.Arbitrary<Buyer> = fc.record({
  key: fc.constant('u:1'),
  firstMs: fc.oneof(fc.constant(0), timeMs),
  lastMs: timeMs,
  country: stamp,
  industry: stamp,
  channel: stamp,
  level: stamp,
  ids: fc.array(fc.tuple(fc.nat(Number.MAX_SAFE_INTEGER), timeMs)).map((pairs) => pairs.flat()),
  behaviours: fc.array(fc.record({ timeMs, behaviour, epoch: count })),
  settledCount: count,
  funnels: fc.array(
    fc.record({
      id: fc.string(),
      revision: count,
      counted: fc.nat(12),
      settled: fc.oneof(fc.constant([]), fc.tuple(fc.nat(12), timeMs, timeMs)),
    }),
  ),
  engagement: fc.array(
    fc.record({
      halfLifeMs: count,
      referenceMs: timeMs,
      sums: fc.array(fc.record({ behaviour, sum: fc.double({ noNaN: true }) })),
    }),
  ),
  totals: fc.array(fc.record({ behaviour, count })),
  visitDays: fc.array(fc.integer({ min: 0, max: 40_000 })),
  stage: fc.constantFrom(null, 'new', 'mature', 'retained', 'churned'),
  stageSinceMs: fc.oneof(fc.constant(0), timeMs),
  maturedMs: fc.oneof(fc.constant(0), timeMs),
  opportunities: fc.array(
    fc.record({
      id: fc.string(),
      subject: fc.string(),
      stage: fc.constantFrom('contact', 'inquiry', 'order'),
      openedMs: timeMs,
      updatedMs: timeMs,
      quality: fc.double({ min: 0, max: 1, noNaN: true }),
      qualified: fc.boolean(),
    }),
  ),
  exposures: fc.array(
    fc.record({
      experiment: fc.string(),
      variant: fc.string(),
      timeMs,
      messageId: fc.string({ unit: 'grapheme' }),
    }),
  ),
  timerMs: fc.oneof(fc.constant(0), timeMs),
  overflow: fc.boolean(),
});

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
    bytes[0] = 2;
    expect(() => decodeBuyer('u:1', bytes)).toThrow(StateSchemaError);
    expect(() => decodeBuyer('u:1', bytes)).toThrow(/schema version 2, this process knows 1/);
  });

  it('refuses a blob that is cut short', () => {
    const bytes = encodeBuyer(newBuyer('u:1'));
    expect(() => decodeBuyer('u:1', bytes.subarray(0, bytes.length - 3))).toThrow(RangeError);
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
