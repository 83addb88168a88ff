// The live debugger's side of the stream: what it shows, that it changes nothing, and its limits.
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { LiveEvent, LiveInterest } from '../../domain/live.ts';
import type { RejectedRecord } from '../../domain/record.ts';
import type { LiveMessage } from '../../platform/live.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import type { RedisClient } from '../../platform/redis.ts';
import type { Decoded } from '../../stream/decode.ts';
import { INTEREST_READ_MS, type Live, type LiveBatch, openLive } from '../../stream/live.ts';
import { buyersOf } from '../e2e/support/mixed-log.ts';
import { createPartition, definitionValue, PARTITION } from './support/partition.ts';

const MINUTE_MS = 60_000;
const START_MS = Date.UTC(2024, 3, 1, 22);
const APPEND_MS = START_MS + 30 * 86_400_000;
const whole = { sizes: [10_000], restarts: false };
const [first, second] = buyersOf(PARTITION, 2, 'l') as [string, string];

const definitions = [
  definitionValue('settings', 'default', 1, { latenessMs: 10 * MINUTE_MS }),
  definitionValue('behaviours', 'default', 1, {
    rules: ['view', 'inquiry', 'order'].map((event) => ({ kind: 'track', event, behaviour: event })),
  }),
  definitionValue('lifecycle', 'default', 1, {}),
  definitionValue('opportunity', 'default', 1, { subject: ['category'], qualifiedAt: 0.01 }),
  definitionValue('trigger', 'found', 1, { name: 'f', on: 'opportunity', to: ['opened'] }),
  definitionValue('funnel', 'buying', 1, {
    name: 'b',
    steps: ['view', 'inquiry', 'order'],
    windowMs: 60 * MINUTE_MS,
  }),
];

function track(buyer: string, event: string, messageId: string, minutes: number, more: object = {}): string {
  const who = buyer.startsWith('u:') ? { userId: buyer.slice(2) } : { anonymousId: buyer.slice(2) };
  const timestamp = START_MS + minutes * MINUTE_MS;
  const times = { timestamp, receivedAt: Math.max(timestamp, START_MS + 60 * MINUTE_MS), supplied: true };
  return JSON.stringify({ kind: 'track', event, messageId, source: 'site', ...who, ...times, ...more });
}

interface Watched {
  readonly live: Live;
  readonly messages: LiveMessage[];
  readonly failures: unknown[];
  readonly clock: { ms: number };
  events(): LiveEvent[];
}

/** A Redis that knows who looks (a text stands as it is) and remembers what was published; away, it answers nobody who asks. */
async function watched(
  interests: readonly (LiveInterest | string)[],
  publish: (text: string) => Promise<number> = async () => 1,
  isAway: () => boolean = () => false,
): Promise<Watched> {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const messages: LiveMessage[] = [];
  const failures: unknown[] = [];
  const clock = { ms: 0 };
  const redis = {
    eval: async () => {
      if (isAway()) throw new Error('away');
      return interests.map((interest) =>
        typeof interest === 'string' ? interest : JSON.stringify(interest),
      );
    },
    publish: (_channel: string, text: string) => {
      messages.push(JSON.parse(text));
      return publish(text);
    },
  } as unknown as RedisClient;
  const live = openLive({
    redis,
    namespace: namespaceOf('live'),
    slot: '0',
    failed: (error) => failures.push(error),
    monotonicMs: () => clock.ms,
  });
  await vi.advanceTimersByTimeAsync(INTEREST_READ_MS);
  return { live, messages, failures, clock, events: () => messages.flatMap(({ events }) => events) };
}
afterEach(() => {
  vi.useRealTimers();
});

const log = [
  ...definitions,
  track(first, 'view', 'm1', 60, { properties: { country: 'DE' } }),
  track(first, 'inquiry', 'm2', 61, { properties: { category: 'pumps', quantity: 100 } }),
  track(first, 'inquiry', 'm2', 61),
  track(second, 'view', 'm3', 40),
  track(second, 'sneeze', 'm4', 62),
  '{"kind":"track","source":"site","userId":"x"}',
];

/** What a look needs of a partition, without a buyer; it counts who asks for one. */
function unheldWork() {
  const work = {
    id: { topic: 'events', generation: 1, partition: 0 },
    head: { watermarkMs: START_MS },
    inForce: { definitions: { settings: { latenessMs: 0 }, floors: { lateMs: 0 } } },
    asked: 0,
    states: {
      get(): undefined {
        work.asked += 1;
      },
    },
  };
  return work;
}

