// A partition that goes on while its aggregates are read: where it stands is asked for behind them.

import { describe, expect, it } from 'vitest';
import type { ClickHouse } from '../../platform/clickhouse.ts';
import { byEffects, byTimers } from '../../verify/aggregate-rows.ts';
import { compareWindows } from '../../verify/aggregates.ts';
import { compareBeyondLogs } from '../../verify/beyond-log.ts';
import { Comparison } from '../../verify/compare.ts';
import { decodeEvent } from '../../verify/decode.ts';
import { comparePartitions } from '../../verify/partitions.ts';
import { workOut } from '../../verify/people.ts';
import { describe as describeVerdict } from '../../verify/report.ts';
import { type Scope, versionReached } from '../../verify/scope.ts';
import type { StoredHead, StoredPartition } from '../../verify/stored.ts';
import { walk } from '../../verify/watermark.ts';

const PARTITION = 3;
const at = (offset: number): bigint => versionReached({ offset, fired: 0 } as StoredHead);

/** A partition of an empty log, which reaches `reached` while ClickHouse reads a row of each table, of `version`. */
function scopeOf(reached: number, version: bigint) {
  let now = at(0);
  const comparison = new Comparison();
  const query = async ({ query: text }: { query: string }) => ({
    async *stream() {
      now = at(reached);
      const cell = ['DE', 'machinery', 'search'];
      const row = text.includes('funnel_hours')
        ? ['purchase', 1, 1_800_000_000, ...cell, PARTITION, [1, 1], String(version)]
        : ['2027-01-15', ...cell, PARTITION, 1, 0, 0, String(version)];
      yield [{ json: () => row }];
    },
  });
  const log = { topic: 'events', partition: PARTITION, low: 0, high: 0, records: [], gaps: [] };
  const walked = walk(log, decodeEvent);
  const id = { topic: 'events', generation: 1, partition: PARTITION } as const;
  const stored = { id, head: undefined, outboxEntries: 0, windows: new Map() } as unknown as StoredPartition;
  const events = [{ log, stored, rested: true, walk: walked, people: workOut(walked, 1) }];
  const versionsNow = async () => {
    const asked = now;
    return () => asked;
  };
  const clickhouse = { query } as unknown as ClickHouse;
  return { scope: { comparison, clickhouse, events, versionsNow } as unknown as Scope, comparison };
}

describe('an aggregate', () => {
  it('of a position that its partition has reached meanwhile says nothing', async () => {
    const { scope, comparison } = scopeOf(20, at(20));
    await compareWindows(scope);
    expect(comparison.differences).toEqual([]);
    expect(comparison.leftOut.map(({ kind, count }) => [kind, count])).toEqual([
      ['funnel_hours rows', 1],
      ['north_star_days rows', 1],
    ]);
  });

  it('of a position that its partition has not reached is wrong', async () => {
    const { scope, comparison } = scopeOf(20, at(21));
    await compareWindows(scope);
    expect(comparison.differences.map(({ kind }) => kind)).toEqual([
      'funnel_hours rows',
      'north_star_days rows',
    ]);
  });

  it('that the log does not tell of is wrong where the partition was read', async () => {
    const { scope, comparison } = scopeOf(20, at(0));
    await compareWindows(scope);
    expect(comparison.differenceCount).toBe(2);
  });
});

describe('what waits in an outbox', () => {
  const compared = async (
    rested: boolean,
    reached: number,
    later: Partial<StoredPartition> = {},
  ): Promise<Comparison> => {
    const { scope, comparison } = scopeOf(0, 0n);
    const [events] = scope.events;
    const head = { offset: 4, fired: 0, watermarkMs: 0, flushed: at(3).toString() } as StoredHead;
    const stored = { ...events!.stored, head, outboxEntries: 1, definitions: [] };
    const each = { ...events!, log: { ...events!.log, high: 6 }, stored, rested };
    await comparePartitions({
      ...scope,
      events: [each],
      spend: [],
      rejected: {
        log: { ...each.log, high: 0 },
        stored: { ...events!.stored, id: { ...stored.id, topic: 'rejected' } },
        rested: true,
      },
      restOf: async () => ({ head: { ...head, offset: reached }, outboxEntries: 1, ...later }),
      endNow: (topic) => (topic === 'events' ? 1_000_006 : 0),
    } as Scope);
    return comparison;
  };
  const kinds = async (...read: Parameters<typeof compared>): Promise<string[]> =>
    (await compared(...read)).differences.map(({ kind }) => kind);

  it('is no fault of a partition that never rested and has gone on', async () => {
    expect(await kinds(false, 9)).toEqual([]);
  });

  it('and what stands in the log behind what was read is counted as left out', async () => {
    const { leftOut } = await compared(false, 9);
    expect(leftOut.map(({ kind, count }) => [kind, count])).toEqual([
      ['offsets', 1_000_002],
      ['heads', 1],
      ['outboxes', 1],
    ]);
    expect((await compared(true, 4)).leftOut.map(({ kind }) => kind)).toEqual(['offsets']);
  });

  it('is one of a partition that stands still', async () => {
    expect(await kinds(false, 4)).toEqual(['heads', 'outboxes']);
  });

  it('is none of a partition that has delivered it a moment later, or goes on then', async () => {
    const head = { offset: 4, fired: 0, watermarkMs: 0, flushed: at(4).toString() } as StoredHead;
    expect(await kinds(false, 4, { head, outboxEntries: 0 })).toEqual(['heads']);
    expect(await kinds(false, 4, { head: { ...head, offset: 6 }, outboxEntries: 3 })).toEqual([]);
  });

  it('is one of a partition that is said to have rested', async () => {
    expect(await kinds(true, 9)).toEqual(['heads', 'outboxes']);
  });
});

