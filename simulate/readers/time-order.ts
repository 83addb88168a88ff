// Puts a source into the order of time that does not stand in it, in bounded memory: sorted lots go to files of their own
// and are merged (an external merge sort). What fits one lot stays in memory.
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { FeedItem } from '../feed.ts';

/** Items of one lot. */
const LOT_ITEMS = 25_000;

/** Equal times keep their order: the sort is stable. */
function sorted<Item extends FeedItem>(lot: Item[]): Item[] {
  return lot.sort((a, b) => a.arrivalMs - b.arrivalMs);
}

async function writeLot(folder: string, number: number, lot: FeedItem[]): Promise<string> {
  const file = join(folder, `${number}.jsonl`);
  const lines = sorted(lot).map((item) => JSON.stringify(item));
  await writeFile(file, `${lines.join('\n')}\n`);
  return file;
}

async function* readLot<Item extends FeedItem>(file: string): AsyncGenerator<Item, void, undefined> {
  for await (const line of createInterface({ input: createReadStream(file) })) yield JSON.parse(line) as Item;
}

/** The items of all lots by arrival; of equal ones the earlier lot's first. */
async function* merged<Item extends FeedItem>(
  files: readonly string[],
): AsyncGenerator<Item, void, undefined> {
  const lots = files.map((file) => readLot<Item>(file));
  const heads = await Promise.all(lots.map((lot) => lot.next()));
  try {
    for (;;) {
      let first = -1;
      let firstMs = Number.POSITIVE_INFINITY;
      for (const [index, head] of heads.entries()) {
        if (head.done || head.value.arrivalMs >= firstMs) continue;
        first = index;
        firstMs = head.value.arrivalMs;
      }
      const head = heads[first];
      if (head === undefined || head.done) return;
      yield head.value;
      heads[first] = await lots[first]!.next();
    }
  } finally {
    await Promise.all(lots.map((lot) => lot.return()));
  }
}

/** `items` by arrival; what arrives at once keeps its order. The files are gone when it ends, however it ends. */
export async function* inTimeOrder<Item extends FeedItem>(
  items: AsyncIterable<Item>,
  lotItems = LOT_ITEMS,
): AsyncGenerator<Item, void, undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'flywheel-order-'));
  try {
    const files: string[] = [];
    let lot: Item[] = [];
    for await (const item of items) {
      lot.push(item);
      if (lot.length < lotItems) continue;
      files.push(await writeLot(folder, files.length, lot));
      lot = [];
    }
    if (files.length === 0) {
      yield* sorted(lot);
      return;
    }
    if (lot.length > 0) files.push(await writeLot(folder, files.length, lot));
    yield* merged<Item>(files);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
