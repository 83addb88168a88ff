// The table `identities`: what a visitor's owner did with links, and what users' owners made of them.
import { type Scope, writtenBy } from '../scope.ts';
import { addTo, compareGroups, type Grouped, ms, readTable, whole } from '../table.ts';

export async function compareIdentityRows(scope: Scope): Promise<void> {
  const expected: Grouped = new Map();
  for (const { walk, people } of scope.events) {
    for (const { offset, timeMs, fromOffset, messageId, by, ...change } of people.changes) {
      addTo(expected, `identities ${walk.partition} offset ${offset}`, {
        ...change,
        time: timeMs,
        from_offset: fromOffset,
        message_id: messageId,
        changed_by: by,
      });
    }
  }
  const columns = [
    'key',
    ms('time'),
    'link',
    'visitor',
    'user',
    'change',
    whole('from_offset'),
    'message_id',
    'changed_by',
    'why',
    'partition',
    whole('offset'),
  ];
  const actual: Grouped = new Map();
  await readTable(
    scope.clickhouse,
    { table: 'identities', columns, where: writtenBy(scope.events) },
    ({ partition, offset, ...row }) => addTo(actual, `identities ${partition} offset ${offset}`, row),
  );
  compareGroups(scope.comparison, 'identities rows', expected, actual);
}
