// A strict funnel sets a timer for the step that waits to settle, and for nothing else: a timer for every behaviour had been
// more than half of a stream's records, and had cut its batches in half.
import { describe, expect, it } from 'vitest';
import { buyersOf } from '../e2e/support/mixed-log.ts';
import { createPartition, definitionValue, PARTITION } from './support/partition.ts';

const KEY = buyersOf(PARTITION, 10, 's').find((key) => key.startsWith('u:'))!;
const MINUTE_MS = 60_000;
const START_MS = Date.UTC(2024, 3, 1);
const LATENESS_MS = 10 * MINUTE_MS;
const steps = ['view', 'contact', 'order'];

const track = (event: string, minute: number, receivedMinute = minute): string =>
  JSON.stringify({
    kind: 'track',
    event,
    messageId: `${event} ${minute}`,
    userId: KEY.slice(2),
    timestamp: START_MS + minute * MINUTE_MS,
    receivedAt: START_MS + receivedMinute * MINUTE_MS,
    supplied: true,
  });
const clock = (time: number): string => JSON.stringify({ kind: 'clock', time, supplied: true });

function partitionWithFunnel() {
  const partition = createPartition({ sizes: [1], restarts: true }, START_MS + 1_000 * MINUTE_MS);
  partition.run([
    definitionValue('settings', 'default', 1, { latenessMs: LATENESS_MS }),
    definitionValue('behaviours', 'default', 1, {
      rules: steps.map((event) => ({ kind: 'track', event, behaviour: event })),
    }),
    definitionValue('funnel', 'strict', 1, {
      name: 'strict',
      steps,
      windowMs: 60 * MINUTE_MS,
      mode: 'strict_order',
    }),
  ]);
  const dueMs = (): number[] => partition.armed.map((timer) => timer.dueMs);
  const counted = (): number | undefined => partition.buyer(KEY)?.funnels[0]?.counted;
  return { partition, dueMs, counted };
}

describe('timers of strict funnels', () => {
  it('are not set for behaviours that reach no step', () => {
    const { partition, dueMs, counted } = partitionWithFunnel();
    partition.run([track('contact', 0), track('order', 1), track('contact', 20)]);
    expect(counted()).toBe(0);
    expect(dueMs()).toEqual([]);
  });

  it('are set once a late record makes a step of what had been none, which is then counted in time', () => {
    const { partition, dueMs, counted } = partitionWithFunnel();
    partition.run([track('contact', 5)]);
    expect(dueMs()).toEqual([]);
    partition.run([track('view', 2, 6)]);
    const firstDueMs = START_MS + 2 * MINUTE_MS + LATENESS_MS + 1;
    expect(dueMs()).toEqual([firstDueMs]);
    partition.run([clock(firstDueMs)]);
    expect(counted()).toBe(1);
    expect(dueMs()).toEqual([firstDueMs, START_MS + 5 * MINUTE_MS + LATENESS_MS + 1]);
    partition.run([clock(dueMs()[1]!)]);
    expect(counted()).toBe(2);
    expect(dueMs()).toHaveLength(2);
  });
});
