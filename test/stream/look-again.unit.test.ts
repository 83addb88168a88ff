// A definition that brings forward what waits reaches everybody, not only who comes again.
import { describe, expect, it } from 'vitest';
import { buyersOf } from '../e2e/support/mixed-log.ts';
import { createPartition, definitionValue, PARTITION } from './support/partition.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.UTC(2024, 0, 1);
const names = ['view', 'contact', 'order'];
const keys = buyersOf(PARTITION, 24, 'n').filter((key) => key.startsWith('u:'));
const absent = keys.slice(1, 8);

function event(key: string, name: string, timestamp: number): string {
  const times = { timestamp, receivedAt: timestamp, supplied: true };
  const messageId = `${key} ${name} ${timestamp}`;
  return JSON.stringify({ kind: 'track', event: name, messageId, userId: key.slice(2), ...times });
}

/** Everybody has asked, once, and seen and ordered in one instant's order; then definitions change, and one comes again. */
function lived(changes: readonly string[], sizes: readonly number[], restarts: boolean) {
  const partition = createPartition({ sizes, restarts }, START + 900 * DAY);
  const rules = names.map((name) => ({ kind: 'track', event: name, behaviour: name }));
  partition.run([
    definitionValue('settings', 'default', 1, { timersPerCommit: 3, latenessMs: 3 * HOUR }),
    definitionValue('behaviours', 'default', 1, { rules }),
    definitionValue('lifecycle', 'default', 1, { churnedAfterMs: 300 * DAY }),
    definitionValue('opportunity', 'default', 1, { closeAfterMs: 300 * DAY }),
    definitionValue('funnel', 'f', 1, {
      name: 'f',
      steps: ['view', 'contact'],
      windowMs: HOUR,
      mode: 'strict_order',
    }),
    ...absent.flatMap((key, index) => [
      event(key, 'view', START + index),
      event(key, 'contact', START + index + 1_000),
    ]),
    ...changes,
  ]);
  return partition;
}

const stageOf = (partition: ReturnType<typeof lived>, key: string) => partition.buyer(key)!.stage;
const cuts: [readonly number[], boolean][] = [
  [[100], false],
  [[1], true],
  [[2, 5], true],
];

describe.each(cuts)('in batches of %j, taken over after each: %s', (sizes, restarts) => {
  it('a shorter absence churns whoever is absent for longer, at the time at which they have been', () => {
    const partition = lived(
      [
        event(keys[0]!, 'view', START + 30 * DAY),
        definitionValue('lifecycle', 'default', 2, { churnedAfterMs: 7 * DAY }),
        event(keys[0]!, 'view', START + 30 * DAY + 1),
      ],
      sizes,
      restarts,
    );
    for (const [index, key] of absent.entries()) {
      expect(stageOf(partition, key)).toBe('churned');
      expect(partition.buyer(key)!.stageSinceMs).toBe(START + 7 * DAY + index + 1_000);
    }
    expect(stageOf(partition, keys[0]!)).not.toBe('churned');
  });

  it('opportunities close, and strict funnels settle, sooner', () => {
    const partition = lived(
      [
        event(keys[0]!, 'view', START + 2 * HOUR),
        definitionValue('opportunity', 'default', 2, { closeAfterMs: HOUR }),
        definitionValue('settings', 'default', 2, { timersPerCommit: 3, latenessMs: HOUR }),
        event(keys[0]!, 'view', START + 2 * HOUR + 1),
      ],
      sizes,
      restarts,
    );
    for (const key of absent) {
      expect(partition.buyer(key)!.opportunities).toEqual([]);
      expect(partition.buyer(key)!.funnels[0]!.counted).toBe(2);
    }
  });

  it('a longer one changes nothing that waits', () => {
    const changes = [
      definitionValue('lifecycle', 'default', 2, { churnedAfterMs: 400 * DAY }),
      event(keys[0]!, 'view', START + 350 * DAY),
    ];
    const partition = lived(changes, sizes, restarts);
    for (const key of absent) expect(stageOf(partition, key)).toBe('mature');
  });
});