function lookAt(batch: LiveBatch, work: object, messageId: string) {
  const record = { kind: 'track', messageId, event: 'view', timestamp: START_MS, receivedAt: START_MS };
  const decoded = { kind: 'segment', record, key: first, timeMs: START_MS } as unknown as Decoded;
  return batch.look(work as never, { rows: new Map() } as never, { offset: 1 } as never, decoded);
}

describe('what is shown', () => {
  it('each record with its verdict, its reason and what it changed', async () => {
    const { live, events, failures } = await watched([{}]);
    createPartition(whole, APPEND_MS, PARTITION, live).run(log);
    expect(failures).toEqual([]);
    const [view, inquiry, again, late, sneeze] = events();
    expect(events()).toHaveLength(5);
    expect(view).toMatchObject({
      id: `events:1:0:${definitions.length}`,
      verdict: 'applied',
      behaviour: 'view',
      source: 'site',
      reason: null,
      changes: {
        newBuyer: true,
        attributes: [{ name: 'country', from: '', to: 'DE' }],
        funnels: [{ funnel: 'buying', revision: 1, from: 0, to: 1, steps: ['view'] }],
        stages: [{ from: '', to: 'new', reason: 'first' }],
        counted: { visitors: 1, opportunities: 0, qualityOpportunities: 0, funnelSteps: 1 },
      },
    });
    expect(inquiry!.changes).toMatchObject({
      funnels: [{ from: 1, to: 2, steps: ['inquiry'] }],
      opportunities: [{ change: 'opened', subject: 'pumps' }, { change: 'qualified' }],
      triggers: [{ definition: 'found', to: 'opened', status: 'created' }],
      counted: { visitors: 0, opportunities: 1, qualityOpportunities: 1, funnelSteps: 1 },
    });
    expect(inquiry!.changes.newBuyer).toBeUndefined();
    expect(again).toMatchObject({ verdict: 'duplicate', changes: {} });
    expect(again!.reason!.detail).toBe(
      'message id m2 was applied before, with the event time 2024-04-01T23:01:00.000Z',
    );
    expect(late).toMatchObject({ verdict: 'late', changes: {} });
    expect(late!.reason!.detail).toBe(
      'the event time 2024-04-01T22:40:00.000Z is 1260.0 s behind the watermark 2024-04-01T23:01:00.000Z of its partition; 600.0 s are allowed',
    );
    expect(sneeze!.reason).toMatchObject({
      code: 'unmapped',
      detail: expect.stringContaining('track "sneeze"'),
    });
  });

  it('only what somebody looks for', async () => {
    const shown = async (...interests: LiveInterest[]) => {
      const { live, events } = await watched(interests);
      createPartition(whole, APPEND_MS, PARTITION, live).run(log);
      return events().map(({ messageId, verdict }) => `${messageId} ${verdict}`);
    };
    expect(await shown({ key: second })).toEqual(['m3 late', 'm4 applied']);
    expect(await shown({ verdict: 'duplicate' })).toEqual(['m2 duplicate']);
    expect(await shown({ key: first, verdict: 'late' }, { key: second, verdict: 'late' })).toEqual([
      'm3 late',
    ]);
    expect(await shown({ source: 'app' })).toEqual([]);
  });
});

