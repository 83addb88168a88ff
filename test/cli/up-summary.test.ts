// The summary of `flywheel up`, of rows in the stream's layout, by an app that listens.
import { expect, it } from 'vitest';
import { readSummary } from '../../cli/up-summary.ts';
import { answering, GENERATION } from '../serve/answering.ts';

// It began with the full hour of the first record, before which the account's own hour had begun.
it('has the first hour of an account whose hours begin within those of UTC', async () => {
  const here = await answering('up-summary', { tables: true });
  try {
    const mumbai = { name: 'M', currency: 'INR', dailyBudgetMicros: 1, utcOffsetMinutes: 330 };
    here.definitions.set('account', 'mumbai', mumbai);
    here.definitions.set('campaign', 'search', { name: 'S', accountId: 'mumbai', channel: 'search' });
    const { clickhouse } = here;
    const insert = (table: string, row: Record<string, unknown>) =>
      clickhouse.insert({
        table,
        format: 'JSONEachRow',
        clickhouse_settings: { date_time_input_format: 'best_effort' },
        values: [{ campaign: 'search', account: 'mumbai', generation: GENERATION, ...row }],
      });
    await insert('spend', { time: '2026-01-15T10:10:00.500Z', offset: 1 });
    await insert('spend', { time: '2026-01-15T11:40:00.500Z', offset: 2 });
    await insert('campaign_hours', { hour: '2026-01-15T09:30:00Z', cost_micros: 5, version: 1 });
    await insert('campaign_hours', { hour: '2026-01-15T11:30:00Z', cost_micros: 7, version: 1 });
    const url = await here.app.listen({ port: 0, host: '127.0.0.1' });
    const namespace = here.namespace.name;
    const { campaigns } = await readSummary({ clickhouse, url, secretKey: 'secret-key', namespace });
    expect(campaigns).toMatchObject([{ campaign: 'search', costMicros: 12 }]);
  } finally {
    await here.close();
  }
});
