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

it('nine in ten must have been applied', async () => {
  await expect(assertApplied(here.clickhouse, 100)).rejects.toThrow(
    'of 100 events only 0 were applied, and 0 stored',
  );
  await store('applied', 89);
  await store('late', 11);
  await expect(assertApplied(here.clickhouse, 100)).rejects.toThrow('only 89 were applied, and 100 stored');
  await store('applied', 1);
  await expect(assertApplied(here.clickhouse, 100)).resolves.toBeUndefined();
});
