// Rolling counts from Redis, against windows written in the stream's layout.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { unstarted, writeBackfill } from '../../platform/backfill-progress.ts';
import { windowName } from '../../platform/keys.ts';
import { topicPartitions } from '../../platform/namespace.ts';
import { type Answering, answering, GENERATION } from './answering.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const NOW = Date.UTC(2026, 0, 15, 12, 30, 20);

let here: Answering;
beforeAll(async () => {
  here = await answering('rolling');
  here.definitions.set('settings', 'default', { latenessMs: 10 * MINUTE_MS });
  const funnel = { name: 'Purchase', steps: ['view', 'inquiry', 'order'], windowMs: 24 * HOUR_MS };
  here.definitions.set('funnel', 'purchase', funnel, 2);
});
afterAll(() => here?.close());

describe('GET /v1/rolling/funnels/{id}', () => {
  async function setWindow(partition: number, grain: 'm' | 'h', ms: number, cells: Record<string, string>) {
    const bucket = Math.floor(ms / (grain === 'm' ? MINUTE_MS : HOUR_MS));
    const key = here.keysOf('events', partition).window(windowName('funnel:purchase', 2, grain, bucket));
    await here.redis.hset(key, cells);
  }
  const counts = (steps: { count: number }[]): number[] => steps.map((step) => step.count);

  it('reads each partition at its own watermark and says as of when', async () => {
    const behindMs = NOW - 8 * MINUTE_MS;
    await here.setHead('events', 0, { watermark: NOW });
    await here.setHead('events', 5, { watermark: behindMs });
    await here.setHead('events', 6, { watermark: 0 });
    const german = 'DE|toys|search';
    // Partition 0 at 12:30:20: 5 minutes begin at 12:25:20, so the minute 12:25 counts and 12:24 does not.
    await setWindow(0, 'm', Date.UTC(2026, 0, 15, 12, 30), { [german]: '1,0,0', 'FR|toys|direct': '2,1,0' });
    await setWindow(0, 'm', Date.UTC(2026, 0, 15, 12, 25), { [german]: '10,5,1' });
    await setWindow(0, 'm', Date.UTC(2026, 0, 15, 12, 24), { [german]: '100,50,10' });
    // Partition 5 at 12:22:20: 12:17 counts, 12:16 does not.
    await setWindow(5, 'm', Date.UTC(2026, 0, 15, 12, 17), { 'other||': '4,0,0' });
    await setWindow(5, 'm', Date.UTC(2026, 0, 15, 12, 16), { 'other||': '1000,0,0' });
    await setWindow(0, 'h', NOW - 24 * HOUR_MS, { [german]: '7,7,7' });
    await setWindow(0, 'h', NOW - 25 * HOUR_MS, { [german]: '9,9,9' });
    await setWindow(0, 'h', NOW, { [german]: '3,2,1' });

    const five = await here.get('/v1/rolling/funnels/purchase?window=5m&by=country');
    expect(five).toMatchObject({
      funnel: 'purchase',
      revision: 2,
      window: '5m',
      asOf: new Date(behindMs).toISOString(),
      incomplete: false,
      spreadMs: 8 * MINUTE_MS,
      partitions: 2,
    });
    expect(counts(five.steps)).toEqual([17, 6, 1]);
    expect(five.steps[1].rateFromPrevious).toBeCloseTo(6 / 17, 12);
    expect(
      five.segments.map((each: { segment: string; steps: { count: number }[] }) => [
        each.segment,
        counts(each.steps),
      ]),
    ).toEqual([
      ['DE', [11, 5, 1]],
      ['other', [4, 0, 0]],
      ['FR', [2, 1, 0]],
    ]);
    expect(counts((await here.get('/v1/rolling/funnels/purchase?window=1h')).steps)).toEqual([1_117, 56, 11]);
    expect(counts((await here.get('/v1/rolling/funnels/purchase?window=24h')).steps)).toEqual([10, 9, 8]);
  });

  it('is incomplete when partitions are further apart than lateness', async () => {
    await here.setHead('events', 5, { watermark: NOW - 11 * MINUTE_MS });
    const body = await here.get('/v1/rolling/funnels/purchase?window=5m');
    expect([body.incomplete, body.spreadMs]).toEqual([true, 11 * MINUTE_MS]);
    expect(body.segments).toEqual([]);
  });

  // A rewind sets the watermark to 0: the partition was left out as one that never had a record, and nothing told of it.
  it('is incomplete while a partition that begins anew has yet to read its first record', async () => {
    await here.setHead('events', 5, { watermark: NOW });
    const told = async (ready: number) => {
      await here.setHead('events', 7, { watermark: 0, ready });
      const body = await here.get('/v1/rolling/funnels/purchase?window=5m');
      return [body.incomplete, body.partitions];
    };
    expect([await told(0), await told(1)]).toEqual([
      [true, 2],
      [false, 2],
    ]);
  });

  it('says how far the past of the revision is counted', async () => {
    const past = async () => (await here.get('/v1/rolling/funnels/purchase')).backfill;
    expect(await past()).toEqual({ status: 'waiting', buyersDone: 0, buyersTotal: 0 });
    const done = { ...unstarted('purchase', 2), status: 'done' as const, keysDone: 3, keysTotal: 3 };
    await writeBackfill(here.redis, here.namespace, GENERATION, done);
    expect(await past()).toEqual({ status: 'done', buyersDone: 3, buyersTotal: 3 });
  });

  it('is incomplete when less is held than the window covers', async () => {
    await here.setHead('events', 5, { watermark: NOW });
    const incomplete = () =>
      Promise.all(
        ['5m', '1h', '24h'].map(
          async (window) => (await here.get(`/v1/rolling/funnels/purchase?window=${window}`)).incomplete,
        ),
      );
    expect(await incomplete()).toEqual([false, false, false]);
    const latenessMs = 10 * MINUTE_MS;
    here.definitions.set('settings', 'default', {
      latenessMs,
      minuteRetentionMs: 0,
      hourRetentionMs: HOUR_MS,
    });
    expect(await incomplete()).toEqual([false, true, true]);
    here.definitions.set('settings', 'default', { latenessMs });
  });

  // Hours that the earlier settings had closed are gone, and were passed over as if nothing had been in them.
  it('is incomplete until the window is past settings that held less', async () => {
    const latenessMs = 10 * MINUTE_MS;
    const settings = { latenessMs, hourRetentionMs: HOUR_MS };
    here.definitions.set('settings', 'default', settings, 1, NOW - 10 * HOUR_MS);
    here.definitions.set('settings', 'default', { latenessMs }, 2, NOW - 2 * HOUR_MS);
    const incomplete = async (window: string) =>
      (await here.get(`/v1/rolling/funnels/purchase?window=${window}`)).incomplete;
    expect([await incomplete('24h'), await incomplete('1h')]).toEqual([true, false]);
    for (const partition of [0, 5]) {
      await here.setHead('events', partition, { watermark: NOW + 22 * HOUR_MS });
    }
    expect(await incomplete('24h')).toBe(false);
  });

  it('is empty, and as of never, before the first record', async () => {
    for (let partition = 0; partition < topicPartitions.events; partition += 1) {
      await here.redis.del(here.keysOf('events', partition).head);
    }
    const body = await here.get('/v1/rolling/funnels/purchase');
    expect([body.asOf, body.incomplete, body.partitions]).toEqual([null, false, 0]);
    expect(body.steps[1]).toEqual({ step: 'inquiry', count: 0, rateFromPrevious: null, rateFromFirst: null });
  });

  it('says what is wrong with a question', async () => {
    expect((await here.get('/v1/rolling/funnels/nothing', 404)).code).toBe('unknown_definition');
    expect((await here.get('/v1/rolling/funnels/purchase?window=2h', 400)).code).toBe('invalid');
  });
});
