// Waiting triggers: oldest first, expired or above the cap they go, and the store has what memory has.
import { expect, it } from 'vitest';
import type { WaitingTrigger } from '../../domain/delivery.ts';
import { createWaitingTriggers } from '../../stream/triggers.ts';

function trigger(id: string, expiresMs = 100): WaitingTrigger {
  return {
    id,
    expiresMs,
    definition: 'd',
    revision: 1,
    on: 'transition',
    key: 'u:1',
    to: 'new',
    from: '',
    timeMs: 1,
    data: {},
  };
}

const idsOf = (triggers: readonly WaitingTrigger[]): string[] => triggers.map(({ id }) => id);

it('is offered at the instant of its expiry and gone after it', () => {
  const waiting = createWaitingTriggers();
  waiting.add(trigger('0-1-0', 100));
  expect(waiting.expire(100, 10)).toEqual([]);
  expect(idsOf(waiting.expire(101, 10))).toEqual(['0-1-0']);
  expect(waiting.acknowledge('0-1-0')).toBeUndefined();
});

it('above the cap the oldest go first, in the order of the log', () => {
  const waiting = createWaitingTriggers();
  for (const id of ['0-1-0', '0-1-1', '0-2-0', '0-10-0']) waiting.add(trigger(id));
  expect(idsOf(waiting.expire(0, 2))).toEqual(['0-1-0', '0-1-1']);
  expect(waiting.expire(0, 2)).toEqual([]);
});

it('after a load the order is that of offsets and ordinals as numbers, not of the store or of text', () => {
  const waiting = createWaitingTriggers();
  waiting.load(['0-10-0', '0-9-10', '0-9-9', '0-2-0'].map((id) => trigger(id)));
  expect(idsOf(waiting.expire(0, 1))).toEqual(['0-2-0', '0-9-9', '0-9-10']);
});

it('the changes of a commit are the last word on each, and are said once', () => {
  const waiting = createWaitingTriggers();
  waiting.add(trigger('0-1-0'));
  waiting.add(trigger('0-2-0'));
  expect(waiting.acknowledge('0-1-0')?.id).toBe('0-1-0');
  expect(waiting.acknowledge('0-1-0')).toBeUndefined();
  expect([...waiting.changes()].map(([id, value]) => [id, value?.id ?? null])).toEqual([
    ['0-1-0', null],
    ['0-2-0', '0-2-0'],
  ]);
  expect(waiting.changes().size).toBe(0);
});

it('the time to live was made shorter: those that came after expire before the ones of before', () => {
  const waiting = createWaitingTriggers();
  waiting.add(trigger('0-1-0', 1_000));
  waiting.add(trigger('0-2-0', 50));
  waiting.add(trigger('0-3-0', 60));
  const loaded = createWaitingTriggers();
  loaded.load([trigger('0-1-0', 1_000), trigger('0-2-0', 50), trigger('0-3-0', 60)]);
  for (const each of [waiting, loaded]) {
    expect(idsOf(each.expire(51, 10))).toEqual(['0-2-0']);
    expect(idsOf(each.expire(61, 10))).toEqual(['0-3-0']);
    each.add(trigger('0-4-0', 1_001));
    expect(idsOf(each.expire(1_001, 10))).toEqual(['0-1-0']);
    expect(idsOf(each.expire(2_000, 10))).toEqual(['0-4-0']);
  }
});