describe('a row behind what was read', () => {
  /** Every table has one of offset 9; the partition was read up to 4. */
  async function kinds(end: number): Promise<string[]> {
    const { scope, comparison } = scopeOf(0, 0n);
    let isAskedLast = false;
    const query = async () => {
      isAskedLast = false;
      return { json: async () => [[PARTITION, 1, 9]] };
    };
    const clickhouse = { query } as unknown as ClickHouse;
    const readEnds = async () => {
      isAskedLast = true;
      return () => end;
    };
    const head = { offset: 4, fired: 0 } as StoredHead;
    const [events] = scope.events;
    const each = { ...events!, stored: { ...events!.stored, head } };
    const spend = { ...each, stored: { ...each.stored, id: { ...each.stored.id, topic: 'spend' } } };
    await compareBeyondLogs({
      ...scope,
      clickhouse,
      readEnds,
      events: [each],
      spend: [spend],
    } as unknown as Scope);
    // Asked behind the last of the rows: a partition goes on meanwhile.
    expect(isAskedLast).toBe(true);
    return comparison.differences.map(({ kind }) => kind);
  }

  it('says nothing if its record is in the log by then', async () => {
    expect(await kinds(10)).toEqual([]);
  });

  it('is of no record if the log ends before it', async () => {
    const found = await kinds(9);
    expect(found).toHaveLength(12);
    expect(found).toContain('events rows');
    expect(found).toContain('leases rows');
  });
});

describe('a version that one effect gave', () => {
  const at = (offset: number, place: number): bigint => BigInt(offset) * 4_194_304n + BigInt(place);

  it('is reached at the offset of a partition that stands, however few timers have fired there', () => {
    const stands = { reached: at(7, 2), now: at(7, 2) };
    expect(byEffects(at(7, 9), stands)).toEqual({ isReached: true, hasMovedOn: false });
    expect(byEffects(at(8, 1), stands)).toEqual({ isReached: false, hasMovedOn: false });
    expect(byTimers(at(7, 9), stands)).toEqual({ isReached: false, hasMovedOn: false });
  });

  it('is left out at that offset once the partition has gone on, if only by a timer', () => {
    const goneOn = { reached: at(7, 2), now: at(7, 3) };
    expect(byEffects(at(7, 9), goneOn)).toEqual({ isReached: false, hasMovedOn: true });
    // Three timers without effects, and then the record itself: its first row has a lower version than the timers had come to.
    expect(byEffects(at(7, 1), goneOn)).toEqual({ isReached: false, hasMovedOn: true });
    expect(byEffects(at(6, 9), goneOn)).toEqual({ isReached: true, hasMovedOn: false });
    expect(byEffects(at(9, 1), goneOn)).toEqual({ isReached: false, hasMovedOn: false });
  });
});

describe('a report in which nothing differs', () => {
  const verdict = {
    namespace: 'n',
    kinds: [],
    differenceCount: 0,
    differences: [],
    shortfalls: [],
    leftOut: [],
  };

  it('names the partitions that were compared only as far as they had come', () => {
    const lines = describeVerdict({ ...verdict, restless: ['events 3', 'spend 1'], elapsedMs: 0 }, 10);
    expect(lines).toContainEqual(
      expect.stringMatching(/^events 3, spend 1: never at rest while it was read/),
    );
    expect(lines.at(-1)).toMatch(/^no difference/);
  });
});
