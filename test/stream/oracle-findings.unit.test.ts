// Faults that the oracle found in what links do, each with its cause, so that none comes back.
import { describe, expect, it } from 'vitest';
import type { Buyer } from '../../domain/buyer.ts';
import type { Engine } from './support/engine.ts';
import { createEngine, toPartition } from './support/engine.ts';
import { definitionValue } from './support/partition.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2024, 3, 1, 9);

const everywhere = (value: string) => Array.from({ length: 12 }, (_, partition) => ({ partition, value }));

function open(settings: object = {}): Engine {
  const engine = createEngine({
    cuts: { sizes: [1], restarts: true },
    appendMs: START_MS + 500 * DAY_MS,
    random: () => 0,
    repeats: 0,
  });
  const definitions = [
    definitionValue('settings', 'default', 1, settings),
    definitionValue('behaviours', 'default', 1, {
      rules: ['view', 'order'].map((event) => ({ kind: 'track', event, behaviour: event })),
    }),
    definitionValue('lifecycle', 'default', 1, { churnedAfterMs: 2 * DAY_MS }),
    definitionValue('funnel', 'f', 1, {
      name: '',
      steps: ['view', 'order'],
      windowMs: DAY_MS,
      mode: 'strict_order',
    }),
    definitionValue('score', 's', 1, {
      name: '',
      horizonMs: DAY_MS,
      halfLifeMs: 3_600_000,
      intercept: 0,
      engagement: { view: 1 },
    }),
  ];
  engine.run(definitions.flatMap(everywhere));
  return engine;
}

let messages = 0;
function does(key: string, minutes: number, event: string, body: object = { kind: 'track', event }) {
  const who = key.startsWith('u:') ? { userId: key.slice(2) } : { anonymousId: key.slice(2) };
  const timestamp = START_MS + minutes * MINUTE_MS;
  messages += 1;
  const common = { messageId: `m${messages}`, timestamp, receivedAt: timestamp, supplied: true };
  return toPartition(key, { ...common, ...who, ...body });
}

const buyerOf = (engine: Engine, key: string): Buyer => engine.of(key).buyer(key)!;

describe('the oracle found that', () => {
  it('a link returned a churned user, because what is merged was taken for activity', () => {
    const engine = open();
    engine.run([does('u:u', 0, 'view')]);
    const time = START_MS + 3 * DAY_MS;
    engine.run(everywhere(JSON.stringify({ kind: 'clock', time, supplied: true })));
    const days3 = 3 * 24 * 60;
    engine.run([does('u:u', days3, '', { kind: 'identify', anonymousId: 'v' })]);
    expect(buyerOf(engine, 'u:u').nextPart).toBe(2);
    expect(buyerOf(engine, 'u:u').stage).toBe('churned');
  });

  it('sums of a partition without a watermark overflowed, because their reference was the beginning of time', () => {
    const engine = open();
    engine.run([does('u:u', 0, '', { kind: 'group', groupId: 'acme' }), does('u:u', 1, 'view')]);
    const [sums] = buyerOf(engine, 'c:acme').engagement;
    expect(engine.of('c:acme').head.watermarkMs).toBe(0);
    expect(Number.isFinite(sums!.sums[0]!.sum)).toBe(true);
  });

  it('what a cap had settled early was settled again, because nothing that was held said up to when', () => {
    const engine = open({ maxBehavioursPerBuyer: 10 });
    const views = Array.from({ length: 12 }, (_, number) => does('u:u', 1 + number / 4, 'view'));
    engine.run([...views, does('u:u', 0, 'order')]);
    const { behaviours, settledCount } = buyerOf(engine, 'u:u');
    expect(behaviours).toHaveLength(10);
    expect(settledCount).toBeGreaterThan(0);
    const time = START_MS + 30 * MINUTE_MS;
    engine.run(everywhere(JSON.stringify({ kind: 'clock', time, supplied: true })));
    // An order from before all views is not a step behind them.
    expect(buyerOf(engine, 'u:u').funnels[0]!.counted).toBe(1);
  });
});
