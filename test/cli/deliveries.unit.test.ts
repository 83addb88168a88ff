// What `flywheel deliveries` keeps in mind of the topic while it reads it, and what it shows of it.
import { expect, it } from 'vitest';
import { createSelection, lineOf } from '../../cli/deliveries.ts';
import type { Delivery } from '../../domain/delivery.ts';
import { deliveryOf, triggerOf } from '../jobs/dispatching.ts';

const dead = (id: string): Delivery => ({ ...deliveryOf(triggerOf(id, 0), { status: 'dead' }), id });

it('is those that are wanted by their last record, the latest change last, and nothing of all others', () => {
  const { chosen, take } = createSelection((each) => (each.status === 'dead' ? each.detail : null));
  for (const id of ['a', 'b', 'c', 'd']) take(dead(id));
  take({ ...dead('b'), status: 'delivered' });
  take({ ...dead('a'), detail: 'again' });
  take({ kind: 'forgotten', key: 'c' });
  take({ kind: 'cursor', partition: 0, next: 1 });
  take(null);
  let most = 0;
  for (let number = 0; number < 1_000; number += 1) {
    take({ ...dead(`other-${number}`), status: 'delivered' });
    most = Math.max(most, chosen.size);
  }
  expect([...chosen]).toEqual([
    ['d', ''],
    ['a', 'again'],
  ]);
  expect(most).toBe(2);
});

// A page of HTML was twenty lines, and what was cut out of them was taken for ids; an escape sequence was the terminal's.
it('is a line of seven fields each, whatever a receiver has answered', () => {
  const detail = 'one\n<p>\ttwo\r\n\u2028three\x1b]0;title\x07\x1b[2J\x9b2Jfour \u202eevif';
  const delivery: Delivery = { ...dead('a'), attempt: 3, answer: 500, detail };
  expect(lineOf(delivery).split('\t')).toEqual([
    ...['a', 'dead', 'crm', 'a', '3', '500'],
    'one <p> two three ]0;title [2J 2Jfour evif',
  ]);
  expect(delivery.detail).toBe(detail);
});
