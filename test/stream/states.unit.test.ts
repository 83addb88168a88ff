// States that are packed in the middle of a batch: whoever asks gets them again as they were, and the commit gets their bytes.
import { describe, expect, it } from 'vitest';
import { newAccount } from '../../domain/account.ts';
import { type Buyer, newBuyer } from '../../domain/buyer.ts';
import { encodeBuyer } from '../../platform/buyer-codec.ts';
import { encodeAccount } from '../../platform/codec.ts';
import { States } from '../../stream/states.ts';

const buyer = (key: string, ids = 2): Buyer => ({
  ...newBuyer(key),
  firstMs: 1_000,
  ids: Array.from({ length: 2 * ids }, (_, index) => index),
});

function statesOf(...buyers: Buyer[]): States {
  const states = new States('events');
  for (const each of buyers) states.read(each.key, encodeBuyer(each));
  return states;
}

describe('a packed state', () => {
  it('is no object, and is one again for whoever asks, with what it had become', () => {
    const states = statesOf(buyer('u:1'), buyer('u:2'));
    const before = states.get('u:1') as Buyer;
    before.settledCount = 7;
    states.pack('u:1');
    expect([states.size, [...states.keys()], states.has('u:1')]).toEqual([1, ['u:2'], true]);
    expect(states.get('u:1')).toEqual({ ...buyer('u:1'), settledCount: 7 });
    expect(states.get('u:1')).not.toBe(before);
    expect(states.size).toBe(2);
  });

  it('is committed as the object would be, whichever it is then and however many others are packed', () => {
    const many = Array.from({ length: 3_000 }, (_, index) => buyer(`u:${index}`, index % 400));
    const states = statesOf(...many);
    for (const { key } of many) states.pack(key);
    expect(states.size).toBe(0);
    for (const { key } of many.slice(0, 10)) (states.get(key) as Buyer).settledCount = 3;
    states.pack('u:4');
    for (const each of many) {
      const changed = many.indexOf(each) < 10 ? { ...each, settledCount: 3 } : each;
      expect(states.bytesOf(each.key).equals(encodeBuyer(changed))).toBe(true);
    }
  });

  it('is gone after the commit, and counts for nothing that stays', () => {
    const states = statesOf(buyer('u:1'), buyer('u:2'), buyer('u:3', 50));
    const bytes = encodeBuyer(buyer('u:2')).length;
    states.pack('u:3');
    expect(states.bytes).toBe(2 * bytes);
    states.keep(1, 1_000_000);
    expect([[...states.keys()], states.bytes, states.has('u:3')]).toEqual([['u:2'], bytes, false]);
    states.pack('u:2');
    states.keep(0, 1_000_000);
    expect([states.size, states.bytes, states.get('u:2')]).toEqual([0, 0, undefined]);
  });

  it('is asked for as the last one that is let go', () => {
    const states = statesOf(buyer('u:1'), buyer('u:2'));
    states.pack('u:1');
    expect([states.touch('u:1'), states.touch('u:9')]).toEqual([true, false]);
    expect([...states.keys()]).toEqual(['u:2', 'u:1']);
    states.touch('u:2');
    expect([...states.keys()]).toEqual(['u:1', 'u:2']);
  });

  it('is never an account, whose fields would change their order', () => {
    const states = new States('spend');
    const account = newAccount('shop');
    states.set('shop', account);
    states.pack('shop');
    expect(states.get('shop')).toBe(account);
    expect(states.bytesOf('shop').equals(encodeAccount(account))).toBe(true);
  });
});

it('counts a state that was written again once, as it is now', () => {
  const states = statesOf(buyer('u:1', 50));
  (states.get('u:1') as Buyer).ids = [];
  const { length } = states.bytesOf('u:1');
  states.bytesOf('u:1');
  expect(states.bytes).toBe(length);
});