describe('what it costs', () => {
  it('what somebody looks for, whatever cannot be understood of the others', async () => {
    const tooLong = { key: 'u:'.padEnd(300, 'x') };
    const { live, events, failures } = await watched([
      tooLong,
      { verdict: 'soon' } as never,
      '{',
      { key: second },
    ]);
    createPartition(whole, APPEND_MS, PARTITION, live).run(log);
    expect(failures).toEqual([]);
    expect(events().map(({ messageId }) => messageId)).toEqual(['m3', 'm4']);
  });

  it('nobody looks: nothing is even begun', async () => {
    const { live, messages } = await watched([]);
    expect(live.begin()).toBeUndefined();
    createPartition(whole, APPEND_MS, PARTITION, live).run(log);
    expect(messages).toEqual([]);
  });

  it('everything that is committed is the same with and without viewers', async () => {
    const { live, events } = await watched([{}]);
    const cuts = { sizes: [3, 1, 4], restarts: false };
    const seen = createPartition(cuts, APPEND_MS, PARTITION, live);
    const unseen = createPartition(cuts, APPEND_MS);
    seen.run(log);
    unseen.run(log);
    expect(events()).not.toHaveLength(0);
    expect(seen.stored()).toEqual(unseen.stored());
    expect(seen.sent).toEqual(unseen.sent);
    expect([...seen.rows]).toEqual([...unseen.rows]);
  });

  it('shows so many in a second, and counts the others', async () => {
    const { live, messages, events } = await watched([{}]);
    const many = Array.from({ length: 1_500 }, (_, index) => track(first, 'view', `many-${index}`, 60));
    const partition = createPartition(whole, APPEND_MS, PARTITION, live);
    partition.run([...definitions, ...many]);
    expect(events()).toHaveLength(1_000);
    expect(messages.reduce((sum, { skipped }) => sum + skipped, 0)).toBe(500);
    expect(Math.max(...messages.map((message) => message.events.length))).toBe(200);
  });

  // The second's allowance was used up by records that nobody looked for, which were told as left out.
  it('counts only what somebody looks for as shown and as left out', async () => {
    const many = Array.from({ length: 1_500 }, (_, index) => track(first, 'view', `many-${index}`, 60));
    const outcome = async (...interests: LiveInterest[]) => {
      const { live, messages, events, failures } = await watched(interests);
      createPartition(whole, APPEND_MS, PARTITION, live).run([...definitions, ...many, many[0]!]);
      expect(failures).toEqual([]);
      const skipped = messages.reduce((sum, message) => sum + message.skipped, 0);
      return [events().length, events().at(-1)!.verdict, skipped];
    };
    expect(await outcome({ verdict: 'duplicate' })).toEqual([1, 'duplicate', 0]);
    expect(await outcome({ verdict: 'rejected' }, { key: second }, { verdict: 'duplicate' })).toEqual([
      1,
      'duplicate',
      0,
    ]);
  });

  it('shows so many of one verdict in a second, and counts the others of it', async () => {
    const many = Array.from({ length: 1_500 }, (_, index) => track(first, 'view', `many-${index}`, 60));
    const { live, messages, events } = await watched([{ verdict: 'applied' }]);
    createPartition(whole, APPEND_MS, PARTITION, live).run([...definitions, ...many, many[0]!]);
    expect(events()).toHaveLength(1_000);
    expect(messages.reduce((sum, { skipped }) => sum + skipped, 0)).toBe(500);
  });

  it('tells what it has not looked at where nothing is shown', async () => {
    const many = Array.from({ length: 20_010 }, (_, index) => track(first, 'view', `many-${index}`, 60));
    const { live, messages, failures } = await watched([{ verdict: 'late' }]);
    createPartition(whole, APPEND_MS, PARTITION, live).run([...definitions, ...many]);
    expect(messages.map(({ skipped, events }) => [skipped, events])).toEqual([[10, []]]);
    expect(failures).toEqual([]);
  });

  it('nobody is told of what was left out before somebody looked', async () => {
    const refused: ((error: Error) => void)[] = [];
    const interests: LiveInterest[] = [{}];
    const { live, messages, failures, clock } = await watched(
      interests,
      () => new Promise((_resolve, reject) => refused.push(reject)),
    );
    const views = Array.from({ length: 1_010 }, (_, index) => track(first, 'view', `n${index}`, 60));
    createPartition(whole, APPEND_MS, PARTITION, live).run([...definitions, ...views]);
    // One is left out and not told yet; what was told is refused later.
    expect(lookAt(live.begin()!, unheldWork(), 'more')).toBeUndefined();
    interests.length = 0;
    await vi.advanceTimersByTimeAsync(INTEREST_READ_MS);
    refused[0]!(new Error('away'));
    interests.push({});
    await vi.advanceTimersByTimeAsync(INTEREST_READ_MS);
    expect([failures.length, messages.length]).toEqual([1, 5]);
    clock.ms = 10_000;
    live.begin()!.committed();
    expect(messages).toHaveLength(5);
  });

  it('looks at no state for what is shown only if it changed nothing', async () => {
    const { live, events, failures } = await watched([{ verdict: 'late' }, { verdict: 'duplicate' }]);
    const work = unheldWork();
    const batch = live.begin()!;
    lookAt(batch, work, 'm')!('applied', 'view');
    expect(work.asked).toBe(0);
    lookAt(batch, work, 'n')!('late', 'view');
    batch.committed();
    expect([events().map(({ messageId }) => messageId), failures]).toEqual([['n'], []]);
  });

  it('looks at no state once no more can be shown in this second', async () => {
    const { live, messages, failures } = await watched([{ verdict: 'applied' }]);
    const work = unheldWork();
    const batch = live.begin()!;
    for (let index = 0; index < 1_000; index += 1) lookAt(batch, work, `m${index}`)!('applied', 'view');
    const { asked } = work;
    lookAt(batch, work, 'more')!('applied', 'view');
    lookAt(batch, work, 'again')!('duplicate', 'view');
    expect(work.asked).toBe(asked);
    batch.committed();
    expect(messages.map((message) => message.events.length)).toEqual([200, 200, 200, 200, 200]);
    expect(messages.reduce((sum, { skipped }) => sum + skipped, 0)).toBe(1);
    expect(failures).toEqual([]);
  });

  it('a reject is shown to who looks for rejects, however much else comes', async () => {
    const { live, messages, events, failures } = await watched([{ verdict: 'rejected' }]);
    const many = Array.from({ length: 1_500 }, (_, index) => track(first, 'view', `many-${index}`, 60));
    createPartition(whole, APPEND_MS, PARTITION, live).run([...definitions, ...many]);
    const work = { id: { topic: 'rejected', generation: 1, partition: 0 }, head: { watermarkMs: 0 } };
    const raw = Buffer.from('{"userId":"x"}').toString('base64');
    const reason = { reason: 'invalid', detail: 'an event needs a name' };
    const origin = { sourceTopic: 'collect', sourcePartition: -1, sourceOffset: 0, sourceId: 'r' };
    const record: RejectedRecord = {
      kind: 'rejected',
      ...origin,
      route: '/v1/track',
      ...reason,
      raw,
      at: START_MS,
    };
    const batch = live.begin()!;
    const decoded: Decoded = { kind: 'rejected', record, key: '', timeMs: 0 };
    batch.look(work as never, {} as never, { offset: 7 } as never, decoded)!('control', '');
    batch.committed();
    expect(failures).toEqual([]);
    expect(events()).toMatchObject([{ verdict: 'rejected', key: 'u:x', reason: { code: 'invalid' } }]);
    expect(messages[0]!.skipped).toBe(0);
  });

  it('a Redis that takes nothing: messages are given up, the stream goes on', async () => {
    const { live, messages } = await watched([{}], () => new Promise(() => {}));
    const partition = createPartition({ sizes: [1], restarts: false }, APPEND_MS, PARTITION, live);
    partition.run([
      ...definitions,
      ...Array.from({ length: 40 }, (_, index) => track(first, 'view', `n${index}`, 60)),
    ]);
    expect(messages).toHaveLength(16);
    expect(partition.buyer(first)!.totals).toEqual([{ behaviour: 'view', count: 40 }]);
  });

  it('what a Redis did not take is told with what it takes next', async () => {
    let away = true;
    const { live, messages, failures } = await watched([{}], async () => {
      if (away) throw new Error('away');
      return 1;
    });
    const partition = createPartition(whole, APPEND_MS, PARTITION, live);
    const views = Array.from({ length: 250 }, (_, index) => track(first, 'view', `n${index}`, 60));
    partition.run([...definitions, ...views]);
    await vi.waitFor(() => expect(failures).toHaveLength(2));
    away = false;
    partition.run([track(first, 'view', 'later', 60)]);
    expect(messages.map(({ skipped, events }) => [skipped, events.length])).toEqual([
      [0, 200],
      [0, 50],
      [250, 1],
    ]);
  });

  it('a Redis that was away for all of it, as who looks was asked, too', async () => {
    let away = false;
    const { live, messages, failures } = await watched(
      [{}],
      async () => {
        if (away) throw new Error('away');
        return 1;
      },
      () => away,
    );
    away = true;
    const partition = createPartition(whole, APPEND_MS, PARTITION, live);
    const views = Array.from({ length: 250 }, (_, index) => track(first, 'view', `n${index}`, 60));
    partition.run([...definitions, ...views]);
    await vi.advanceTimersByTimeAsync(INTEREST_READ_MS);
    expect(failures).toHaveLength(3);
    partition.run([track(first, 'view', 'meanwhile', 60)]);
    await vi.advanceTimersByTimeAsync(INTEREST_READ_MS);
    away = false;
    await vi.advanceTimersByTimeAsync(INTEREST_READ_MS);
    partition.run([track(first, 'view', 'later', 60)]);
    expect(messages.at(-1)).toMatchObject({ skipped: 251, events: [{ messageId: 'later' }] });
  });

  it('a Redis that fails is counted and tried again', async () => {
    const { live, failures } = await watched([{}], async () => {
      throw new Error('away');
    });
    createPartition(whole, APPEND_MS, PARTITION, live).run(log);
    await vi.waitFor(() => expect(failures).toHaveLength(1));
  });
});
