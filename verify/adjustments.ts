// The table `adjustments`: counts that came when their hour or day was closed, each a row of its own.
import { type Scope, writtenBy } from './scope.ts';
import { addTo, compareGroups, type Grouped, readTable, whole } from './table.ts';
import { adjustmentsOf } from './windows.ts';

export async function compareAdjustments(scope: Scope): Promise<void> {
  const expected: Grouped = new Map();
  for (const { walk, people } of scope.events) {
    for (const { count, startMs } of adjustmentsOf(people.facts.counts, walk)) {
      const [country = '', industry = '', channel = ''] = count.cell.split('|');
      addTo(expected, `adjustments ${walk.partition} offset ${count.offset}`, {
        series: count.series,
        revision: count.revision,
        start: startMs / 1_000,
        country,
        industry,
        channel,
        column: count.column,
        amount: count.amount ?? 1,
      });
    }
  }
  const columns = [
    'series',
    'revision',
    ['start', 'toUnixTimestamp(start)'] as const,
    'country',
    'industry',
    'channel',
    ['column', '`column`'] as const,
    'amount',
    'partition',
    whole('offset'),
  ];
  const actual: Grouped = new Map();
  const where = writtenBy(scope.events);
  await readTable(scope.clickhouse, { table: 'adjustments', columns, where }, (row) => {
    const { partition, offset, ...rest } = row;
    addTo(actual, `adjustments ${partition} offset ${offset}`, rest);
  });
  compareGroups(scope.comparison, 'adjustments rows', expected, actual);
}
