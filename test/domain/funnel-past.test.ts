// The past of a user with very much behind its links: each of its own records looks at what arrives before it, not at all that
// ever will, and one key is computed at a time.
import { expect, it } from 'vitest';
import { readDocument, settings } from '../../domain/definition.ts';
import { backfillRecords, definitionsFor } from '../../domain/funnel-past.ts';
import type { KeyPast, PastChange, PastRow } from '../../domain/funnel-past-rows.ts';

const START_MS = Date.UTC(2026, 0, 1);
const funnel = {
  ...{ id: 'any', revision: 1, hash: '' },
  document: readDocument('funnel', { name: 'any', steps: ['view', 'order'], windowMs: 1_000 }) as never,
};
const definitions = definitionsFor(funnel, settings.parse({ maxBehavioursPerBuyer: 10 }));

function rowsFrom(first: number, count: number, onLook: () => void): PastRow[] {
  return Array.from({ length: count }, (_, index) => ({
    offset: first + index,
    timeMs: START_MS + first + index,
    get appendMs() {
      onLook();
      return START_MS + first + index;
    },
    messageId: `m${first + index}`,
    ...{ behaviour: 'view', country: '', industry: '', channel: '' },
  }));
}

function told(key: string, change: string, offset: number): PastChange & { readonly key: string } {
  const link = { link: 'l', visitor: 'a:v', user: 'u:u', fromOffset: 0 };
  return { key, offset, timeMs: START_MS, ...link, change };
}

it('a user whose visitor goes on for long looks at each forward a few times', () => {
  const COUNT = 1_000;
  let looks = 0;
  const look = (): void => {
    looks += 1;
  };
  const visitor: KeyPast = {
    key: 'a:v',
    rows: rowsFrom(COUNT + 10, COUNT, look),
    changes: [told('a:v', 'linked', 1)],
  };
  const user: KeyPast = { key: 'u:u', rows: rowsFrom(3, COUNT, look), changes: [told('u:u', 'merged', 2)] };
  const [record] = backfillRecords(
    { keys: [user], visitors: [visitor], merged: new Set(['l']) },
    definitions,
  );
  expect(record!.behaviours.at(-1)).toEqual([START_MS + 2 * COUNT + 9, 'view', 'l']);
  expect(looks).toBeLessThan(20 * COUNT);
});

it('nothing of a key is looked at before the record of the one before it is taken, nor of a visitor before its user', () => {
  const looked = new Set<string>();
  const lookedAt = (past: KeyPast): KeyPast => ({
    ...past,
    get rows() {
      looked.add(past.key);
      return past.rows;
    },
  });
  const visitor = { key: 'a:v', rows: rowsFrom(3, 1, () => {}), changes: [told('a:v', 'linked', 1)] };
  const first = { key: 'u:first', rows: rowsFrom(3, 1, () => {}), changes: [] };
  const user = { key: 'u:u', rows: rowsFrom(3, 1, () => {}), changes: [told('u:u', 'merged', 2)] };
  const keys = [first, user].map(lookedAt);
  const records = backfillRecords(
    { keys, visitors: [lookedAt(visitor)], merged: new Set(['l']) },
    definitions,
  );
  expect(records.next().value).toMatchObject({ key: 'u:first' });
  expect([...looked]).toEqual(['u:first']);
  expect(records.next().value).toMatchObject({ key: 'u:u' });
  expect([...looked].sort()).toEqual(['a:v', 'u:first', 'u:u']);
});
