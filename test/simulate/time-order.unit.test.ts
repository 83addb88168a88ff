// Any order of a source comes out by time, equal times as they stood, with lots smaller and larger than the source.
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { FeedItem } from '../../simulate/feed.ts';
import { inTimeOrder } from '../../simulate/readers/time-order.ts';

it('sorts stably, whatever the lots', async () => {
  const cases = fc.tuple(fc.array(fc.nat(9), { maxLength: 60 }), fc.integer({ min: 1, max: 20 }));
  await fc.assert(
    fc.asyncProperty(cases, async ([times, lotItems]) => {
      const items = times.map((arrivalMs, place) => ({ arrivalMs, place }) as unknown as FeedItem);
      const read = async function* (): AsyncGenerator<FeedItem> {
        yield* items;
      };
      const ordered: FeedItem[] = [];
      for await (const item of inTimeOrder(read(), lotItems)) ordered.push(item);
      expect(ordered).toEqual(items.toSorted((a, b) => a.arrivalMs - b.arrivalMs));
    }),
  );
});

it('leaves no file behind, also when it is left early or its source fails', async () => {
  const folders = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('flywheel-order-'));
  const before = new Set(folders());
  const source = async function* (fails: boolean): AsyncGenerator<FeedItem> {
    for (let place = 0; place < 30; place += 1) yield { arrivalMs: -place, place } as unknown as FeedItem;
    if (fails) throw new Error('the source is cut off');
  };
  for await (const item of inTimeOrder(source(false), 10)) {
    expect(item.arrivalMs).toBe(-29);
    break;
  }
  await expect(inTimeOrder(source(true), 10).next()).rejects.toThrow('cut off');
  expect(folders().filter((name) => !before.has(name))).toEqual([]);
});
