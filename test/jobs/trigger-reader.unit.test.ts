// Where the topic `triggers` is read on when it is no longer as the leader before left it.
import { expect, it } from 'vitest';
import type { ReadTrigger } from '../../jobs/dispatch.ts';
import { beginningOf, readTriggers, type TriggerReaderPorts } from '../../jobs/trigger-reader.ts';
import type { LogRecord } from '../../platform/kafka-read.ts';
import { namespace } from './dispatching.ts';

// An offset that the log no longer or not yet had ended each turn: there was never a webhook again.
it('is where the log still, or again, can be read', () => {
  const watermarks = { low: 20, high: 30 };
  const beginning = (next: number, topicId?: string) => beginningOf({ next, topicId }, 'this', watermarks);
  expect(beginningOf(undefined, 'this', watermarks)).toEqual({ is: 'kept', from: 20 });
  for (const topicId of ['this', undefined]) {
    for (const next of [20, 25, 30]) expect(beginning(next, topicId)).toEqual({ is: 'kept', from: next });
    expect(beginning(5, topicId)).toEqual({ is: 'cut', from: 20, lost: 15 });
  }
  // Made anew it may have grown past what was taken of the one before.
  for (const next of [5, 20, 25, 30]) expect(beginning(next, 'before')).toEqual({ is: 'anew', from: 20 });
  expect(beginning(31)).toEqual({ is: 'anew', from: 20 });
});

it('what is lost is told and counted, and the cursor passes it', async () => {
  const errors: string[] = [];
  const reads: number[] = [];
  const taken: [number, number[]][] = [];
  const lost: number[] = [];
  const ports: TriggerReaderPorts = {
    ...{ brokers: '', namespace },
    admin: {
      describe: async () => [{ topic: namespace.topics.triggers, id: 'this', partitions: 3 }],
      watermarks: async () => [10, 20, 0].map((low) => ({ low, high: low + 10 })),
    },
    metrics: { lostTriggers: (count) => void lost.push(count) },
    log: { warn() {}, error: (message) => void errors.push(message) },
    async *follow({ partition, from }) {
      reads[partition] = from;
      yield [{ offset: from, value: null } as LogRecord];
    },
  };
  const dispatcher = {
    take: async (partition: number, triggers: readonly ReadTrigger[], topicId?: string) => {
      expect(topicId).toBe('this');
      taken.push([partition, triggers.map(({ offset }) => offset)]);
    },
  };
  const cursors = new Map(
    [12, 3, 40].map((next, partition) => [partition, { kind: 'cursor', partition, next } as const]),
  );
  await readTriggers(ports, cursors, dispatcher, new AbortController().signal);
  expect(reads).toEqual([12, 20, 0]);
  expect(lost).toEqual([17]);
  expect(errors).toHaveLength(2);
  expect(errors.find((message) => message.includes('triggers 1 '))).toContain('17 triggers');
  expect(taken.filter(([partition]) => partition === 1)).toEqual([
    [1, [19]],
    [1, [20]],
  ]);
});
