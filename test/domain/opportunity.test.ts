// Opportunities: the borders of their quality, which of several is meant, and when time closes one.
import { describe, expect, it } from 'vitest';
import { newBuyer, type OpenOpportunity } from '../../domain/buyer.ts';
import type { SegmentRecord } from '../../domain/buyer-record.ts';
import { opportunity, readDocument } from '../../domain/definition.ts';
import type { Effect } from '../../domain/effect.ts';
import { arrange, type KeptDefinition } from '../../domain/in-force.ts';
import { fulfillable, joinable, qualityOf, subjectOf } from '../../domain/opportunity.ts';
import { expireOpportunities, opportunityDueMs, pursue } from '../../domain/opportunity-progress.ts';
import { qualityOf as oracleQualityOf } from '../../verify/quality.ts';

const definition = opportunity.parse({
  subject: ['category'],
  messageLength: { weight: 0.2, full: 100 },
  quantity: { weight: 0.2, full: 999 },
  country: { DE: 0.1, XX: -9 },
  level: { gold: 9 },
  qualifiedAt: 0.45,
  closeAfterMs: 1_000,
});
const nobody = { country: undefined, level: undefined };

describe('quality', () => {
  const inquiry = (properties: Record<string, unknown>) =>
    qualityOf(definition, 'inquiry', properties, nobody);
  it.each([
    ['nothing', {}, 0.25],
    ['a message of full length', { message: 'x'.repeat(100) }, 0.45],
    ['one beyond it', { message: 'x'.repeat(9_999) }, 0.45],
    ['the text goes over a length that is said', { message: 'x'.repeat(50), messageLength: 100 }, 0.35],
    ['a negative length and quantity', { messageLength: -5, quantity: -5 }, 0.25],
    ['a quantity that is no number', { quantity: '999' }, 0.25],
    ['the full quantity', { quantity: 999 }, 0.45],
    ['a quantity beyond all', { quantity: Number.MAX_VALUE }, 0.45],
    ['an empty specification', { specification: '' }, 0.25],
    ['a specification', { specification: 'M6' }, 0.35],
    ['all', { message: 'x'.repeat(100), quantity: 999, specification: true }, 0.75],
  ])('of an inquiry with %s', (_, properties, quality) => {
    expect(inquiry(properties)).toBe(quality);
  });

  it('stays within 0 and 1, whatever country and level add', () => {
    expect(qualityOf(definition, 'order', {}, { country: 'XX', level: undefined })).toBe(0);
    expect(qualityOf(definition, 'contact', {}, { country: 'DE', level: 'gold' })).toBe(1);
    expect(qualityOf(definition, 'contact', {}, { country: 'FR', level: 'none' })).toBe(0.15);
  });

  it('adds what the definition gives to a country and level that are not known', () => {
    const weighed = { ...definition, country: { ZZ: 0.05 }, level: { unknown: 0.1, gold: 0 } };
    expect(qualityOf(weighed, 'contact', {}, nobody)).toBe(0.3);
    expect(qualityOf(weighed, 'contact', {}, { country: 'ZZ', level: 'gold' })).toBe(0.2);
    expect(qualityOf(weighed, 'contact', {}, { country: 'DE', level: 'gold' })).toBe(0.15);
  });

  it.each([
    [{ UK: 0.05 }, 0.2],
    [{ UK: 0.05, GB: 0.15 }, 0.3],
    [{ DE: 0.05 }, 0.15],
  ])('is for GB what a definition of before says of UK, as the oracle has it: %j', (country, quality) => {
    const weighed = { ...definition, country };
    expect(qualityOf(weighed, 'contact', {}, { country: 'GB', level: undefined })).toBe(quality);
    expect(oracleQualityOf(weighed, 'contact', {}, { country: 'GB', level: 'unknown' })).toBe(quality);
  });

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
    'is not moved by a level that every object has: %s',
    (level) => {
      expect(qualityOf(definition, 'contact', {}, { country: undefined, level })).toBe(0.15);
      expect(
        subjectOf({ category: 7 }, opportunity.parse({ ...definition, subject: [level, 'category'] })),
      ).toBe('7');
    },
  );
});

