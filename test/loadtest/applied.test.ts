// A benchmark whose events were put aside measured something else than it says.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { assertApplied } from '../../loadtest/bench/applied.ts';
import { insertCompact } from '../../platform/clickhouse.ts';
import { columns } from '../../stream/rows.ts';
import { type Answering, answering } from '../serve/answering.ts';

let here: Answering;
beforeAll(async () => {
  here = await answering('applied', { tables: true });
});
afterAll(() => here?.close());

let offset = 0;
async function store(verdict: string, count: number): Promise<void> {
  const rows = Array.from({ length: count }, () => {
    offset += 1;
    const named: Record<string, unknown> = {
      ...{ key: 'u:1', time: 1_000, generation: 1, partition: 0, offset, verdict },
      ...{ kind: 'track', received_at: 1_000, appended_at: 1_000 },
    };
    return columns.events.map((column) => named[column] ?? '');
  });
  await insertCompact(here.clickhouse, 'events', columns.events, rows);
}

it('all must have been applied, and a row that was inserted twice makes up for none', async () => {
  await expect(assertApplied(here.clickhouse, 100)).rejects.toThrow(
    'of 100 events only 0 were applied, and 0 stored',
  );
  await store('late', 1);
  await store('applied', 99);
  offset -= 1;
  await store('applied', 1);
  await expect(assertApplied(here.clickhouse, 100)).rejects.toThrow('only 99 were applied, and 100 stored');
  await store('applied', 1);
  await expect(assertApplied(here.clickhouse, 100)).resolves.toBeUndefined();
});
