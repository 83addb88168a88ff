// Puts a source into the order of time that does not stand in it, in bounded memory: it is read as often as it has lots.
import type { FeedItem } from '../feed.ts';

/** Items of one lot; twice as many are held at most. */
const LOT_ITEMS = 40_000;

interface Placed<Item> {
  readonly item: Item;
  /** Its place in the source, which orders equal times. */
  readonly place: number;
}

function comparePlaced<Item extends FeedItem>(a: Placed<Item>, b: Placed<Item>): number {
  return a.item.arrivalMs - b.item.arrivalMs || a.place - b.place;
}

/** The earliest `lotItems` of the source after `last`, in order. */
async function nextLot<Item extends FeedItem>(
  source: AsyncIterable<Item>,
  last: Placed<Item> | undefined,
  lotItems: number,
): Promise<Placed<Item>[]> {
  const lot: Placed<Item>[] = [];
  let latestMs = Number.POSITIVE_INFINITY;
  let place = 0;
  for await (const item of source) {
    const placed = { item, place };
    place += 1;
    if (item.arrivalMs > latestMs || (last !== undefined && comparePlaced(placed, last) <= 0)) continue;
    lot.push(placed);
    if (lot.length < 2 * lotItems) continue;
    lot.sort(comparePlaced);
    lot.length = lotItems;
    latestMs = lot.at(-1)!.item.arrivalMs;
  }
  lot.sort(comparePlaced);
  if (lot.length > lotItems) lot.length = lotItems;
  return lot;
}

/** What `read` gives, by arrival; what arrives at once keeps its order. `read` must give the same each time. */
export async function* inTimeOrder<Item extends FeedItem>(
  read: () => AsyncIterable<Item>,
  lotItems = LOT_ITEMS,
): AsyncGenerator<Item, void, undefined> {
  let last: Placed<Item> | undefined;
  for (;;) {
    const lot = await nextLot(read(), last, lotItems);
    for (const { item } of lot) yield item;
    if (lot.length < lotItems) return;
    last = lot.at(-1);
  }
}
