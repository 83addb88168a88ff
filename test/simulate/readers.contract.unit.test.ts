// One suite that every reader passes, on the real set: the checked figures of its README, a stream and not a
// buffer, the same again, ids that are its own, and faults named by their row.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { definitionSchemas } from '../../domain/definition.ts';
import type { FeedItem } from '../../simulate/feed.ts';
import { FileError } from '../../simulate/readers/csv-rows.ts';
import { kagSpend } from '../../simulate/readers/kag-spend.ts';
import { readers } from '../../simulate/readers/readers.ts';
import { sharedFile } from './shared-data.ts';

import { cases } from './support/reader-cases.ts';
import { expectTaken, readAll, type Seen } from './support/reading.ts';

/** The largest set has half a million rows. */
const TIMEOUT_MS = 180_000;
const BEGINNING_BYTES = 2_000_000;
/** To collect garbage takes longer than to read so many rows. */
const LOOK_EVERY = 75_000;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What the heap holds on to; garbage that waits to be collected is not counted. */
function heldBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

it('covers every format', () => {
  expect(cases.map((each) => each.reader)).toEqual(readers);
});

describe.each(cases)('$reader.format', ({ reader, path, needed, spoil, figures }) => {
  const file = sharedFile(path);
  let folder = '';
  /** The beginning of it, unpacked. */
  let plain = '';

  beforeAll(() => {
    if (file === null) return;
    folder = mkdtempSync(join(tmpdir(), 'readers-'));
    const bytes = readFileSync(file);
    plain = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8', 0, BEGINNING_BYTES);
  });
  afterAll(() => {
    if (folder !== '') rmSync(folder, { recursive: true });
  });

  /** The whole set, read once for the tests that look at its figures, every item as collect would take it. */
  let whole: Promise<Seen> | undefined;
  const readWhole = (): Promise<Seen> => {
    whole ??= readAll(reader, file!, expectTaken);
    return whole;
  };
  const written = (name: string, content: string | Buffer): string => {
    const target = join(folder, name);
    writeFileSync(target, content);
    return target;
  };
  /** The header and the first 200 rows. */
  const head = (): string[] => plain.split(/\r?\n/, 201);
  const failure = async (target: string): Promise<FileError> => {
    const outcome = await readAll(reader, target).catch((error: unknown) => error);
    expect(outcome).toBeInstanceOf(FileError);
    return outcome as FileError;
  };

  it.skipIf(file === null)(
    'gives the figures that were checked, in order, with ids of its own',
    async () => {
      const seen = await readWhole();
      figures(seen);
      expect(seen.ids.size).toBe(seen.items);
      expect(seen.backwards).toBe(0);
      const form = new RegExp(`^${reader.format}:[^:]+:[1-9][0-9]*(:[a-z]+)?$`);
      expect([...seen.ids].filter((id) => !form.test(id))).toEqual([]);
    },
    TIMEOUT_MS,
  );

  it.skipIf(file === null)(
    'streams: a first item before the file is read, and no growth with its length',
    async () => {
      const items = reader.read(file!, {});
      const first = await items.next();
      expect(first.done).toBe(false);
      await items.return();
      const beforeBytes = heldBytes();
      let count = 0;
      let mostBytes = 0;
      for await (const _item of reader.read(file!, {})) {
        count += 1;
        if (count % LOOK_EVERY === 1) mostBytes = Math.max(mostBytes, heldBytes());
      }
      expect(count).toBeGreaterThan(0);
      expect(mostBytes - beforeBytes).toBeLessThan(150e6);
    },
    TIMEOUT_MS,
  );

  it.skipIf(file === null)('gives the same again, packed or not, from the start', async () => {
    const text = `${head().join('\n')}\n`;
    const take = async (target: string): Promise<FeedItem[]> => {
      const items: FeedItem[] = [];
      for await (const item of reader.read(target, { content: 'c0ffee' })) items.push(item);
      return items;
    };
    const open = written('a/../part.csv', text);
    const first = await take(open);
    expect(first.length).toBeGreaterThan(0);
    expect(await take(open)).toEqual(first);
    for (const item of first)
      expect((item.to === 'events' ? item.message : item.row).messageId).toContain(
        `${reader.format}:part.csv-c0ffee:`,
      );
    // by its first bytes, whatever it is called; the name stands in the ids
    writeFileSync(open, gzipSync(text));
    expect(await take(open)).toEqual(first);
  });

  it.skipIf(file === null)('names the row that is wrong', async () => {
    const lines = head();
    const cells = lines[7]!.split(',');
    spoil(cells);
    const error = await failure(written('wrong.csv', lines.with(7, cells.join(',')).join('\n')));
    expect(error.code).toBe('ROW_WRONG');
    expect(error.message).toMatch(/wrong\.csv, row 7: /);
  });

  it.skipIf(file === null)('refuses what is not of its format, is cut off or is not there', async () => {
    const lines = head();
    const other = await failure(
      written('other.csv', lines.with(0, lines[0]!.replace(needed, 'x')).join('\n')),
    );
    expect(other.code).toBe('FILE_NOT_OF_FORMAT');
    expect(other.message).toContain(needed);
    expect((await failure(written('empty.csv', ''))).code).toBe('FILE_NOT_OF_FORMAT');
    expect((await failure(join(folder, 'none.csv'))).code).toBe('FILE_UNREADABLE');
    const packed = gzipSync(plain);
    const cut = await failure(written('cut.csv.gz', packed.subarray(0, packed.length >> 1)));
    expect(cut.message).toMatch(/cut\.csv\.gz, after row \d+: .*unexpected end/i);
    const ragged = await failure(written('ragged.csv', [...lines.slice(0, 4), 'one,two'].join('\n')));
    expect(ragged.code).toBe('ROW_WRONG');
  });

  it.skipIf(file === null)(
    'offers definitions that fit its spend',
    async () => {
      const definitions = await reader.definitions(file!, {});
      for (const { type, document } of definitions) definitionSchemas[type].parse(document);
      const ofSpend = definitions.filter(({ type }) => type === 'account' || type === 'campaign');
      const ids = new Set(ofSpend.map((each) => `${each.type}/${each.id}`));
      const { accounts, campaigns } = await readWhole();
      expect(ids).toEqual(
        new Set([
          ...[...accounts.keys()].map((id) => `account/${id}`),
          ...[...campaigns].map((id) => `campaign/${id}`),
        ]),
      );
    },
    TIMEOUT_MS,
  );
});

it('takes the day and the currency that are given', async () => {
  const file = sharedFile('ads_kag_conversion/kag_conversion_data.csv');
  if (file === null) return;
  for await (const item of kagSpend.read(file, { date: '2020-02-29', currency: 'EUR' })) {
    expect(item.to === 'spend' && item.row).toMatchObject({
      periodStartMs: Date.UTC(2020, 1, 29),
      currency: 'EUR',
    });
    break;
  }
  await expect(kagSpend.read(file, { date: 'today' }).next()).rejects.toThrow('not YYYY-MM-DD');
});
