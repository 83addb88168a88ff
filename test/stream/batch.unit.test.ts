// A batch as its commit keeps it is the batch that was folded.
import { expect, it } from 'vitest';
import { pack, unpack } from '../../platform/codec.ts';
import {
  addRow,
  addVerdict,
  fromEntry,
  hasDelivery,
  newBatch,
  type OutboxEntry,
  toEntry,
  verdictAt,
} from '../../stream/batch.ts';
import { columns } from '../../stream/rows.ts';

it('says verdict and behaviour of every offset after it was kept and read back', () => {
  const batch = newBatch(1_000);
  const verdicts = ['applied', 'late', 'duplicate', 'rejected', 'control'] as const;
  const said = Array.from({ length: 300 }, (_, index) => ({
    verdict: verdicts[index % 5]!,
    behaviour: index % 3 === 0 ? '' : `behaviour ${index % 7}`,
  }));
  for (const { verdict, behaviour } of said) addVerdict(batch, verdict, behaviour);
  const row = columns.transitions.map((_, index) => ['u:é', 1, null][index] ?? index);
  addRow(batch, 'transitions', row);
  batch.records.push({ to: 'rejected', partition: 1, key: null, value: '{}', source: 'events:1:0:7:0' });
  const read = fromEntry(unpack(pack(toEntry(batch))) as OutboxEntry);
  expect([read.from, read.to]).toEqual([1_000, 1_299]);
  expect(said.map((_, index) => verdictAt(read, 1_000 + index))).toEqual(said);
  expect([...read.rows]).toEqual([['transitions', [row]]]);
  expect(read.records).toEqual(batch.records);
});

it.each([255, 256, 300])('says %i behaviours of one batch, and no other ones in their place', (count) => {
  const batch = newBatch(0);
  for (let index = 0; index < count; index += 1) addVerdict(batch, 'applied', `behaviour ${index}`);
  const read = fromEntry(unpack(pack(toEntry(batch))) as OutboxEntry);
  expect(batch.verdicts.map((_, index) => verdictAt(read, index).behaviour)).toEqual(
    Array.from({ length: count }, (_, index) => `behaviour ${index}`),
  );
});

it('an entry of an older version, with a byte for each behaviour, is read', () => {
  const entry: OutboxEntry = [7, 9, Buffer.from([0, 4, 1]), Buffer.from([1, 0, 2]), ['', 'a', 'b'], [], []];
  const read = fromEntry(unpack(pack(entry)) as OutboxEntry);
  expect([7, 8, 9].map((offset) => verdictAt(read, offset))).toEqual([
    { verdict: 'applied', behaviour: 'a' },
    { verdict: 'control', behaviour: '' },
    { verdict: 'late', behaviour: 'b' },
  ]);
});

it('a row that an older version left, without the columns that came since, is filled up', () => {
  const batch = newBatch(1);
  const before = columns.rejects.slice(0, -1);
  addRow(batch, 'rejects', before);
  const read = fromEntry(unpack(pack(toEntry(batch))) as OutboxEntry);
  expect(read.rows.get('rejects')).toEqual([[...before, '']]);
});

it('an empty batch has nothing to deliver; one verdict, row or record is something', () => {
  expect(hasDelivery(newBatch(5))).toBe(false);
  const judged = newBatch(5);
  addVerdict(judged, 'control', '');
  const row = newBatch(5);
  addRow(row, 'leases', []);
  expect([hasDelivery(judged), hasDelivery(row)]).toEqual([true, true]);
});
