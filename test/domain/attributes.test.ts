// What a record says of its buyer: the first place that has a usable value; and the oracle's own reading finds the same.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { attributesOf } from '../../domain/attributes.ts';
import type { SegmentRecord } from '../../domain/buyer-record.ts';
import { statedAttributes } from '../../verify/stated.ts';

const recordOf = (fields: object) => fields as SegmentRecord;

it.each([
  // An empty field is what forms and tag managers send of what nobody has filled in.
  [
    {
      properties: { country: '', industry: '' },
      context: { location: { country: 'de' } },
      traits: { industry: 'steel' },
    },
    { country: 'DE', industry: 'steel' },
  ],
  [
    { traits: { level: 7 }, properties: { level: 'x'.repeat(65) }, context: { traits: { level: 'gold' } } },
    { level: 'gold' },
  ],
  [{ traits: { country: 'US' }, properties: { country: 'DE' } }, { country: 'US' }],
  // A name is no code: it hides none, and takes nobody's country away.
  [{ traits: { country: 'Germany' } }, {}],
  [{ traits: { country: 'Germany' }, context: { location: { country: 'DE' } } }, { country: 'DE' }],
  // Definitions may only name GB.
  [{ traits: { country: 'UK' } }, { country: 'GB' }],
  [{ context: { location: { country: 'uk' } } }, { country: 'GB' }],
  [{ traits: { country: 'ZZ' } }, { country: 'ZZ' }],
  [{ properties: { channel: 'a|b' } }, { channel: 'a/b' }],
  [{ context: { campaign: { medium: null, source: 'fair' } } }, { channel: 'fair' }],
  [{ context: { location: 'Berlin', traits: [] } }, {}],
])('%j says %j', (record, said) => {
  expect({ ...attributesOf(recordOf(record)) }).toEqual(said);
});

it('is read in the same way by the oracle, which has code of its own', () => {
  const value = fc.constantFrom(
    '',
    'DE',
    'de',
    'Uk',
    'Germany',
    'a|b',
    'x'.repeat(64),
    'x'.repeat(65),
    null,
    undefined,
    0,
    true,
    {},
    ['DE'],
  );
  const named = fc.record(
    { country: value, industry: value, channel: value, level: value },
    { requiredKeys: [] },
  );
  const campaign = fc.record({ medium: value, source: value }, { requiredKeys: [] });
  const inner = fc.oneof(named, value);
  const context = fc.record(
    { location: inner, traits: inner, campaign: fc.oneof(campaign, value) },
    { requiredKeys: [] },
  );
  const records = fc.record({ properties: named, traits: named, context }, { requiredKeys: [] });
  fc.assert(
    fc.property(records, (fields) => {
      expect(JSON.parse(JSON.stringify(attributesOf(recordOf(fields))))).toEqual(
        statedAttributes(recordOf(fields)),
      );
    }),
    { numRuns: 2_000, seed: 7 },
  );
});
