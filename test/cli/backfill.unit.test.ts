// `flywheel backfill` as people read it.
import { expect, it } from 'vitest';
import { describeBackfills } from '../../cli/backfill.ts';

it('shows a bar, the numbers and why it failed', () => {
  const common = { revision: 2, detail: '' };
  const all = [
    { funnel: 'a', ...common, status: 'running', buyersDone: 500, buyersTotal: 2_000, buyersFound: 100 },
    { funnel: 'longer', ...common, status: 'done', buyersDone: 0, buyersTotal: 0, buyersFound: 0 },
    {
      funnel: 'b',
      ...common,
      status: 'failed',
      buyersDone: 1,
      buyersTotal: 0,
      buyersFound: 0,
      detail: 'ClickHouse is away',
    },
  ];
  expect(describeBackfills(all)).toEqual([
    'a       revision 2  [######..................] running  500/2000 buyers, 100 with a past',
    'longer  revision 2  [########################] done  0/0 buyers, 0 with a past',
    'b       revision 2  [........................] failed  1/0 buyers, 0 with a past (ClickHouse is away)',
  ]);
});