it('a subject that is cut in the middle of a character is text all the same', () => {
  expect(subjectOf({ category: `${'x'.repeat(127)}😀 and more` }, definition)).toBe(
    `${'x'.repeat(127)}\ufffd`,
  );
  expect(subjectOf({ category: `${'x'.repeat(126)}😀` }, definition)).toBe(`${'x'.repeat(126)}😀`);
});

function open(id: string, own: Partial<OpenOpportunity> = {}): OpenOpportunity {
  const times = { openedMs: 10, updatedMs: 10 };
  return { id, subject: 's', stage: 'contact', ...times, quality: 0, qualified: false, shares: [], ...own };
}

it('a deep behaviour joins the earliest of its subject that is not ordered, a fulfilment the earliest that is', () => {
  const list = [
    open('late', { openedMs: 30 }),
    open('first'),
    open('equal'),
    open('other', { subject: 't', openedMs: 1 }),
    open('ordered', { stage: 'order', openedMs: 2 }),
  ];
  expect(joinable(list, 's')?.id).toBe('first');
  expect(fulfillable(list, 's')?.id).toBe('ordered');
  expect(joinable(list, '')).toBeUndefined();
  expect(fulfillable(list, 't')).toBeUndefined();
});

it('the subject is a text or a number, cut to 128 characters', () => {
  expect(subjectOf({ category: 7 }, definition)).toBe('7');
  expect(subjectOf({ category: { a: 1 } }, definition)).toBe('');
  expect(subjectOf({ category: 'x'.repeat(200) }, definition)).toHaveLength(128);
});

describe('over time', () => {
  const kept = (type: 'opportunity' | 'settings', document: object): KeptDefinition =>
    ({
      type,
      id: 'default',
      revision: 1,
      epoch: 1,
      document: readDocument(type, document),
    }) as unknown as KeptDefinition;
  const definitions = arrange([
    kept('opportunity', definition),
    kept('settings', { maxOpportunitiesPerBuyer: 2 }),
  ]);
  const contextAt = (nowMs: number, offset = 0) => ({
    nowMs,
    partition: 3,
    offset,
    appendMs: 0,
    definitions,
  });
  const changes = (effects: readonly Effect[]): unknown[] =>
    effects.flatMap((effect) =>
      effect.kind === 'row' ? [`${effect.row.opportunity_id} ${effect.row.change}`] : [],
    );

  it('closes at exactly the end of its time: lost, or complete if it was ordered', () => {
    const buyer = { ...newBuyer('u:1'), opportunities: [open('a'), open('b', { stage: 'order' })] };
    const effects: Effect[] = [];
    expect(opportunityDueMs(buyer, definition)).toBe(1_010);
    expireOpportunities(buyer, contextAt(1_009), effects);
    expect(effects).toEqual([]);
    expireOpportunities(buyer, contextAt(1_010), effects);
    expect(changes(effects)).toEqual(['a lost', 'b completed']);
    expect(opportunityDueMs(buyer, definition)).toBe(0);
  });

  it('qualifies once, at the border; a worse inquiry later takes nothing back; above the cap the oldest goes', () => {
    const buyer = newBuyer('u:1');
    const effects: Effect[] = [];
    const record = (timestamp: number, properties: object) => ({ timestamp, properties }) as SegmentRecord;
    pursue(buyer, 'inquiry', record(1, { category: 's', quantity: 998 }), 0, contextAt(1, 1), effects);
    expect(buyer.opportunities[0]!.qualified).toBe(false);
    pursue(buyer, 'inquiry', record(2, { category: 's', quantity: 999 }), 0, contextAt(2, 2), effects);
    pursue(buyer, 'inquiry', record(3, { category: 's' }), 0, contextAt(3, 3), effects);
    expect(buyer.opportunities[0]).toMatchObject({ quality: 0.45, qualified: true, updatedMs: 3 });
    pursue(buyer, 'contact', record(4, { category: 't' }), 0, contextAt(4, 4), effects);
    pursue(buyer, 'contact', record(5, { category: 'u' }), 0, contextAt(5, 5), effects);
    expect(changes(effects)).toEqual([
      '3-1 opened',
      '3-1 updated',
      '3-1 qualified',
      '3-4 opened',
      '3-1 evicted',
      '3-5 opened',
    ]);
    expect(buyer.overflow).toBe(true);
  });
});
