// Rows of `events` as bytes: what is written is what ClickHouse reads.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { segmentKinds } from '../../domain/buyer-record.ts';
import { EventRows, eventColumns } from '../../stream/event-rows.ts';
import { readEventRow } from './support/event-row.ts';

const text = fc.string({ unit: 'binary', maxLength: 300 });
const time = fc.integer({ min: 631_152_000_000, max: 4_102_444_800_000 });
const names = fc.oneof(
  text,
  fc.constantFrom('', 'a'.repeat(40), 'a'.repeat(41), `${'a'.repeat(39)}é`, '名前'),
);

it('every column of every row comes back, whatever its text and its length', () => {
  const record = fc.record({
    kind: fc.constantFrom(...segmentKinds),
    messageId: names,
    userId: names,
    anonymousId: names,
    event: names,
    source: names,
    timestamp: time,
    receivedAt: time,
  });
  const at = fc.record({
    key: names,
    generation: fc.integer({ min: 0, max: 65_535 }),
    partition: fc.integer({ min: 0, max: 65_535 }),
    offset: fc.maxSafeNat(),
    appendMs: time,
    verdict: fc.constantFrom('applied' as const, 'late' as const, 'duplicate' as const),
    behaviour: names,
    raw: text.map((value) => Buffer.from(value)),
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(record, at), { minLength: 1, maxLength: 8 }), (given) => {
      const rows = new EventRows();
      for (const [one, where] of given) rows.add(one, where);
      expect(rows.length).toBe(given.length);
      given.forEach(([one, where], index) => {
        const row = readEventRow(rows.row(index));
        const read = Object.fromEntries(eventColumns.map((column, place) => [column, row[place]]));
        expect(read).toEqual({
          key: where.key,
          time: one.timestamp,
          generation: where.generation,
          partition: where.partition,
          offset: where.offset,
          kind: one.kind,
          event: one.event,
          behaviour: where.behaviour,
          verdict: where.verdict,
          message_id: one.messageId,
          user_id: one.userId,
          anonymous_id: one.anonymousId,
          country: '',
          industry: '',
          channel: '',
          level: '',
          source: one.source,
          received_at: one.receivedAt,
          appended_at: where.appendMs,
          record: where.raw.toString(),
        });
      });
      expect(Buffer.concat(given.map((_, index) => rows.row(index))).equals(rows.bytes())).toBe(true);
    }),
  );
});
