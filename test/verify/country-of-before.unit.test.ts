// Records that owners told each other while UK was no name of GB yet stand in the log for ever: a stream that folds them again, from
// states of then too, and the oracle that reads them say GB.
import { expect, it } from 'vitest';
import { compareBuyers } from '../../verify/buyer-states.ts';
import { compareSent } from '../../verify/identity/compare-sent.ts';
import { seeded } from '../e2e/support/mixed-log.ts';
import { toPartition } from '../stream/support/engine.ts';
import {
  APPEND_MS,
  everywhere,
  identify,
  MINUTE_MS,
  others,
  START_MS,
  track,
} from '../stream/support/funnel-world.ts';
import { createRecordedEngine, scopeOf } from './support/engine-scope.ts';
import { levelsByBruteForce } from './support/levels.ts';

/** As an owner of then said it: its state had what the site had said. */
function asToldThen(value: string): string {
  const record = JSON.parse(value);
  if (record.kind === 'merge' && record.base?.country?.value === 'GB') record.base.country.value = 'UK';
  if (record.kind === 'member' && record.attributes?.country === 'GB') record.attributes.country = 'UK';
  return JSON.stringify(record);
}

it.each([false, true])('what was told of UK is of GB, with restarts: %s', (restarts) => {
  const random = seeded(7);
  const engine = createRecordedEngine({
    cuts: { sizes: [1], restarts },
    appendMs: APPEND_MS,
    random,
    repeats: 0,
  });
  const told: string[] = [];
  for (const partition of engine.partitions) {
    const run = partition.run;
    partition.run = (values) => {
      const then = values.map(asToldThen);
      told.push(...then.filter((value) => value.includes('"UK"')));
      run(then);
    };
  }
  engine.run(others.flatMap(everywhere));
  engine.run([track('a:device', 'view', START_MS, 'UK', 'm-1')]);
  engine.run([identify('u:ann', 'a:device', START_MS + MINUTE_MS)]);
  const group = {
    kind: 'group',
    groupId: 'acme',
    userId: 'bob',
    messageId: 'm-2',
    traits: { country: 'UK' },
  };
  const timeMs = START_MS + 2 * MINUTE_MS;
  engine.run([toPartition('u:bob', { ...group, timestamp: timeMs, receivedAt: timeMs, supplied: true })]);
  expect(told.map((value) => JSON.parse(value).kind).sort()).toEqual(['group', 'member', 'merge', 'track']);

  const scope = scopeOf(engine, APPEND_MS);
  const buyers = new Map(scope.events.flatMap(({ stored }) => [...stored.buyers]));
  expect(buyers.get('u:ann')?.country?.value).toBe('GB');
  expect(buyers.get('u:ann')?.parts.map(({ country }) => country?.value)).toContain('GB');
  expect(buyers.get('c:acme')?.country?.value).toBe('GB');
  // As they are in memory too, and not just read from their bytes.
  const blobs = engine.partitions.flatMap((partition) => (partition.stored() as { blobs: string[] }).blobs);
  expect(blobs.filter((blob) => blob.includes(Buffer.from('UK').toString('hex')))).toEqual([]);
  compareBuyers(scope, levelsByBruteForce(scope));
  compareSent(scope);
  expect(scope.comparison.differences).toEqual([]);
  expect(scope.comparison.compared('merge records')).toBeGreaterThan(0);
});
