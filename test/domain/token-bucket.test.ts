// The token bucket at its borders, for odd rates, for more than it holds, and against what it promises in the long run.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Bucket, type BucketPolicy, putBack, take } from '../../domain/token-bucket.ts';

/** Takes at a time; fails if it is refused. */
function taken(bucket: Bucket | undefined, policy: BucketPolicy, amount: number, nowMs: number): Bucket {
  const taking = take(bucket, policy, amount, nowMs);
  if (!taking.taken) throw new Error(`refused for ${taking.waitMs} ms`);
  return taking.bucket;
}

describe('a token bucket', () => {
  it('gives its burst and not one more, and exactly one after exactly the time of one', () => {
    const policy = { perSecond: 3, burst: 2 };
    const empty = taken(taken(undefined, policy, 1, 0), policy, 1, 0);
    expect(take(empty, policy, 1, 0)).toEqual({ taken: false, waitMs: 334 });
    expect(take(empty, policy, 1, 333)).toEqual({ taken: false, waitMs: 1 });
    expect(take(empty, policy, 1, 334)).toMatchObject({ taken: true, left: 0 });
    expect(take(taken(empty, policy, 1, 334), policy, 1, 334).taken).toBe(false);
  });

  it('gives more than it holds when it is full, and lets it be paid back', () => {
    const policy = { perSecond: 10, burst: 20 };
    const inDebt = taken(undefined, policy, 100, 0);
    // 80 are owed: eight seconds until there is nothing, a tenth more until there is one.
    expect(take(inDebt, policy, 1, 0)).toEqual({ taken: false, waitMs: 8_100 });
    expect(take(inDebt, policy, 100, 0)).toEqual({ taken: false, waitMs: 10_000 });
    expect(take(inDebt, policy, 100, 9_999).taken).toBe(false);
    expect(take(inDebt, policy, 100, 10_000).taken).toBe(true);
  });

  it('is not emptied by what it refuses', () => {
    const policy = { perSecond: 1, burst: 5 };
    const bucket = taken(undefined, policy, 4, 0);
    expect(take(bucket, policy, 2, 0).taken).toBe(false);
    expect(take(bucket, policy, 1, 0).taken).toBe(true);
  });

  it('is as before when what was taken is put back, and never fuller than full', () => {
    const policy = { perSecond: 10, burst: 20 };
    const before = taken(undefined, policy, 15, 0);
    for (const amount of [5, 1]) {
      const after = putBack(taken(before, policy, amount, 0), policy, amount, 0);
      expect(after).toEqual({ bucket: before, left: 5 });
    }
    expect(putBack(taken(undefined, policy, 100, 0), policy, 100, 0).left).toBe(20);
    // A second later ten have come back by themselves.
    expect(putBack(before, policy, 15, 1_000)).toEqual({
      bucket: { milliTokens: 20_000, atMs: 1_000 },
      left: 20,
    });
  });

  it('says a wait that is enough, and a millisecond less is not', () => {
    const numbers = fc.integer({ min: 1, max: 1_000 });
    fc.assert(
      fc.property(numbers, numbers, numbers, numbers, (perSecond, burst, before, amount) => {
        const policy = { perSecond, burst };
        const bucket = taken(undefined, policy, before, 0);
        const taking = take(bucket, policy, amount, 0);
        if (taking.taken) return;
        expect(take(bucket, policy, amount, taking.waitMs).taken).toBe(true);
        expect(take(bucket, policy, amount, taking.waitMs - 1).taken).toBe(false);
      }),
    );
  });

  it('never gives more than rate × time + burst, besides what the last one took beyond the burst', () => {
    const steps = fc.array(
      fc.record({ amount: fc.integer({ min: 1, max: 50 }), pauseMs: fc.integer({ min: 0, max: 900 }) }),
      { maxLength: 200 },
    );
    const rates = fc.integer({ min: 1, max: 40 });
    fc.assert(
      fc.property(rates, rates, steps, (perSecond, burst, all) => {
        let bucket: Bucket | undefined;
        let nowMs = 0;
        let given = 0;
        for (const { amount, pauseMs } of all) {
          nowMs += pauseMs;
          const taking = take(bucket, { perSecond, burst }, amount, nowMs);
          if (!taking.taken) continue;
          bucket = taking.bucket;
          given += amount;
          expect(given).toBeLessThanOrEqual(
            burst + (nowMs * perSecond) / 1_000 + Math.max(0, amount - burst),
          );
        }
      }),
    );
  });
});
